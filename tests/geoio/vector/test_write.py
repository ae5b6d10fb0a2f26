import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from pyproj import Geod
from rasterio.crs import CRS

from gersp_geo.geoio.vector import write as writing
from gersp_geo.geoio.vector.features import Features
from gersp_geo.geoio.vector.write import check_format, new_features

UTM = CRS.from_epsg(32632)
SUFFIXES = ('.gpkg', '.parquet', '.geojson')


@pytest.fixture(autouse=True)
def needs_pyarrow(request: pytest.FixtureRequest) -> None:
    """An environment made before pyarrow was required lacks it."""
    if 'parquet' in request.node.name:
        pytest.importorskip('pyarrow')


def squares(*lefts: float, side: float = 10, bottom: float = 5_000_000) -> Features:
    """Squares in a row; the last one has a hole, and its area is not known."""
    polygons = shapely.box(np.array(lefts), bottom, np.array(lefts) + side, bottom + side)
    polygons[-1] = polygons[-1] - shapely.box(
        lefts[-1] + 0.2 * side, bottom + 0.2 * side, lefts[-1] + 0.3 * side, bottom + 0.3 * side
    )
    areas = np.full(len(lefts), float(side**2))
    areas[-1] = np.nan
    return Features(
        polygons=polygons,
        columns={
            'class': np.arange(len(lefts)),
            'class_name': np.array([f'Straße {left}' for left in lefts], dtype=object),
            'area_m2': areas,
        },
    )


def write(path: Path, *batches: Features, crs: CRS = UTM, overwrite: bool = False) -> None:
    with new_features(path, crs=crs, overwrite=overwrite) as write_batch:
        for batch in batches:
            write_batch(batch)


