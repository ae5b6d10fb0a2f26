"""Laws of previews: what is in the map is in the picture."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.windows import Window

from gersp_geo.geoio.write.cog import finish_cog
from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference.preview import ShownScene, write_preview
from tests.inference.preview.pictures import read_panel

NAMES = ('water', 'forest', 'built-up')
COLORS = ((10, 60, 250), (20, 130, 30), (230, 40, 50))
GREY = (217, 217, 217)
NORTH_UP = Affine(10, 0, 4e5, 0, -10, 5e6)
# of a panel: rows and columns to which 20 x 30 pixels are enlarged
ENLARGED = (400, 600)


def write_scene(path: Path, **options: Any) -> Path:
    """Write three bands that grow to the right."""
    ramp = np.broadcast_to(np.arange(10, 40, dtype='uint8'), (3, 20, 30))
    given: dict[str, Any] = {'crs': 'EPSG:32633', 'transform': NORTH_UP, 'bands': NAMES}
    return write_raster(path, ramp, **(given | options))


def write_map(path: Path, classes: np.ndarray, **options: Any) -> Path:
    given: dict[str, Any] = {
        'crs': 'EPSG:32633', 'transform': NORTH_UP, 'nodata': 255, 'class_names': NAMES,
        'class_colors': COLORS,
    }  # fmt: skip
    return write_raster(path, classes.astype('uint8'), **(given | options))


def read_png(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert('RGB'))


def count(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((picture == color).all(axis=-1).sum())


def covers(picture: np.ndarray, color: tuple[int, int, int], pixels: float) -> bool:
    """Whether that many pixels have a colour, and a few of text, legend and bars."""
    return 0 <= count(picture, color) - pixels < 500


def thirds() -> np.ndarray:
    """A map of one class per third, with a corner of nodata."""
    classes = np.repeat([[0, 1, 2]], 10, axis=1).repeat(20, axis=0)
    classes[:5, :5] = 255
    return classes


def test_classes_cover_their_share_of_the_picture(tmp_path: Path) -> None:
    scene, result = write_scene(tmp_path / 'a.tif'), write_map(tmp_path / 'b.tif', thirds())
    path = write_preview(scene, result, tmp_path / 'out' / 'a.png', bands=(1, 2, 3))
    picture = read_png(path)
    pixel = ENLARGED[0] * ENLARGED[1] // 600
    for color, pixels in zip((*COLORS, GREY), (175, 200, 200, 25), strict=True):
        assert covers(picture, color, pixels * pixel)
    assert [entry.name for entry in path.parent.iterdir()] == ['a.png']


@pytest.mark.parametrize('res', [10, 20])
def test_a_scene_is_shown_where_it_counts_as_observed(res: int, tmp_path: Path) -> None:
    bands = np.broadcast_to(np.arange(10, 40, dtype='uint16'), (3, 20, 30)).copy()
    bands[0, :, :10] = 0
    scene = write_raster(
        tmp_path / 'a.tif', bands, crs='EPSG:32633', transform=NORTH_UP, bands=NAMES, nodata=0
    )
    classes = np.zeros((200 // res, 300 // res))
    transform = Affine(res, 0, 4e5, 0, -res, 5e6)
    result = write_map(tmp_path / 'b.tif', classes, transform=transform)
    found = []
    for observed in ('auto', 'any', 'all'):
        path = write_preview(
            scene, result, tmp_path / f'{observed}.png', bands=(1, 2, 3), observed=observed
        )
        found.append(count(read_png(path), GREY) / (ENLARGED[0] * ENLARGED[1]))
    assert found == pytest.approx([1 / 3, 0, 1 / 3], abs=0.01)


def test_the_scene_lies_beside_the_map_row_by_row(tmp_path: Path) -> None:
    scene, result = write_scene(tmp_path / 'a.tif'), write_map(tmp_path / 'b.tif', thirds() * 0 + 1)
    picture = read_png(write_preview(scene, result, tmp_path / 'a.png', bands=(1, 2, 3)))
    rows = np.flatnonzero((picture == COLORS[1]).all(axis=-1).sum(axis=1) >= ENLARGED[1])
    assert len(rows) == ENLARGED[0]
    left = picture[rows[200], 20 : 20 + ENLARGED[1]].astype(int)
    assert (np.diff(left.sum(axis=1)) >= 0).all()
    assert left[0].sum() == 0
    assert left[-1].sum() == 3 * 255


@pytest.mark.parametrize('told', ['by the file', 'by the caller'])
def test_what_the_scene_did_not_observe_is_grey_and_moves_no_contrast(
    tmp_path: Path, told: str
) -> None:
    pixels = np.broadcast_to(np.arange(10, 40, dtype='uint8'), (3, 20, 30)).copy()
    pixels[:, :, 15:] = 255
    by_file = told == 'by the file'
    scene = write_raster(
        tmp_path / 'a.tif', pixels, crs='EPSG:32633', transform=NORTH_UP,
        nodata=255 if by_file else None,
    )  # fmt: skip
    result = write_map(tmp_path / 'b.tif', thirds() * 0)
    picture = read_png(
        write_preview(
            scene, result, tmp_path / 'a.png', bands=(1, 2, 3), nodata=None if by_file else 255
        )
    )
    assert covers(picture, GREY, ENLARGED[0] * ENLARGED[1] // 2)
    column = picture[300, 20 : 20 + ENLARGED[1] // 2].astype(int).sum(axis=1)
    assert (column.min(), column.max()) == (0, 3 * 255)


def test_bands_that_are_red_green_and_blue_are_shown_as_such(tmp_path: Path) -> None:
    # of four bands of bytes, GDAL would take the last for transparency
    pixels = np.zeros((4, 20, 30), dtype='uint16')
    # the fourth band is red, and only it differs
    pixels[3, :, 15:] = 200
    for names in (('blue', 'green', 'nir', 'red'), ('B02', 'B03', 'B08', 'B04')):
        scene = write_raster(
            tmp_path / 'a.tif', pixels, crs='EPSG:32633', transform=NORTH_UP, bands=names,
            overwrite=True,
        )  # fmt: skip
        result = write_map(tmp_path / 'b.tif', thirds() * 0, overwrite=True)
        path = write_preview(scene, result, tmp_path / 'a.png', bands=(1, 2, 3, 4), overwrite=True)
        assert covers(read_png(path), (255, 0, 0), ENLARGED[0] * ENLARGED[1] // 2)


@pytest.mark.parametrize('dtype', ['float32', 'uint8'])
def test_probabilities_have_colours_from_0_to_1(tmp_path: Path, dtype: str) -> None:
    shares = np.zeros((2, 20, 30), dtype='float32')
    shares[0, :, 15:] = 1
    shares[1, :, :15] = 1
    stored = shares if dtype == 'float32' else (shares * 254).astype('uint8')
    result = write_raster(
        tmp_path / 'b.tif', stored, crs='EPSG:32633', transform=NORTH_UP, bands=('off', 'on'),
        nodata=None if dtype == 'float32' else 255,
    )  # fmt: skip
    if dtype == 'uint8':
        with rasterio.open(result, 'r+') as dst:
            dst.scales = (1 / 254, 1 / 254)
    scene = write_scene(tmp_path / 'a.tif')
    picture = read_png(write_preview(scene, result, tmp_path / 'a.png', bands=(1, 2, 3)))
    half = ENLARGED[0] * ENLARGED[1] // 2
    for end in ((68, 1, 84), (253, 231, 37)):
        # in both panels
        assert covers(picture, end, 2 * half)


def test_values_are_spread_over_all_colours(tmp_path: Path) -> None:
    heights = np.linspace(-300, 3000, 600, dtype='float32').reshape(1, 20, 30)
    heights[0, 0, 0] = np.nan
    result = write_raster(
        tmp_path / 'b.tif', heights, crs='EPSG:32633', transform=NORTH_UP, bands=('height',),
        nodata=np.nan,
    )  # fmt: skip
    scene = write_scene(tmp_path / 'a.tif')
    picture = read_png(write_preview(scene, result, tmp_path / 'a.png', bands=(1,)))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200
    pixel = ENLARGED[0] * ENLARGED[1] // 600
    assert covers(picture, GREY, pixel)


def test_of_many_bands_the_largest_are_drawn(tmp_path: Path) -> None:
    shares = np.zeros((7, 20, 30), dtype='float32')
    shares[[1, 4, 6]] = [[[0.2]], [[0.5]], [[1.0]]]
    result = write_raster(tmp_path / 'b.tif', shares, crs='EPSG:32633', transform=NORTH_UP)
    scene = write_scene(tmp_path / 'a.tif')
    path = write_preview(scene, result, tmp_path / 'a.png', bands=(1, 2, 3), max_side=1000)
    picture = read_png(path)
    # the last panel has the colour of 1, and none has that of 0 but the colour bars
    assert count(picture, (253, 231, 37)) >= ENLARGED[0] * ENLARGED[1]
    assert count(picture, (68, 1, 84)) < 2000


def test_north_is_up_also_where_rows_go_north(tmp_path: Path) -> None:
    classes = np.repeat([[0], [1]], 10, axis=0).repeat(30, axis=1)
    pictures = []
    for name, transform, rows in (
        ('up', NORTH_UP, classes), ('down', Affine(10, 0, 4e5, 0, 10, 5e6 - 200), classes[::-1])
    ):  # fmt: skip
        scene = write_scene(tmp_path / f'{name}.tif', transform=transform)
        result = write_map(tmp_path / f'{name}-map.tif', rows, transform=transform)
        path = write_preview(scene, result, tmp_path / f'{name}.png', bands=(1, 2, 3))
        pictures.append(read_png(path)[100:400])
    width = 20 + 2 * (ENLARGED[1] + 20)
    np.testing.assert_array_equal(pictures[0][:, :width], pictures[1][:, :width])


def test_a_map_on_another_grid_lies_beside_its_own_ground(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / 'a.tif')
    finer = Affine(5, 0, 4e5 + 150, 0, -5, 5e6)
    result = write_map(tmp_path / 'b.tif', np.ones((40, 60)), transform=finer)
    picture = read_png(write_preview(scene, result, tmp_path / 'a.png', bands=(1, 2, 3)))
    # the right half of the map lies beside the scene
    assert count(picture, GREY) == pytest.approx(ENLARGED[0] * ENLARGED[1] / 2, rel=0.05)


@pytest.mark.parametrize(
    ('shape', 'crs', 'limit'),
    [
        ((1, 1), 'EPSG:32633', 2000), ((1, 900), 'EPSG:32633', 2000),
        ((900, 1), 'EPSG:4326', 2000), ((300, 2500), None, 2000), ((700, 700), None, 3000),
    ],
)  # fmt: skip
def test_a_scene_of_any_shape_makes_a_picture_of_bounded_size(
    tmp_path: Path, shape: tuple[int, int], crs: str | None, limit: int
) -> None:
    transform = Affine(1e-5, 0, 7, 0, -1e-5, 50) if crs == 'EPSG:4326' else NORTH_UP
    place: dict[str, Any] = {'crs': crs, 'transform': transform}
    scene = write_raster(tmp_path / 'a.tif', np.ones(shape, dtype='uint8'), **place)
    result = write_map(tmp_path / 'b.tif', np.ones(shape), **place)
    picture = read_png(write_preview(scene, result, tmp_path / 'a.png', bands=(1,)))
    assert 0 < max(picture.shape) <= limit
    assert count(picture, COLORS[1]) > 100


def test_a_large_scene_is_read_through_overviews(tmp_path: Path) -> None:
    profile: dict[str, Any] = {
        'driver': 'GTiff', 'height': 12_000, 'width': 12_000, 'count': 1, 'dtype': 'uint8',
        'tiled': True, 'compress': 'deflate', 'sparse_ok': True, 'crs': 'EPSG:32633',
        'transform': Affine(1, 0, 4e5, 0, -1, 5e6),
    }  # fmt: skip
    with rasterio.open(tmp_path / 'a.tif', 'w', **profile) as dst:
        dst.write(np.full((1, 3000, 3000), 7, dtype='uint8'), window=Window(0, 0, 3000, 3000))
        dst.build_overviews([8], rasterio.enums.Resampling.nearest)
    with rasterio.open(tmp_path / 'rows.tif', 'w', **(profile | {'nodata': 255})) as dst:
        dst.update_tags(1, CLASS_NAMES='["water", "forest", "built-up"]')
        dst.write_colormap(1, dict(enumerate(COLORS)))
        dst.write(np.ones((1, 3000, 3000), dtype='uint8'), window=Window(0, 0, 3000, 3000))
    finish_cog(tmp_path / 'rows.tif', tmp_path / 'b.tif', overview_resampling='mode')
    picture = read_png(
        write_preview(tmp_path / 'a.tif', tmp_path / 'b.tif', tmp_path / 'a.png', bands=(1,))
    )
    assert count(picture, COLORS[1]) == pytest.approx(300 * 300, rel=0.02)


def test_shares_may_be_those_of_the_whole_map(tmp_path: Path) -> None:
    scene, result = write_scene(tmp_path / 'a.tif'), write_map(tmp_path / 'b.tif', thirds())
    pictures = [
        read_png(
            write_preview(
                scene, result, tmp_path / f'{name}.png', bands=(1, 2, 3), class_pixels=pixels
            )
        )
        for name, pixels in (('a', None), ('b', (175, 200, 200)), ('c', (1, 0, 998)))
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert pictures[0].shape != pictures[2].shape or (pictures[0] != pictures[2]).any()


def test_any_name_and_any_number_of_classes_is_drawn(tmp_path: Path) -> None:
    names = [f'$class_{index}$ %d {{}} é' for index in range(200)]
    colors = [(index, 255 - index, index // 2) for index in range(200)]
    scene = write_scene(tmp_path / ('$a$' + 'x' * 200 + '.tif'))
    result = write_map(
        tmp_path / 'b.tif', np.arange(600).reshape(20, 30) % 200, class_names=names,
        class_colors=colors,
    )  # fmt: skip
    picture = read_png(write_preview(scene, result, tmp_path / 'a.png', bands=(1, 2, 3)))
    # the longest names make no picture of their own width
    assert picture.shape[1] < 2500


@pytest.mark.parametrize('content', [np.nan, 0.0, np.inf], ids=str)
def test_maps_without_content_are_drawn_too(tmp_path: Path, content: float) -> None:
    scene = write_raster(
        tmp_path / 'a.tif', np.full((1, 20, 30), content, dtype='float32'), crs='EPSG:32633',
        transform=NORTH_UP, nodata=np.nan,
    )  # fmt: skip
    path = write_preview(scene, scene, tmp_path / 'a.png', bands=(1,))
    grey = 2 * ENLARGED[0] * ENLARGED[1]
    assert covers(read_png(path), GREY, 0 if content == 0 else grey)


def test_what_cannot_be_drawn_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    scene, result = write_scene(tmp_path / 'a.tif'), write_map(tmp_path / 'b.tif', thirds())
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r'a preview is written as \.png, got .*a\.jpg'):
        write_preview(scene, result, tmp_path / 'a.jpg', bands=(1,))
    with pytest.raises(ValueError, match=r'max_side must be >= 280, got 10'):
        write_preview(scene, result, tmp_path / 'a.png', bands=(1,), max_side=10)
    with pytest.raises(ValueError, match='at least one band of the scene, got none'):
        write_preview(scene, result, tmp_path / 'a.png', bands=())
    with pytest.raises(FileNotFoundError, match=r'no\.tif does not exist'):
        write_preview(tmp_path / 'no.tif', result, tmp_path / 'a.png', bands=(1,))
    assert sorted(tmp_path.iterdir()) == before
    write_preview(scene, result, tmp_path / 'a.png', bands=(1,))
    with pytest.raises(FileExistsError, match=r'a\.png exists'):
        write_preview(scene, result, tmp_path / 'a.png', bands=(1,))


def write_dates(folder: Path) -> tuple[Path, Path]:
    """Two dates, the later one brighter, and of bands in another order."""
    ramp = np.broadcast_to(np.arange(30, dtype='uint8'), (3, 20, 30)).copy()
    # only red differs from left to right
    ramp[1:] = 0
    place: dict[str, Any] = {'crs': 'EPSG:32633', 'transform': NORTH_UP}
    names = ('red', 'green', 'blue')
    before = write_raster(folder / 'before.tif', ramp, bands=names, **place)
    after = write_raster(folder / 'after.tif', (ramp + np.uint8(30) * (ramp > 0))[::-1], **place)
    return before, after


def test_change_is_painted_over_the_later_date_and_both_dates_compare(tmp_path: Path) -> None:
    before, after = write_dates(tmp_path)
    classes = np.zeros((20, 30))
    classes[:, 10:20] = 1
    classes[:5, :5] = 255
    result = write_map(tmp_path / 'b.tif', classes)
    path = write_preview(
        before, result, tmp_path / 'a.png', bands=(1, 2, 3),
        after=ShownScene(path=after, bands=(3, 2, 1)),
    )  # fmt: skip
    first, second, change = (read_panel(path, place) for place in range(3))
    # of one value, one brightness: the first date ends where the second begins
    red = [int(panel[200, 595, 0]) for panel in (first, second)]
    assert red[0] == pytest.approx(255 * 29 / 59, abs=8)
    assert red[1] > 245
    assert (change[:, 200:400] == COLORS[1]).all()
    assert (change[:100, :100] == GREY).all()
    ground = change[200, 400:].astype(int)
    assert (ground[:, 0] == ground[:, 2]).all()
    assert ground[0, 0] < ground[-1, 0]
    assert count(change, COLORS[0]) == 0


def test_dates_of_another_number_of_bands_are_refused(tmp_path: Path) -> None:
    before, after = write_dates(tmp_path)
    result = write_map(tmp_path / 'b.tif', thirds())
    with pytest.raises(ValueError, match='after must have as many bands as the scene, 3, got 1'):
        write_preview(
            before, result, tmp_path / 'a.png', bands=(1, 2, 3),
            after=ShownScene(path=after, bands=(1,)),
        )  # fmt: skip
