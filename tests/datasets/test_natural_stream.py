import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets import FakeData, ImageFolder

from gersp_geo.datasets.natural_stream import open_natural


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label, name in enumerate(('ant', 'zebra')):
        (tmp_path / name).mkdir()
        for i in range(3):
            pixels = np.full((40, 50, 3), 100 * label + 10 * i, dtype=np.uint8)
            pixels[:20] += 40
            Image.fromarray(pixels).save(tmp_path / name / f'{i}.png')
    return tmp_path


class Items(Dataset[Any]):
    """Gives the same item for every index."""

    def __init__(self, item: Any, length: int = 4) -> None:
        self.item, self.length = item, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return self.item


def same(one: Any, other: Any) -> bool:
    return torch.equal(one['image'], other['image']) and torch.equal(one['label'], other['label'])


def test_a_folder_and_an_image_folder_give_the_same_stream(folder: Path) -> None:
    ours, theirs = open_natural(folder, size=32), open_natural(ImageFolder(str(folder)), size=32)
    assert theirs.samples is not None
    assert ours.classes == theirs.classes == ['ant', 'zebra']
    assert len(ours) == len(theirs) == ours.files == 6
    for index in range(6):
        sample = ours.draw(cycle=0, index=index)
        assert sample['image'].shape == (3, 32, 32)
        assert sample['image'].dtype == torch.uint8
        assert sample['label'] == index // 3
        assert same(sample, theirs.draw(cycle=0, index=index))
        # whole images are the same in every pass
        assert same(sample, ours.draw(cycle=1, index=index))


def test_hidden_folders_are_no_classes_of_an_image_folder_either(folder: Path) -> None:
    (folder / '.ipynb_checkpoints').mkdir()
    Image.new('RGB', (40, 50)).save(folder / '.ipynb_checkpoints' / '0-checkpoint.png')
    theirs = ImageFolder(str(folder))
    assert theirs.classes == ['.ipynb_checkpoints', 'ant', 'zebra']
    ours, of_theirs = open_natural(folder, size=32), open_natural(theirs, size=32)
    assert ours.classes == of_theirs.classes == ['ant', 'zebra']
    assert ours.samples is not None
    assert of_theirs.samples is not None
    assert [label for _, label in ours.samples] == [label for _, label in of_theirs.samples]
    assert len(ours) == 6


def test_crops_depend_on_seed_pass_and_index_alone(folder: Path) -> None:
    one, other, seeded = (
        open_natural(folder, size=32, seed=seed, crop_scale=(0.2, 1.0)) for seed in (0, 0, 1)
    )
    other.draw(cycle=5, index=1)
    copy = pickle.loads(pickle.dumps(other))
    images = [one.draw(cycle=cycle, index=0) for cycle in range(20)]
    for cycle, image in enumerate(images):
        assert same(image, copy.draw(cycle=cycle, index=0))
    assert len({image['image'].sum().item() for image in images}) > 5
    drawn = [stream.draw(cycle=0, index=0) for stream in (one, seeded)]
    assert not same(*drawn)


PIXELS = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
TENSOR = torch.from_numpy(PIXELS).permute(2, 0, 1)


@pytest.mark.parametrize(
    'item',
    [
        (Image.fromarray(PIXELS), 3),
        (PIXELS, np.int64(3)),
        (TENSOR, torch.tensor(3)),
        (TENSOR.float() / 255, 3),
        {'image': TENSOR, 'label': torch.tensor(3)},
    ],
    ids=['pil', 'array', 'bytes', 'unit', 'dictionary'],
)
def test_any_usual_item_gives_the_same_sample(item: Any) -> None:
    stream = open_natural(Items(item), size=32)
    sample = stream.draw(cycle=0, index=1)
    assert torch.equal(sample['image'], TENSOR)
    assert sample['label'] == 3
    assert sample['label'].dtype == torch.int64
    cropped = open_natural(Items(item), size=16, crop_scale=(0.2, 0.5)).draw(cycle=0, index=1)
    assert cropped['image'].shape == (3, 16, 16)


def test_a_torchvision_data_set_works() -> None:
    stream = open_natural(FakeData(size=5, image_size=(3, 40, 50), num_classes=10), size=32)
    assert stream.samples is None
    assert stream.draw(cycle=0, index=2)['image'].shape == (3, 32, 32)


@pytest.mark.parametrize(
    ('item', 'found'),
    [
        ((TENSOR.float(), 3), r'Tensor of shape \(3, 32, 32\) in \[0, 254\] with int'),
        ((TENSOR, torch.tensor([1, 0])), r'with Tensor of shape \(2,\)'),
        ({'image': TENSOR}, 'with NoneType'),
        (TENSOR, r'Tensor of shape'),
        (('a.jpg', 3), 'str a.jpg with int'),
    ],
)
def test_other_items_are_refused_with_what_they_are(item: Any, found: str) -> None:
    with pytest.raises(ValueError, match=f'natural items must be .* Items gives .*{found}'):
        open_natural(Items(item), size=32).draw(cycle=0, index=0)


def test_transforms_of_the_data_set_and_impossible_crops_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match='ImageFolder must have no transform of its own'):
        open_natural(ImageFolder(str(folder), transform=np.array), size=32)
    for scale in ((0.0, 1.0), (0.5, 0.2), (0.5, 1.5)):
        with pytest.raises(ValueError, match='natural_crop_scale must be'):
            open_natural(folder, size=32, crop_scale=scale)
