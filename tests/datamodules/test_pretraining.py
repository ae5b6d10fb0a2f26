from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import Trainer
from PIL import Image
from rasterio.transform import from_origin

from gersp_geo import GeRSPDataModule, GeRSPTask
from gersp_geo.bands import RGB


def write_tile(path: Path, *, bands: int, dtype: str, side: int = 80) -> None:
    generator = np.random.default_rng(len(path.name) + bands)
    pixels = generator.integers(1, 200, (bands, side, side)).astype(dtype)
    profile = {'driver': 'GTiff', 'count': bands, 'height': side, 'width': side, 'dtype': dtype}
    transform = from_origin(500_000, 5_000_000, 10, 10)
    with rasterio.open(path, 'w', crs='EPSG:32633', transform=transform, **profile) as dst:
        dst.write(pixels)


@pytest.fixture
def natural(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for name in ('cat', 'dog'):
        (tmp_path / 'natural' / name).mkdir(parents=True)
        for i in range(4):
            pixels = generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / 'natural' / name / f'{i}.jpg')
    return tmp_path / 'natural'


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    (tmp_path / 'tiles').mkdir()
    for name in ('a', 'bb'):
        write_tile(tmp_path / 'tiles' / f'{name}.tif', bands=4, dtype='uint16')
    return tmp_path / 'tiles'


def module(remote: Path, natural: Path | None, **arguments: Any) -> GeRSPDataModule:
    defaults: dict[str, Any] = {'size': 32, 'batch_size': 4, 'seed': 5}
    return GeRSPDataModule(str(remote), natural, **(defaults | arguments))


def test_a_batch_keeps_the_values_and_dtype_of_the_files(tiles: Path, natural: Path) -> None:
    data = module(tiles, natural)
    data.setup('fit')
    batch = next(iter(data.train_dataloader()))
    assert batch['remote_sensing']['image'].shape == (4, 4, 32, 32)
    assert batch['remote_sensing']['image'].dtype == torch.uint16
    assert batch['natural']['image'].shape == (4, 3, 32, 32)
    assert batch['natural']['image'].dtype == torch.uint8
    assert data.on_after_batch_transfer(batch, 0) is batch


def test_patches_lie_in_the_files_pixel_for_pixel(tiles: Path, natural: Path) -> None:
    data = module(tiles, natural)
    data.setup('fit')
    assert data.batches is not None
    patch = data.batches[0, 0]['remote_sensing']['image'][0].numpy()
    files = [rasterio.open(path).read() for path in sorted(tiles.iterdir())]
    places = [
        (row, col)
        for pixels in files
        for row, col in np.argwhere(pixels[0, :49, :49] == patch[0, 0, 0])
        if np.array_equal(pixels[:, row : row + 32, col : col + 32], patch)
    ]
    assert len(places) == 1


def test_the_same_seed_gives_the_same_batches(tiles: Path, natural: Path) -> None:
    batches = []
    for seed in (5, 5, 6):
        data = module(tiles, natural, seed=seed)
        data.setup('fit')
        batches.append(next(iter(data.train_dataloader()))['remote_sensing']['image'].int())
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])


def test_photographs_are_described_by_imagenet_statistics(natural: Path) -> None:
    record = module(natural, natural).describe()
    assert (record.bands, record.mean, record.std) == (RGB.bands, RGB.mean, RGB.std)
    assert record.scale == pytest.approx([1 / 255] * 3)
    assert record.size == 32


def test_other_bands_are_described_by_what_is_measured(tiles: Path, natural: Path) -> None:
    record = module(tiles, natural).describe()
    assert len(record.bands) == 4
    assert record.scale == (1.0,) * 4
    assert record.mean == pytest.approx([100] * 4, rel=0.05)
    assert record.std == pytest.approx([57.4] * 4, rel=0.05)
    assert record.res_m == pytest.approx(10)
    assert module(tiles, natural).describe() == record


def test_given_statistics_win(tiles: Path) -> None:
    data = GeRSPDataModule(
        str(tiles), size=32, batch_size=4, scale=[1e-4] * 4, mean=[0.1] * 4, std=[0.2] * 4
    )
    record = data.describe()
    assert (record.scale, record.mean, record.std) == ((1e-4,) * 4, (0.1,) * 4, (0.2,) * 4)


