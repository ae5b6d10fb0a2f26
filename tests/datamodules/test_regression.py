from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import Trainer
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_origin
from rasterio.vrt import WarpedVRT
from shapely import MultiPoint, Point
from torchgeo import tasks

from gersp_geo.datamodules.regression import GeoTIFFRegressionDataModule
from gersp_geo.labels.sources import crop
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.tasks import PixelwiseRegression
from gersp_geo.windows import Window

CONFIG = Path(__file__).parents[2] / 'configs' / 'finetune' / 'regression.yaml'
GRID = from_origin(500000, 5000000, 2, 2)
HEIGHT, WIDTH = 96, 112
WHOLE = Window(row_off=0, col_off=0, height=HEIGHT, width=WIDTH)


def write(path: Path, pixels: NDArray[Any], **options: Any) -> Path:
    profile: dict[str, Any] = {
        'driver': 'GTiff', 'count': len(pixels), 'height': pixels.shape[1], 'width': pixels.shape[2],
        'dtype': pixels.dtype, 'crs': 'EPSG:32633', 'transform': GRID,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, 'w', **profile | options) as dst:
        dst.write(pixels)
    return path


def heights(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.float32]:
    rows, cols = np.mgrid[:height, :width] / 11
    surface: NDArray[np.float32] = (10 + 8 * np.sin(rows) * np.cos(cols))[None].astype(np.float32)
    return surface


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 255, (3, HEIGHT, WIDTH), dtype=np.uint8)
    write(tmp_path / 'images' / 'a.tif', pixels, nodata=0)
    write(tmp_path / 'targets' / 'a.tif', heights(), nodata=-1)
    return tmp_path


def module(scenes: Path, task: Any = None, **options: Any) -> GeoTIFFRegressionDataModule:
    options = {'size': 16, 'batch_size': 4, 'block_size': 32} | options
    if 'points' not in options:
        options['targets'] = str(scenes / 'targets')
    datamodule = GeoTIFFRegressionDataModule(str(scenes / 'images'), **options)
    if task is not None:
        datamodule.trainer = Trainer(logger=False, enable_checkpointing=False, accelerator='cpu')
        datamodule.trainer.strategy.connect(task)
    datamodule.setup('fit')
    return datamodule


def test_batches_speak_torchgeo_and_the_record_carries_the_unit(scenes: Path) -> None:
    datamodule = module(scenes, quantity='height', units='m', target_scale=0.5)
    batch = next(iter(datamodule.val_dataloader()))
    assert batch['image'].shape == (4, 3, 16, 16)
    assert (batch['mask'].shape, batch['mask'].dtype) == ((4, 16, 16), torch.float32)
    record = datamodule.describe()
    assert (record.class_names, record.units) == (('height',), ('m',))
    assert 1 <= record.value_range[0] < record.value_range[1] <= 9
    assert Preprocessing.from_dict(record.to_dict()) == record
    sample = {key: value[0] for key, value in batch.items()}
    assert len(datamodule.plot(sample | {'prediction': sample['mask'][None]}).axes) == 3


def test_what_has_no_value_or_observation_is_nan(scenes: Path) -> None:
    truth = heights()
    truth[0, 3:9], truth[0, :, 40], truth[0, :, 41], truth[0, 60, 60] = -1, np.nan, np.inf, 0
    write(scenes / 'targets' / 'a.tif', truth, nodata=-1)
    datamodule = module(scenes, nodata=7)
    tiles = datamodule.scan().tiles
    sample = tiles.read(0, Window(row_off=-4, col_off=-4, height=HEIGHT + 8, width=WIDTH + 8))
    expected = np.where(np.isfinite(truth) & (truth != -1), truth, np.nan)[0]
    # one place of the images has the value 7 in all bands at most
    expected[~tiles.images.read_valid(0, WHOLE, nodata=7)] = np.nan
    np.testing.assert_array_equal(sample['mask'][4:-4, 4:-4], expected)
    assert sample['mask'][:4].isnan().all()
    assert datamodule.scan().counts.sum() == np.isfinite(expected).sum()


@pytest.mark.parametrize('resampling', ['nearest', 'bilinear'])
def test_another_grid_is_read_as_rasterio_warps_it(scenes: Path, resampling: Any) -> None:
    place = from_origin(500000 - 30.7, 5000000 + 41.3, 2, 2)
    path = write(scenes / 'targets' / 'a.tif', heights(140, 150), transform=place)
    tiles = module(scenes, resampling=resampling).scan().tiles
    window = Window(row_off=20, col_off=30, height=16, width=16)
    with (
        rasterio.open(path) as src,
        WarpedVRT(
            src, crs='EPSG:32633', transform=GRID, height=HEIGHT, width=WIDTH,
            resampling=Resampling[resampling], tolerance=1e-6,
        ) as warped,
    ):  # fmt: skip
        expected = warped.read(1, window=((20, 36), (30, 46)))
    np.testing.assert_allclose(tiles.read(0, window)['mask'], expected, atol=1e-3)


