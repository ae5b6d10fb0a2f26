import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas
import kornia.augmentation as K
import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch.cli import LightningCLI
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rasterio.transform import Affine, from_origin
from shapely import box
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask, SemanticSegmentation

from gersp_geo.bands import RGB, SENTINEL2
from gersp_geo.datamodules.patches import TrainingPatches
from gersp_geo.datamodules.segmentation import GeoTIFFSegmentationDataModule
from gersp_geo.windows import Window

CONFIGS = Path(__file__).parents[2] / 'configs' / 'finetune'
GRID = from_origin(500000, 5000000, 2, 2)
NAMES = ('field', 'forest', 'water', 'road', 'building')
COLORS = ((200, 180, 90), (40, 100, 40), (40, 80, 160), (120, 120, 120), (200, 60, 50))


def write(
    path: Path,
    pixels: NDArray[Any],
    *,
    transform: Affine = GRID,
    nodata: float | None = None,
    bands: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        'driver': 'GTiff',
        'height': pixels.shape[1],
        'width': pixels.shape[2],
        'count': len(pixels),
        'dtype': pixels.dtype,
        'crs': 'EPSG:32633',
        'transform': transform,
        'nodata': nodata,
    }
    with rasterio.open(path, 'w', **profile) as dst:
        dst.write(pixels)
        for band, name in enumerate(bands, start=1):
            dst.set_band_description(band, name)
        if classes:
            dst.update_tags(1, CLASS_NAMES=json.dumps(classes))
            dst.write_colormap(1, dict(enumerate(COLORS[: len(classes)])))
    return path


def noise(bands: int, height: int, width: int, *, dtype: str = 'uint8') -> NDArray[Any]:
    generator = np.random.default_rng(height * width)
    return generator.integers(1, 255, (bands, height, width)).astype(dtype)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    for name, height, width in (('a', 96, 130), ('b', 70, 64)):
        place = GRID if name == 'b' else GRID @ Affine.translation(1000, 0)
        write(tmp_path / 'images' / f'{name}.tif', noise(3, height, width), transform=place)
        mask = noise(1, height, width) % 5
        write(tmp_path / 'masks' / f'{name}.tif', mask, transform=place, classes=NAMES)
    return tmp_path


def module(scenes: Path, **options: Any) -> GeoTIFFSegmentationDataModule:
    options = {'size': 16, 'batch_size': 4, 'block_size': 32} | options
    datamodule = GeoTIFFSegmentationDataModule(
        str(scenes / 'images'), str(scenes / 'masks'), **options
    )
    datamodule.setup('fit')
    return datamodule


def training(datamodule: GeoTIFFSegmentationDataModule) -> TrainingPatches:
    assert datamodule.train_patches is not None
    return datamodule.train_patches


@pytest.mark.parametrize('size', [16, 32, 80])
def test_no_pixel_is_in_two_splits(scenes: Path, size: int) -> None:
    datamodule = module(scenes, size=size, block_size=None, val_split=0.3)
    val: Any = datamodule.val_dataset
    train = training(datamodule)
    used = {tile: np.zeros((2, 200, 200), dtype=bool) for tile in (0, 1)}
    drawn = [train.patch(epoch, i) for epoch in range(3) for i in range(200)]
    for split, patches in enumerate((drawn, val.patches)):
        assert patches
        for tile, w in patches:
            used[tile][split, w.row_off : w.row_stop, w.col_off : w.col_stop] = True
    for seen, shape in zip(used.values(), ((96, 130), (70, 64)), strict=True):
        inside = seen[:, : shape[0], : shape[1]]
        assert not inside.all(axis=0).any()


@pytest.mark.parametrize(('ignored', 'once'), [(255, True), (None, False)])
def test_each_validated_pixel_counts_once_where_the_task_can_ignore(
    scenes: Path, ignored: int | None, once: bool
) -> None:
    # sides of 96 and 130 pixels are no multiples of patches of 20
    datamodule = module(scenes, size=20, block_size=60, val_split=0.5)

    class Trained:
        lightning_module = SemanticSegmentation('fcn', num_classes=5, ignore_index=ignored)

    datamodule.trainer = Trained()  # type: ignore[assignment]
    datamodule.setup('fit')
    scanned, splits = datamodule.scan(), datamodule.splits
    assert splits is not None
    counted = sum(int((splits.val[i]['mask'] != 255).sum()) for i in range(len(splits.val)))
    labelled = int(scanned.counts[list(splits.blocks.val)].sum())
    assert (counted == labelled) == once
    assert counted >= labelled


