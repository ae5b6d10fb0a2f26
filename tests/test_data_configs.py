"""The configurations of data sets, on real images where there are some, else on made ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
import yaml
from lightning.pytorch import Trainer
from PIL import Image
from rasterio.transform import from_origin
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask
from torchvision.datasets import FakeData

from gersp_geo import GeRSPDataModule, GeRSPTask
from gersp_geo.training import TrainingCLI

FOLDER = Path(__file__).parents[1] / 'configs' / 'data'
# where the images of each lie among the real ones, its bands and its data type
CASES: dict[str, tuple[str, int, torch.dtype]] = {
    'eurosat_rgb': ('classification/eurosat_rgb_10k/EuroSAT_RGB', 3, torch.uint8),
    'eurosat_13band': ('classification/eurosat_ms13_80/EuroSAT_MS', 13, torch.uint16),
    'ucmerced': ('classification/ucmerced_jpg_588', 3, torch.uint8),
    'naip_two_dates': ('geo/naip_nd_wetlands', 3, torch.uint8),
    'sentinel2': ('geo/s2_rachel_carson/stack8.vrt', 8, torch.uint8),
    'landsat': ('geo/landsat7_stack/LE70220491999322EDC01_stack.gtif', 6, torch.int16),
}


def write(
    path: Path, bands: int, dtype: str, *, nodata: float | None = None, seed: int = 0
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(1, 200, (bands, 300, 300)).astype(dtype)
    profile = {'driver': 'GTiff', 'count': bands, 'dtype': dtype, 'nodata': nodata}
    with rasterio.open(
        path, 'w', height=300, width=300, crs='EPSG:32633', photometric='minisblack',
        transform=from_origin(500000, 5000000, 10, 10), **profile,
    ) as dst:  # fmt: skip
        dst.write(pixels)


def photographs(folder: Path) -> Path:
    for name in 'ab':
        (folder / name).mkdir(parents=True)
        for number in range(2):
            pixels = np.random.default_rng(number).integers(0, 255, (70, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f'{number}.jpg')
    return folder


def made_images(folder: Path, name: str) -> Path:
    """Make images of the kind that a configuration is for."""
    if name in ('eurosat_rgb', 'ucmerced'):
        return photographs(folder)
    if name == 'naip_two_dates':
        for year in (2010, 2020):
            write(folder / f'm_4709963_se_14_1_{year}0629.tif', 4, 'uint8', nodata=0, seed=year)
        return folder
    bands, dtype = {'eurosat_13band': (13, 'uint16'), 'sentinel2': (8, 'uint8')}.get(
        name, (8, 'int16')
    )
    file = folder / ('stack.gtif' if name == 'landsat' else 'stack.tif')
    write(file, bands, dtype, nodata=-9999 if name == 'landsat' else None)
    return file


def test_every_configuration_has_a_case() -> None:
    assert set(CASES) == {path.stem for path in FOLDER.glob('*.yaml')}


@pytest.mark.quick('naip_two_dates', 'landsat', 'ucmerced')
@pytest.mark.parametrize('kind', ['made', 'real'])
@pytest.mark.parametrize('name', CASES)
def test_a_configuration_loads_batches_that_train(
    name: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place, bands, dtype = CASES[name]
    if kind == 'real':
        images: Path = request.getfixturevalue('real_data') / place
    else:
        images = made_images(tmp_path / 'images', name)
    data = build(name, images, natural=photographs(tmp_path / 'natural'))
    size = data.natural_size
    data.setup('fit')
    record = data.describe()
    assert len(record.bands) == bands
    assert np.isfinite([*record.mean, *record.std, *record.scale]).all()
    batch = next(iter(data.train_dataloader()))
    image = batch['remote_sensing']['image']
    views = 2 if name == 'naip_two_dates' else 1
    assert image.shape == (2, views * bands, data.size, data.size)
    assert image.dtype == dtype
    # what no scene shows is not left in: it would be far from the mean
    values = image[:, :bands].float() * torch.tensor(record.scale).view(-1, 1, 1)
    normal = (values - torch.tensor(record.mean).view(-1, 1, 1)) / torch.tensor(record.std).view(
        -1, 1, 1
    )
    assert normal.abs().max() < 60
    assert normal.mean().abs() < 5
    task = GeRSPTask(
        model='test_resnet', size=size, in_channels=bands, num_classes=2, memory_bank_size=4,
        rgb_bands=(2, 1, 0), output_dim=8,
    )  # fmt: skip
    trainer = Trainer(
        max_steps=1, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(task, datamodule=data)
    assert trainer.callback_metrics['train_loss'].isfinite()


def build(name: str, images: Path, *, natural: Path) -> GeRSPDataModule:
    """Build the data module of a file as ``fit`` does, with small batches."""
    words = {
        '--model': 'gersp_geo.tasks.GeRSPTask',
        '--data': str(FOLDER / f'{name}.yaml'),
        '--data.init_args.remote_sensing': str(images),
        '--data.init_args.natural': str(natural),
        '--data.init_args.batch_size': '2',
        '--data.init_args.num_workers': '0',
    }
    cli = TrainingCLI(
        model_class=BaseTask,
        datamodule_class=BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_callback=None,
        run=False,
        args=[word for pair in words.items() for word in pair],
    )
    data = cli.datamodule
    assert isinstance(data, GeRSPDataModule)
    given: dict[str, Any] = yaml.safe_load((FOLDER / f'{name}.yaml').read_text())['init_args']
    assert data.size == given['size']
    assert data.options.min_valid == given.get('min_valid', 0)
    return data


def test_data_sets_of_other_libraries_are_named_in_yaml(tmp_path: Path) -> None:
    write(tmp_path / 'tiles' / 'a.tif', 3, 'uint16')
    (tmp_path / 'data.yaml').write_text(f"""
class_path: gersp_geo.datamodules.GeRSPDataModule
init_args:
  remote_sensing_dataset:
    class_path: torchgeo.datasets.RasterDataset
    init_args: {{paths: {tmp_path / 'tiles'}}}
  scale: [1.0e-4, 1.0e-4, 1.0e-4]
  natural_dataset:
    class_path: torchvision.datasets.FakeData
    init_args: {{size: 6, image_size: [3, 40, 50], num_classes: 2}}
  size: 32
  batch_size: 2
""")
    cli = TrainingCLI(
        model_class=BaseTask,
        datamodule_class=BaseDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_callback=None,
        run=False,
        args=['--model', 'gersp_geo.tasks.GeRSPTask', '--data', str(tmp_path / 'data.yaml')],
    )
    data = cli.datamodule
    assert isinstance(data, GeRSPDataModule)
    data.setup('fit')
    batch = next(iter(data.train_dataloader()))
    assert (
        batch['remote_sensing']['image'].shape == batch['natural']['image'].shape == (2, 3, 32, 32)
    )
    # the images come as they are, and the task scales them
    assert data.describe().scale == (1e-4,) * 3
    assert 1 < batch['remote_sensing']['image'].max() < 200


def test_one_source_of_each_stream_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='either remote_sensing or remote_sensing_dataset'):
        GeRSPDataModule()
    fake = FakeData(size=6)
    with pytest.raises(ValueError, match='either remote_sensing or remote_sensing_dataset'):
        GeRSPDataModule(tmp_path, remote_sensing_dataset=fake)
    with pytest.raises(ValueError, match='either natural or natural_dataset, not both'):
        GeRSPDataModule(tmp_path, tmp_path, natural_dataset=fake)