@pytest.mark.parametrize('holes', [0, 12])
def test_a_task_that_knows_no_gaps_gets_none(scenes: Path, holes: int) -> None:
    truth = heights()
    for row, col in np.random.default_rng(1).integers(0, 90, (holes, 2)):
        truth[0, row, col] = np.nan
    write(scenes / 'targets' / 'a.tif', truth)
    theirs = tasks.PixelwiseRegression('fcn', num_filters=2)
    # set up before the task is known, too
    datamodule = module(scenes)
    assert datamodule.whole is False
    datamodule = module(scenes, theirs, length=60)
    assert datamodule.whole is True
    patches = [*datamodule.train_dataloader(), *datamodule.val_dataloader()]
    assert len(patches) > 15
    assert all(torch.isfinite(batch['mask']).all() for batch in patches)
    ours = module(scenes, PixelwiseRegression('fcn', num_filters=2), length=60)
    assert ours.whole is False
    assert any(batch['mask'].isnan().any() for batch in ours.train_dataloader()) is bool(holes)


def test_workers_read_alike_and_no_ground_is_in_two_splits(scenes: Path) -> None:
    write(scenes / 'targets' / 'a.tif', heights(60, 60), transform=GRID @ Affine.scale(2))
    one, two = (module(scenes, length=8, num_workers=n, resampling='bilinear') for n in (0, 2))
    for here, there in zip(one.train_dataloader(), two.train_dataloader(), strict=True):
        assert torch.equal(here['mask'].nan_to_num(), there['mask'].nan_to_num())
    seen = np.zeros((2, HEIGHT, WIDTH), dtype=bool)
    assert one.train_patches is not None
    drawn = [one.train_patches.patch(epoch, i) for epoch in range(3) for i in range(200)]
    for split, patches in enumerate((drawn, one.val_dataset.patches)):  # type: ignore[union-attr]
        for _, window in patches:
            w = crop(window, height=HEIGHT, width=WIDTH)
            seen[split, w.row_off : w.row_stop, w.col_off : w.col_stop] = True
    assert not seen.all(axis=0).any()


@pytest.mark.parametrize('kind', ['gpkg', 'csv'])
def test_a_patch_has_the_value_of_its_point(scenes: Path, kind: str) -> None:
    generator = np.random.default_rng(2)
    cols, rows = generator.uniform(0, (WIDTH, HEIGHT), (60, 2)).T
    values = heights()[0, rows.astype(int), cols.astype(int)]
    xy = np.stack([500000 + 2 * cols, 5000000 - 2 * rows], axis=1)
    texts = [f'{value:.6f}' for value in values]
    texts[3] = ''
    shapes = [Point(*place) for place in xy]
    shapes[5] = MultiPoint([xy[5]])
    frame = geopandas.GeoDataFrame({'cm': texts}, geometry=shapes, crs='EPSG:32633')
    path, columns = scenes / f'points.{kind}', None
    if kind == 'csv':
        table = {'x': xy[:, 0], 'y': xy[:, 1], 'cm': texts}
        frame.drop(columns='geometry').assign(**table).to_csv(path, index=False)
        columns = {'x': 'x', 'y': 'y', 'crs': 'EPSG:32633'}
    else:
        frame.to_crs('EPSG:4326').to_file(path)
    with pytest.warns(UserWarning, match=r'1 of 60 points .* have no value'):
        datamodule = module(
            scenes, points=str(path), value='cm', columns=columns, target_scale=0.01, units='m'
        )
    assert datamodule.describe().class_names == ('cm',)
    # no point is lost: each is trained on, or some patch of validation shows it
    assert datamodule.splits is not None
    scanned, split = datamodule.scan(), datamodule.splits.blocks
    assert scanned.counts.sum() == 59
    shown = sum(int(part.counts.sum()) for part in datamodule.splits.train.labels)
    for block in [scanned.blocks[i].window for i in split.val]:
        for row, col in zip(
            np.delete(rows, 3).astype(int), np.delete(cols, 3).astype(int), strict=True
        ):
            if block.row_off <= row < block.row_stop and block.col_off <= col < block.col_stop:
                patches = [w for _, w in datamodule.splits.val.patches]
                assert any(
                    w.row_off <= row < w.row_stop and w.col_off <= col < w.col_stop for w in patches
                )
                shown += 1
    assert shown == 59
    known = np.delete(values, 3)
    low, high = datamodule.describe().value_range
    assert known.min() / 100 - 1e-6 <= low < high <= known.max() / 100 + 1e-6
    batch = next(iter(datamodule.train_dataloader()))
    assert (batch['label'].shape, batch['label'].dtype) == ((4,), torch.float32)
    whole = datamodule.scan().tiles.read(0, WHOLE)
    middle = np.hypot(rows - HEIGHT / 2, cols - WIDTH / 2)
    middle[3] = np.inf
    np.testing.assert_allclose(whole['label'], values[middle.argmin()] / 100, rtol=1e-4)
    assert datamodule.plot({key: value[0] for key, value in batch.items()}).axes
    frame.assign(name='x').to_file(scenes / 'names.gpkg')
    with pytest.raises(ValueError, match=r'must hold numbers in the column .name., got .x.'):
        module(scenes, points=str(scenes / 'names.gpkg'), value='name')