def test_batches_speak_torchgeo(scenes: Path) -> None:
    datamodule = module(scenes, test_split=0.2)
    images = {
        'train': datamodule.train_dataloader(),
        'val': datamodule.val_dataloader(),
        'test': datamodule.test_dataloader(),
    }
    for loader in images.values():
        batch = next(iter(loader))
        assert batch['image'].shape == (4, 3, 16, 16)
        assert batch['image'].dtype == torch.float32
        assert batch['image'].max() > 100
        assert batch['mask'].shape == (4, 16, 16)
        assert batch['mask'].dtype == torch.int64
    with pytest.raises(ValueError, match='test_split=0'):
        module(scenes).test_dataloader()


def test_training_patches_depend_on_seed_epoch_and_index_alone(scenes: Path) -> None:
    def batches(epoch: int, *, seed: int = 0, num_workers: int = 0) -> list[torch.Tensor]:
        loader = module(scenes, seed=seed, num_workers=num_workers, length=8).train_dataloader()
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        return [batch['image'] for batch in loader]

    first = batches(1)
    for here, there in zip(first, batches(1, num_workers=2), strict=True):
        assert torch.equal(here, there)
    assert not torch.equal(first[0], batches(0)[0])
    assert not torch.equal(first[0], batches(1, seed=1)[0])


def test_the_record_says_what_the_transform_does(scenes: Path) -> None:
    datamodule = module(scenes)
    record = datamodule.describe()
    assert (record.mean, record.std) == (RGB.mean, RGB.std)
    assert record.class_names == NAMES
    assert record.class_colors == COLORS
    assert (record.size, record.res_m, record.task_class) == (16, 2.0, None)
    batch = next(iter(datamodule.val_dataloader()))
    scale, mean, std = (
        torch.tensor(values).view(-1, 1, 1) for values in (record.scale, record.mean, record.std)
    )
    inputs = datamodule.aug(batch)
    torch.testing.assert_close(inputs['image'], (batch['image'] * scale - mean) / std)
    # what torchgeo's tasks do before they plot
    back = K.AugmentationSequential(
        K.Denormalize(datamodule.mean, datamodule.std), data_keys=None, keepdim=True
    )(inputs)
    torch.testing.assert_close(back['image'], batch['image'], rtol=0, atol=1e-3)


def test_measured_statistics_leave_nodata_out(tmp_path: Path) -> None:
    pixels = np.full((2, 64, 64), 0, dtype='uint16')
    pixels[:, :, 20:] = np.random.default_rng(0).normal(3000, 400, (2, 64, 44)).astype('uint16')
    write(tmp_path / 'images' / 'a.tif', pixels, bands=('red', 'nir'))
    mask = np.ones((1, 64, 64), dtype='uint8')
    mask[:, :32] = 0
    write(tmp_path / 'masks' / 'a.tif', mask, nodata=255)
    datamodule = module(tmp_path, nodata=0, scale=1e-4)
    record = datamodule.describe()
    assert record.bands == ('red', 'nir')
    assert record.scale == (1e-4, 1e-4)
    np.testing.assert_allclose(record.mean, 0.3, atol=0.005)
    np.testing.assert_allclose(record.std, 0.04, rtol=0.1)
    # unnamed classes are numbered up to the highest value
    assert record.class_names == ('class_0', 'class_1')
    classes = torch.cat([batch['mask'] for batch in datamodule.val_dataloader()])
    image = torch.cat([batch['image'] for batch in datamodule.val_dataloader()])
    assert torch.equal(classes == 255, image.isnan().all(dim=1))
    # what is no observation is the mean to the model, as in prediction
    assert (datamodule.aug({'image': image})['image'].movedim(1, -1)[classes == 255] == 0).all()


