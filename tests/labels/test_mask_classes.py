"""Masks whose values, colours or grey levels are assigned to classes."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import Affine, from_origin

from gersp_geo.datasets.raster_tiles import RasterTiles
from gersp_geo.labels.options import LabelOptions
from gersp_geo.windows import Window

SIDE = 8
WHOLE = Window(row_off=0, col_off=0, height=SIDE, width=SIDE)
GRID = from_origin(4e5, 5e6, 10, 10)
COLORS = {'building': '#3C1098', 'road': [110, 193, 228]}


def write(path: Path, pixels: NDArray[Any], transform: Affine = GRID, **options: Any) -> str:
    path.parent.mkdir(exist_ok=True)
    stack = pixels if pixels.ndim == 3 else pixels[None]
    profile = {
        'driver': 'GTiff', 'count': len(stack), 'height': stack.shape[1], 'width': stack.shape[2],
        'dtype': stack.dtype, 'crs': 'EPSG:32633', 'transform': transform,
    }  # fmt: skip
    with rasterio.open(path, 'w', **profile | options) as dst:
        dst.write(stack)
    return str(path)


@pytest.fixture
def image(tmp_path: Path) -> str:
    return write(tmp_path / 'images' / 'a.tif', np.ones((3, SIDE, SIDE), np.uint8))


@pytest.fixture
def picture(tmp_path: Path) -> str:
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (SIDE, SIDE), (9, 9, 9)).save(tmp_path / 'images' / 'a.png')
    return str(tmp_path / 'images' / 'a.png')


def columns(*values: Any, dtype: Any = np.uint8) -> NDArray[Any]:
    """Stripes of equal width; a colour is a stripe of three bands."""
    stripes = np.repeat(np.array(values, dtype), SIDE // len(values), axis=0)
    tiled = np.broadcast_to(stripes, (SIDE, *stripes.shape))
    return np.ascontiguousarray(tiled)


def open_labels(image: str | list[str], masks: Any, **options: Any) -> Any:
    return LabelOptions(masks=masks, **options).open(RasterTiles(image))


def stripes(labels: Any, count: int = 4) -> list[int]:
    found = labels.read(0, WHOLE)
    assert (found == found[0]).all()
    return found[0, :: SIDE // count].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ('pixels', 'nodata', 'classes', 'ignore', 'expected'),
    [
        (columns(10, 20, 50, 0), 0, {'wood': [20, 10], 'pond': 50}, [], [0, 0, 1, 255]),
        # a value that is listed is a class although it is nodata
        (columns(0, 1, 0, 1), 0, {'no': 0, 'yes': 1}, [], [0, 1, 0, 1]),
        (columns(-1, 400, 7, 255, dtype='int16'), None, {'a': -1, 'b': 400}, [7, 255],
         [0, 1, 255, 255]),
        (columns(2**31, 5, 5, 5, dtype='uint32'), None, {'a': 5, 'b': 2**31}, [], [1, 0, 0, 0]),
        (columns(1, 2, np.nan, 2, dtype='float32'), None, {'a': 1, 'b': 2}, [], [0, 1, 255, 1]),
    ],
    ids=['several', 'nodata', 'int16', 'uint32', 'float'],
)  # fmt: skip
def test_values_of_any_numbers_are_the_classes_that_list_them(
    image: str, tmp_path: Path, pixels: Any, nodata: Any, classes: Any, ignore: Any, expected: Any
) -> None:
    mask = write(tmp_path / 'masks' / 'a.tif', pixels, nodata=nodata)
    labels = open_labels(image, mask, classes=classes, ignore=ignore)
    assert labels.class_names == tuple(classes)
    assert stripes(labels) == expected


@pytest.mark.parametrize('value', [7, 255, 2.5])
def test_a_value_of_no_class_is_named_with_its_share(
    image: str, tmp_path: Path, value: float
) -> None:
    pixels = columns(1, value, dtype='float32' if value % 1 else 'uint8')
    labels = open_labels(image, write(tmp_path / 'm.tif', pixels), classes={'a': [1, 3]})
    message = rf'm\.tif holds values of no class: {value} \(50\.00%, 32 pixels\); add'
    with pytest.raises(ValueError, match=message):
        labels.read(0, Window(row_off=0, col_off=SIDE - 2, height=1, width=2))
    assert (labels.read(0, Window(row_off=0, col_off=0, height=1, width=2)) == 0).all()


def test_colours_are_classes_and_what_is_transparent_is_none(picture: str, tmp_path: Path) -> None:
    pixels = columns((60, 16, 152, 255), (110, 193, 228, 255), (1, 2, 3, 255), (60, 16, 152, 0))
    Image.fromarray(pixels).save(tmp_path / 'm.png')
    labels = open_labels(picture, tmp_path / 'm.png', classes=COLORS, ignore=['#010203'])
    assert stripes(labels) == [0, 1, 255, 255]
    assert labels.class_colors == ((60, 16, 152), (110, 193, 228))
    labels = open_labels(picture, tmp_path / 'm.png', classes=COLORS)
    with pytest.raises(ValueError, match=r'no class: #010203 \(33\.33%, 16 pixels\)'):
        labels.read(0, WHOLE)


def test_a_palette_gives_numbers_their_colours(picture: str, tmp_path: Path) -> None:
    mask = Image.fromarray(columns(0, 1, 2, 2), 'P')
    mask.putpalette([0, 0, 0, 60, 16, 152, 110, 193, 228])
    mask.save(tmp_path / 'm.png')
    by_number = open_labels(picture, tmp_path / 'm.png', classes={'a': 2, 'b': [0, 1]})
    assert stripes(by_number) == [1, 1, 0, 0]
    assert by_number.class_colors == ((110, 193, 228), (0, 0, 0))
    by_color = open_labels(picture, tmp_path / 'm.png', classes={'a': '#3c1098', 'b': '#6EC1E4'},
                           ignore=['#000000'])  # fmt: skip
    assert stripes(by_color) == [255, 0, 1, 1]
    Image.fromarray(columns(0, 1)).save(tmp_path / 'm.png')
    with pytest.raises(ValueError, match='no colour table'):
        open_labels(picture, tmp_path / 'm.png', classes={'a': '#3c1098'}).read(0, WHOLE)


def test_jpeg_masks_need_a_tolerance_and_lose_what_is_between(tmp_path: Path, picture: str) -> None:
    half = columns((60, 16, 152), (60, 16, 152), (110, 193, 228), (250, 20, 20))
    Image.fromarray(half).save(tmp_path / 'm.jpg', quality=95)
    labels = open_labels(picture, tmp_path / 'm.jpg', classes=COLORS)
    with pytest.raises(ValueError, match='make masks anew as PNG, or pass tolerance'):
        labels.read(0, WHOLE)
    with pytest.warns(UserWarning, match=r'% of the pixels .* more than tolerance=70 .* no label'):
        labels = open_labels(picture, tmp_path / 'm.jpg', classes=COLORS, tolerance=70)
    found = labels.read(0, WHOLE)
    assert (found[:, :3] == 0).all()
    assert (found[:, 4] == 1).all()
    assert (found[:, 7] == 255).all()


@pytest.mark.parametrize('mode', ['L', 'RGB', 'I;16'])
def test_a_threshold_makes_two_classes(picture: str, tmp_path: Path, mode: str) -> None:
    pixels = columns(0, 127, 128, 255)
    grey = Image.fromarray(pixels.astype(np.uint16) if mode == 'I;16' else pixels)
    (grey if mode == 'I;16' else grey.convert(mode)).save(tmp_path / 'm.png')
    labels = open_labels(picture, tmp_path / 'm.png', threshold=128, class_names=('road',))
    assert labels.class_names == ('background', 'road')
    assert stripes(labels) == [0, 0, 1, 1]


def test_grey_masks_with_classes_are_pointed_at_the_threshold(picture: str, tmp_path: Path) -> None:
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / 'm.png')
    labels = open_labels(picture, tmp_path / 'm.png', classes={'a': 0, 'b': 63})
    with pytest.raises(ValueError, match='and 56 more; so many are levels of grey: pass threshold'):
        labels.read(0, WHOLE)


def test_a_threshold_refuses_colours(picture: str, tmp_path: Path) -> None:
    Image.new('RGB', (SIDE, SIDE), (60, 16, 152)).save(tmp_path / 'm.png')
    labels = open_labels(picture, tmp_path / 'm.png', threshold=128)
    with pytest.raises(ValueError, match=r'holds the colour \[60, 16, 152\]; give'):
        labels.read(0, WHOLE)
    with pytest.raises(ValueError, match='threshold makes two classes, got 3'):
        open_labels(picture, tmp_path / 'm.png', threshold=128, class_names=('a', 'b', 'c'))


def test_masks_of_other_pixels_are_resampled_and_said(
    image: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger='lightning.pytorch')
    pixels = np.kron(np.array([[0, 1], [2, 3]], np.uint8), np.ones((2, 2), np.uint8))
    mask = write(tmp_path / 'm.tif', pixels, from_origin(4e5, 5e6, 20, 20))
    labels = open_labels(image, mask)
    np.testing.assert_array_equal(labels.read(0, WHOLE), np.kron(pixels, np.ones((2, 2))))
    assert caplog.text.count('(8 x 8 pixels of 10 x 10, EPSG:32633)') == 1
    assert '(4 x 4 pixels of 20 x 20, EPSG:32633)' in caplog.text


def test_one_mosaic_labels_the_scenes_that_it_reaches(tmp_path: Path) -> None:
    blank, step = np.ones((3, SIDE, SIDE), np.uint8), 10 * SIDE
    scenes = [
        write(tmp_path / 's' / f'{i}.tif', blank, from_origin(4e5 + i * step, 5e6, 10, 10))
        for i in range(4)
    ]
    # two scenes and a half; 0 is a class, and no label lies beyond
    pixels = np.arange(2.5 * SIDE).astype(np.uint8)[None].repeat(SIDE, axis=0)
    mosaic = write(tmp_path / 'all.tif', pixels, nodata=0)
    classes: dict[str, Any] = {'none': 0, 'some': list(range(1, 100))}
    with pytest.warns(UserWarning, match=r'1 of 4 images lie beyond .*3\.tif, beyond .*all\.tif'):
        labels = open_labels(scenes, mosaic, classes=classes)
    read = [labels.read(tile, WHOLE)[0].tolist() for tile in range(4)]
    assert read[0] == [0, *[1] * 7]
    assert read[1] == [1] * 8
    assert read[2] == [1, 1, 1, 1, 255, 255, 255, 255]
    assert read[3] == [255] * 8
    with pytest.raises(ValueError, match=r'no mask reaches its image: .*all\.tif has 20 x 8 pix'):
        open_labels(scenes[3:], mosaic)


def test_much_finer_masks_are_read_in_parts(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 9, (90, 90)).astype(np.uint8)
    labels = open_labels(image, write(tmp_path / 'm.tif', pixels, from_origin(4e5, 5e6, 1, 1)))
    expected = labels.read(0, WHOLE)
    np.testing.assert_array_equal(expected, pixels[5:80:10, 5:80:10])
    monkeypatch.setattr('gersp_geo.labels.mask_files.MOST_PIXELS', 300)
    np.testing.assert_array_equal(labels.read(0, WHOLE), expected)
