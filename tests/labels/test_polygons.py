"""Polygons over images: which pixels are which class, and what cannot be labels."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pytest
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine, from_origin
from shapely import LineString, MultiPolygon, Point, Polygon, box

from gersp_geo.datamodules import GeoTIFFSegmentationDataModule
from gersp_geo.datasets.raster_tiles import RasterTiles
from gersp_geo.labels.background import WithBackground
from gersp_geo.labels.polygons import VectorLabels
from gersp_geo.windows import Window

LEFT, TOP, SIDE = 4e5, 5e6, 64
WHOLE = Window(row_off=0, col_off=0, height=SIDE, width=SIDE)


GRID = from_origin(LEFT, TOP, 10, 10)


def write_image(path: Path, *, crs: str = 'EPSG:32633', transform: Affine = GRID) -> Path:
    profile = {'driver': 'GTiff', 'height': SIDE, 'width': SIDE, 'count': 3, 'dtype': 'uint8'}
    with rasterio.open(path, 'w', crs=crs, transform=transform, **profile) as dst:
        dst.write(np.full((3, SIDE, SIDE), 7, dtype=np.uint8))
    return path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path / 'image.tif')


def pixels(row: float, col: float, height: float, width: float) -> Polygon:
    left, top = LEFT + 10 * col, TOP - 10 * row
    return box(left, top - 10 * height, left + 10 * width, top)


def features(path: Path, geometries: Any, values: Any, *, crs: Any = 32633, **options: Any) -> Path:
    frame = geopandas.GeoDataFrame({'kind': values}, geometry=list(geometries), crs=crs)
    frame.to_file(path, **options)
    return path


def halves(count: int = 2) -> list[Polygon]:
    """Strips over the whole image, from its upper edge down."""
    return [pixels(SIDE / count * i, 0, SIDE / count, SIDE) for i in range(count)]


def open_labels(image: Path, path: Path, **options: Any) -> VectorLabels:
    return VectorLabels(RasterTiles(str(image)), path, **{'attribute': 'kind'} | options)


def counts(labels: Any) -> dict[int, int]:
    values, numbers = np.unique(labels.read(0, WHOLE), return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


HALF = SIDE * SIDE // 2


@pytest.mark.parametrize('turn', [0.0, 30.0, 90.0, 200.0])
def test_polygons_lie_where_they_are_in_a_rotated_image(tmp_path: Path, turn: float) -> None:
    grid = GRID @ Affine.rotation(turn, (SIDE / 2, SIDE / 2))
    image = write_image(tmp_path / 'image.tif', transform=grid)
    shape = shapely.Point(LEFT + 10 * SIDE / 2 + 60, TOP - 10 * SIDE / 2).buffer(150)
    labels = open_labels(image, features(tmp_path / 'a.gpkg', [shape], ['wood']))
    expected = rasterio.features.rasterize(
        [shape], out_shape=(SIDE, SIDE), fill=255, default_value=0, transform=grid
    )
    assert (expected == 0).sum() > 600
    assert np.array_equal(labels.read(0, WHOLE), expected)
    part = Window(row_off=11, col_off=23, height=30, width=40)
    assert np.array_equal(labels.read(0, part), expected[11:41, 23:63])


@pytest.mark.parametrize('name', ['a.gpkg', 'a.geojson', 'a.shp', 'a.fgb', 'a.parquet'])
@pytest.mark.parametrize(
    ('values', 'names'),
    [
        (['wood', 'pond', None], ('pond', 'wood')),
        (pandas.array([2, 1, None], dtype='Int64'), ('1', '2')),
        (pandas.array([10, 9, None], dtype='Int32'), ('9', '10')),
        ([2.0, 1.0, None], ('1', '2')),
        ([10.5, 9.0, None], ('9', '10.5')),
        (['10', '9', None], ('9', '10')),
        (['wood', 'pond', ' '], ('pond', 'wood')),
    ],
    ids=['text', 'int64', 'int32', 'whole floats', 'floats', 'digits', 'blank'],
)
def test_missing_values_label_nothing_and_change_no_other(
    image: Path, tmp_path: Path, name: str, values: Any, names: tuple[str, ...]
) -> None:
    geometries = [*halves()[:1], pixels(SIDE // 2, 0, SIDE // 4, SIDE), halves()[1]]
    path = tmp_path / name
    if path.suffix == '.parquet':
        frame = geopandas.GeoDataFrame({'kind': values}, geometry=geometries, crs=32633)
        frame.to_parquet(path)
    else:
        features(path, geometries, values)
    with pytest.warns(UserWarning, match="1 of the 3 features .* no value in 'kind' of .*a\\."):
        labels = open_labels(image, path)
    assert labels.class_names == names
    # the last one covers the second, and hides nothing
    assert counts(labels) == {1: HALF, 0: HALF // 2, 255: HALF // 2}


@pytest.mark.parametrize('name', ['a.gpkg', 'a.geojson'])
@pytest.mark.parametrize('missing', [False, True])
@pytest.mark.filterwarnings('ignore:1 of the')
def test_truth_values_keep_their_names(
    image: Path, tmp_path: Path, name: str, missing: bool
) -> None:
    values = pandas.array([True, False, *([None] * missing)], dtype='boolean')
    path = features(tmp_path / name, halves(3)[: len(values)], values)
    assert open_labels(image, path).class_names == ('False', 'True')


def test_the_background_lies_under_no_polygon_at_all(image: Path, tmp_path: Path) -> None:
    path = features(
        tmp_path / 'a.gpkg',
        [pixels(0, 0, 8, 8), pixels(8, 0, 8, 8)],
        pandas.array([1, None], dtype='Int64'),
    )
    with pytest.warns(UserWarning, match='label nothing'):
        labels = WithBackground(open_labels(image, path), name='rest')
    assert labels.class_names == ('rest', '1')
    assert counts(labels) == {0: SIDE * SIDE - 128, 1: 64, 255: 64}


NUMBERS = [1, 2, 7]


@pytest.mark.parametrize('kind', [int, float, str])
def test_names_of_class_numbers_are_in_their_order(
    image: Path, tmp_path: Path, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = features(tmp_path / 'a.gpkg', halves(3)[::-1], [kind(n) for n in (7, 2, 1)])
    caplog.set_level('INFO', logger='lightning.pytorch')
    labels = open_labels(image, path, class_names=['field', 'wood', 'pond'])
    assert labels.class_names == ('field', 'wood', 'pond')
    assert labels.read(0, WHOLE)[[0, 32, 63], 0].tolist() == [0, 1, 2]
    assert 'field = 1, wood = 2, pond = 7' in caplog.text or kind is float
    # numbers as names choose an order
    assert counts(open_labels(image, path, class_names=['7', '3', '1', '2']))[0] > 0


@pytest.mark.parametrize(
    ('values', 'names', 'message'),
    [
        (NUMBERS, ['a', 'b'], 'one name for each class number .*, 1, 2, 7, in this order, got 2'),
        (NUMBERS, ['a', 'b', 'c', 'd'], 'got 4 for 3: a, b, c, d'),
        # would be open which one is meant
        (NUMBERS, ['1', '2', '3'], "holds '7', which class_names lack: '1', '2', '3'"),
        (NUMBERS, ['1', '2', 'pond'], "holds '7', which class_names lack"),
        (NUMBERS, ['a', 'b', 'a'], 'class_names must differ, got a more than once'),
        (
            ['wood', 'pond', 'Field'],
            ['field', 'wood', 'pond'],
            r"holds 'Field', which class_names lack: .* \('Field' is not 'field'\)",
        ),
        ([1.5, 2.5, 3.5], ['a', 'b', 'c'], "holds '1.5', '2.5', '3.5', which class_names lack"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    image: Path, tmp_path: Path, values: list[Any], names: list[str], message: str
) -> None:
    path = features(tmp_path / 'a.gpkg', halves(3), values)
    with pytest.raises(ValueError, match=message) as info:
        open_labels(image, path, class_names=names)
    assert '\n' not in str(info.value)


def test_features_elsewhere_need_no_name(image: Path, tmp_path: Path) -> None:
    far = [pixels(10_000 + i, 0, 1, 1) for i in range(300)]
    values = ['wood', 'pond', *(f'rock {i}' for i in range(300))]
    path = features(tmp_path / 'a.gpkg', [*halves(), *far], values)
    labels = open_labels(image, path, class_names=['pond', 'wood', 'field'])
    assert counts(labels) == {0: HALF, 1: HALF}
    with pytest.raises(ValueError, match=r"at most 255 classes, 'kind' of .* has 302 values"):
        open_labels(image, path)


@pytest.mark.parametrize('count', [255, 256])
def test_255_classes_fit_into_a_mask(image: Path, tmp_path: Path, count: int) -> None:
    squares = [pixels(i // 60, i % 60, 1, 1) for i in range(count)]
    path = features(tmp_path / 'a.gpkg', squares, range(1, count + 1))
    if count > 255:
        with pytest.raises(ValueError, match=r'at most 255 classes, .* has 256 values'):
            open_labels(image, path)
        return
    labels = open_labels(image, path)
    assert labels.class_names[254] == '255'
    mask = labels.read(0, WHOLE)
    assert mask[4, 14] == 254
    assert (mask == 255).sum() == SIDE * SIDE - 255


@pytest.mark.parametrize(
    'values',
    [
        ['wood', 'wood '],
        ['wood', 'Wood'],
        ['tree  row', ' tree row'],
        # one letter, and a letter with an accent of its own
        ['caf\u00e9', 'cafe\u0301'],
        ['1', '01'],
    ],
)
def test_values_that_look_alike_are_named(image: Path, tmp_path: Path, values: list[str]) -> None:
    path = features(tmp_path / 'a.gpkg', halves(), values)
    with pytest.warns(UserWarning, match='look alike, each a class of its own') as caught:
        labels = open_labels(image, path)
    assert all(repr(value) in str(caught[0].message) for value in values)
    assert set(labels.class_names) == set(values)


@pytest.mark.parametrize('value', [[1, 2], {'a': 1}])
def test_lists_and_tables_are_no_classes(image: Path, tmp_path: Path, value: Any) -> None:
    path = features(tmp_path / 'a.geojson', halves(), [value, value])
    with pytest.raises(ValueError, match="'kind' must hold text or numbers, got "):
        open_labels(image, path)


@pytest.mark.parametrize(
    ('geometry', 'count'),
    [
        # a bow tie of 16 x 16 pixels, moved so that its edges meet no centre of one
        (Polygon([(1, 0), (161, 160), (161, 0), (1, 160)]), 128),
        # with a spike that has no extent
        (Polygon([(0, 0), (60, 0), (60, 60), (0, 60), (0, 30), (-35, 30), (0, 30)]), 36),
        (MultiPolygon([box(0, 0, 60, 60), box(30, 30, 90, 90)]), 36 + 36 - 9),
        (shapely.force_3d(box(0, 0, 60, 60), 9.0), 36),
        (Point(5, 5), 1),
        (LineString([(5, 5), (95, 5)]), 10),
    ],
    ids=['crosses itself', 'spike', 'overlaps itself', '3D', 'point', 'line'],
)
@pytest.mark.parametrize('crs', [32633, 4326])
def test_every_geometry_labels_its_pixels(
    image: Path, tmp_path: Path, geometry: Any, count: int, crs: int
) -> None:
    placed = shapely.transform(geometry, lambda xy: xy + np.array((LEFT, TOP - 200)))
    frame = geopandas.GeoDataFrame(
        {'kind': ['a', 'b']}, geometry=[pixels(40, 0, 4, 4), placed], crs=32633
    )
    frame.to_crs(crs).to_file(tmp_path / 'a.gpkg')
    labels = open_labels(image, tmp_path / 'a.gpkg')
    whole = labels.read(0, WHOLE)
    assert (whole == 1).sum() == count
    # whatever window is read
    again = np.vstack(
        [
            labels.read(0, Window(row_off=row, col_off=0, height=8, width=SIDE))
            for row in range(0, SIDE, 8)
        ]
    )
    np.testing.assert_array_equal(again, whole)


def expected_mask(image: Path, polygon: Polygon, crs: Any) -> NDArray[np.bool_]:
    """Pixels whose centres lie in a polygon, seen in the CRS in which its edges are straight."""
    with rasterio.open(image) as src:
        rows, cols = np.mgrid[: src.height, : src.width] + 0.5
        xs, ys = src.transform @ (cols.ravel(), rows.ravel())
        centres = geopandas.GeoSeries.from_xy(xs, ys, crs=src.crs)
    inside: NDArray[np.bool_] = shapely.contains(polygon, centres.to_crs(crs).to_numpy())
    return inside.reshape(SIDE, SIDE)


@pytest.mark.parametrize(
    ('outline', 'crs', 'image_crs', 'place'),
    [
        # the edge of a square of 20 km through the image: 9 m at 48 degrees
        (box(14.9, 48.0, 15.17, 48.2), 4326, 'EPSG:32633', (15.035, 48.0)),
        # reaches beyond what the CRS of the image can express
        (box(-180, -90, 180, 47.5), 4326, 'EPSG:32633', (15.3, 47.5)),
        # over the antimeridian
        (box(-180, -20, 180, -17.0), 4326, 'EPSG:32701', (-180.0, -17.0)),
        # from another zone, and into degrees
        (box(2e5, 5.2e6, 9e5, 5.3e6), 32632, 'EPSG:32633', (12.0, 46.92)),
        (box(2e5, 5.2e6, 9e5, 5.3e6), 32632, 'EPSG:4326', (12.0, 46.92)),
    ],
    ids=['long edge', 'world', 'antimeridian', 'zone', 'degrees'],
)
def test_long_edges_are_reprojected_as_the_curves_that_they_are(
    tmp_path: Path, outline: Polygon, crs: int, image_crs: str, place: tuple[float, float]
) -> None:
    point = geopandas.GeoSeries([Point(place)], crs=4326)
    # where the edge passes, in the CRS of the polygon
    passes = point.to_crs(crs).iloc[0]
    edge = shapely.ops.nearest_points(outline.exterior, passes)[0]
    middle = geopandas.GeoSeries([edge], crs=crs).to_crs(image_crs).iloc[0]
    res = 1e-5 if image_crs == 'EPSG:4326' else 1.0
    transform = from_origin(middle.x - 32 * res, middle.y + 32 * res, res, res)
    image = write_image(tmp_path / 'image.tif', crs=image_crs, transform=transform)
    expected = expected_mask(image, outline, crs)
    assert 0.2 < expected.mean() < 0.8
    frame = geopandas.GeoDataFrame({'kind': ['sea']}, geometry=[outline], crs=crs)
    frame.to_file(tmp_path / 'a.gpkg')
    mask = open_labels(image, tmp_path / 'a.gpkg').read(0, WHOLE)
    # an edge through the centre of a pixel may fall on either side: a hundredth of its pixels
    assert (expected != (mask == 0)).mean() < 1e-3


def test_labels_elsewhere_say_where(image: Path, tmp_path: Path) -> None:
    path = features(tmp_path / 'a.gpkg', [pixels(1000, 0, 10, 10)], ['wood'])
    with pytest.raises(ValueError, match=r'no feature of .*a\.gpkg meets an image') as info:
        open_labels(image, path)
    text = str(info.value)
    assert 'in EPSG:32633, it has x 400000 to 400100 and y 4989900 to 4990000' in text
    assert 'the images x 400000 to 400640 and y 4999360 to 5000000; check' in text
    assert '\n' not in text


@pytest.mark.parametrize('crs', [32633, 4326, 3857, 3035])
def test_swapped_axes_are_recognised_in_any_crs(image: Path, tmp_path: Path, crs: int) -> None:
    frame = geopandas.GeoDataFrame({'kind': ['wood']}, geometry=halves(1), crs=32633).to_crs(crs)
    frame.geometry = shapely.transform(frame.geometry, lambda xy: xy[:, ::-1])
    frame.to_file(tmp_path / 'a.gpkg')
    with pytest.raises(ValueError, match='with x and y swapped, they would: swap them') as info:
        open_labels(image, tmp_path / 'a.gpkg')
    assert '\n' not in str(info.value)


def test_labels_beyond_the_reach_of_the_images_crs_are_named_in_their_own(
    image: Path, tmp_path: Path
) -> None:
    path = features(tmp_path / 'a.gpkg', [box(104, -1, 106, 1)], ['wood'], crs=4326)
    with pytest.raises(ValueError, match='meets an image: in EPSG:4326, it has x 104 to 106 '):
        open_labels(image, path)


def test_images_of_several_systems_are_labelled_alike(image: Path, tmp_path: Path) -> None:
    # the same easting and northing in the next zone lies six degrees further west
    other = write_image(tmp_path / 'other.tif', crs='EPSG:32632')
    frames = [
        geopandas.GeoDataFrame({'kind': kinds}, geometry=halves(), crs=crs).to_crs(4326)
        for crs, kinds in ((32633, ['wood', 'pond']), (32632, ['pond', 'wood']))
    ]
    pandas.concat(frames).to_file(tmp_path / 'a.gpkg')
    images = RasterTiles([str(image), str(other)])
    labels = VectorLabels(images, tmp_path / 'a.gpkg', attribute='kind')
    for tile, first in ((0, 1), (1, 0)):
        mask = labels.read(tile, WHOLE)
        # but for the rows at edges that are not quite straight
        assert (mask[1:31] == first).all()
        assert (mask[33:63] == 1 - first).all()


def test_images_without_a_feature_are_named(image: Path, tmp_path: Path) -> None:
    other = write_image(tmp_path / 'other.tif', transform=from_origin(LEFT + 1e4, TOP, 10, 10))
    path = features(tmp_path / 'a.gpkg', halves(), ['wood', 'pond'])
    images = RasterTiles([str(image), str(other)])
    with pytest.warns(UserWarning, match=r'1 of 2 images meet no feature of .*, one is .*other'):
        labels = VectorLabels(images, path, attribute='kind')
    assert (labels.read(1, WHOLE) == 255).all()


def test_nothing_to_label_is_refused(image: Path, tmp_path: Path) -> None:
    path = features(tmp_path / 'a.gpkg', halves(), pandas.array([None, None], dtype='Int64'))
    with pytest.raises(ValueError, match=r"'kind' of .* has no value in the 2 features over"):
        open_labels(image, path)
    path = features(tmp_path / 'b.gpkg', [None, Polygon()], ['a', 'b'])
    with pytest.raises(ValueError, match=r'no feature of .*b\.gpkg has a geometry'):
        open_labels(image, path)
    path = features(tmp_path / 'c.gpkg', halves(), ['a', 'b'])
    with pytest.raises(ValueError, match=r"c\.gpkg has no attribute 'geometry', only \['kind'\]"):
        open_labels(image, path, attribute='geometry')


def test_a_layer_goes_with_labels(image: Path) -> None:
    with pytest.raises(ValueError, match='layer goes with labels'):
        GeoTIFFSegmentationDataModule(str(image), str(image), layer='plots')
