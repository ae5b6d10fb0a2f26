"""What torchgeo trained on is what prediction gives the model."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader
from torchgeo.datamodules import BaseDataModule, NonGeoDataModule
from torchgeo.datasets import NonGeoDataset
from torchgeo.datasets.utils import Sample
from torchgeo.tasks import SemanticSegmentation

from gersp_geo import predict_geotiff
from gersp_geo.callbacks import PreprocessingRecord
from gersp_geo.datamodules import GeoTIFFSegmentationDataModule
from gersp_geo.geoio.write.geotiff import write_raster

SIDE = 64
TRANSFORM = rasterio.transform.from_origin(4e5, 5e6, 10, 10)


class Scenes(NonGeoDataset):
    """A data set as torchgeo's are: float32 images in file values."""

    classes = ('land', 'water')

    def __init__(self, paths: str, split: str = 'train') -> None:
        self.path = paths

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        with rasterio.open(self.path) as src:
            image = torch.from_numpy(src.read().astype('float32'))
        return {'image': image, 'mask': (image[0] > image[0].median()).long()}


def torchgeo_module(scene: Path, mask: Path) -> BaseDataModule:
    module = NonGeoDataModule(Scenes, batch_size=2, paths=str(scene))
    return module


def own_module(scene: Path, mask: Path) -> BaseDataModule:
    return GeoTIFFSegmentationDataModule(
        str(scene), str(mask), size=SIDE // 2, batch_size=2, val_split=0.25, block_size=SIDE // 2
    )


def aligned(logits: Tensor) -> Tensor:
    """Logits up to the constant per pixel that softmax does not see."""
    return logits - logits.mean(dim=0, keepdim=True)


@pytest.mark.quick('own_module-uint8')
@pytest.mark.parametrize('dtype', ['uint8', 'uint16'])
@pytest.mark.parametrize('make_module', [torchgeo_module, own_module])
def test_a_checkpoint_gives_the_logits_that_its_data_module_led_to(
    tmp_path: Path, make_module: type, dtype: str
) -> None:
    scene, mask = tmp_path / 'scene.tif', tmp_path / 'mask.tif'
    highest = 255 if dtype == 'uint8' else 9000
    pixels = np.random.default_rng(0).integers(1, highest, (3, SIDE, SIDE)).astype(dtype)
    write_raster(scene, pixels, crs='EPSG:32633', transform=TRANSFORM)
    classes = (pixels[0] > highest / 2).astype('uint8')
    write_raster(mask, classes, crs='EPSG:32633', transform=TRANSFORM)
    torch.manual_seed(0)
    task = SemanticSegmentation('unet', 'resnet18', num_classes=2, ignore_index=255, lr=1e-3)
    trainer = Trainer(
        max_steps=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        num_sanity_val_steps=0, limit_val_batches=1, callbacks=[PreprocessingRecord()],
    )  # fmt: skip
    module = make_module(scene, mask)
    trainer.fit(task, datamodule=module)
    trainer.save_checkpoint(tmp_path / 'model.ckpt')

    predict_geotiff(
        tmp_path / 'model.ckpt', scene, tmp_path / 'map.tif', size=SIDE, overlap=0,
        output='probabilities', progress=False,
    )  # fmt: skip
    with rasterio.open(tmp_path / 'map.tif') as src:
        predicted = torch.from_numpy(src.read()).double().log()

    raw = torch.from_numpy(pixels.astype('float32'))[None]
    loader: DataLoader[Sample] = module.val_dataloader()
    assert next(iter(loader))['image'].max() > 1  # file values, not scaled ones
    transform = module.val_aug or module.aug
    batch = transform({'image': raw, 'mask': torch.zeros(1, SIDE, SIDE, dtype=torch.long)})
    with torch.inference_mode():
        logits = task.eval()(batch['image'])[0].double()
    assert (aligned(predicted) - aligned(logits)).abs().max() < 1e-5
