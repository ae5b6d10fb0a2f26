"""What the student sees follows from the values, whatever door they come in by."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from timm.models.resnet import ResNet
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from gersp_geo import GeRSPTask

type Run = Any
type Fit = Callable[..., Run]
type Raster = Callable[..., Path]

SIDE = 96


@pytest.fixture
def seen() -> Iterator[list[Tensor]]:
    """What backbones are given, batch by batch, student and teacher in turn."""
    inputs: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if isinstance(module, ResNet):
            inputs.append(arguments[0].detach().clone())

    handle = register_module_forward_pre_hook(keep)
    yield inputs
    handle.remove()


def scene(*means: float, std: float, dtype: str = 'float32') -> NDArray[Any]:
    """Three bands of normal values."""
    values = np.random.default_rng(0).normal(0, std, (3, SIDE, SIDE)) + np.reshape(means, (3, 1, 1))
    pixels: NDArray[Any] = values.astype(dtype)
    return pixels


def uniform(low: float, high: float, dtype: str = 'float32') -> NDArray[Any]:
    """Three bands of even values in [low, high)."""
    return np.random.default_rng(0).uniform(low, high, (3, SIDE, SIDE)).astype(dtype)


NO_PHOTOGRAPHS = {
    'decibels': scene(-12, -18, 6, std=4),
    'digital numbers as float': uniform(0, 4000),
    'elevation, slope, aspect': scene(1500, 12, 180, std=4),
    'float to 255': uniform(0, 255),
    'indices': uniform(-1, 1),
    'indices of forest': scene(0.5, 0.3, 0.6, std=0.25),
    'decibels times 100': scene(-1200, -1800, -700, std=400, dtype='int16'),
    'differences': scene(0, 0, 0, std=3000, dtype='int16'),
    'int8': scene(0, 0, 0, std=30, dtype='int8'),
    'radiances beyond 1': uniform(0, 3, dtype='float64'),
    'classes in bytes': uniform(0, 12, dtype='uint8'),
    'masks in bytes': (uniform(0, 1) > 0.7).astype(np.uint8),
}


@pytest.mark.quick('decibels', 'classes in bytes')
@pytest.mark.parametrize('kind', NO_PHOTOGRAPHS)
def test_three_bands_that_are_no_photograph_reach_the_student_whole(
    kind: str, fit_pretraining: Fit, put: Raster, seen: list[Tensor]
) -> None:
    pixels = NO_PHOTOGRAPHS[kind]
    run = fit_pretraining({'data.remote_sensing': put('scene.tif', pixels)})
    record = run.record
    factor = np.reshape(record['scale'], (3, 1, 1))
    scaled = pixels.astype(np.float64) * factor
    np.testing.assert_allclose(record['mean'], scaled.mean(axis=(1, 2)), atol=0.05 * scaled.std())
    np.testing.assert_allclose(record['std'], scaled.std(axis=(1, 2)), rtol=0.05)
    for view in seen:
        # 1 as loaded; crops are enlarged, which smooths noise, and gains are 0.6 to 1.4
        assert 0.4 < float(view.std(dim=(2, 3)).mean()) < 1.2
        assert float(view.std(dim=(2, 3)).min()) > 0.15
        # nothing is piled up at a bound, unless the scene is
        if 'bytes' in kind:
            continue
        low, high = view.amin(dim=(2, 3), keepdim=True), view.amax(dim=(2, 3), keepdim=True)
        assert float(((view == low) | (view == high)).float().mean()) < 0.02


def test_a_few_values_far_beyond_all_others_are_refused(
    fit_pretraining: Fit, fit_segmentation: Fit, put: Raster
) -> None:
    pixels = uniform(0, 1)
    pixels[:, ::12, ::12] = np.finfo('float32').min
    source = put('scene.tif', pixels)
    line = fit_pretraining({'data.remote_sensing': source}).refusal
    assert 'has a standard deviation of' in line
    assert 'pass nodata' in line
    mask = np.repeat([0, 1], SIDE // 2).astype(np.uint8) * np.ones((SIDE, 1), dtype=np.uint8)
    line = fit_segmentation({'data.images': source, 'data.masks': put('mask.tif', mask)}).refusal
    assert 'pass nodata' in line


def test_names_tell_bytes_that_are_no_colours(
    fit_pretraining: Fit, put: Raster, seen: list[Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    pixels = uniform(10, 200, dtype='uint8')
    pixels[1] //= 4
    source = put('sar.tif', pixels, descriptions=('VV', 'VH', 'ratio'))
    run = fit_pretraining({'data.remote_sensing': source})
    np.testing.assert_allclose(run.record['mean'], pixels.mean(axis=(1, 2)) / 255, atol=0.02)
    assert 'not those of red, green and blue' in caplog.text
    # bands keep their own signs: photographs are drawn grey with probability 0.2
    assert not any(torch.equal(image[0], image[1]) for view in seen for image in view)


@pytest.mark.quick('pixels2')
@pytest.mark.parametrize(
    ('pixels', 'names'),
    [
        (uniform(0, 255, dtype='uint8'), None),
        (uniform(0, 4000, dtype='uint16'), None),
        (uniform(0, 4000, dtype='int16'), ('B4', 'B3', 'B2')),
        (uniform(0, 1), None),
        (uniform(0, 1), ('Blue', 'Green', 'Red')),
    ],
)
def test_photographs_are_augmented_as_released(
    pixels: NDArray[Any],
    names: tuple[str, ...] | None,
    fit_pretraining: Fit,
    put: Raster,
    seen: list[Tensor],
) -> None:
    source = put('scene.tif', pixels, descriptions=names)
    record = fit_pretraining({'data.remote_sensing': source, 'trainer.max_steps': 4}).record
    mean, std = (torch.tensor(record[key]).view(3, 1, 1) for key in ('mean', 'std'))
    colors = torch.cat(seen) * std + mean
    assert float(colors.min()) > -1e-5
    assert float(colors.max()) < 1 + 1e-5
    # a fifth of the 32 views is grey
    grey = [image for image in colors if torch.allclose(image[0], image[2], atol=1e-5)]
    assert 0 < len(grey) < 20


@pytest.mark.quick('geotiffs')
@pytest.mark.parametrize('kind', ['geotiffs', 'chips'])
def test_a_scale_brings_colours_in_floating_point_to_one(
    kind: str, fit_pretraining: Fit, put: Raster, seen: list[Tensor]
) -> None:
    pixels = uniform(0, 255)
    for name in 'abcd':
        put(f'archive/{name}.tif', pixels)
    folder = put('archive/e.tif', pixels).parent
    options: dict[str, object] = {'data.remote_sensing': folder, 'data.kind': kind}
    if kind == 'chips':
        options['data.patches_per_pass'] = 'null'
    run = fit_pretraining(options | {'data.scale': [1 / 255] * 3})
    record = run.record
    assert record['scale'] == pytest.approx([1 / 255] * 3)
    assert record['dtype'] == 'float32'
    np.testing.assert_allclose(record['mean'], pixels.mean(axis=(1, 2)) / 255, atol=0.03)
    mean, std = (torch.tensor(record[key]).view(3, 1, 1) for key in ('mean', 'std'))
    colors = torch.cat(seen) * std + mean
    assert -1e-5 < float(colors.min()) < 0.1
    assert 0.9 < float(colors.max()) < 1 + 1e-5


DATASETS = """
import torch
from torch.utils.data import Dataset, IterableDataset

