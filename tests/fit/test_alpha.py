"""Near infrared that GDAL tags as alpha, because it is the fourth band of bytes."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from gersp_geo.main import main

from .conftest import Fit, Raster

WATER = np.arange(128) < 64
"""Columns where near infrared is 0."""


def scene() -> NDArray[np.uint8]:
    """Red, green, blue and near infrared of a coast, 128 x 128 pixels."""
    pixels = np.random.default_rng(0).integers(1, 200, (4, 128, 128), dtype=np.uint8)
    pixels[3, :, WATER] = 0
    return pixels


def coast(put: Raster) -> dict[str, str]:
    """Images and masks: class 0 over water, class 1 over land."""
    image = put('image.tif', scene())
    with rasterio.open(image) as src:
        # nobody has asked for it
        assert src.colorinterp[3] == ColorInterp.alpha
    mask = put('mask.tif', np.repeat(~WATER[None], 128, axis=0).astype(np.uint8))
    return {'data.images': str(image), 'data.masks': str(mask)}


FOUR = {'data.bands': '[1,2,3,4]', 'model.in_channels': 4}


def test_a_band_that_is_asked_for_is_learned_from_where_it_is_zero(
    fit_segmentation: Fit, put: Raster, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    fitted = fit_segmentation({**coast(put), **FOUR})
    assert fitted.record['bands'] == ['red', 'green', 'blue', 'band_4']
    assert told_of_alpha(recwarn) == []
    # both classes are there, and with all their pixels
    assert 'class_0' in fitted.record['class_names']
    shutil.copy(next(fitted.folder.rglob('*.ckpt')), tmp_path / 'model.ckpt')
    answers = []
    for name, layout in (('tagged', {}), ('plain', {'photometric': 'MINISBLACK'})):
        put(f'{name}.tif', scene(), **layout)
        words = ['predict', str(tmp_path / 'model.ckpt'), str(tmp_path / f'{name}.tif')]
        words += ['--bands', '1,2,3,4', '--size', '128', '--no-progress']
        assert main([*words, '-o', str(tmp_path / f'{name}-map.tif')]) == 0
        with rasterio.open(tmp_path / f'{name}-map.tif') as src:
            assert src.dataset_mask().all()
            answers.append(src.read())
    assert (answers[0] == answers[1]).all()


def mean_of(record: dict[str, Any]) -> float:
    """Mean of near infrared in file values."""
    return float(record['mean'][3] / record['scale'][3])


@pytest.mark.quick('geotiffs')
@pytest.mark.parametrize('kind', ['geotiffs', 'chips'])
def test_pretraining_sees_the_zeros(fit_pretraining: Fit, put: Raster, kind: str) -> None:
    pixels = scene()
    for number in range(8):
        put(f'images/{number}.tif', pixels)
    options = {'data.remote_sensing': '../images', 'data.kind': kind, **FOUR}
    if kind == 'chips':
        # chips have no places
        options['data.patches_per_pass'] = 'null'
    fitted = fit_pretraining(options)
    # the places of patches are drawn
    assert mean_of(fitted.record) == pytest.approx(pixels[3].mean(), rel=0.1)
    tenfold = fitted.record['mean'][0] / fitted.record['scale'][0]
    assert tenfold == pytest.approx(pixels[0].mean(), rel=0.05)


def told_of_alpha(warned: pytest.WarningsRecorder) -> list[str]:
    """Warnings that name the alpha band."""
    return [str(each.message) for each in warned if 'alpha' in str(each.message)]


@pytest.mark.parametrize('kind', ['geotiffs', 'chips'])
def test_left_out_as_alpha_it_is_named_once(
    fit_pretraining: Fit, put: Raster, recwarn: pytest.WarningsRecorder, kind: str
) -> None:
    for number in range(8):
        put(f'images/{number}.tif', scene())
    options = {'data.remote_sensing': '../images', 'data.kind': kind}
    if kind == 'chips':
        options['data.patches_per_pass'] = 'null'
    fitted = fit_pretraining(options)
    assert fitted.record['bands'] == ['red', 'green', 'blue']
    (message,) = told_of_alpha(recwarn)
    assert message.startswith(
        'band 4 is tagged as alpha, so that it is left out and its zeros hide pixels, but its '
        'values look like data, in ../images/0.tif; pass bands=[1, 2, 3, 4] to read it'
    )


def test_transparency_is_no_reason_to_warn(
    fit_pretraining: Fit, put: Raster, recwarn: pytest.WarningsRecorder
) -> None:
    pixels = scene()
    pixels[3] = 255
    pixels[3, :16], pixels[3, 16] = 0, 128
    put('images/a.tif', pixels)
    record = fit_pretraining({'data.remote_sensing': '../images'}).record
    assert record['bands'] == ['red', 'green', 'blue']
    assert told_of_alpha(recwarn) == []


@pytest.mark.parametrize('in_channels', [4, 5])
def test_channels_that_do_not_fit_end_in_one_line_in_fine_tuning(
    fit_segmentation: Fit, put: Raster, in_channels: int
) -> None:
    options = coast(put)
    put('image.tif', np.where(np.arange(4)[:, None, None] == 3, 255, scene()).astype(np.uint8))
    refusal = fit_segmentation({**options, 'model.in_channels': in_channels}).refusal
    assert refusal.startswith(
        'in_channels must be the number of bands of the data, 3 (red, green, blue), '
        f'got {in_channels}; band 4 is tagged as alpha and left out'
    )
    assert ('bands=[1, 2, 3, 4]' in refusal) == (in_channels == 4)


@pytest.mark.parametrize('kind', ['geotiffs', 'chips'])
def test_channels_that_do_not_fit_end_in_one_line_in_pretraining(
    fit_pretraining: Fit, put: Raster, kind: str
) -> None:
    for number in range(8):
        put(f'images/{number}.tif', scene())
    options = {'data.remote_sensing': '../images', 'data.kind': kind, 'model.in_channels': 4}
    if kind == 'chips':
        options['data.patches_per_pass'] = 'null'
    refusal = fit_pretraining(options).refusal
    assert 'the data, 3 (red, green, blue), got 4; band 4 is tagged as alpha' in refusal
    assert refusal.endswith('set bands=[1, 2, 3, 4] to read it, or in_channels=3')


def test_six_bands_are_not_taken_for_two_dates(fit_pretraining: Fit, put: Raster) -> None:
    put('images/a.tif', np.concatenate([scene(), scene()])[:6])
    refusal = fit_pretraining({'data.remote_sensing': '../images'}).refusal
    assert 'the data, 6 (band_1, ' in refusal
    assert refusal.endswith('got 3; set in_channels=6, or other bands')


def test_two_dates_have_the_bands_of_one(fit_pretraining: Fit, put: Raster) -> None:
    for date in ('20200101', '20210101'):
        put(f'images/a_{date}.tif', scene()[:3])
    options = {'data.remote_sensing': '../images', 'data.two_dates': 'true'}
    options['data.filename_regex'] = r'.*_(?P<date>\d{8})\.tif'
    assert len(fit_pretraining(options).record['bands']) == 3
