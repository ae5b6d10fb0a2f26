"""Whole networks trained for the classes of a data set, by torchgeo's task."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.utilities.seed import isolate_rng
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import Classification

from ..evaluation import evaluation_mode
from ..geoio.write import new_file
from ..messages import name_some
from ..transforms import RandomFlips
from .image_sets import ImageSet
from .image_splits import SPLITS
from .records import Judged, SplitName
from .results import read_arrays

_FLOAT_BYTES = 4
# of the images of one split that are held in memory
_MOST_KEPT = 2**29
# what speaks of hardware when a trainer is made
_TALKERS = ('lightning.pytorch', 'lightning.pytorch.utilities.rank_zero')


class _Samples(Dataset[dict[str, Tensor]]):
    """One split in torchgeo's dialect: file values under 'image', a class under 'label'.

    Images are read once where memory has room for all of them.
    """

    def __init__(self, images: ImageSet, split: SplitName) -> None:
        self.images, self.split = images, split
        self.labels = images.labels(split)
        whole = len(self.labels) * len(images.bands) * images.size**2 * _FLOAT_BYTES
        self.kept: dict[int, Tensor] | None = {} if whole <= _MOST_KEPT else None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        kept = {} if self.kept is None else self.kept
        if index not in kept:
            kept[index] = self.images.read(self.split, index)
        return {'image': kept[index], 'label': self.labels[index]}


class ImageSetDataModule(BaseDataModule):
    """The splits of an evaluation for a task; training images are turned and mirrored."""

    def __init__(self, images: ImageSet, *, batch_size: int) -> None:
        """Initialize a new ImageSetDataModule instance.

        Args:
            images: Whole images, all resized to one side.
            batch_size: Images per step.
        """
        super().__init__(_Samples, batch_size, 0)
        # the network normalises; torchgeo's own transform would take bytes for granted
        self.aug, self.train_aug = nn.Identity(), RandomFlips()
        self.classes = images.classes
        self.samples = {
            split: _Samples(images, split) for split in SPLITS if len(images.files(split))
        }

    def setup(self, stage: str) -> None:
        """Nothing is left to prepare."""

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Give training images in an order of their own in each epoch."""
        data = self.samples['train']
        # one image by itself has no variance for batch normalisation
        lonely = len(data) > self.batch_size and len(data) % self.batch_size == 1
        return DataLoader(data, self.batch_size, shuffle=True, drop_last=lonely)

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]] | list[DataLoader[dict[str, Tensor]]]:
        """Give validation images, if there are any."""
        return DataLoader(self.samples['val'], self.batch_size) if 'val' in self.samples else []


class _OnFeatures(Classification):
    """torchgeo's task on a network that gives features of file values, and a new classifier."""

    # parts of the model are no hyperparameters
    ignore = ('weights', 'features')

    def __init__(self, features: nn.Module, *, width: int, num_classes: int, lr: float) -> None:
        self.made = (features, width)
        super().__init__(num_classes=num_classes, lr=lr)

    def configure_models(self) -> None:
        """Put a classifier on the features."""
        features, width = self.made
        del self.made
        self.model = nn.Sequential(features, nn.Linear(width, self.hparams['num_classes']))


class _BestEpoch(Callback):
    """Keeps the weights of the epoch that validation found best, the first of equals."""

    def __init__(self) -> None:
        self.accuracy, self.epoch = -1.0, -1
        self.weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        accuracy = float(trainer.callback_metrics['val_OverallAccuracy'])
        # a network that gives NaN is right wherever the first class is
        if trainer.callback_metrics['val_loss'].isfinite() and accuracy > self.accuracy:
            self.accuracy, self.epoch = accuracy, trainer.current_epoch
            self.weights = copy.deepcopy(pl_module.state_dict())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trained:
    """What one learning rate came to."""

    accuracy: float
    """On validation; -1 without any."""

    epochs: int
    """After so many."""

    predictions: NDArray[np.int64]
    """Empty where training has diverged."""


