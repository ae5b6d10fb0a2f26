"""k-NN accuracy of the backbone during a run: what it measures, and that it changes nothing."""

from pathlib import Path
from typing import Any

import kornia.augmentation as K
import numpy as np
import pytest
import timm
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchgeo.tasks import BYOL, MoCo, SimCLR

from gersp_geo import GeRSPDataModule, GeRSPTask
from gersp_geo.callbacks import OnlineKNN, PreprocessingRecord
from gersp_geo.callbacks.online_knn import ToInput, find_features
from gersp_geo.preprocessing import Preprocessing

SIDE, EACH = 32, 10
COLORS = {'forest': (30, 90, 30), 'roof': (200, 60, 40), 'water': (20, 40, 160)}
RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1.0,) * 3, mean=(0.4,) * 3, std=(0.25,) * 3, size=SIDE
)


def write_images(folder: Path, colors: dict[str, tuple[int, int, int]] = COLORS) -> Path:
    """Noise around one colour per class."""
    generator = np.random.default_rng(0)
    for name, color in colors.items():
        (folder / name).mkdir(parents=True)
        for number in range(EACH):
            noise = generator.normal(0, 12, (SIDE, SIDE, 3)) + color
            pixels = np.clip(noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f'{number}.png')
    return folder


@pytest.fixture(scope='module')
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp('labelled') / 'images')


class Probe(LightningModule):
    """A backbone and nothing to learn; parts of it are in modes of their own, as a user may set."""

    def __init__(self, backbone: nn.Module | None = None, **hparams: Any) -> None:
        super().__init__()
        self.save_hyperparameters({'in_channels': 3} | hparams)
        pooled = nn.Sequential(
            nn.Conv2d(3, 8, 1),
            nn.BatchNorm2d(8),
            nn.Dropout(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.backbone = pooled if backbone is None else backbone
        self.seen: list[float] = []

    def on_train_start(self) -> None:
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = self.backbone(torch.rand(2, 3, SIDE, SIDE)).square().mean()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def make_trainer(*callbacks: Any, epochs: int = 1, **arguments: Any) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator='cpu',
        logger=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **arguments,
    )


def fit(task: LightningModule, *callbacks: Any, epochs: int = 1) -> Trainer:
    torch.manual_seed(0)
    trainer = make_trainer(PreprocessingRecord(RECORD), *callbacks, epochs=epochs)
    trainer.fit(task, DataLoader(TensorDataset(torch.zeros(4, 1)), batch_size=2))
    return trainer


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_gersp_run_keeps_its_best_backbone(
    images: Path, sample_data: Path, tmp_path: Path
) -> None:
    best = ModelCheckpoint(tmp_path, monitor='val_knn_accuracy', mode='max', filename='best')
    weights = []
    for callbacks in ([OnlineKNN(images, k=3), best], []):
        seed_everything(0)
        task = GeRSPTask('resnet18', size=SIDE, memory_bank_size=64, num_classes=8, hidden_dim=32)
        data = GeRSPDataModule(
            str(sample_data / 'scenes'),
            str(sample_data / 'natural'),
            size=SIDE,
            batch_size=4,
            steps_per_epoch=2,
            num_workers=0,
        )
        make_trainer(*callbacks, epochs=2).fit(task, datamodule=data)
        weights.append(task.state_dict())
    assert (tmp_path / 'best.ckpt').exists()
    assert best.best_model_score is not None
    assert 0.5 < float(best.best_model_score) <= 1
    assert all(torch.equal(x, weights[1][name]) for name, x in weights[0].items())


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_classes_of_different_colours_are_told_apart(images: Path) -> None:
    trainer = fit(Probe(), OnlineKNN(images, k=3))
    assert trainer.callback_metrics['val_knn_accuracy'] == 1


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_neither_modes_nor_draws_nor_statistics_change(images: Path) -> None:
    plain, watched = Probe(), Probe()
    watched.load_state_dict(plain.state_dict())
    fit(plain, epochs=3)
    after_plain = torch.rand(1)
    fit(watched, OnlineKNN(images, k=3), epochs=3)
    assert torch.equal(after_plain, torch.rand(1))
    expected = plain.state_dict()
    assert all(torch.equal(x, expected[name]) for name, x in watched.state_dict().items())


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_only_every_nth_epoch_is_evaluated(images: Path) -> None:
    class Counting(OnlineKNN):
        epochs: list[int] = []  # noqa: RUF012

        def extract(self, pl_module: LightningModule, *args: Any) -> Tensor:
            self.epochs.append(pl_module.current_epoch)
            return super().extract(pl_module, *args)

    fit(Probe(), Counting(images, k=3, every_n_epochs=2), epochs=5)
    assert Counting.epochs == [1, 1, 3, 3]


def test_bytes_and_scaled_values_give_the_same_input() -> None:
    images = torch.randint(256, (2, 3, 4, 4), dtype=torch.uint8)
    # the scale is that of other integers
    record = Preprocessing(
        bands=('a', 'b', 'c'), scale=(1e-4,) * 3, mean=(0.2, 0.3, 0.4), std=(0.5, 0.6, 0.7)
    )
    to_input = ToInput(record)
    expected = K.Normalize(torch.tensor(record.mean), torch.tensor(record.std))(images / 255)
    torch.testing.assert_close(to_input(images), expected)
    torch.testing.assert_close(to_input(images / 255), expected)
    counts = (images.float() / 255 * 1e4).round().to(torch.int32)
    torch.testing.assert_close(to_input(counts), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize('kind', [MoCo, SimCLR])
def test_torchgeos_tasks_have_a_backbone(kind: Any) -> None:
    task = kind(model='resnet10t', in_channels=3)
    assert find_features(task) is task.backbone


def test_features_of_torchgeos_byol_are_those_before_its_classifier() -> None:
    task = BYOL(model='resnet18', in_channels=3).eval()
    bare = timm.create_model('resnet18', num_classes=0)
    wrapped: Any = task.model.backbone.model
    bare.load_state_dict(wrapped.state_dict(), strict=False)
    images = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        torch.testing.assert_close(find_features(task)(images), bare.eval()(images))


def setup(callback: OnlineKNN, task: LightningModule | None = None) -> None:
    trainer = make_trainer(PreprocessingRecord(RECORD))
    callback.setup(trainer, Probe() if task is None else task, 'fit')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'every_n_epochs': 0}, 'every_n_epochs must be >= 1, got 0'),
        ({'k': 0}, 'k must be >= 1, got 0'),
        ({'limit': 1}, 'limit must be >= 2, got 1'),
        ({'held_out': 1.0}, r'held_out must be in \(0, 1\), got 1.0'),
        ({'size': 0}, 'size must be >= 1, got 0'),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OnlineKNN('images', **arguments)


