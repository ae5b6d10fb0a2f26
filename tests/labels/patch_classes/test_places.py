"""Classes of patches of scenes, by points and polygons on the ground."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.datamodules.allowed_positions import Territory
from gersp_geo.datasets.raster_tiles import RasterTiles
from gersp_geo.labels.patch_classes import ClassOptions, PatchClasses
from gersp_geo.windows import Window

SIDE, SIZE = 40, 12
WHOLE = Window(row_off=0, col_off=0, height=SIDE, width=SIDE)


@pytest.fixture(scope='module', params=[0.0, 30.0], ids=['upright', 'rotated'])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 x 40 pixels of 2 m; the first five columns are no observation."""
    path = tmp_path_factory.mktemp('scene') / 'scene.tif'
    turned = Affine.translation(4e5, 5e6) @ Affine.rotation(request.param) @ Affine.scale(2, -2)
    pixels = np.ones((1, SIDE, SIDE), dtype=np.uint8)
    pixels[..., :5] = 0
    profile = {'driver': 'GTiff', 'height': SIDE, 'width': SIDE, 'count': 1, 'dtype': 'uint8'}
    with rasterio.open(path, 'w', crs='EPSG:32633', transform=turned, nodata=0, **profile) as dst:
        dst.write(pixels)
    return path


def open_labels(
    scene: Path, shapes: list[shapely.Geometry], classes: list[str], **options: object
) -> PatchClasses:
    """Read the classes of shapes that are drawn in pixels and stored in another CRS."""
    images = RasterTiles(scene)
    transform = images.tiles[0].transform
    drawn = [
        shapely.transform(shape, lambda xy: np.stack(transform @ (xy[:, 0], xy[:, 1]), axis=1))
        for shape in shapes
    ]
    frame = geopandas.GeoDataFrame({'kind': classes}, geometry=drawn, crs='EPSG:32633')
    path = scene.with_suffix('.gpkg')
    path.unlink(missing_ok=True)
    frame.to_crs('EPSG:4326').to_file(path)
    read = ClassOptions(labels=path, attribute='kind', **options)  # type: ignore[arg-type]
    return read.open(images, scene, splits={}, size=SIZE, nodata=None)


def patch_at(row: int, col: int) -> Window:
    return Window(row_off=row, col_off=col, height=SIZE, width=SIZE)


PIXELS = st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))


@given(pixels=st.lists(PIXELS, min_size=1, max_size=5, unique=True), several=st.booleans())
@pytest.mark.filterwarnings('ignore')
def test_a_patch_is_what_the_points_in_its_middle_are(
    pixels: list[tuple[int, int]], several: bool, scene: Path
) -> None:
    names = [f'class_{i}' for i in range(len(pixels))]
    points = [shapely.Point(col + 0.5, row + 0.5) for row, col in pixels]
    labels = open_labels(scene, points, names, multilabel=several)
    found = labels.scan(0, WHOLE, seed=[0])
    observed = [col >= 5 for _, col in pixels]
    assert found.counts.tolist() == [*map(int, observed), 0]
    territory = Territory([WHOLE], shape=(SIDE, SIDE), size=SIZE)
    for stratum, anchors in found.anchors.items():
        # any patch that is trained on has the label that it was drawn for, or a nearer one
        for rows, cols in territory.positions(anchors[0]):
            for row, col in [(rows[0], cols[0]), (rows[1], cols[1])]:
                window = patch_at(row, col)
                flags = labels.find(0, window)
                assert flags is not None
                middle = np.array([row, col]) + (SIZE - 1) / 2
                far = np.square(np.array(pixels) - middle).sum(axis=1)
                if several:
                    assert flags[stratum]
                else:
                    assert far[flags.argmax()] <= far[stratum]
    windows = labels.lay(0, WHOLE, [])  # type: ignore[attr-defined]
    inside = all(w.row_off >= 0 and w.row_stop <= SIDE and w.col_stop <= SIDE for w in windows)
    assert inside
    assert len(windows) <= len(pixels)
    assert all(labels.find(0, window) is not None for window in windows)