def read(path: Path) -> geopandas.GeoDataFrame:
    return geopandas.read_parquet(path) if path.suffix == '.parquet' else geopandas.read_file(path)


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_batches_become_one_layer_that_geopandas_reads(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'roads{suffix}'
    batches = squares(500_000, 500_020), squares(500_100, 500_200, 500_300)
    write(path, *batches)
    assert list(tmp_path.iterdir()) == [path]
    frame = read(path)
    assert list(frame['class']) == [0, 1, 0, 1, 2]
    assert list(frame['class_name']) == [
        name for batch in batches for name in batch.columns['class_name']
    ]
    assert frame['area_m2'].isna().tolist() == [False, True, False, False, True]
    assert set(frame['area_m2'].dropna()) == {100.0}
    assert frame.crs == ('EPSG:4326' if suffix == '.geojson' else 'EPSG:32632')
    drawn = np.concatenate([batch.polygons for batch in batches])
    back = frame.geometry.to_crs('EPSG:32632').to_numpy()
    apart = shapely.hausdorff_distance(back, drawn)
    # GeoJSON has seven decimals
    assert (apart < (0.02 if suffix == '.geojson' else 1e-9)).all()
    assert shapely.get_num_interior_rings(back).tolist() == [0, 1, 0, 0, 1]


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_no_polygons_make_a_valid_file_with_the_same_columns(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'none{suffix}'
    write(path)
    assert len(read(path)) == 0
    if suffix != '.geojson':
        # which says nothing about what is not there
        assert set(read(path).columns) >= {'class', 'class_name', 'area_m2', 'geometry'}
        assert read(path).crs == 'EPSG:32632'


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_a_failure_leaves_an_old_file_as_it_was(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'roads{suffix}'
    write(path, squares(500_000))
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match='--overwrite'):
        write(path, squares(500_000))

    def fail() -> None:
        with new_features(path, crs=UTM, overwrite=True) as write_batch:
            write_batch(squares(500_100))
            raise RuntimeError('stopped')

    with pytest.raises(RuntimeError, match='stopped'):
        fail()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write(path, squares(500_100, 500_200), overwrite=True)
    assert len(read(path)) == 2


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_a_full_disk_is_said_so_and_leaves_no_file(
    tmp_path: Path, suffix: str, small_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    batch = squares(*np.random.default_rng(0).uniform(400_000, 500_000, 5_000))
    with small_disk(200_000), pytest.raises(OSError, match=r'[Tt]oo large|disk full'):
        write(tmp_path / f'roads{suffix}', batch)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', ['roads.shp', 'roads', 'roads.tif'])
def test_another_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r'must end in one of \.gpkg, \.parquet, \.geojson'):
        write(tmp_path / name, squares(500_000))
    assert list(tmp_path.iterdir()) == []


def test_geoparquet_has_a_row_group_per_batch_that_a_box_selects(tmp_path: Path) -> None:
    from pyarrow import parquet

    path = tmp_path / 'roads.parquet'
    write(path, squares(500_000, 500_020), squares(600_000, 600_020))
    assert parquet.ParquetFile(path).num_row_groups == 2
    geo = json.loads(parquet.ParquetFile(path).metadata.metadata[b'geo'])
    assert geo['columns']['geometry']['bbox'] == [500_000, 5_000_000, 600_030, 5_000_010]
    assert geo['columns']['geometry']['geometry_types'] == ['Polygon']
    some = geopandas.read_parquet(path, bbox=(599_000, 4_999_000, 600_010, 5_001_000))
    assert list(some['class']) == [0]


def test_geojson_ends_at_a_number_of_polygons_and_at_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'roads.geojson'
    monkeypatch.setattr(writing, 'MAX_GEOJSON_FEATURES', 3)
    write(path, squares(500_000, 500_020, 500_040))
    for_the_number = squares(500_000, 500_020), squares(500_040, 500_060)
    with pytest.raises(ValueError, match=r'ends at 3 polygons .* got 4 .* \.gpkg or \.parquet'):
        write(path, *for_the_number, overwrite=True)
    monkeypatch.setattr(writing, 'MAX_GEOJSON_BYTES', 1000)
    with pytest.raises(ValueError, match='GeoJSON is held in memory'):
        write(path, squares(500_000, 500_020, 500_040), overwrite=True)
    assert len(read(path)) == 3


def test_the_size_of_geojson_is_estimated_within_a_third(tmp_path: Path) -> None:
    path = tmp_path / 'roads.geojson'
    batch = squares(*np.arange(400_000, 410_000, 20))
    write(path, batch)
    vertices = shapely.get_num_coordinates(batch.polygons).sum()
    estimated = len(batch) * writing._FEATURE_BYTES + vertices * writing._VERTEX_BYTES  # noqa: SLF001
    assert 0.75 < estimated / path.stat().st_size < 1.33


def test_long_sides_become_curves_in_geojson(tmp_path: Path) -> None:
    path = tmp_path / 'roads.geojson'
    write(path, squares(300_000, side=100_000))
    (polygon,) = read(path).to_crs(32632).geometry
    assert shapely.hausdorff_distance(polygon, squares(300_000, side=100_000).polygons[0]) < 0.1


def test_geojson_across_the_180th_meridian_is_cut_there(tmp_path: Path) -> None:
    # zone 1 begins there, at 500 km - 334 km on the equator
    crossing = squares(100_000, side=100_000, bottom=0)
    write(tmp_path / 'roads.geojson', crossing, crs=CRS.from_epsg(32601))
    (polygon,) = read(tmp_path / 'roads.geojson').geometry
    assert polygon.geom_type == 'MultiPolygon'
    assert polygon.is_valid
    assert polygon.bounds[::2] == (-180, 180)
    assert Geod(ellps='WGS84').geometry_area_perimeter(polygon)[0] == pytest.approx(
        crossing.polygons[0].area, rel=0.01
    )
    for part in polygon.geoms:
        assert part.exterior.is_ccw
        assert part.bounds[2] - part.bounds[0] < 1


def test_what_has_no_longitude_is_left_out_of_geojson_and_counted(tmp_path: Path) -> None:
    # 9,000 km from the middle, the camera looks past the Earth
    geostationary = CRS.from_string('+proj=geos +h=35785831 +lon_0=0 +sweep=y')
    batch = squares(-10_000, 9_000_000, 0, bottom=0)
    with new_features(tmp_path / 'seen.geojson', crs=geostationary) as write_batch:
        assert write_batch(batch) == 1
    frame = read(tmp_path / 'seen.geojson')
    assert list(frame['class']) == [0, 2]
    assert frame.is_valid.all()
    with new_features(tmp_path / 'seen.gpkg', crs=geostationary) as write_batch:
        assert write_batch(batch) == 0


@pytest.mark.parametrize(
    'crs', ['LOCAL_CS["site",UNIT["metre",1]]', 'EPSG:4978', '+proj=longlat +R=1737400']
)
def test_geojson_of_no_place_on_earth_is_refused_before_a_polygon_is_made(
    tmp_path: Path, crs: str
) -> None:
    with pytest.raises(ValueError, match=r'nothing leads from .*\.gpkg or \.parquet') as refused:
        check_format(tmp_path / 'a.geojson', crs=CRS.from_string(crs))
    assert '\n' not in str(refused.value)
    check_format(tmp_path / 'a.gpkg', crs=CRS.from_string(crs))


def test_pixels_smaller_than_seven_decimals_stay_in_geojson(tmp_path: Path) -> None:
    batch = squares(7.0, 7.1, side=2e-9, bottom=48)
    write(tmp_path / 'tiny.geojson', batch, crs=CRS.from_epsg(4326))
    frame = read(tmp_path / 'tiny.geojson')
    assert frame.is_valid.all()
    assert (shapely.area(frame.geometry.to_numpy()) > 0).all()


def test_geojson_of_the_whole_world_is_none_the_worse(tmp_path: Path) -> None:
    path = tmp_path / 'world.geojson'
    world = squares(-180, side=360, bottom=-180)
    clipped = shapely.intersection(world.polygons, shapely.box(-180, -90, 180, 90))
    write(path, replace(world, polygons=clipped), crs=CRS.from_epsg(4326))
    assert read(path).total_bounds.tolist() == [-180, -90, 180, 90]
