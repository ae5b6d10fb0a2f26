import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS as PyprojCRS
from rasterio.crs import CRS
from shapely.geometry import Point, box

from gersp_geo.geoio.vector.placement import reproject
from gersp_geo.geoio.vector.rasterize import burn
from gersp_geo.geoio.vector.read import read_area, read_vectors
from gersp_geo.windows import Window

UTM = CRS.from_epsg(32633)
# a raster of 20 x 30 pixels of 2 m
LEFT, TOP = 400_000.0, 5_000_000.0
GRID: dict[str, Any] = {'transform': Affine(2, 0, LEFT, 0, -2, TOP), 'height': 20, 'width': 30}
CLASSES = ('field', 'forest')


def frame_of(*geometries: object, kinds: list[str] | None = None) -> geopandas.GeoDataFrame:
    kinds = kinds or ['forest'] * len(geometries)
    return geopandas.GeoDataFrame({'kind': kinds}, geometry=list(geometries), crs=32633)


def paint(frame: geopandas.GeoDataFrame) -> np.ndarray:
    """Burn the classes of features in any CRS."""
    placed = reproject(frame.geometry, PyprojCRS.from_user_input(UTM)).to_numpy()
    return burn(placed, [CLASSES.index(kind) for kind in frame['kind']], fill=255, **GRID)