@given(
    boxes=st.lists(st.tuples(PIXELS, PIXELS), min_size=1, max_size=4),
    row=st.integers(0, SIDE - SIZE),
    col=st.integers(0, SIDE - SIZE),
    several=st.booleans(),
)
@pytest.mark.filterwarnings('ignore')
def test_a_patch_is_what_the_polygons_over_its_centre_are(
    boxes: list[tuple[tuple[int, int], tuple[int, int]]],
    row: int,
    col: int,
    several: bool,
    scene: Path,
) -> None:
    shapes, covers = [], []
    for (r0, c0), (r1, c1) in boxes:
        (top, bottom), (left, right) = sorted((r0, r1)), sorted((c0, c1))
        # sides that run through no centre of a pixel
        shapes.append(shapely.box(left + 0.1, top + 0.1, right + 0.9, bottom + 0.9))
        covers.append((top, bottom, left, right))
    names = [f'class_{i}' for i in range(len(boxes))]
    labels = open_labels(scene, shapes, names, multilabel=several)
    y, x = row + SIZE // 2, col + SIZE // 2
    over = [i for i, (t, b, le, r) in enumerate(covers) if t <= y <= b and le <= x <= r]
    flags = labels.find(0, patch_at(row, col))
    expected = over if several else over[-1:]
    assert (flags is None) == (not over)
    held = [] if flags is None else np.flatnonzero(flags).tolist()
    assert held == expected
    for stratum, anchors in labels.scan(0, WHOLE, seed=[0]).anchors.items():
        for top, left, bottom, right in anchors[[0, -1]].tolist():
            assert (bottom - top, right - left) == (SIZE, SIZE)
            flags = labels.find(0, patch_at(top, left))
            assert flags is not None
            assert flags[stratum]


@pytest.mark.filterwarnings('ignore')
def test_small_polygons_are_validated_too(scene: Path) -> None:
    labels = open_labels(scene, [shapely.box(20.1, 20.1, 22.9, 22.9)], ['a'])
    (window,) = labels.lay(0, WHOLE, [])  # type: ignore[attr-defined]
    assert labels.holds(0, window)
    empty = patch_at(0, 0)
    assert labels.lay(0, WHOLE, [empty]) == [empty, window]  # type: ignore[attr-defined]
    assert not labels.holds(0, empty)


@pytest.mark.filterwarnings('ignore')
def test_points_of_two_classes_in_one_patch_are_said(
    scene: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level('INFO', logger='lightning.pytorch')
    points = [shapely.Point(20, 20), shapely.Point(21, 20), shapely.Point(30, 30)]
    open_labels(scene, points, ['a', 'b', 'b'])
    assert '2 of 3 points of' in caplog.text
    assert 'within 3 px of one of another class' in caplog.text


@pytest.mark.parametrize(
    ('shapes', 'refusal'),
    [
        ([shapely.Point(9, 9), shapely.box(8, 8, 20, 20)], '1 points, 1 polygons and 0 others'),
        ([shapely.LineString([(9, 9), (20, 20)])], '0 points, 0 polygons and 1 others'),
        ([shapely.Point(900, 9)], 'meets an image'),
    ],
)
def test_places_that_do_not_fit_are_refused(
    shapes: list[shapely.Geometry], refusal: str, scene: Path
) -> None:
    with pytest.raises(ValueError, match=refusal) as error:
        open_labels(scene, shapes, ['a'] * len(shapes))
    assert '\n' not in str(error.value)


def test_an_attribute_that_is_not_there_is_refused_with_those_that_are(scene: Path) -> None:
    open_labels(scene, [shapely.Point(9, 9)], ['a'])
    read = ClassOptions(labels=scene.with_suffix('.gpkg'), attribute='Art')
    with pytest.raises(ValueError, match="no attribute 'Art', only kind"):
        read.open(RasterTiles(scene), scene, splits={}, size=SIZE, nodata=None)
