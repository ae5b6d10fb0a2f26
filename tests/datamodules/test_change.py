from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_origin
from rasterio.vrt import WarpedVRT
from torchgeo.tasks import ChangeDetection, SemanticSegmentation

from gersp_geo.datamodules.change import GeoTIFFChangeDetectionDataModule
from gersp_geo.datamodules.task_checks import check_dates
from gersp_geo.main import main
from gersp_geo.windows import Window

CONFIG = Path(__file__).parents[2] / 'configs' / 'finetune' / 'change.yaml'
GRID = from_origin(500000, 5000000, 2, 2)
HEIGHT, WIDTH = 80, 96


def write(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    profile: dict[str, Any] = {
        'driver': 'GTiff', 'count': len(pixels), 'height': pixels.shape[1], 'width': pixels.shape[2],
        'dtype': pixels.dtype, 'crs': 'EPSG:32633', 'transform': GRID,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, 'w', **profile | options) as dst:
        dst.write(pixels)
    return path


def smooth(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint16]:
    """Values that change slowly from pixel to pixel."""
    rows, cols = np.mgrid[:height, :width] / 9
    phases = np.random.default_rng(seed).uniform(0, 6, 3)
    bands = [2000 + 900 * np.sin(rows + phase) * np.cos(cols - phase) for phase in phases]
    return np.rint(np.stack(bands)).astype(np.uint16)


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Two places of two dates, with values 1 and 2 for masks."""
    for number, name in enumerate('ab'):
        place = GRID @ Affine.translation(0, 500 * number)
        write(tmp_path / 'before' / f'{name}.tif', smooth(number), transform=place)
        write(tmp_path / 'after' / f'{name}.tif', smooth(number + 5), transform=place)
        mask = (np.arange(HEIGHT * WIDTH).reshape(1, HEIGHT, WIDTH) // 7 % 5 == 0) + 1
        write(tmp_path / 'mask' / f'{name}.tif', mask.astype(np.uint8), transform=place)
    return tmp_path


def module(
    places: Path, *, dates: Sequence[str] = ('before', 'after'), **options: Any
) -> GeoTIFFChangeDetectionDataModule:
    options = {'size': 16, 'batch_size': 4, 'block_size': 32, 'mask_values': [1, 2]} | options
    before, after = (str(places / date) for date in dates)
    datamodule = GeoTIFFChangeDetectionDataModule(before, after, str(places / 'mask'), **options)
    datamodule.setup('fit')
    return datamodule


def test_batches_speak_torchgeo_and_dates_are_normalised_alike(places: Path) -> None:
    datamodule = module(places)
    record = datamodule.describe()
    assert len(record.bands) == 3
    assert record.class_names == ('no change', 'change')
    # a map shows the ground in grey, and red is what is looked for
    assert record.class_colors == ((235, 235, 235), (214, 39, 40))
    # both dates are measured
    means = [smooth(seed).mean(axis=(1, 2)) for seed in (0, 1, 5, 6)]
    np.testing.assert_allclose(record.mean, np.mean(means, axis=0), rtol=0.1)
    batch = next(iter(datamodule.val_dataloader()))
    assert batch['image'].shape == (4, 2, 3, 16, 16)
    assert (batch['mask'].shape, batch['mask'].dtype) == ((4, 1, 16, 16), torch.int64)
    assert datamodule.train_aug is not None
    inputs = datamodule.train_aug(batch)
    assert inputs['image'].shape == batch['image'].shape
    assert abs(float(inputs['image'].mean())) < 0.5
    sample = {key: value[0] for key, value in batch.items()}
    assert len(datamodule.plot(sample | {'prediction': sample['mask']}).axes) == 4
    assert datamodule.sources()['after'].endswith('after')


def test_paths_of_the_second_date_are_made_out_of_those_of_the_first(places: Path) -> None:
    datamodule = GeoTIFFChangeDetectionDataModule(
        str(places / 'before'), {'/before/': '/after/'}, {'/before/': '/mask/'}, size=16,
        block_size=32, mask_values=[1, 2],
    )  # fmt: skip
    sample = datamodule.scan().tiles.read(1, Window(row_off=0, col_off=0, height=16, width=16))
    assert torch.equal(sample['image'][1], torch.from_numpy(smooth(6)[:, :16, :16].astype('f4')))
    assert datamodule.sources()['after'] == '/before/ -> /after/'


def test_swapped_dates_swap(places: Path) -> None:
    there, back = (
        next(iter(module(places, dates=dates).val_dataloader()))
        for dates in (('before', 'after'), ('after', 'before'))
    )
    assert torch.equal(there['image'], back['image'].flip(1))
    assert torch.equal(there['mask'], back['mask'])


# one is tilted, where the kernel of GDAL follows the window
@pytest.mark.parametrize(('crs', 'tolerance'), [('EPSG:32633', 1), ('EPSG:32634', 8)])
def test_another_grid_is_read_as_rasterio_warps_it(
    places: Path, crs: str, tolerance: float
) -> None:
    path = places / 'after' / 'a.tif'
    pixels = smooth(8, 200, 240)
    with rasterio.open(places / 'before' / 'a.tif') as src:
        (x,), (y,) = rasterio.warp.transform(src.crs, crs, [src.bounds.left], [src.bounds.top])
    write(path, pixels, crs=crs, transform=from_origin(x - 60.7, y + 90.3, 2, 2))
    datamodule = module(places)
    window = Window(row_off=24, col_off=40, height=16, width=16)
    image = datamodule.scan().tiles.read(0, window)['image']
    with (
        rasterio.open(path) as src,
        WarpedVRT(
            src, crs='EPSG:32633', transform=GRID, height=HEIGHT, width=WIDTH,
            resampling=Resampling.bilinear, tolerance=1e-6,
        ) as warped,
    ):  # fmt: skip
        expected = warped.read(window=((24, 40), (40, 56)))
    np.testing.assert_allclose(image[1].numpy(), expected, atol=tolerance)
    assert torch.equal(image[0], torch.from_numpy(smooth(0)[:, 24:40, 40:56].astype(np.float32)))


def test_what_either_date_lacks_is_not_learned_from(places: Path) -> None:
    first, second = smooth(0), smooth(5)
    first[:, 10:14], second[:, :, 20:23] = 0, 0
    write(places / 'before' / 'a.tif', first, nodata=0)
    # of a smaller extent on other pixels, too
    write(places / 'after' / 'a.tif', second[:, :60], nodata=0)
    datamodule = module(places)
    whole = Window(row_off=0, col_off=0, height=HEIGHT, width=WIDTH)
    sample = datamodule.scan().tiles.read(0, whole)
    lost = np.zeros((HEIGHT, WIDTH), dtype=bool)
    lost[10:14], lost[:, 20:23], lost[60:] = True, True, True
    assert np.array_equal(
        sample['image'].isnan().numpy(), np.broadcast_to(lost, (2, 3, *lost.shape))
    )
    assert np.array_equal(sample['mask'][0].numpy() == 255, lost)
    counts = datamodule.scan().counts
    assert counts.sum() == (~lost).sum() + HEIGHT * WIDTH
    batch = datamodule.aug({'image': sample['image'][None]})
    assert (batch['image'][0][:, :, torch.from_numpy(lost)] == 0).all()


def test_no_ground_is_in_two_splits_and_workers_read_alike(places: Path) -> None:
    write(places / 'after' / 'b.tif', smooth(3), transform=GRID @ Affine.translation(0.4, 500.3))
    datamodule, other = (module(places, length=8, num_workers=n) for n in (0, 2))
    for here, there in zip(datamodule.train_dataloader(), other.train_dataloader(), strict=True):
        assert torch.equal(here['image'].nan_to_num(), there['image'].nan_to_num())
    train, val = datamodule.train_patches, datamodule.val_dataset
    assert train is not None
    seen = np.zeros((2, 2, HEIGHT, WIDTH), dtype=bool)
    drawn = [train.patch(epoch, i) for epoch in range(3) for i in range(200)]
    for split, patches in enumerate((drawn, val.patches)):  # type: ignore[union-attr]
        for tile, w in patches:
            seen[split, tile, w.row_off : w.row_stop, w.col_off : w.col_stop] = True
    assert not seen.all(axis=0).any()


def test_wrong_pairs_are_refused_in_one_line(places: Path) -> None:
    after = places / 'after' / 'a.tif'
    for options, message in (
        ({'dtype': 'uint8'}, r'two dates must be of one data type.*convert'),
        ({'transform': from_origin(0, 5000000, 2, 2)}, r'have no ground in common'),
        ({'crs': None}, r'names no CRS and lies on another grid'),
    ):
        pixels = smooth(5).astype(options.get('dtype', 'uint16'))
        write(after, pixels, **options)
        with pytest.raises(ValueError, match=message):
            module(places)
    write(after, smooth(5)[:2])
    with pytest.raises(ValueError, match=r'bands'):
        module(places)
    after.unlink()
    with pytest.raises(FileNotFoundError, match=r'no scene after named a .*after='):
        module(places)


def test_a_task_that_would_learn_something_else_is_refused(places: Path) -> None:
    datamodule = module(places)
    datamodule.trainer = Trainer(logger=False, enable_checkpointing=False)

    def setup(task: Any) -> None:
        datamodule.trainer.strategy.connect(task)  # type: ignore[union-attr]
        datamodule.setup('fit')

    setup(ChangeDetection('fcn', num_filters=2))
    with pytest.raises(ValueError, match=r'for torchgeo.tasks.ChangeDetection'):
        setup(SemanticSegmentation('fcn', num_classes=2, num_filters=2))
    with pytest.raises(ValueError, match=r'compares two dates, and these images are one'):
        check_dates(ChangeDetection('fcn', num_filters=2), 1)
    second = smooth(5)
    second[:, :5] = 0
    write(places / 'after' / 'a.tif', second, nodata=0)
    datamodule = module(places)
    datamodule.trainer = Trainer(logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match=r'ignore_index of the task must be 255'):
        setup(ChangeDetection('fcn', num_filters=2))
    setup(ChangeDetection('fcn', num_filters=2, loss='dice', ignore_index=255))


@pytest.mark.slow
@pytest.mark.parametrize('name', ['levir', 'oscd'])
def test_real_pairs_are_learned_from(real_data: Path, tmp_path: Path, name: str) -> None:
    options: dict[str, Any] = {'size': 64, 'block_size': 128, 'batch_size': 2, 'length': 4}
    if name == 'levir':
        folder = real_data / 'change' / 'levir_cd_samples_8' / 'levir_samples'
        paths, values, bands = [folder / part for part in ('A', 'B', 'label')], [0, 255], 3
    else:
        folder = real_data / 'change' / 'oscd_beirut_10m_bands' / 'OSCD'
        dates = [folder / 'images' / 'beirut' / f'imgs_{date}' for date in (1, 2)]
        paths, values, bands = [next(date.glob('*_B04.tif')) for date in dates], [1, 2], 1
        # as shipped, the map of change has no place
        with (
            rasterio.open(folder / 'labels' / 'beirut' / 'cm' / 'beirut-cm.tif') as src,
            rasterio.open(paths[0]) as image,
        ):
            place = {'crs': image.crs, 'transform': image.transform}
            paths.append(write(tmp_path / 'change.tif', src.read(), **place))
    datamodule = GeoTIFFChangeDetectionDataModule(*map(str, paths), mask_values=values, **options)
    task = ChangeDetection('fcn', in_channels=bands, num_filters=2)
    trainer = Trainer(fast_dev_run=2, accelerator='cpu', enable_progress_bar=False, logger=False)
    trainer.fit(task, datamodule)
    assert torch.isfinite(trainer.callback_metrics['val_loss'])
    assert datamodule.describe().class_names == ('no change', 'change')


@pytest.mark.slow
def test_the_shipped_configuration_finds_change_elsewhere(workplace: Path) -> None:
    words = [
        '--model.model', 'fcn', '--model.num_filters', '16', '--model.lr', '0.01',
        '--data.length', '320', '--trainer.accelerator', 'cpu',
        '--trainer.max_epochs', '3', '--data.size', '64', '--data.block_size', '64',
        '--trainer.enable_progress_bar', 'false',
    ]  # fmt: skip
    assert main(['fit', '--config', str(CONFIG), *words]) == 0
    assert main(['sample-data', 'other', '--seed', '1', '--no-progress']) == 0
    scenes = ['other/change/before.tif', '--after', 'other/change/after.tif']
    assert main(['predict', 'runs/change/checkpoints/last.ckpt', *scenes, '-o', 'found.tif']) == 0
    with rasterio.open('found.tif') as found, rasterio.open('other/change/mask.tif') as truth:
        predicted, true = found.read(1) == 1, truth.read(1) == 1
        assert found.tags(1)['CLASS_NAMES'] == '["unchanged", "changed"]'
    assert (predicted & true).sum() / (predicted | true).sum() > true.mean()
