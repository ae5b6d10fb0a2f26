"""Where images lie on the ground, or nowhere on Earth; and numbers that are no measurements."""

from math import cos, radians

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

from .conftest import Fit, Raster

FOOT = 0.304800609601219

METRES = 'LOCAL_CS["site grid",UNIT["metre",1]]'
FEET = f'LOCAL_CS["site grid",UNIT["US survey foot",{FOOT}]]'
ENGINEERING = """ENGCRS["site",EDATUM["site datum"],CS[Cartesian,2],AXIS["x",east],
    AXIS["y",north],LENGTHUNIT["metre",1]]"""

PLACES: dict[str, tuple[str, tuple[float, float], float, float]] = {
    'local, metres': (METRES, (100, 200), 0.5, 0.5),
    'local, feet': (FEET, (100, 200), 0.5, 0.5 * FOOT),
    'engineering': (ENGINEERING, (100, 200), 0.5, 0.5),
    # the Earth is 40,030 km around on average, and a pixel is narrower there
    'grads': ('EPSG:4807', (0, 50), 1e-4, 4.003e7 / 400 * 1e-4 * cos(radians(45)) ** 0.5),
}
"""CRS, corner, pixels, and metres per pixel."""


def scene(dtype: str = 'uint8') -> np.ndarray:
    return np.random.default_rng(0).integers(1, 100, (3, 128, 128)).astype(dtype)


@pytest.mark.quick('local, feet', 'grads')
@pytest.mark.parametrize('place', PLACES)
def test_images_are_pretrained_on_wherever_they_lie(
    fit_pretraining: Fit, put: Raster, place: str
) -> None:
    crs, corner, res, metres = PLACES[place]
    put('images/a.tif', scene(), crs=CRS.from_user_input(crs), corner=corner, res=res)
    record = fit_pretraining({'data.remote_sensing': '../images'}).record
    assert record['res_m'] == pytest.approx(metres, rel=1e-3)


def test_images_in_a_local_crs_are_fine_tuned_on(fit_segmentation: Fit, put: Raster) -> None:
    grid = {'crs': CRS.from_wkt(FEET), 'corner': (100, 200), 'res': 0.5}
    image = put('image.tif', scene(), **grid)
    mask = put('mask.tif', np.repeat((np.arange(128) // 16 % 2)[None], 128, 0).astype('u1'), **grid)
    record = fit_segmentation({'data.images': str(image), 'data.masks': str(mask)}).record
    assert record['res_m'] == pytest.approx(0.5 * FOOT)


def test_latitudes_that_are_none_are_refused(fit_pretraining: Fit, put: Raster) -> None:
    put('images/a.tif', scene(), crs='EPSG:4326')
    refusal = fit_pretraining({'data.remote_sensing': '../images'}).refusal
    assert refusal.startswith('../images/a.tif lies at latitude 4.99936e+06, beyond 90')


COMPLEX = ['complex64', 'complex_int16']


def put_complex(put: Raster, name: str, dtype: str) -> None:
    if dtype != 'complex_int16':
        put(name, scene(dtype))
        return
    # rasterio has a name of its own for complex whole numbers
    path = put(name, scene())
    with rasterio.open(path) as src:
        profile = src.profile | {'dtype': dtype, 'photometric': 'MINISBLACK'}
    with rasterio.open(path, 'w', **profile) as dst:
        dst.write(scene('complex64'))


@pytest.mark.quick('geotiffs-complex_int16', 'chips-complex64')
@pytest.mark.parametrize('dtype', COMPLEX)
@pytest.mark.parametrize('kind', ['geotiffs', 'chips'])
def test_complex_numbers_are_refused_in_pretraining(
    fit_pretraining: Fit, put: Raster, kind: str, dtype: str
) -> None:
    for number in range(4):
        put_complex(put, f'images/{number}.tif', dtype)
    options = {'data.remote_sensing': '../images', 'data.kind': kind}
    if kind == 'chips':
        options['data.patches_per_pass'] = 'null'
    refusal = fit_pretraining(options).refusal
    assert refusal.startswith('../images/0.tif holds complex numbers (complex')


@pytest.mark.parametrize('dtype', COMPLEX)
def test_complex_numbers_are_refused_in_fine_tuning(
    fit_segmentation: Fit, put: Raster, dtype: str
) -> None:
    put_complex(put, 'image.tif', dtype)
    mask = put('mask.tif', np.repeat((np.arange(128) // 16 % 2)[None], 128, 0).astype('u1'))
    options = {'data.images': '../image.tif', 'data.masks': str(mask)}
    assert 'image.tif holds complex numbers (complex' in fit_segmentation(options).refusal


@pytest.mark.parametrize('dtype', COMPLEX)
def test_complex_masks_are_refused(fit_segmentation: Fit, put: Raster, dtype: str) -> None:
    image = put('image.tif', scene())
    put_complex(put, 'mask.tif', dtype)
    refusal = fit_segmentation({'data.images': str(image), 'data.masks': '../mask.tif'}).refusal
    assert 'mask.tif must be one band of integers, got 3 of complex' in refusal
