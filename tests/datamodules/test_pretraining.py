from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from kornia.augmentation import Normalize
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
    # values are uniform in [1, 199]
    assert record.scale == pytest.approx([1 / 199] * 4, rel=0.01)
    assert record.mean == pytest.approx([0.5] * 4, rel=0.05)
    assert record.std == pytest.approx([0.288] * 4, rel=0.05)
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
        model='test_resnet',
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
    task = GeRSPTask(model='test_resnet', in_channels=4, num_classes=2, memory_bank_size=8)
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


@pytest.mark.parametrize(('dtype', 'nodata'), [('float32', -9999), ('int16', -9999), ('uint8', 0)])
def test_missing_pixels_take_the_mean_of_their_band(
    tmp_path: Path, tiles: Path, dtype: str, nodata: float
) -> None:
    for path in tiles.iterdir():
        with rasterio.open(path) as src:
            pixels, profile = src.read().astype(dtype), src.profile
        pixels[:, 20:50, 20:50] = nodata
        # or GDAL takes the fourth band for transparency
        profile |= {'dtype': dtype, 'nodata': nodata, 'photometric': 'minisblack'}
        with rasterio.open(path, 'w', **profile) as dst:
            dst.write(pixels)
    data = module(tiles, None)
    data.setup('fit')
    assert data.batches is not None
    record = data.describe()
    image = data.batches[0, 0]['remote_sensing']['image']
    values = image.float() * torch.tensor(record.scale).view(-1, 1, 1)
    mean = torch.tensor(record.mean).view(-1, 1, 1)
    filled = ((values - mean).abs() < 0.6 * max(record.scale)).all(dim=1)
    assert 0.05 < filled.float().mean() < 0.6
    assert image.min() > 0
    task = GeRSPTask(
        model='test_resnet', in_channels=4, size=32, num_classes=2, memory_bank_size=4,
        supervised_weight=0.0,
    )  # fmt: skip
    trainer = Trainer(
        max_steps=2, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(task, datamodule=data)
    assert trainer.callback_metrics['train_loss'].isfinite()


def test_a_scale_that_the_task_would_not_apply_is_refused(tmp_path: Path) -> None:
    write_tile(tmp_path / 'a.tif', bands=2, dtype='uint8')
    data = module(tmp_path, None, batch_size=1, scale=[1e-4, 1e-4])
    with pytest.raises(ValueError, match=r'scale must be 0.00392157 for torch.uint8'):
        data.describe()
    data = module(tmp_path, None, batch_size=1, scale=[1 / 255])
    with pytest.raises(ValueError, match=r'one value per band \(2\), got 1'):
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
        model='test_resnet', in_channels=4, size=32, num_classes=1, memory_bank_size=2, output_dim=8
    )
    trainer = Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    with pytest.raises(ValueError, match='classes of the natural images, 2, got 1'):
        trainer.fit(task, datamodule=data)


@pytest.mark.parametrize('steps', [2, 50])
def test_images_count_by_the_pass_however_long_an_epoch_is(
    steps: int, tiles: Path, natural: Path
) -> None:
    data = module(tiles, natural, steps_per_epoch=steps, patches_per_pass=20)
    data.setup('fit')
    assert data.distinct_samples == 20


