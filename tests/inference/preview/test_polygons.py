"""Laws of pictures of polygons: painted over the scene, they are the map."""

from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine

from gersp_geo.geoio.read.reader import read_header
from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference.polygons import polygonize
from gersp_geo.inference.preview.polygons import PolygonClass, Sketch, place_polygons
from gersp_geo.main import main
from tests.inference.preview.pictures import (
    ENLARGED,
    NORTH_UP,
    is_color,
    read_panel,
    read_png,
    write_scene,
)

NAMES, COLORS = ('water', 'forest'), ((0, 0, 250), (0, 200, 0))
PAPER = (246, 246, 243)


def write_map(path: Path, classes: np.ndarray, transform: Affine = NORTH_UP) -> Path:
    return write_raster(
        path, classes.astype('uint8'), crs='EPSG:32633', transform=transform, nodata=255,
        class_names=NAMES, class_colors=COLORS,
    )  # fmt: skip


def ring() -> np.ndarray:
    """Water around nothing, and a block of forest, in nothing."""
    classes = np.full((20, 30), 255)
    classes[2:18, 2:14] = 0
    classes[6:14, 5:11] = 255
    classes[4:16, 18:28] = 1
    return classes


def mixed(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """A colour that is half transparent above paper."""
    red, green, blue = (round((a + b) / 2) for a, b in zip(color, PAPER, strict=True))
    return red, green, blue


@pytest.mark.parametrize('suffix', ['.gpkg', '.geojson'])
def test_fills_cover_their_pixels_and_holes_stay_holes(tmp_path: Path, suffix: str) -> None:
    source = write_map(tmp_path / 'map.tif', ring())
    picture = tmp_path / 'a.png'
    summary = polygonize(source, tmp_path / f'a{suffix}', preview=picture, progress=False)
    assert summary.picture == str(picture)
    assert f'preview  {picture}' in str(summary)
    panel = read_panel(picture)
    expected = ring().repeat(20, axis=0).repeat(20, axis=1)
    for value, color in ((0, mixed(COLORS[0])), (1, mixed(COLORS[1])), (255, PAPER)):
        is_class = expected == value
        # but for outlines
        assert is_color(panel, color)[is_class].mean() > 0.9
        assert not is_color(panel, color)[~is_class].any()


def test_south_up_maps_are_drawn_north_up(tmp_path: Path) -> None:
    down = Affine(10, 0, 4e5, 0, 10, 5e6 - 200)
    classes = ring()
    classes[:3] = 255
    for name, pixels, transform in (('up', classes, NORTH_UP), ('down', classes[::-1], down)):
        source = write_map(tmp_path / f'{name}.tif', pixels, transform)
        picture = tmp_path / f'{name}.png'
        polygonize(source, tmp_path / f'{name}.gpkg', preview=picture, progress=False)
    panels = [read_panel(tmp_path / f'{name}.png').astype(int) for name in ('up', 'down')]
    assert (np.abs(panels[0] - panels[1]).max(axis=-1) > 40).mean() < 0.002


def test_simplified_polygons_lie_over_the_scene_of_another_grid(tmp_path: Path) -> None:
    source = write_map(tmp_path / 'map.tif', ring())
    # the western half, coarser
    scene = write_scene(
        tmp_path / 'scene.tif', pixels=np.full((3, 10, 8), 90, dtype='uint8'),
        transform=Affine(20, 0, 4e5, 0, -20, 5e6),
    )  # fmt: skip
    words = ['polygons', str(source), '-o', str(tmp_path / 'a.gpkg'), '--simplify', '5']
    words += ['--preview', str(tmp_path / 'a.png'), '--scene', str(scene), '--no-progress']
    assert main(words) == 0
    panel = read_panel(tmp_path / 'a.png')
    # no observation below the eastern half, black ground in the hole of the water
    assert is_color(panel[:, 400:], (217, 217, 217)).mean() > 0.3
    assert is_color(panel[140:260, 120:200], (0, 0, 0)).all()


def test_the_largest_are_drawn_whatever_the_batches(tmp_path: Path) -> None:
    header = read_header(write_map(tmp_path / 'map.tif', ring()))
    sides = np.arange(1, 13) * 5.0
    lefts = 4e5 + np.arange(12) % 4 * 70 + 5
    tops = 5e6 - np.arange(12) // 4 * 65 - 2
    polygons = shapely.box(lefts, tops - sides, lefts + sides, tops)
    legend = {1: PolygonClass(name='forest', color=COLORS[1], count=12, area_m2=None)}
    pictures = []
    for name, parts in (
        ('one', [np.arange(12)]),
        ('many', np.split(np.random.default_rng(0).permutation(12), 4)),
    ):
        sketch = Sketch(header, most=3)
        for part in parts:
            sketch.add(polygons[part], np.ones(len(part), dtype=np.int64))
        sketch.save(tmp_path / f'{name}.png', legend, names=['map.tif'])
        pictures.append(read_png(tmp_path / f'{name}.png'))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    drawn = is_color(read_panel(tmp_path / 'one.png'), mixed(COLORS[1])).sum()
    assert drawn == pytest.approx((np.sort(sides)[-3:] ** 2).sum() * 4, rel=0.1)


def test_placing_keeps_what_is_seen_and_no_more(tmp_path: Path) -> None:
    sheet = Sketch(read_header(write_map(tmp_path / 'map.tif', ring()))).sheet
    assert sheet.shape == ENLARGED
    circle = shapely.Point(4e5 + 100, 5e6 - 100).buffer(50, quad_segs=10_000)
    hole, speck = (shapely.Point(4e5 + x, 5e6 - 100).buffer(r) for x, r in ((110, 20), (80, 0.01)))
    tiny = shapely.box(4e5, 5e6, 4e5 + 0.01, 5e6 + 0.01)
    given = np.array([tiny, circle - hole - speck, shapely.MultiPolygon([hole, tiny])])
    placed, origin = place_polygons(given, sheet)
    assert origin.tolist() == [1, 2]
    assert shapely.get_num_interior_rings(placed).tolist() == [1, 0]
    assert shapely.get_num_coordinates(placed).max() < 4000
    np.testing.assert_allclose(shapely.area(placed), shapely.area(given[1:]) * 4, rtol=0.01)
    assert place_polygons(np.zeros(0, dtype=object), sheet)[0].shape == (0,)


def test_a_map_of_nothing_makes_a_picture_of_paper(tmp_path: Path) -> None:
    source = write_map(tmp_path / 'map.tif', np.full((20, 30), 255))
    polygonize(source, tmp_path / 'a.gpkg', preview=tmp_path / 'a.png', progress=False)
    assert is_color(read_panel(tmp_path / 'a.png'), PAPER).all()


def test_a_picture_that_cannot_be_is_refused_before_the_map_is_read(tmp_path: Path) -> None:
    source = write_map(tmp_path / 'map.tif', ring())
    nowhere = write_scene(tmp_path / 'nowhere.tif', crs=None)
    (tmp_path / 'there.png').write_text('mine')
    before = sorted(tmp_path.iterdir())
    for options, error, message in (
        ({'preview': tmp_path / 'a.pdf'}, ValueError, r'written as \.png'),
        ({'preview': tmp_path / 'there.png'}, FileExistsError, 'exists'),
        ({'scene': nowhere}, ValueError, 'pass preview'),
        ({'preview': tmp_path / 'a.png', 'scene': nowhere}, ValueError, 'names no CRS'),
        ({'preview': tmp_path / 'a.png', 'scene': 'no.tif'}, FileNotFoundError, 'does not exist'),
    ):
        with pytest.raises(error, match=message):
            polygonize(source, tmp_path / 'a.gpkg', progress=False, **options)
    assert sorted(tmp_path.iterdir()) == before
