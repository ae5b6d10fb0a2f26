from pathlib import Path

import torch
from torchgeo.datasets import LoveDA

from gersp_geo.datamodules import CroppedLoveDADataModule, FlippedRESISC45DataModule
from tests.downstream.layouts import write_data_set


def test_resisc45_is_moved_and_not_recoloured(tmp_path: Path) -> None:
    root = write_data_set('resisc45', tmp_path / 'resisc45')
    data = FlippedRESISC45DataModule(batch_size=45, root=root)
    data.setup('fit')
    batch = next(iter(data.train_dataloader()))
    plain = data.aug(dict(batch))['image']
    torch.manual_seed(0)
    assert data.train_aug is not None
    moved = data.train_aug(dict(batch))['image']
    assert not torch.equal(moved, plain)
    assert torch.equal(moved.flatten(1).sort().values, plain.flatten(1).sort().values)


def test_loveda_has_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    root = write_data_set('loveda', tmp_path / 'loveda')
    data = CroppedLoveDADataModule(size=64, batch_size=2, num_workers=0, root=root)
    data.setup('fit')
    stored = LoveDA(root, 'train')[0]['mask']
    assert data.train_dataset is not None
    mask = data.train_dataset[0]['mask']
    assert torch.equal(mask == 255, stored == 0)
    # the data set's documentation: background is 1, agriculture is 7
    names = data.describe().class_names
    assert names[0] == 'background'
    assert names[-1] == 'agriculture'
    assert torch.equal(mask[stored > 0], stored[stored > 0] - 1)
    assert len(names) == 7


def test_loveda_trains_on_crops_and_is_tested_on_whole_images_of_val(tmp_path: Path) -> None:
    root = write_data_set('loveda', tmp_path / 'loveda')
    data = CroppedLoveDADataModule(size=64, batch_size=2, num_workers=0, root=root)
    for stage in ('fit', 'test'):
        data.setup(stage)
    batch = next(iter(data.train_dataloader()))
    assert data.train_aug is not None
    crop = data.train_aug(batch)
    assert crop['image'].shape == (2, 3, 64, 64)
    assert crop['mask'].shape == (2, 64, 64)
    tested = next(iter(data.test_dataloader()))
    assert tested['image'].shape == (1, 3, 96, 96)
    assert torch.equal(tested['image'][0], LoveDA(root, 'val')[0]['image'])