def test_patches_of_sparse_polygons_hold_labels(tmp_path: Path) -> None:
    write(tmp_path / 'images' / 'a.tif', noise(3, 200, 200))
    spots = [
        box(500000 + x, 5000000 - y - 4, 500000 + x + 4, 5000000 - y)
        for x, y in ((6, 10), (300, 310), (180, 20), (390, 196))
    ]
    frame = geopandas.GeoDataFrame(
        {'cover': ['sand', 'marsh', 'sand', 'marsh']}, geometry=spots, crs='EPSG:32633'
    )
    frame.to_crs('EPSG:4326').to_file(tmp_path / 'labels.gpkg')
    datamodule = GeoTIFFSegmentationDataModule(
        str(tmp_path / 'images'),
        labels=str(tmp_path / 'labels.gpkg'),
        attribute='cover',
        size=16,
        block_size=50,
        val_split=0.25,
    )
    datamodule.setup('fit')
    assert datamodule.describe().class_names == ('marsh', 'sand')
    train = training(datamodule)
    seen: set[int] = set()
    for i in range(60):
        mask = train[0, i]['mask']
        labelled = mask[mask != 255]
        assert len(labelled) > 0
        seen |= set(labelled.tolist())
    assert seen <= {0, 1}
    assert len(train.blocks) == 3
    val: Any = datamodule.val_dataset
    assert 1 <= len(val) <= 4
    assert all((sample['mask'] != 255).any() for sample in (val[i] for i in range(len(val))))


def test_a_patch_that_adds_no_label_is_left_out_of_validation(tmp_path: Path) -> None:
    # two blocks of 78 x 80 pixels, which four patches of 64 each cover
    write(tmp_path / 'images' / 'a.tif', noise(3, 78, 160))
    spots = [
        box(500000 + 2 * col, 5000000 - 80, 500000 + 2 * col + 20, 5000000 - 40)
        for col in (20, 30, 110, 120)
    ]
    frame = geopandas.GeoDataFrame({'cover': ['sand', 'marsh'] * 2}, geometry=spots, crs=32633)
    frame.to_file(tmp_path / 'labels.gpkg')
    datamodule = GeoTIFFSegmentationDataModule(
        str(tmp_path / 'images'), labels=str(tmp_path / 'labels.gpkg'), attribute='cover',
        size=64, block_size=64, val_split=0.5,
    )  # fmt: skip
    datamodule.setup('fit')
    val: Any = datamodule.val_dataset
    assert [(val[i]['mask'] != 255).sum().item() for i in range(len(val))] == [400]


def test_a_class_that_training_never_sees_is_warned_about(tmp_path: Path) -> None:
    write(tmp_path / 'images' / 'a.tif', noise(3, 64, 64))
    mask = np.zeros((1, 64, 64), dtype='uint8')
    # one of four blocks: some seeds put it into validation
    mask[:, 32:, :32] = 1
    write(tmp_path / 'masks' / 'a.tif', mask, classes=NAMES[:2])
    with pytest.warns(UserWarning, match='forest'):
        _ = [module(tmp_path, seed=seed) for seed in range(12)]


def test_images_smaller_than_a_patch_are_padded_without_labels(tmp_path: Path) -> None:
    for i, name in enumerate('abc'):
        place = GRID @ Affine.translation(100 * i, 0)
        write(tmp_path / 'images' / f'{name}.tif', noise(3, 10, 40), transform=place)
        write(tmp_path / 'masks' / f'{name}.tif', noise(1, 10, 40) % 3, transform=place)
    datamodule = module(tmp_path)
    for i in range(5):
        sample = training(datamodule)[0, i]
        assert sample['image'].shape == (3, 16, 16)
        assert (sample['mask'][10:] == 255).all()
        assert (sample['mask'][:10] < 3).all()


@pytest.mark.parametrize('dtype', ['int8', 'int16', 'uint16'])
def test_masks_of_any_integer_type_are_read(scenes: Path, dtype: str) -> None:
    mask = noise(1, 70, 64) % 5
    write(scenes / 'masks' / 'b.tif', mask.astype(dtype), nodata=4)
    tiles = training(module(scenes)).tiles
    whole = Window(row_off=0, col_off=0, height=70, width=64)
    assert np.array_equal(tiles.read(1, whole)['mask'], np.where(mask[0] == 4, 255, mask[0]))


def test_masks_must_fit_their_images(scenes: Path) -> None:
    mask = scenes / 'masks' / 'b.tif'
    wrong: tuple[tuple[NDArray[Any], Affine, str], ...] = (
        (noise(1, 70, 64) % 5, from_origin(500002, 5000000, 2, 2), 'lies 1.0 pixels east'),
        (noise(2, 70, 64) % 5, GRID, 'one band of integers'),
        (noise(1, 70, 64, dtype='float32') % 5, GRID, 'one band of integers'),
        (noise(1, 70, 64) % 7, GRID, 'holds the value'),
    )
    for pixels, transform, rule in wrong:
        write(mask, pixels, transform=transform)
        with pytest.raises(ValueError, match=rf'b\.tif .*{rule}'):
            module(scenes)
    mask.unlink()
    with pytest.raises(FileNotFoundError, match='no mask named b'):
        module(scenes)


