"""Fine-tuning repeats itself, chooses on validation, and goes on from what is known."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gersp_geo.comparison.finetuning import finetune
from gersp_geo.comparison.image_sets import ImageSet
from gersp_geo.comparison.records import Judged


def draw_images(folder: Path) -> None:
    """Bright and dark pictures in three splits, the test split labelled wrong."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 9), ('val', 3), ('test', 3)):
        for name, mean in (('bright', 200), ('dark', 60)):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                shown = 260 - mean if split == 'test' else mean
                values = rng.normal(shown, 20, size=(8, 8, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(values).save(folder / split / name / f'{split}_{name}_{i}.png')


@pytest.fixture
def images(make_once: Callable[[str, Callable[[Path], object]], Path]) -> ImageSet:
    return ImageSet(make_once('bright-and-dark', draw_images), size=8)


class Centred(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return (values - 130) / 70


def make() -> nn.Module:
    """A network that is the same each time."""
    layer = nn.Conv2d(3, 4, 3, bias=False)
    layer.weight.data = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0)) / 5
    return nn.Sequential(Centred(), layer, nn.ReLU(), nn.Flatten()).eval()


def run(
    images: ImageSet, folder: Path, *, lrs: tuple[float, ...] = (1e-5, 1e-2), key: str = 'k'
) -> tuple[Judged, int]:
    """Fine-tune, and count the networks that this needed."""
    made = []

    def count() -> nn.Module:
        made.append(make())
        return made[-1]

    judged = finetune(
        count, images, label='ours', key=key, epochs=2, lrs=lrs, seed=0, batch_size=6,
        device=torch.device('cpu'), folder=folder,
    )  # fmt: skip
    return judged, len(made)


def test_it_learns_chooses_on_validation_and_goes_on(images: ImageSet, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    judged, made = run(images, tmp_path)
    assert made == 2
    assert torch.equal(torch.get_rng_state(), state)
    assert judged.chosen['lr'] == 1e-2
    # of the test images, labels alone are wrong: whatever looked at them would not be
    assert (judged.predictions == 1 - images.labels('test').numpy()).all()

    # a learning rate that was cut off is trained again, and comes to the same
    next(tmp_path.glob('k-0.01.npz')).write_bytes(b'PK')
    again, made = run(images, tmp_path)
    assert made == 1
    assert again.chosen == judged.chosen
    assert (again.predictions == judged.predictions).all()
    assert run(images, tmp_path)[1] == 0


def test_a_training_that_diverges_is_no_figure(images: ImageSet, tmp_path: Path) -> None:
    told = r'training ours diverges with a learning rate \(--lr\) of 1e\+30'
    with pytest.warns(UserWarning, match=told):
        judged, _ = run(images, tmp_path, lrs=(1e-2, 1e30))
    assert judged.chosen['lr'] == 1e-2
    # nor is it when it is known
    with pytest.raises(ValueError, match=f'{told}: what it gives is not finite; pass a lower one'):
        run(images, tmp_path, lrs=(1e30,))


@pytest.mark.filterwarnings('error')
def test_without_validation_the_last_epoch_counts(
    make_once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(make_once('bright-and-dark', draw_images), tmp_path / 'images')
    shutil.rmtree(folder / 'val')
    judged, _ = run(ImageSet(folder, size=8), tmp_path / 'out', lrs=(1e-2,))
    assert judged.chosen == {'lr': 1e-2, 'epochs': 2}
