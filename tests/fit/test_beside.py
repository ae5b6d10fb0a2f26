"""Masks, overviews and metadata in files beside an image count as they do in the image."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.tasks import GeRSPTask

from .conftest import Fit, Raster

HIDDEN = np.arange(128) < 64
"""Columns without an observation."""

LEFT, RIGHT = 5000, 1000
"""File values of the columns without an observation, and of the others, which have noise on top."""


def scene() -> NDArray[np.uint16]:
    """An image whose left half is no observation."""
    noise = np.random.default_rng(0).integers(-9, 10, (3, 128, 128))
    return np.where(HIDDEN, LEFT, RIGHT + noise).astype(np.uint16)


def means_of(record: dict[str, Any]) -> list[float]:
    """Means in file values."""
    return [mean / scale for mean, scale in zip(record['mean'], record['scale'], strict=True)]


def beside_mask(path: Path) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, 'r+') as dst:
        dst.write_mask(np.repeat(~HIDDEN[None], 128, axis=0))
    assert Path(f'{path}.msk').exists()


def inside_mask(path: Path) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, 'r+') as dst:
        dst.write_mask(np.repeat(~HIDDEN[None], 128, axis=0))
    assert not Path(f'{path}.msk').exists()


def mask_of_each_band(path: Path) -> None:
    # as programs other than GDAL write it: a raster of one mask per band
    flags = {f'INTERNAL_MASK_FLAGS_{band}': '0' for band in (1, 2, 3)}
    with rasterio.open(path) as src:
        profile = src.profile | {'dtype': 'uint8', 'photometric': 'MINISBLACK'}
    hidden = np.broadcast_to(np.where(HIDDEN, 0, 255).astype('uint8'), (3, 128, 128))
    with rasterio.open(f'{path}.msk', 'w', **profile) as dst:
        dst.write(hidden)
        dst.update_tags(**flags)


def nodata_in_metadata(path: Path) -> None:
    bands = ''.join(
        f'<PAMRasterBand band="{band}"><NoDataValue>{LEFT}</NoDataValue></PAMRasterBand>'
        for band in (1, 2, 3)
    )
    Path(f'{path}.aux.xml').write_text(f'<PAMDataset>{bands}</PAMDataset>')


def part_of_vrt(path: Path) -> None:
    # the mask lies beside the part, and the virtual raster asks for it
    beside_mask(path)
    with rasterio.open(path) as src:
        rasterio.shutil.copy(src, path.with_suffix('.vrt'), driver='VRT')
    path.rename(path.with_suffix('.part'))
    Path(f'{path}.msk').rename(f'{path.with_suffix(".part")}.msk')
    text = path.with_suffix('.vrt').read_text()
    path.with_suffix('.vrt').write_text(text.replace(path.name, path.with_suffix('.part').name))


HIDING: dict[str, Callable[[Path], None]] = {
    'mask': beside_mask,
    'mask inside': inside_mask,
    'mask of each band': mask_of_each_band,
    'nodata': nodata_in_metadata,
    'part of a VRT': part_of_vrt,
}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor | None]]:
    """Images and masks of every training step."""
    steps: list[tuple[Tensor, Tensor | None]] = []

    def listen(task: type[Any], take: Callable[[Any], tuple[Tensor, Tensor | None]]) -> None:
        step = task.training_step

        def listening(self: Any, batch: Any, batch_idx: int) -> Tensor:
            steps.append(take(batch))
            loss: Tensor = step(self, batch, batch_idx)
            return loss

        monkeypatch.setattr(task, 'training_step', listening)

    listen(SemanticSegmentation, lambda batch: (batch['image'], batch['mask']))
    listen(GeRSPTask, lambda batch: (batch['remote_sensing']['image'], None))
    return steps


@pytest.mark.quick('mask-0', 'part of a VRT-0', 'mask-1')
@pytest.mark.parametrize(('hide', 'workers'), [*((hide, 0) for hide in HIDING), ('mask', 1)])
def test_what_is_hidden_is_neither_measured_nor_learned_from_in_pretraining(
    fit_pretraining: Fit, put: Raster, seen: list[Any], hide: str, workers: int
) -> None:
    HIDING[hide](put('images/a.tif', scene()))
    fitted = fit_pretraining({'data.remote_sensing': '../images', 'data.num_workers': workers})
    assert means_of(fitted.record) == pytest.approx([RIGHT] * 3, abs=1)
    # hidden pixels get the mean of their band
    assert max(images.int().max().item() for images, _ in seen) < LEFT


def test_what_is_hidden_is_neither_measured_nor_learned_from_in_fine_tuning(
    fit_segmentation: Fit, put: Raster, seen: list[Any]
) -> None:
    beside_mask(put('image.tif', scene()))
    # class 2 lies under the hidden part alone
    labels = np.where(HIDDEN, 2, np.arange(128)[:, None] // 16 % 2)
    mask = put('mask.tif', labels.astype('uint8'))
    record = fit_segmentation({'data.images': '../image.tif', 'data.masks': str(mask)}).record
    assert record['class_names'] == ['class_0', 'class_1']
    assert means_of(record) == pytest.approx([RIGHT] * 3, abs=1)
    found = torch.cat([masks.unique() for _, masks in seen]).unique().tolist()
    assert set(found) <= {0, 1, 255}


def test_a_mask_that_comes_later_is_seen_in_the_next_run(
    fit_pretraining: Fit, put: Raster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # everything is remembered, as if it had taken long
    monkeypatch.setenv('GERSP_GEO_CACHE', str(tmp_path / 'cache'))
    for module in ('geoio.read.headers', 'datasets.geotiff_patches', 'datamodules.stream_record'):
        monkeypatch.setattr(f'gersp_geo.{module}.WORTH_KEEPING', 0.0)
    path = put('images/a.tif', scene())

    def mean() -> float:
        fitted = fit_pretraining({'data.remote_sensing': '../images'})
        means = means_of(fitted.record)
        next(fitted.folder.rglob('*.ckpt')).unlink()
        return means[0]

    assert mean() > RIGHT + 300
    beside_mask(path)
    assert mean() == pytest.approx(RIGHT, abs=1)
    Path(f'{path}.msk').unlink()
    assert mean() > RIGHT + 300


def test_what_the_user_tells_gdal_stays(
    fit_pretraining: Fit, put: Raster, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside_mask(put('images/a.tif', scene()))
    monkeypatch.setenv('GDAL_DISABLE_READDIR_ON_OPEN', 'EMPTY_DIR')
    before = {name: value for name, value in os.environ.items() if name.startswith('GDAL')}
    record = fit_pretraining({'data.remote_sensing': '../images'}).record
    assert means_of(record)[0] > RIGHT + 300
    after = {name: value for name, value in os.environ.items() if name.startswith('GDAL')}
    assert after == before


def test_names_of_bands_beside_an_image_are_those_of_the_record(
    fit_pretraining: Fit, put: Raster
) -> None:
    image = put('images/a.tif', scene())
    names = ['red', 'green', 'blue']
    bands = ''.join(
        f'<PAMRasterBand band="{band}"><Description>{name}</Description></PAMRasterBand>'
        for band, name in enumerate(names, start=1)
    )
    Path(f'{image}.aux.xml').write_text(f'<PAMDataset>{bands}</PAMDataset>')
    assert fit_pretraining({'data.remote_sensing': '../images'}).record['bands'] == names


@pytest.mark.quick('beside')
@pytest.mark.parametrize('where', ['beside', 'inside'])
def test_chips_are_made_from_overviews_wherever_these_lie(
    fit_pretraining: Fit, put: Raster, where: str
) -> None:
    # an overview that anybody can tell from the pixels
    for number in range(8):
        path = put(f'images/{number}.tif', scene(), tiled=True, blockxsize=64, blockysize=64)
        with rasterio.Env(TIFF_USE_OVR=where == 'beside'), rasterio.open(path, 'r+') as dst:
            dst.build_overviews([4])
        with rasterio.open(path, 'r+', OVERVIEW_LEVEL=0) as dst:
            dst.write(np.full((3, 32, 32), 50, dtype='uint16'))
        assert Path(f'{path}.ovr').exists() == (where == 'beside')
    options = {'data.remote_sensing': '../images', 'data.kind': 'chips'}
    record = fit_pretraining({**options, 'data.patches_per_pass': 'null'}).record
    assert means_of(record) == pytest.approx([50] * 3, abs=1)