class Decibels(Dataset):
    def __init__(self, factor: float = 1.0):
        self.factor = factor
    def __len__(self):
        return 16
    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return {'image': self.factor * (4 * torch.randn(3, 32, 32, generator=generator) - 12)}

class Bytes(Dataset):
    def __len__(self):
        return 16
    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return {'image': 255 * torch.rand(3, 32, 32, generator=generator)}

class Endless(IterableDataset):
    def __iter__(self):
        while True:
            yield {'image': torch.rand(3, 32, 32)}
"""


@pytest.fixture
def own_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of data sets, as a user has one beside the configuration."""
    (tmp_path / 'own').mkdir()
    (tmp_path / 'own' / 'own_datasets.py').write_text(DATASETS)
    monkeypatch.syspath_prepend(tmp_path / 'own')


@pytest.mark.usefixtures('own_datasets')
@pytest.mark.parametrize('name', ['Decibels', 'Bytes'])
def test_a_data_set_of_any_values_reaches_the_student_whole(
    name: str, fit_pretraining: Fit, seen: list[Tensor]
) -> None:
    source = {
        'data.remote_sensing_dataset': f'own_datasets.{name}',
        'data.patches_per_pass': 'null',
    }
    assert fit_pretraining(source).code == 0
    assert all(0.4 < float(view.std(dim=(2, 3)).mean()) < 1.2 for view in seen)


@pytest.mark.usefixtures('own_datasets')
def test_a_data_set_without_numbers_is_refused(fit_pretraining: Fit) -> None:
    line = fit_pretraining({'data.remote_sensing_dataset': 'own_datasets.Endless'}).refusal
    assert 'Endless is an IterableDataset' in line


def test_a_pipeline_that_cuts_off_values_stops_the_run(fit_pretraining: Fit, put: Raster) -> None:
    jitter = {
        'model.augmentation1': 'kornia.augmentation.ColorJitter',
        'model.augmentation1.brightness': 0.4,
        'model.augmentation1.p': 1.0,
    }
    for name in ('decibels', 'digital numbers as float', 'elevation, slope, aspect'):
        source = {'data.remote_sensing': put('scene.tif', NO_PHOTOGRAPHS[name])}
        line = fit_pretraining(source | jitter | {'data.batch_size': 8}).refusal
        assert 'views are constant or cut' in line
        assert 'Leave augmentation1 out' in line


def test_a_script_without_a_data_module_is_stopped_too() -> None:
    task = GeRSPTask(model='test_resnet', size=32, memory_bank_size=4, supervised_weight=0.0)
    images = torch.from_numpy(np.stack([NO_PHOTOGRAPHS['decibels'][:, :32, :32]] * 4))
    with pytest.raises(ValueError, match=r'colours must lie in \[0, 1\] after scaling, got'):
        task.training_step({'remote_sensing': {'image': images}}, 0)


@pytest.mark.quick('nodata')
@pytest.mark.parametrize('mask', ['nodata', 'mask'])
def test_pixels_of_chips_without_observation_become_the_mean(
    mask: str, fit_pretraining: Fit, put: Raster, seen: list[Tensor]
) -> None:
    pixels = scene(1000, 1000, 1000, std=50, dtype='int16')[:, :32, :32]
    pixels[:, :20] = -9999
    for name in 'abcdefgh':
        chip = put(f'chips/{name}.tif', pixels, nodata=-9999 if mask == 'nodata' else None)
        if mask == 'mask':
            with rasterio.open(chip, 'r+') as dst:
                dst.write_mask(pixels[0] != -9999)
    options = {'data.remote_sensing': chip.parent, 'data.kind': 'chips'}
    record = fit_pretraining(options | {'data.patches_per_pass': 'null'}).record
    mean = np.array(record['mean']) / record['scale']
    np.testing.assert_allclose(mean, 1000, atol=20)
    # in units of the deviation of what is observed
    assert all(float(view.abs().max()) < 10 for view in seen)
