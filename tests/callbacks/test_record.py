import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import Trainer
from rasterio.transform import from_origin
from torch import Tensor
from torchgeo.datamodules import BaseDataModule, NonGeoDataModule
from torchgeo.datasets import NonGeoDataset
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.callbacks import PreprocessingRecord
from gersp_geo.datamodules.segmentation import GeoTIFFSegmentationDataModule
from gersp_geo.records import Preprocessing

CLASSES = ('land', 'water', 'ice')


class TinyDataset(NonGeoDataset):
    bands = ('red', 'green', 'nir')
    classes = CLASSES

    def __init__(self, split: str = 'train') -> None:
        self.split = split

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        return {
            'image': torch.rand(3, 32, 32, generator=generator) * 3000,
            'mask': torch.randint(0, 3, (32, 32), generator=generator),
        }


class TinyDataModule(NonGeoDataModule):
    """As torchgeo's own: class attributes decide the default ``aug``."""

    mean = torch.tensor([1300.0, 1100.0, 2500.0])
    std = torch.tensor([600.0, 500.0, 900.0])

    def __init__(self) -> None:
        super().__init__(TinyDataset, batch_size=2)


def native(folder: Path) -> BaseDataModule:
    return TinyDataModule()


def own(folder: Path) -> BaseDataModule:
    generator = np.random.default_rng(0)
    for name, count, top in (('image', 3, 4000), ('mask', 1, 3)):
        profile = {
            'driver': 'GTiff',
            'height': 96,
            'width': 96,
            'count': count,
            'dtype': 'uint16',
            'crs': 'EPSG:32633',
            'transform': from_origin(500000, 5000000, 10, 10),
        }
        with rasterio.open(folder / f'{name}.tif', 'w', **profile) as dst:
            dst.write(generator.integers(0, top, (count, 96, 96)).astype('uint16'))
    return GeoTIFFSegmentationDataModule(
        str(folder / 'image.tif'),
        str(folder / 'mask.tif'),
        class_names=CLASSES,
        scale=1e-4,
        size=32,
        block_size=32,
        batch_size=2,
    )


def train(datamodule: BaseDataModule | None, callback: PreprocessingRecord) -> Trainer:
    torch.manual_seed(0)
    task = SemanticSegmentation(
        model='fcn', num_filters=4, in_channels=3, num_classes=3, ignore_index=255
    )
    trainer = Trainer(
        max_steps=2,
        accelerator='cpu',
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
    )
    trainer.fit(task, datamodule=datamodule)
    return trainer


def column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1)


@pytest.mark.parametrize('make', [own, native])
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_the_record_reproduces_the_logits_of_the_data_module(tmp_path: Path, make: Any) -> None:
    datamodule: BaseDataModule = make(tmp_path)
    trainer = train(datamodule, PreprocessingRecord())
    trainer.save_checkpoint(tmp_path / 'model.ckpt')

    checkpoint = torch.load(tmp_path / 'model.ckpt', weights_only=True)
    record = Preprocessing.from_dict(checkpoint['gersp_geo'])
    assert record.class_names == CLASSES
    assert record.task_class is not None
    home, name = record.task_class.rsplit('.', 1)
    task = getattr(import_module(home), name)(**checkpoint['hyper_parameters'])
    task.load_state_dict(checkpoint['state_dict'])
    task.eval()

    for batch in datamodule.val_dataloader():
        raw = batch['image'].clone()
        assert raw.max() > 1000
        by_record = (raw * column(record.scale) - column(record.mean)) / column(record.std)
        with torch.inference_mode():
            expected = task(datamodule.aug(batch)['image'])
            torch.testing.assert_close(task(by_record), expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_bands_and_classes_come_from_the_dataset() -> None:
    callback = PreprocessingRecord()
    train(TinyDataModule(), callback)
    assert callback.record is not None
    assert callback.record.bands == TinyDataset.bands
    np.testing.assert_allclose(callback.record.mean, TinyDataModule.mean, rtol=1e-5)
    np.testing.assert_allclose(callback.record.std, TinyDataModule.std, rtol=1e-5)


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_given_record_wins(tmp_path: Path) -> None:
    given = Preprocessing(bands=('a', 'b', 'c'), scale=(1,) * 3, mean=(7,) * 3, std=(2,) * 3)
    path = tmp_path / 'record.json'
    path.write_text(json.dumps(given.to_dict()))
    for value in (given, path, str(path)):
        callback = PreprocessingRecord(value)
        train(TinyDataModule(), callback)
        assert callback.record == given


def test_no_data_module_is_an_error_before_training() -> None:
    task = SemanticSegmentation(model='fcn', num_filters=4, num_classes=3)
    trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match='no torchgeo data module'):
        PreprocessingRecord().setup(trainer, task, 'fit')


@pytest.mark.parametrize('content', ['not JSON', '3', '{"bands": ["red"]}'])
def test_a_file_without_a_record_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'record.json'
    path.write_text(content)
    task = SemanticSegmentation(model='fcn', num_filters=4, num_classes=3)
    trainer = Trainer(accelerator='cpu', logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match=r'record\.json holds no preprocessing record: .+'):
        PreprocessingRecord(path).setup(trainer, task, 'fit')