@pytest.mark.parametrize('supervised_weight', [0.0, 1.0])
def test_four_bands_train_with_the_statistics_of_the_data_module(
    tiles: Path, natural: Path, supervised_weight: float
) -> None:
    task = GeRSPTask(
        model='resnet18',
        in_channels=4,
        rgb_bands=(2, 1, 0),
        size=32,
        num_classes=2,
        memory_bank_size=8,
        supervised_weight=supervised_weight,
    )
    data = module(tiles, natural if supervised_weight else None, steps_per_epoch=2)
    trainer = Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(task, datamodule=data)
    assert trainer.global_step == 2
    assert trainer.callback_metrics['train_loss'].isfinite()
    assert ('train_supervised_loss' in trainer.callback_metrics) == (supervised_weight > 0)
    view, _ = task.two_views(next(iter(data.train_dataloader()))['remote_sensing']['image'])
    assert view.mean().abs() < 1


def test_four_bands_without_statistics_are_refused(tiles: Path) -> None:
    task = GeRSPTask(model='resnet18', in_channels=4, num_classes=2, memory_bank_size=8)
    loader = [{'remote_sensing': {'image': torch.zeros(2, 4, 32, 32)}}]
    with pytest.raises(ValueError, match='in_channels=4 needs augmentation1, or a data module'):
        Trainer(max_steps=1, logger=False, enable_checkpointing=False).fit(task, loader)


@pytest.mark.parametrize('kind', ['missing', 'empty'])
def test_a_missing_or_empty_folder_is_named(tmp_path: Path, natural: Path, kind: str) -> None:
    folder = tmp_path / 'archive'
    if kind == 'empty':
        folder.mkdir()
    with pytest.raises(FileNotFoundError, match='archive'):
        module(folder, natural).setup('fit')


def test_missing_pixels_of_float_tiles_are_nan_and_training_stays_finite(
    tmp_path: Path, tiles: Path
) -> None:
    for path in tiles.iterdir():
        with rasterio.open(path) as src:
            pixels, profile = src.read().astype('float32'), src.profile
        pixels[:, 20:50, 20:50] = -9999
        with rasterio.open(path, 'w', **(profile | {'dtype': 'float32', 'nodata': -9999})) as dst:
            dst.write(pixels)
    data = module(tiles, None)
    data.setup('fit')
    assert data.batches is not None
    image = data.batches[0, 0]['remote_sensing']['image']
    assert image.isnan().any()
    assert image.nan_to_num().min() >= 0
    task = GeRSPTask(
        model='resnet18', in_channels=4, size=32, num_classes=2, memory_bank_size=8,
        supervised_weight=0.0,
    )  # fmt: skip
    trainer = Trainer(
        max_steps=2, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(task, datamodule=data)
    assert all(view.isfinite().all() for view in task.two_views(image))
    assert trainer.callback_metrics['train_loss'].isfinite()


@pytest.mark.parametrize(('dtype', 'unit'), [('uint8', '0.00392157'), ('float32', '1')])
def test_a_scale_that_the_task_would_not_apply_is_refused(
    tmp_path: Path, dtype: str, unit: str
) -> None:
    write_tile(tmp_path / 'a.tif', bands=2, dtype=dtype)
    data = module(tmp_path, None, batch_size=1, scale=[1e-4, 1e-4])
    with pytest.raises(ValueError, match=f'scale must be {unit} for torch.{dtype}'):
        data.describe()


def test_a_folder_of_geotiffs_and_photographs_is_refused(tiles: Path, natural: Path) -> None:
    (natural / 'cat' / '0.jpg').rename(tiles / 'preview.jpg')
    with pytest.raises(ValueError, match=r'both images \(\.jpg\) and GeoTIFFs \(\.tif\)'):
        module(tiles, natural).setup('fit')


def test_fewer_logits_than_folders_of_natural_images_are_refused_at_the_start(
    tiles: Path, natural: Path
) -> None:
    data = module(tiles, natural, steps_per_epoch=1)
    task = GeRSPTask(
        model='resnet18', in_channels=4, size=32, num_classes=1, memory_bank_size=2, output_dim=8
    )
    trainer = Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    with pytest.raises(ValueError, match='classes of the natural images, 2, got 1'):
        trainer.fit(task, datamodule=data)


def test_an_epoch_counts_each_image_once(tiles: Path, natural: Path) -> None:
    data = module(tiles, natural, steps_per_epoch=2, patches_per_pass=20)
    data.setup('fit')
    assert data.distinct_samples == 2 * 4
    data = module(tiles, natural, steps_per_epoch=50, patches_per_pass=20)
    data.setup('fit')
    assert data.distinct_samples == 20