def pixel_box(row: int, col: int, height: int, width: int) -> object:
    left, top = LEFT + 2 * col, TOP - 2 * row
    return box(left, top - 2 * height, left + 2 * width, top)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'gone\.gpkg does not exist'):
        read_vectors(tmp_path / 'gone.gpkg')
    (tmp_path / 'text.gpkg').write_text('no vectors here')
    with pytest.raises(ValueError, match=r'text\.gpkg is not a vector file'):
        read_vectors(tmp_path / 'text.gpkg')
    frame_of().to_file(tmp_path / 'empty.gpkg')
    with pytest.raises(ValueError, match=r'empty\.gpkg holds no feature'):
        read_vectors(tmp_path / 'empty.gpkg')
    frame = frame_of(Point(0, 0)).set_crs(None, allow_override=True)
    frame.to_file(tmp_path / 'lost.shp')
    with pytest.raises(ValueError, match=r'lost\.shp names no CRS'):
        read_vectors(tmp_path / 'lost.shp')
    (tmp_path / 'table.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match='without geometries'):
        read_vectors(tmp_path / 'table.csv')


@given(
    row=st.integers(0, 19),
    col=st.integers(0, 29),
    height=st.integers(1, 20),
    width=st.integers(1, 30),
    crs=st.sampled_from([32633, 3857, 4326]),
)
def test_polygon_in_any_crs_marks_exactly_its_pixels(
    row: int, col: int, height: int, width: int, crs: int
) -> None:
    frame = frame_of(pixel_box(row, col, height, width)).to_crs(crs)
    mask = paint(frame)
    expected = np.full((20, 30), 255, dtype=np.uint8)
    expected[row : row + height, col : col + width] = 1
    np.testing.assert_array_equal(mask, expected)
    assert mask.dtype == np.uint8


def test_last_polygon_wins_and_missing_geometries_mark_nothing() -> None:
    frame = frame_of(
        pixel_box(0, 0, 20, 30), None, pixel_box(0, 0, 4, 4), kinds=['field', 'field', 'forest']
    )
    mask = paint(frame)
    assert mask[3, 3] == 1
    assert mask[4, 4] == 0
    empty = paint(frame.iloc[1:2])
    assert (empty == 255).all()


WHOLE = Window(row_off=0, col_off=0, height=20, width=30)


def area_mask(path: Path) -> np.ndarray:
    return read_area(path, crs=UTM).mask(GRID['transform'], WHOLE)


@pytest.mark.parametrize('name', ['a.gpkg', 'a.geojson', 'a.shp', 'a.fgb', 'a.kml'])
@pytest.mark.parametrize('crs', [32633, 32632, 3857, 4326])
def test_an_area_is_the_union_of_all_polygons_in_any_format_and_crs(
    tmp_path: Path, name: str, crs: int
) -> None:
    frame = frame_of(pixel_box(2, 3, 8, 10), pixel_box(6, 9, 8, 10), pixel_box(18, 28, 9, 9))
    frame.to_crs(crs).to_file(tmp_path / name)
    expected = np.zeros((20, 30), dtype=bool)
    expected[2:10, 3:13] = expected[6:14, 9:19] = expected[18:, 28:] = True
    np.testing.assert_array_equal(area_mask(tmp_path / name), expected)


@pytest.mark.parametrize(
    ('outline', 'crs'),
    [((12.0, 45.0, 18.0, 51.0), 4326), ((0, 4_900_000, 1_000_000, 5_600_000), 32632)],
    ids=['degrees', 'another zone'],
)
def test_long_edges_are_reprojected_as_the_curves_that_they_are(
    tmp_path: Path, outline: tuple[float, float, float, float], crs: int
) -> None:
    frame = geopandas.GeoDataFrame(geometry=[box(*outline)], crs=crs)
    frame.to_file(tmp_path / 'a.gpkg')
    area = read_area(tmp_path / 'a.gpkg', crs=UTM)
    # pixels of 20 m along the lower edge: its chord lies kilometres away in the middle
    left, bottom, right, _ = outline
    point = geopandas.GeoSeries([Point((left + right) / 2, bottom)], crs=crs).to_crs(UTM).iloc[0]
    transform = Affine(20, 0, point.x - 1000, 0, -20, point.y + 1000)
    mask = area.mask(transform, Window(row_off=0, col_off=0, height=100, width=100))
    rows, cols = np.mgrid[:100, :100] + 0.5
    centres = geopandas.GeoSeries.from_xy(
        (point.x - 1000 + 20 * cols).ravel(), (point.y + 1000 - 20 * rows).ravel(), crs=UTM
    )
    expected = shapely.contains(box(*outline), centres.to_crs(crs).to_numpy()).reshape(100, 100)
    np.testing.assert_array_equal(mask, expected)
    assert 0.3 < mask.mean() < 0.7
    # to a centimetre everywhere
    corners = shapely.get_coordinates(frame.geometry.to_numpy())
    along = np.linspace(0, 1, 61)[:, None, None] * np.diff(corners, axis=0) + corners[:-1]
    points = geopandas.GeoSeries(shapely.points(along.reshape(-1, 2)), crs=crs).to_crs(UTM)
    assert shapely.distance(points.to_numpy(), area.geometry.boundary).max() < 0.01


def test_polygons_that_cross_themselves_are_repaired(tmp_path: Path) -> None:
    bow = shapely.Polygon([(0, 0), (20, 20), (20, 0), (0, 20)])
    placed = shapely.affinity.translate(bow, LEFT, TOP - 30)
    frame_of(placed).to_file(tmp_path / 'a.gpkg')
    area = read_area(tmp_path / 'a.gpkg', crs=UTM)
    assert area.geometry.is_valid
    assert area.geometry.area == 200
    assert area_mask(tmp_path / 'a.gpkg').sum() == 50


@pytest.mark.parametrize('crs', [32633, 4326])
def test_parts_of_one_polygon_that_overlap_are_all_of_interest(tmp_path: Path, crs: int) -> None:
    parts = shapely.MultiPolygon([pixel_box(2, 3, 8, 10), pixel_box(6, 9, 8, 10)])
    frame_of(parts).to_crs(crs).to_file(tmp_path / 'a.gpkg')
    expected = np.zeros((20, 30), dtype=bool)
    expected[2:10, 3:13] = expected[6:14, 9:19] = True
    np.testing.assert_array_equal(area_mask(tmp_path / 'a.gpkg'), expected)


def test_of_several_layers_one_must_be_named(tmp_path: Path) -> None:
    path = tmp_path / 'a.gpkg'
    frame_of(pixel_box(0, 0, 2, 2)).to_file(path, layer='extent')
    frame_of().to_file(path, layer='empty', mode='a')
    pandas.DataFrame({'style': ['red']}).pipe(
        pyogrio.write_dataframe, path, layer='layer_styles', append=False
    )
    # neither a layer without features nor a table could be meant
    assert len(read_vectors(path)) == 1
    frame_of(*[pixel_box(0, 0, 2, 2)] * 3).to_file(path, layer='plots', mode='a')
    assert len(read_vectors(path, layer='plots')) == 3
    assert len(read_vectors(path, layer='extent')) == 1
    with pytest.raises(
        ValueError, match=r"has no layer 'plot', only extent, empty, plots, layer_styles"
    ):
        read_vectors(path, layer='plot')
    for read in (read_vectors, partial(read_area, crs=UTM)):
        with pytest.raises(
            ValueError, match='several layers with features: extent, plots;'
        ) as info:
            read(path)
        assert '\n' not in str(info.value)


def test_a_table_before_the_only_layer_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / 'a.gpkg'
    pyogrio.write_dataframe(pandas.DataFrame({'a': [1]}), path, layer='table')
    frame_of(pixel_box(0, 0, 2, 2)).to_file(path, layer='plots', mode='a')
    assert read_vectors(path)['kind'].tolist() == ['forest']


@pytest.mark.parametrize('name', ['a.parquet', 'a.geoparquet'])
def test_geoparquet_is_read_and_a_table_of_it_refused(tmp_path: Path, name: str) -> None:
    frame = frame_of(pixel_box(0, 0, 2, 2))
    frame.to_parquet(tmp_path / name)
    assert read_vectors(tmp_path / name).equals(frame)
    pandas.DataFrame({'a': [1]}).to_parquet(tmp_path / name)
    with pytest.raises(ValueError, match=r'is no GeoParquet') as info:
        read_vectors(tmp_path / name)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize(
    ('geometries', 'message'),
    [
        ([Point(LEFT, TOP)], r'an area consists of polygons, got Point in '),
        (
            [Point(LEFT, TOP), shapely.LineString([(0, 0), (1, 1)])],
            r'an area consists of polygons, got LineString, Point in ',
        ),
        ([None, shapely.Polygon()], 'holds no polygon; an area needs at least one'),
        ([shapely.Polygon([(0, 0), (1, 1), (2, 2)])], 'holds no polygon'),
    ],
    ids=['point', 'line', 'nothing', 'flat'],
)
def test_what_is_no_area_is_refused_in_one_line(
    tmp_path: Path, geometries: list[object], message: str
) -> None:
    frame_of(*geometries).to_file(tmp_path / 'a.gpkg')
    with pytest.raises(ValueError, match=message) as info:
        read_area(tmp_path / 'a.gpkg', crs=UTM)
    assert '\n' not in str(info.value)
    assert 'a.gpkg' in str(info.value)


def test_an_area_beyond_the_projection_is_refused(tmp_path: Path) -> None:
    frame = geopandas.GeoDataFrame(geometry=[box(-180, -90, 180, 90)], crs=4326)
    frame.to_file(tmp_path / 'world.gpkg')
    with pytest.raises(ValueError, match=r'world\.gpkg reaches beyond what EPSG:32633') as info:
        read_area(tmp_path / 'world.gpkg', crs=UTM)
    assert '\n' not in str(info.value)


def test_an_area_needs_a_raster_with_a_crs(tmp_path: Path) -> None:
    frame_of(pixel_box(0, 0, 2, 2)).to_file(tmp_path / 'a.gpkg')
    with pytest.raises(ValueError, match='needs a raster with a CRS'):
        read_area(tmp_path / 'a.gpkg', crs=None)
    with pytest.raises(FileNotFoundError, match=r'gone\.gpkg does not exist'):
        read_area(tmp_path / 'gone.gpkg', crs=UTM)


def test_lines_points_and_missing_geometries_beside_polygons_add_nothing(tmp_path: Path) -> None:
    square = pixel_box(2, 3, 8, 10)
    line = shapely.LineString([(LEFT, TOP), (LEFT + 60, TOP - 40)])
    collection = shapely.GeometryCollection(
        [Point(LEFT, TOP), shapely.GeometryCollection([pixel_box(15, 20, 2, 2)])]
    )
    frame = frame_of(shapely.force_3d(square), line, Point(LEFT, TOP), None, collection)
    frame.to_file(tmp_path / 'a.gpkg')
    expected = np.zeros((20, 30), dtype=bool)
    expected[2:10, 3:13] = expected[15:17, 20:22] = True
    np.testing.assert_array_equal(area_mask(tmp_path / 'a.gpkg'), expected)


def write_text(path: Path, *shapes: str) -> Path:
    """Write a table of geometries as text, as a virtual file with a CRS."""
    rows = ''.join(f'{number},"{text}"\n' for number, text in enumerate(shapes))
    path.with_suffix('.csv').write_text(f'id,WKT\n{rows}')
    path.write_text(
        f'<OGRVRTDataSource><OGRVRTLayer name="{path.stem}"><LayerSRS>EPSG:32633</LayerSRS>'
        f'<SrcDataSource>{path.with_suffix(".csv")}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'
    )
    return path


def test_curves_and_measures_are_understood(tmp_path: Path) -> None:
    x, y = LEFT + 20, TOP - 20
    points = f'{x - 10} {y},{x} {y + 10},{x + 10} {y},{x} {y - 10},{x - 10} {y}'
    circle = f'CURVEPOLYGON(CIRCULARSTRING({points}))'
    corners = ((LEFT, TOP), (LEFT + 4, TOP), (LEFT + 4, TOP - 4), (LEFT, TOP))
    square = f'POLYGON ZM(({",".join(f"{a} {b} 1 2" for a, b in corners)}))'
    area = read_area(write_text(tmp_path / 'a.vrt', circle, square), crs=UTM)
    assert area.geometry.area == pytest.approx(np.pi * 100 + 8, rel=1e-3)


def test_surfaces_of_triangles_and_text_without_a_crs_are_refused_in_one_line(
    tmp_path: Path,
) -> None:
    surface = write_text(tmp_path / 'a.vrt', 'TIN(((0 0 0,0 1 0,1 1 0,0 0 0)))')
    for path, message in (
        (surface, 'holds geometries that are no plain points, lines or polygons'),
        (
            write_text(tmp_path / 'b.vrt', 'POLYGON((0 0,0 1,1 1,0 0))').with_suffix('.csv'),
            'names no CRS',
        ),
    ):
        with pytest.raises(ValueError, match=message) as info:
            read_area(path, crs=UTM)
        assert '\n' not in str(info.value)
        assert path.name in str(info.value)


@pytest.mark.parametrize('name', ['a.geojsonl', 'a.kmz'])
def test_sequences_and_packed_files_are_areas(tmp_path: Path, name: str) -> None:
    driver = {'.geojsonl': 'GeoJSONSeq', '.kmz': 'LIBKML'}[name[1:]]
    frame_of(pixel_box(2, 3, 8, 10)).to_crs(4326).to_file(tmp_path / name, driver=driver)
    assert area_mask(tmp_path / name).sum() == 80


def test_of_several_files_in_folders_of_an_archive_one_must_be_named(tmp_path: Path) -> None:
    frame_of(pixel_box(2, 3, 8, 10)).to_file(tmp_path / 'a.gpkg')
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        archive.write(tmp_path / 'a.gpkg', 'one/a.gpkg')
        archive.write(tmp_path / 'a.gpkg', 'two/b.gpkg')
    with pytest.raises(ValueError, match=r'name one: .*a\.zip!one/a\.gpkg, .*a\.zip!two/b\.gpkg'):
        read_area(tmp_path / 'a.zip', crs=UTM)
    area = read_area(f'{tmp_path / "a.zip"}!two/b.gpkg', crs=UTM)
    assert area.geometry.area == pytest.approx(8 * 10 * 4)
    with pytest.raises(FileNotFoundError, match=r'gone\.zip!a\.shp does not exist'):
        read_area(f'{tmp_path / "gone.zip"}!a.shp', crs=UTM)


def test_the_checksum_of_an_area_is_that_of_its_polygons(tmp_path: Path) -> None:
    frame = frame_of(pixel_box(2, 3, 8, 10))
    frame.to_file(tmp_path / 'a.gpkg')
    frame.to_parquet(tmp_path / 'a.parquet')
    frame_of(pixel_box(2, 3, 8, 11)).to_file(tmp_path / 'b.gpkg')
    first, same, other = (
        read_area(tmp_path / name, crs=UTM).sha256 for name in ('a.gpkg', 'a.parquet', 'b.gpkg')
    )
    assert first == same != other