def test_what_cannot_be_evaluated_is_refused_before_training(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'k must be in \[1, bank size=24\] .*, got 25'):
        setup(OnlineKNN(images, k=25))
    with pytest.raises(ValueError, match='have 3 bands, the task takes in_channels=13'):
        setup(OnlineKNN(images, k=3), Probe(in_channels=13))
    with pytest.raises(ValueError, match='needs a task with a backbone, got LightningModule'):
        setup(OnlineKNN(images, k=3), LightningModule())
    with pytest.raises(FileNotFoundError, match=r'no folder .*missing'):
        setup(OnlineKNN(tmp_path / 'missing'))
    one = write_images(tmp_path / 'one', {'forest': (0, 90, 0)})
    with pytest.raises(ValueError, match='at least two classes, one folder each, got 1'):
        setup(OnlineKNN(one, k=3))
    (one / 'lonely').mkdir()
    (one / 'forest' / '0.png').rename(one / 'lonely' / '0.png')
    with pytest.raises(ValueError, match=r'at least two images, .*; lonely has fewer'):
        setup(OnlineKNN(one, k=3))


def test_a_run_that_nothing_describes_is_refused(images: Path) -> None:
    with pytest.raises(ValueError, match=r'pass PreprocessingRecord\(preprocessing=...\)'):
        OnlineKNN(images, k=3).setup(make_trainer(), Probe(), 'fit')


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_a_backbone_that_gives_maps_is_refused(images: Path) -> None:
    with pytest.raises(ValueError, match=r'gives \(B, D\), got \(24, 8, 32, 32\)'):
        fit(Probe(nn.Conv2d(3, 8, 1)), OnlineKNN(images, k=3))
