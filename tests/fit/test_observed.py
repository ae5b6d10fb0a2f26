"""One band without an observation, in training."""

from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from .conftest import Fit, Raster

MISSING = np.zeros((128, 128), dtype=bool)
MISSING[:, 64:] = np.random.default_rng(2).random((128, 64)) < 0.5
"""Pixels of which the second band is missing; the other bands are brighter there."""


def scene(dtype: str, value: float) -> NDArray[np.generic]:
    """Three bands between 50 and 60, in the right half between 100 and 110."""
    pixels = np.random.default_rng(0).integers(50, 60, (3, 128, 128)).astype(dtype)
    pixels[:, MISSING] += 50
    pixels[1, MISSING] = value
    return pixels


def put_scene(put: Raster, name: str, how: str) -> dict[str, Any]:
    """Write it, with what says that the second band is missing; return options."""
    match how:
        case 'tag':
            put(name, scene('int16', -9999), nodata=-9999)
        case 'given':
            put(name, scene('uint16', 0))
            return {'data.nodata': 0}
        case 'nan':
            put(name, scene('float32', np.nan))
        case 'mask':
            put(name, scene('uint16', 7))
            shown = np.full((3, 128, 128), 255, dtype='uint8')
            shown[1, MISSING] = 0
            # the suffix says that it is no image
            with rasterio.open(put(f'{name}.msk', shown), 'r+') as dst:
                dst.update_tags(**{f'INTERNAL_MASK_FLAGS_{band}': 0 for band in (1, 2, 3)})
    return {}


def means(record: dict[str, Any]) -> NDArray[np.float64]:
    """Means of the bands in file values."""
    found: NDArray[np.float64] = np.array(record['mean']) / np.array(record['scale'])
    return found


@pytest.mark.quick('tag', 'mask')
@pytest.mark.parametrize('how', ['tag', 'given', 'nan', 'mask'])
def test_a_pixel_without_one_band_is_neither_measured_nor_learned_from(
    fit_segmentation: Fit, put: Raster, how: str
) -> None:
    options = put_scene(put, 'image.tif', how)
    mask = (np.indices((128, 128)).sum(axis=0) // 16 % 2).astype('uint8')
    # a class that is nowhere else
    mask[MISSING] = 2
    options |= {'data.images': '../image.tif', 'data.masks': str(put('mask.tif', mask))}
    fitted = fit_segmentation(options)
    assert fitted.code == 0, fitted.err
    assert means(fitted.record) == pytest.approx(54.5, abs=0.5)
    # with three classes, num_classes=2 would be refused
    assert len(fitted.record['class_names']) == 2


@pytest.mark.quick('mask')
@pytest.mark.parametrize('how', ['tag', 'given', 'nan', 'mask'])
def test_pretraining_does_not_measure_it_either(
    fit_pretraining: Fit, put: Raster, how: str
) -> None:
    options = put_scene(put, 'images/image.tif', how)
    fitted = fit_pretraining({'data.remote_sensing': '../images', **options})
    assert means(fitted.record) == pytest.approx(54.5, abs=0.5)


def test_a_zero_in_one_band_of_a_picture_is_data(fit_pretraining: Fit, put: Raster) -> None:
    pixels = scene('uint8', 0)
    put('images/image.tif', pixels, nodata=0)
    options = {'data.remote_sensing': '../images', 'data.bands': '[1, 2]', 'model.in_channels': 2}
    fitted = fit_pretraining(options)
    expected = pixels.mean(axis=(1, 2))
    # the places of patches are drawn
    assert means(fitted.record) == pytest.approx(expected[:2], rel=0.15)
