import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from gersp_geo.datasets.geotiff_patches import GeoTIFFPatches
from gersp_geo.labels.background import WithBackground
from gersp_geo.labels.mask_files import ChosenValues, name_values
from gersp_geo.windows import Window

WHOLE = Window(row_off=0, col_off=0, height=2, width=4)


def write(path: Path, pixels: NDArray[Any], *, nodata: float | None = None) -> str:
    profile = {
        'driver': 'GTiff',
        'count': 1,
        'height': pixels.shape[0],
        'width': pixels.shape[1],
        'dtype': pixels.dtype,
        'crs': 'EPSG:32633',
        'transform': from_origin(0, 0, 1, 1),
        'nodata': nodata,
    }
    with rasterio.open(path, 'w', **profile) as dst:
        dst.write(pixels, 1)
    return str(path)


@pytest.mark.parametrize(
    ('dtype', 'values', 'pixels', 'nodata', 'expected'),
    [
        ('uint8', [0, 255], [0, 255, 0, 0], None, [0, 1, 0, 0]),
        # the choice goes before the tag
        ('uint8', [0, 1], [0, 1, 0, 0], 0, [0, 1, 0, 0]),
        ('uint8', [95, 10], [10, 95, 255, 0], 0, [1, 0, 255, 255]),
        ('int16', [-1, 0], [-1, 0, -32768, 255], -32768, [0, 1, 255, 255]),
        ('uint16', [400, 0], [0, 400, 65535, 0], 65535, [1, 0, 255, 1]),
        ('uint32', [4_000_000_000, 7], [7, 4_000_000_000, 7, 7], None, [1, 0, 1, 1]),
    ],
)
def test_chosen_values_are_numbered_in_their_order(
    dtype: str, values: list[int], pixels: list[int], nodata: float | None,
    expected: list[int], tmp_path: Path,
) -> None:  # fmt: skip
    mask = write(tmp_path / 'm.tif', np.array([pixels] * 2, dtype), nodata=nodata)
    image = write(tmp_path / 'i.tif', np.ones((2, 4), 'uint8'))
    labels = ChosenValues(GeoTIFFPatches(image), mask, values=values)
    assert labels.read(0, WHOLE).tolist() == [expected] * 2
    assert labels.class_names == tuple(f'class_{value}' for value in values)


def test_another_value_is_named(tmp_path: Path) -> None:
    mask = write(tmp_path / 'm.tif', np.array([[3, 7, 8, 3]] * 2, 'uint8'))
    image = write(tmp_path / 'i.tif', np.ones((2, 4), 'uint8'))
    labels = ChosenValues(GeoTIFFPatches(image), mask, values=[3, 8])
    with pytest.raises(ValueError, match=r'm\.tif holds the value 7, which is none of'):
        labels.read(0, WHOLE)


@pytest.mark.parametrize('values', [[1], [1, 1, 2], list(range(256))])
def test_values_must_be_different_and_not_too_many(values: list[int], tmp_path: Path) -> None:
    mask = write(tmp_path / 'm.tif', np.ones((2, 4), 'uint8'))
    with pytest.raises(ValueError, match='mask_values must be two to 255 different values'):
        ChosenValues(GeoTIFFPatches(mask), mask, values=values)


@pytest.mark.parametrize(
    ('values', 'given', 'tagged', 'expected'),
    [
        ([2, 0], (), 'abc', 'ca'),
        ([10, 50], (), 'ab', 'ab'),
        ([10, 50], 'xy', 'ab', 'xy'),
        ([1, 5], (), 'abc', ('class_1', 'class_5')),
    ],
)
def test_names_go_with_values(
    values: list[int], given: Sequence[str], tagged: Sequence[str], expected: Sequence[str]
) -> None:
    assert name_values(values, given, tagged=tagged) == tuple(expected)


def test_names_and_colours_come_from_the_mask(tmp_path: Path) -> None:
    mask = write(tmp_path / 'm.tif', np.array([[0, 1, 2, 2]] * 2, 'uint8'))
    with rasterio.open(mask, 'r+') as dst:
        dst.update_tags(1, CLASS_NAMES=json.dumps(['a', 'b', 'c']))
        dst.write_colormap(1, {0: (9, 9, 9), 1: (1, 1, 1), 2: (2, 2, 2)})
    image = write(tmp_path / 'i.tif', np.ones((2, 4), 'uint8'))
    labels = ChosenValues(GeoTIFFPatches(image), mask, values=[2, 0, 1])
    assert labels.class_names == ('c', 'a', 'b')
    assert labels.class_colors == ((2, 2, 2), (9, 9, 9), (1, 1, 1))


class Polygons:
    """Labels of two classes, a polygon without a class, and a pixel under none."""

    class_names = ('oak', 'pine')

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        return np.array([[0, 1, 255, 255]] * 2, np.uint8)

    def read_outside(self, tile: int, window: Window) -> NDArray[np.bool_]:
        return np.array([[False, False, False, True]] * 2)


def test_what_lies_under_no_polygon_is_the_first_class() -> None:
    polygons: Any = Polygons()
    labels = WithBackground(polygons, name='ground')
    assert labels.class_names == ('ground', 'oak', 'pine')
    assert labels.read(0, WHOLE).tolist() == [[1, 2, 255, 0]] * 2
    with pytest.raises(ValueError, match="background='oak' is a class of the labels already"):
        WithBackground(polygons, name='oak')