def finetune(
    make: Callable[[], nn.Module],
    images: ImageSet,
    *,
    label: str,
    key: str,
    epochs: int,
    lrs: Sequence[float],
    seed: int,
    batch_size: int,
    device: torch.device,
    folder: Path,
    anew: bool = False,
    advance: Callable[[int], None] = lambda count: None,
) -> Judged:
    """Train a network for the classes of a data set, and classify the test images.

    Cross-entropy, AdamW with torchgeo's schedule, all weights; training images are turned and
    mirrored. Of each learning rate, the epoch that is best on validation is kept; of these, the best
    one. The test images are classified, and not looked at, until then.

    Args:
        make: Gives the network, (B, C, H, W) of file values to features (B, D), as it is before
            training; the same each time.
        images: The three splits.
        label: What messages call the network.
        key: Names what each learning rate comes to, for going on: of all that it follows from.
        epochs: Passes through the training split, >= 1.
        lrs: Learning rates.
        seed: Of the classifier, the order and the ways to turn.
        batch_size: Images per step.
        device: What it runs on.
        folder: Keeps what each learning rate came to.
        anew: Train again what is known.
        advance: Called with 1 after each epoch, and with all of those that are known.

    Returns:
        Classes of the test images; 'lr' and 'epochs' that were chosen.

    Raises:
        ValueError: If several learning rates have no validation split to choose by, or training
            diverges with all of them; with some of them is a warning.
    """
    if len(lrs) > 1 and not len(images.files('val')):
        raise ValueError(
            f'without a validation split nothing chooses among {len(lrs)} learning rates (--lr); '
            'give one'
        )
    data = ImageSetDataModule(images, batch_size=batch_size)
    found: dict[float, _Trained] = {}
    for lr in lrs:
        path = folder / f'{key}-{lr:g}.npz'
        if anew or (known := _read(path)) is None:
            with isolate_rng(), _quiet():
                known = _train(
                    make(), data, epochs=epochs, lr=lr, seed=seed, device=device, advance=advance
                )
            _write(path, known)
        else:
            advance(epochs)
        found[lr] = known
    if diverged := [lr for lr in lrs if not len(found[lr].predictions)]:
        text = f'training {label} diverges with a learning rate (--lr) of {name_some(diverged)}'
        if len(diverged) == len(found):
            raise ValueError(f'{text}: what it gives is not finite; pass a lower one')
        warnings.warn(f'{text}, which is not chosen', stacklevel=2)
        found = {lr: one for lr, one in found.items() if lr not in diverged}
    best = max(found, key=lambda lr: found[lr].accuracy)
    chosen = {'lr': best, 'epochs': float(found[best].epochs)}
    return Judged(predictions=found[best].predictions, chosen=chosen)


def _train(
    features: nn.Module,
    data: ImageSetDataModule,
    *,
    epochs: int,
    lr: float,
    seed: int,
    device: torch.device,
    advance: Callable[[int], None],
) -> _Trained:
    """Train with one learning rate, and classify the test images."""
    features = features.to(device).requires_grad_(requires_grad=True)
    torch.manual_seed(seed)
    image = data.samples['train'][0]['image'][None]
    with evaluation_mode(features), torch.inference_mode():
        width = features(image.to(device)).shape[1]
    task = _OnFeatures(features.train(), width=width, num_classes=len(data.classes), lr=lr)
    has_val = 'val' in data.samples
    # what the schedule follows
    task.monitor = 'val_loss' if has_val else 'train_loss'
    best = _BestEpoch()
    trainer = Trainer(
        accelerator=device.type, devices=1 if device.index is None else [device.index],
        max_epochs=epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=1.0 if has_val else 0,
        callbacks=[best, LambdaCallback(on_train_epoch_end=lambda *_: advance(1))],
    )  # fmt: skip
    trainer.fit(task, datamodule=data)
    if best.weights:
        task.load_state_dict(best.weights)
    is_sound = best.weights or not has_val
    predictions = _classify(task.to(device), data) if is_sound else np.empty(0, dtype=np.int64)
    return _Trained(
        accuracy=best.accuracy,
        epochs=best.epoch + 1 if best.weights else epochs,
        predictions=predictions,
    )


def _classify(task: Classification, data: ImageSetDataModule) -> NDArray[np.int64]:
    """Classify the test images; none where the network gives what is not finite."""
    loader = DataLoader(data.samples['test'], data.batch_size)
    with evaluation_mode(task), torch.inference_mode():
        logits = torch.cat([task(batch['image'].to(task.device)) for batch in loader])
    found = logits.argmax(dim=1) if logits.isfinite().all() else logits.new_zeros(0)
    return np.asarray(found.cpu().numpy(), dtype=np.int64)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Lightning says of its trainer from those who have not made one."""
    loggers = [logging.getLogger(name) for name in _TALKERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        # reading in the main process is a choice, not an oversight
        warnings.filterwarnings('ignore', message='.*does not have many workers.*')
        # https://github.com/Lightning-AI/pytorch-lightning: uses a torch class on its way out
        warnings.filterwarnings('ignore', message='.*LeafSpec.*')
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _write(path: Path, trained: _Trained) -> None:
    """Keep what a learning rate came to."""
    with new_file(path, overwrite=True) as temporary:
        np.savez_compressed(
            temporary,
            predictions=trained.predictions,
            accuracy=np.float64(trained.accuracy),
            epochs=np.int64(trained.epochs),
        )


def _read(path: Path) -> _Trained | None:
    """Read what a learning rate came to; None if it is not known, or damaged."""
    arrays = read_arrays(path, 'accuracy', 'epochs', 'predictions')
    if arrays is None:
        return None
    accuracy, epochs, predictions = arrays
    return _Trained(accuracy=float(accuracy), epochs=int(epochs), predictions=predictions)