def test_wrong_input_is_refused_in_one_line(scenes: Path) -> None:
    path = scenes / 'targets' / 'a.tif'
    for options, message in (
        ({'points': 'a.gpkg', 'value': None}, 'points and value go together'),
        ({'points': 'a.csv', 'value': 'v'}, 'columns of points in a CSV must say'),
        ({'layer': 'a'}, 'layer and columns go with points'),
        ({'target_scale': 0}, 'target_scale must be a number other than 0'),
        ({'resampling': 'cubic'}, "resampling must be 'nearest' or 'bilinear'"),
    ):
        with pytest.raises(ValueError, match=message):
            module(scenes, **options)
    with pytest.raises(ValueError, match=r'is for torchgeo.tasks.PixelwiseRegression, got R'):
        module(scenes, tasks.Regression('resnet18'))
    theirs = tasks.PixelwiseRegression('fcn', num_filters=2)
    with pytest.raises(ValueError, match=r'would learn NaN where there is no value'):
        module(scenes, theirs, whole_patches=False)
    write(path, np.full((1, HEIGHT, WIDTH), 3, dtype=np.int16))
    with pytest.raises(ValueError, match=r'all .* are 3, of which nothing can be learned'):
        module(scenes)
    write(path, heights().repeat(2, axis=0))
    with pytest.raises(ValueError, match='must be one band of numbers, got 2 of float32'):
        module(scenes)
    path.unlink()
    write(scenes / 'targets' / 'b.tif', heights(), nodata=-1)
    write(scenes / 'images' / 'c.tif', np.ones((3, HEIGHT, WIDTH), dtype=np.uint8))
    write(scenes / 'targets' / 'c.tif', heights())
    with pytest.raises(FileNotFoundError, match=r'no target raster named a .*targets='):
        module(scenes)


def test_tagged_scales_are_told(scenes: Path) -> None:
    with rasterio.open(scenes / 'targets' / 'a.tif', 'r+') as dst:
        dst.scales = (0.01,)
    with pytest.warns(UserWarning, match=r'learned as they are stored; pass target_scale'):
        module(scenes)


def test_both_tasks_train(scenes: Path) -> None:
    truth = heights()
    truth[0, ::40, ::40] = np.nan
    write(scenes / 'targets' / 'a.tif', truth)
    for cls in (PixelwiseRegression, tasks.PixelwiseRegression):
        datamodule = GeoTIFFRegressionDataModule(
            str(scenes / 'images'), str(scenes / 'targets'), size=16, block_size=32, length=8
        )
        trainer = Trainer(
            fast_dev_run=2, accelerator='cpu', enable_progress_bar=False, logger=False
        )
        trainer.fit(cls('fcn', num_filters=2, loss='mae'), datamodule)
        assert torch.isfinite(trainer.callback_metrics['val_RMSE'])


@pytest.mark.slow
def test_the_shipped_configuration_measures_heights_elsewhere(workplace: Path) -> None:
    words = [
        '--model.model', 'fcn', '--model.num_filters', '8', '--model.lr', '0.01',
        '--data.size', '64', '--data.length', '320', '--trainer.accelerator', 'cpu',
        '--trainer.max_epochs', '3', '--trainer.enable_progress_bar', 'false',
    ]  # fmt: skip
    assert main(['fit', '--config', str(CONFIG), *words]) == 0
    scene = str(workplace / 'sample-data' / 'holdout' / 'scene.tif')
    checkpoint = 'runs/regression/checkpoints/last.ckpt'
    assert main(['predict', checkpoint, scene, '-o', 'found.tif']) == 0
    with (
        rasterio.open('found.tif') as found,
        rasterio.open(workplace / 'sample-data' / 'holdout' / 'heights.tif') as truth,
    ):
        assert (found.units, found.descriptions) == (('m',), ('height',))
        assert found.transform == truth.transform
        true = truth.read(1, masked=True)
        error = np.abs(found.read(1) - true).mean()
    # better than the best constant
    assert error < np.abs(true - np.ma.median(true)).mean()
