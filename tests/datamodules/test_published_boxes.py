from pathlib import Path
from typing import Any

import pytest
import torch
from torchgeo.datasets import DIOR, DOTA

from gersp_geo.bands import RGB
from gersp_geo.datamodules import DIORBoxesDataModule, DOTATilesDataModule
from tests.downstream.layouts import write_data_set


@pytest.fixture
def dior(tmp_path: Path) -> Path:
    return write_data_set('dior', tmp_path / 'dior')


def open_dior(root: Path, **options: Any) -> DIORBoxesDataModule:
    return DIORBoxesDataModule(str(root), batch_size=3, num_workers=0, **options)


def names_of(data: Any, labels: torch.Tensor) -> list[str]:
    """Classes by the record, in which label 0 is the background."""
    return [('background', *data.describe().class_names)[label] for label in labels.tolist()]


def test_dior_trains_on_trainval_with_classes_from_one(dior: Path) -> None:
    data = open_dior(dior)
    data.setup('fit')
    dataset: Any = data.train_dataset
    assert len(dataset) == 6
    assert names_of(data, dataset[0]['label']) == ['airplane', 'windmill']
    assert dataset[0]['bbox_xyxy'].tolist() == [[10, 12, 40, 52], [50, 20, 90, 60]]
    # without the flat one
    assert names_of(data, dataset[1]['label']) == ['windmill']
    assert dataset[2]['bbox_xyxy'].shape == (0, 4)
    with pytest.raises(ValueError, match=r'none is left to validate on'):
        data.val_dataloader()


def test_dior_validates_on_what_is_not_trained_on(dior: Path) -> None:
    data = open_dior(dior, train_splits=['train'])
    data.setup('fit')
    (batch,) = data.val_dataloader()
    assert torch.equal(batch['image'][0], DIOR(dior, 'val')[0]['image'].float())


def test_dior_is_tested_with_the_authors_boxes(dior: Path) -> None:
    folder = dior / 'Annotations_test'
    data = open_dior(dior, annotations=str(folder))
    data.setup('test')
    (batch,) = data.test_dataloader()
    assert [names_of(data, labels) for labels in batch['label']] == [
        ['airplane', 'windmill'], ['windmill'], [],
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r'no boxes of the test split; pass --data\.annotations'):
        open_dior(dior).setup('test')
    text = (folder / '00007.xml').read_text()
    (folder / '00007.xml').write_text(text.replace('windmill', 'Expressway-Service-area'))
    assert names_of(data, data.open_test()[1]['label']) == ['expresswayservicearea']
    (folder / '00007.xml').write_text(text.replace('windmill', 'mill'))
    with pytest.raises(ValueError, match=r"00007\.xml has the class 'mill', which is none of DIOR"):
        data.open_test()[1]
    (folder / '00007.xml').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 3 are missing: 00007\.xml'):
        data.setup('test')
    with pytest.raises(ValueError, match=r"train_splits must be of 'train' and 'val'"):
        open_dior(dior, train_splits=['test'])


def test_dota_is_tested_on_val_with_the_classes_of_version_one(tmp_path: Path) -> None:
    root = write_data_set('dota', tmp_path / 'dota')
    data = DOTATilesDataModule(str(root), size=200, overlap=0, batch_size=2, num_workers=0)
    data.prepare_data()
    for stage in ('fit', 'test'):
        data.setup(stage)
    (batch,) = data.test_dataloader()
    assert names_of(data, batch['label'][0]) == ['plane', 'helicopter', 'swimming-pool']
    whole: Any = DOTA(root, 'val', '1.0', 'horizontal')[0]
    assert torch.equal(batch['bbox_xyxy'][0], whole['bbox_xyxy'])
    assert len(data.describe().class_names) == 15
    # the image without objects is not trained on
    assert len(data.train_dataset) == 1  # type: ignore[arg-type]


def test_training_images_are_mirrored_left_and_right_and_normalised(dior: Path) -> None:
    data = open_dior(dior)
    data.setup('fit')
    dataset: Any = data.train_dataset
    one = dataset[0]
    batch = {'image': one['image'].repeat(32, 1, 1, 1)} | {
        key: [one[key]] * 32 for key in ('bbox_xyxy', 'label')
    }
    torch.manual_seed(0)
    assert data.train_aug is not None
    result: Any = data.train_aug(batch)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (RGB.mean, RGB.std))
    plain = (one['image'] / 255 - mean) / std
    mirrored = [
        [96 - right, top, 96 - left, bottom]
        for left, top, right, bottom in one['bbox_xyxy'].tolist()
    ]
    counts = [0, 0]
    for image, boxes in zip(result['image'], result['bbox_xyxy'], strict=True):
        is_mirrored = boxes.tolist() == mirrored
        expected = plain.flip(-1) if is_mirrored else plain
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-4)
        assert is_mirrored or torch.equal(boxes, one['bbox_xyxy'])
        counts[is_mirrored] += 1
    assert min(counts) > 5