def test_natural_images_that_come_cropped_are_not_cropped_again(tiles: Path, natural: Path) -> None:
    kinds: list[list[str]] = []
    for scale in (None, (0.2, 1.0)):
        task = GeRSPTask(
            model='test_resnet', in_channels=4, size=32, num_classes=2, memory_bank_size=4
        )
        data = module(tiles, natural, steps_per_epoch=1, natural_crop_scale=scale)
        trainer = Trainer(
            max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        trainer.fit(task, datamodule=data)
        kinds.append([type(step).__name__ for step in task.augmentation_natural.children()])
    assert 'CropTogether' in kinds[0]
    assert kinds[1] == [kind for kind in kinds[0] if kind != 'CropTogether']


def test_gentler_recipes_reach_the_views_of_any_bands(tiles: Path, natural: Path) -> None:
    task = GeRSPTask(
        model='test_resnet',
        in_channels=4,
        size=32,
        num_classes=2,
        memory_bank_size=4,
        crop_scale=(1.0, 1.0),
        color_strength=0.0,
    )
    data = module(tiles, natural, steps_per_epoch=1, natural_crop_scale=(0.2, 1.0))
    trainer = Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(task, datamodule=data)
    pipelines = (task.augmentation1, task.augmentation2, task.augmentation_natural)
    for pipeline, bands in zip(pipelines, (4, 4, 3), strict=True):
        images = torch.rand(8, bands, 32, 32)
        (normalize,) = (step for step in pipeline.modules() if isinstance(step, Normalize))
        # pixels only move
        views, still = (x.flatten(2).sort().values for x in (pipeline(images), normalize(images)))
        torch.testing.assert_close(views, still, atol=1e-4, rtol=0)


def test_two_dates_are_the_two_views_of_a_place(tmp_path: Path, natural: Path) -> None:
    scenes = tmp_path / 'scenes'
    scenes.mkdir()
    for year in (2020, 2021):
        write_tile(scenes / f'scene_{year}0101.tif', bands=3, dtype='uint16')
    data = module(
        scenes, natural, steps_per_epoch=1, two_dates=True,
        filename_regex=r'scene_(?P<date>\d{8})\.tif', toi=['2020-01-01', '2020-12-31'],
    )  # fmt: skip
    task = GeRSPTask(model='test_resnet', size=32, num_classes=2, memory_bank_size=4)
    trainer = Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(task, datamodule=data)
    assert data.batches is not None
    assert data.batches[0, 0]['remote_sensing']['image'].shape == (4, 6, 32, 32)
    assert len(data.describe().bands) == 3


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'roi': [5, 0, 1, 9]}, r'roi must be \[left, bottom, right, top\]'),
        ({'toi': ['2020-01-01']}, 'toi must be two dates'),
        ({'kind': 'tiffs'}, "kind must be 'auto', 'geotiffs' or 'chips'"),
        ({'kind': 'chips', 'min_valid': 0.5}, 'min_valid is for GeoTIFFs, got 0.5 for a folder of'),
        ({'two_dates': True}, r'filename_regex with a group \(\?P<date>'),
        ({'on_error': 'ignore'}, "on_error must be 'raise' or 'skip'"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    tiles: Path, natural: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        module(tiles, natural, **arguments).setup('fit')


def test_statistics_are_remembered_and_measured_anew_when_a_file_changes(
    tmp_path: Path, tiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('GERSP_GEO_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr('gersp_geo.datamodules.stream_record.WORTH_KEEPING', 0.0)
    first = module(tiles, None).describe()
    with monkeypatch.context() as patch:
        patch.delattr('gersp_geo.datamodules.stream_record.measure')
        assert module(tiles, None).describe() == first
    write_tile(tiles / 'a.tif', bands=4, dtype='uint16', side=90)
    assert module(tiles, None).describe() != first


def test_a_damaged_tile_is_replaced_only_if_that_is_wanted(tmp_path: Path) -> None:
    for number in range(150):
        write_tile(tmp_path / f'{number:03d}.tif', bands=1, dtype='uint16', side=40)
    damaged = tmp_path / '077.tif'
    damaged.write_bytes(damaged.read_bytes()[:-1500])
    arguments: dict[str, Any] = {'patches_per_pass': 600, 'scale': [1], 'mean': [0], 'std': [1]}
    data = module(tmp_path, None, **arguments)
    data.setup('fit')
    with pytest.raises(ValueError, match=r'077\.tif cannot be read at rows'):
        list(data.train_dataloader())
    data = module(tmp_path, None, on_error='skip', num_workers=1, **arguments)
    data.setup('fit')
    with pytest.warns(UserWarning, match=r'1 of 150 files cannot be read .*077\.tif'):
        batches = list(data.train_dataloader())
    assert len(batches) == 150
    assert all(set(batch) == {'remote_sensing'} for batch in batches)


@pytest.mark.parametrize(
    ('method', 'workers'),
    [
        ('fork', 1),
        ('fork', 3),
        pytest.param('spawn', 1, marks=pytest.mark.slow),
        ('forkserver', 1),
        pytest.param('spawn', 3, marks=pytest.mark.slow),
        pytest.param('forkserver', 3, marks=pytest.mark.slow),
    ],
)
def test_workers_give_the_batches_of_the_main_process_also_after_a_resume(
    tiles: Path, natural: Path, workers: int, method: str
) -> None:
    # a part of the tiles is missing, so that workers open files to draw a patch at all
    for path in tiles.iterdir():
        with rasterio.open(path, 'r+') as dst:
            dst.nodata = 7
    arguments: dict[str, Any] = {
        'steps_per_epoch': 5, 'min_valid': 0.9, 'natural_crop_scale': (0.2, 1.0), 'batch_size': 2,
        'patches_per_block': 2,
    }  # fmt: skip
    alone = module(tiles, natural, **arguments)
    alone.setup('fit')
    # opens files before the workers are forked
    expected = list(alone.train_dataloader())
    for done in range(5) if method == 'fork' and workers == 1 else [2]:
        interrupted = alone.train_dataloader()
        batches = iter(interrupted)
        seen = [next(batches) for _ in range(done)]
        data = module(
            tiles, natural, num_workers=workers, multiprocessing_context=method, **arguments
        )
        data.setup('fit')
        resumed = data.train_dataloader()
        resumed.load_state_dict(interrupted.state_dict())
        seen += list(resumed)
        assert len(seen) == len(expected) == 5
        for batch, wanted in zip(seen, expected, strict=True):
            pairs = [
                (batch['remote_sensing']['image'], wanted['remote_sensing']['image']),
                (batch['natural']['image'], wanted['natural']['image']),
                (batch['natural']['label'], wanted['natural']['label']),
            ]
            assert all(torch.equal(one, other) for one, other in pairs)