@pytest.mark.parametrize(
    ('options', 'rule'),
    [
        ({}, 'either masks or labels'),
        ({'masks': 'm', 'labels': 'l', 'attribute': 'a'}, 'either masks or labels'),
        ({'labels': 'l'}, 'labels need attribute'),
        ({'masks': 'm', 'attribute': 'a'}, 'attribute goes with labels'),
        ({'masks': 'm', 'mean': [0.0]}, 'go together'),
        ({'masks': 'm', 'length': 0}, 'block_size must be >= 1'),
        ({'masks': 'm', 'seed': -1}, 'seed >= 0'),
    ],
)
def test_contradicting_or_impossible_arguments_raise(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        GeoTIFFSegmentationDataModule('images', **options)


def test_what_checkpoints_keep_of_the_split_is_plain(scenes: Path) -> None:
    # as numbers out of arrays are
    datamodule = module(
        scenes, seed=np.int64(3), block_size=np.int64(32), val_split=np.float64(0.3)
    )
    torch.save(datamodule.state_dict(), scenes / 'state.pt')
    state = torch.load(scenes / 'state.pt', weights_only=True)
    assert state == module(scenes, seed=3, val_split=0.3).state_dict()
    assert [image.split()[0] for image in state['images']] == ['a.tif', 'b.tif']


def test_plot_draws_what_is_there(scenes: Path) -> None:
    datamodule = module(scenes)
    sample = training(datamodule)[0, 0]
    figure = datamodule.plot(sample | {'prediction': sample['mask']}, title='here')
    assert isinstance(figure, Figure)
    assert len(figure.axes) == 3
    figure.canvas.draw()


def sentinel2(folder: Path) -> list[str]:
    pixels = noise(13, 64, 64, dtype='uint16') * 10
    write(folder / 's2' / 'a.tif', pixels, bands=SENTINEL2.bands)
    plots = [box(500000, 4999872, 500060, 5000000), box(500064, 4999872, 500128, 5000000)]
    frame = geopandas.GeoDataFrame({'kind': [1, 2]}, geometry=plots, crs='EPSG:32633')
    frame.to_file(folder / 'plots.gpkg')
    return [
        f'--data.init_args.images={folder / "s2"}',
        f'--data.init_args.labels={folder / "plots.gpkg"}',
        '--data.init_args.attribute=kind',
        '--model.init_args.num_classes=2',
    ]


@pytest.mark.quick('segmentation')
@pytest.mark.parametrize('name', ['segmentation', 'segmentation_13band'])
def test_configs_train(scenes: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(scenes)
    paths = [
        f'--data.init_args.images={scenes / "images"}',
        f'--data.init_args.masks={scenes / "masks"}',
    ]
    cli = LightningCLI(
        BaseTask,
        BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        run=False,
        args=[
            f'--config={CONFIGS / name}.yaml',
            *(paths if name == 'segmentation' else sentinel2(scenes)),
            '--model.init_args.backbone=resnet18',
            '--data.init_args.size=32',
            '--data.init_args.block_size=32',
            '--data.init_args.batch_size=2',
            '--trainer.fast_dev_run=true',
            '--trainer.accelerator=cpu',
        ],
    )
    cli.trainer.fit(cli.model, cli.datamodule)
    assert cli.trainer.global_step == 1
    record = cli.datamodule.describe()
    assert len(record.bands) == cli.model.hparams['in_channels']


def test_labels_in_blocks_too_narrow_for_a_patch_are_told(tmp_path: Path) -> None:
    for number in range(8):
        # the blocks of overlapping tiles have borders of their own
        place = GRID @ Affine.translation(97 * number, 0)
        write(tmp_path / 'images' / f'{number}.tif', noise(3, 100, 100), transform=place)
        mask = noise(1, 100, 100) % 2
        write(tmp_path / 'masks' / f'{number}.tif', mask, transform=place, classes=NAMES)
    options: dict[str, Any] = {'block_size': 128, 'val_split': 0.4, 'seed': 3}
    with pytest.warns(UserWarning, match=r'\d+% of the validation labels lie in .*size=50'):
        module(tmp_path, size=50, **options)
    with pytest.raises(ValueError, match='no block of the validation holds a patch of size=100'):
        module(tmp_path, size=100, **options | {'val_split': 0.1})
