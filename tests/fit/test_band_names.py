"""Training takes the names of bands from colour interpretation too, and prediction finds them again."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from gersp_geo.main import main

from .conftest import Fit, Raster

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
PIXELS = np.random.default_rng(0).integers(1, 200, (3, 64, 64), dtype=np.uint8)
"""Red, green and blue."""
MASK = np.repeat(np.arange(64) < 32, 64).reshape(64, 64).astype(np.uint8)


def image(put: Raster, name: str, pixels: NDArray[np.uint8], colors: Sequence[ColorInterp]) -> Path:
    path = put(name, pixels, photometric='MINISBLACK')
    with rasterio.open(path, 'r+') as dst:
        dst.colorinterp = colors
    return path


def indices(put: Raster, name: str) -> Path:
    """A file of indices into a table of colours."""
    path = put(name, PIXELS[0] % 2, photometric='PALETTE')
    with rasterio.open(path, 'r+') as dst:
        dst.write_colormap(1, {0: (0, 0, 0), 1: (255, 0, 0)})
    return path


def test_what_is_trained_on_blue_green_red_predicts_red_green_blue(
    fit_segmentation: Fit, put: Raster, tmp_path: Path
) -> None:
    path = image(put, 'image.tif', PIXELS[::-1], RGB[::-1])
    options = {'data.images': str(path), 'data.masks': str(put('mask.tif', MASK))}
    fitted = fit_segmentation({**options, 'model.backbone': 'tu-test_resnet'})
    assert fitted.record['bands'] == ['blue', 'green', 'red']
    # ImageNet's statistics, in that order
    assert fitted.record['mean'] == [0.406, 0.456, 0.485]
    shutil.copy(next(fitted.folder.rglob('*.ckpt')), tmp_path / 'model.ckpt')
    answers = []
    for name, scene in (('bgr', path), ('rgb', image(put, 'rgb.tif', PIXELS, RGB))):
        words = ['predict', str(tmp_path / 'model.ckpt'), str(scene), '--no-progress']
        words += ['-o', str(tmp_path / f'{name}-map.tif'), '--output', 'probabilities']
        assert main([*words, '--size', '64']) == 0
        with rasterio.open(tmp_path / f'{name}-map.tif') as src:
            answers.append(src.read())
    assert np.array_equal(*answers)


@pytest.mark.parametrize('kind', ['geotiffs', 'chips'])
def test_orders_of_colours_are_not_mixed(fit_pretraining: Fit, put: Raster, kind: str) -> None:
    for number in range(8):
        image(
            put,
            f'images/{number}.tif',
            PIXELS[::-1] if number == 7 else PIXELS,
            RGB[::-1] if number == 7 else RGB,
        )
    options = {'data.remote_sensing': '../images', 'data.kind': kind}
    if kind == 'chips':
        # chips have no places
        options['data.patches_per_pass'] = 'null'
    said = fit_pretraining(options).refusal
    assert "7.tif calls band 1 'blue', ../images/0.tif 'red'; bring all files into one band" in said


def test_descriptions_go_before_colours_where_files_are_compared(
    fit_segmentation: Fit, put: Raster
) -> None:
    put('images/a.tif', PIXELS, descriptions=('blue', 'green', 'red'), photometric='RGB')
    put('images/b.tif', PIXELS, descriptions=('blue', 'green', 'red'), photometric='MINISBLACK')
    put('masks/a.tif', MASK)
    put('masks/b.tif', MASK)
    options = {'data.images': '../images', 'data.masks': '../masks'}
    record = fit_segmentation({**options, 'model.backbone': 'tu-test_resnet'}).record
    assert record['bands'] == ['blue', 'green', 'red']
    # colours alone, among them
    put('images/c.tif', PIXELS, photometric='RGB')
    put('masks/c.tif', MASK)
    said = fit_segmentation(options).refusal
    assert "c.tif calls band 1 'red', " in said
    assert "a.tif 'blue'" in said


@pytest.mark.parametrize('kind', ['geotiffs', 'chips'])
def test_a_palette_is_no_image(fit_pretraining: Fit, put: Raster, kind: str) -> None:
    for number in range(8):
        indices(put, f'images/{number}.tif')
    options = {'data.remote_sensing': '../images', 'data.kind': kind}
    if kind == 'chips':
        options['data.patches_per_pass'] = 'null'
    said = fit_pretraining(options).refusal
    assert 'band 1 of ../images/0.tif holds indices into a table of colours (a palette)' in said
    assert 'expand it (gdal_translate -expand rgb), or pass bands=[1]' in said
    if kind == 'chips':
        # asked for, they are still not resized
        said = fit_pretraining({**options, 'data.bands': '[1,1,1]'}).refusal
        assert 'which resizing from 64 to 32 px would blend' in said


def test_a_mask_with_a_table_of_colours_is_a_mask(fit_segmentation: Fit, put: Raster) -> None:
    options = {
        'data.images': str(put('image.tif', PIXELS)),
        'data.masks': str(indices(put, 'm.tif')),
    }
    assert fit_segmentation({**options, 'model.backbone': 'tu-test_resnet'}).code == 0
    said = fit_segmentation({**options, 'data.images': str(indices(put, 'p.tif'))}).refusal
    assert 'p.tif holds indices into a table of colours (a palette)' in said


def test_bands_are_chosen_by_colour_or_by_number(fit_segmentation: Fit, put: Raster) -> None:
    options = {
        'data.images': str(image(put, 'image.tif', PIXELS[::-1], RGB[::-1])),
        'data.masks': str(put('mask.tif', MASK)),
        'model.backbone': 'tu-test_resnet',
        # as older configurations name them
        'data.bands': '[red,green,band_1]',
    }
    assert fit_segmentation(options).record['bands'] == ['red', 'green', 'blue']


def test_scale_and_offset_are_told_once(
    fit_segmentation: Fit, put: Raster, caplog: pytest.LogCaptureFixture
) -> None:
    path = put('image.tif', PIXELS)
    with rasterio.open(path, 'r+') as dst:
        dst.scales, dst.offsets = (2.75e-05,) * 3, (-0.2,) * 3
    options = {'data.images': str(path), 'data.masks': str(put('mask.tif', MASK))}
    with caplog.at_level(logging.INFO):
        assert fit_segmentation({**options, 'model.backbone': 'tu-test_resnet'}).code == 0
    told = 'are taken as stored; the file tags scale 2.75e-05 and offset -0.2'
    assert sum(told in record.message for record in caplog.records) == 1
