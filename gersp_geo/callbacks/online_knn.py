"""A measurement, during training, of how well frozen features tell classes apart."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import batched
from os import PathLike
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from ..datasets.labelled_chips import LabelledChips, split_by_class
from ..evaluation import evaluation_mode, knn_accuracy
from ..normalization import Normalize
from ..preprocessing import Preprocessing
from ..transforms import ScaleValues
from .preprocessing_record import PreprocessingRecord

METRIC = 'val_knn_accuracy'

type Features = Callable[[Tensor], Tensor]


class OnlineKNN(Callback):
    """Log how many labelled images the backbone's features find the right neighbours for.

    ``val_knn_accuracy`` is :func:`~gersp_geo.evaluation.knn_accuracy` of a held-out share of the
    images among the others, at the end of every *every_n_epochs*-th epoch, so that
    ``ModelCheckpoint(monitor='val_knn_accuracy', mode='max')`` keeps the best backbone. Nothing is
    trained, and neither random numbers nor BatchNorm statistics of the run change.

    For any task with a ``backbone`` that gives (B, D), and torchgeo's BYOL. How values become
    input is what the data module says or does, as in
    :class:`~gersp_geo.callbacks.PreprocessingRecord`.
    """

    def __init__(
        self,
        images: str | PathLike[str],
        *,
        every_n_epochs: int = 1,
        k: int = 20,
        held_out: float = 0.2,
        size: int | None = None,
        batch_size: int = 256,
        limit: int | None = None,
    ) -> None:
        """Initialize a new OnlineKNN instance.

        Args:
            images: Folder with one sub-folder per class, of JPEG or PNG files or of GeoTIFF chips,
                whose bands are those of the task in file order.
            every_n_epochs: Epochs between two evaluations, >= 1.
            k: Number of neighbours that vote, >= 1.
            held_out: Share of each class that is classified, in (0, 1); the rest is the bank.
            size: Side of the images in pixels. Defaults to what the task trains on.
            batch_size: Images that go through the backbone together, >= 1.
            limit: At most so many images of each class, >= 2. Defaults to all.

        Raises:
            ValueError: If a number is out of range.
        """
        least = {'every_n_epochs': 1, 'k': 1, 'size': 1, 'batch_size': 1, 'limit': 2}
        given = (every_n_epochs, k, size, batch_size, limit)
        for (name, lowest), value in zip(least.items(), given, strict=True):
            if value is not None and value < lowest:
                raise ValueError(f'{name} must be >= {lowest}, got {value}')
        if not 0 < held_out < 1:
            raise ValueError(f'held_out must be in (0, 1), got {held_out}')
        self.images, self.every_n_epochs, self.k = images, every_n_epochs, k
        self.held_out, self.size, self.batch_size, self.limit = held_out, size, batch_size, limit
        self.chips: LabelledChips | None = None
        self.bank: list[int] = []
        self.held: list[int] = []
        self.preprocess: nn.Module = nn.Identity()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """List and split the images, and find out how the task wants them.

        Raises:
            FileNotFoundError: If the folder, its classes, or the images of a class are missing.
            ValueError: If classes or images are too few, bands are not those of the task, the task
                has no backbone, or nothing tells how values become input.
        """
        if stage != 'fit':
            return
        find_features(pl_module)
        record = find_record(trainer, pl_module)
        # what the task augments to may be smaller than what is loaded
        size = self.size or pl_module.hparams.get('size') or record.size
        if size is None:
            raise ValueError('neither task nor data module say the side of images; pass size')
        self.chips = LabelledChips(self.images, size=size)
        in_channels = pl_module.hparams.get('in_channels', len(record.bands))
        check_images(self.chips, in_channels=in_channels)
        labels = self.chips.labels
        self.bank, self.held = split_by_class(labels, held_out=self.held_out, limit=self.limit)
        if self.k > len(self.bank):
            raise ValueError(
                f'k must be in [1, bank size={len(self.bank)}] for the images in {self.images}, '
                f'got {self.k}'
            )
        self.preprocess = ToInput(record)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Classify the held-out images, and log the share of right ones."""
        if (trainer.current_epoch + 1) % self.every_n_epochs or self.chips is None:
            return
        chips, labels = self.chips, self.chips.labels
        with evaluation_mode(pl_module), torch.no_grad():
            bank, held = (self.extract(pl_module, chips, rows) for rows in (self.bank, self.held))
        accuracy = knn_accuracy(
            held, labels[self.held], bank=bank, bank_labels=labels[self.bank], k=self.k
        )
        # every process has computed it, with BatchNorm statistics of its own; one value decides
        accuracy = trainer.strategy.broadcast(accuracy)
        pl_module.log(METRIC, accuracy)

    def extract(
        self, pl_module: LightningModule, chips: LabelledChips, rows: Sequence[int]
    ) -> Tensor:
        """Compute the features of the images of some rows, shape (N, D), float32, on the CPU.

        Raises:
            ValueError: If the backbone gives anything but one vector per image.
        """
        features = find_features(pl_module)
        dtype = next(pl_module.parameters()).dtype
        found = []
        for part in batched(rows, self.batch_size):
            images = torch.stack([chips.read(row) for row in part]).to(pl_module.device)
            vectors = features(self.preprocess(images).to(dtype))
            if vectors.ndim != 2:
                raise ValueError(
                    f'OnlineKNN needs a backbone that gives (B, D), got {tuple(vectors.shape)}'
                )
            found.append(vectors.float().cpu())
        return torch.cat(found)


class ToInput(nn.Module):
    """From values as stored to a backbone's input, without augmentation."""

    def __init__(self, record: Preprocessing) -> None:
        """Initialize a new ToInput instance from scale, mean and standard deviation per band."""
        super().__init__()
        # a scale of floating point files holds for these too; that of integers does not
        floats = record.dtype is not None and np.dtype(record.dtype).kind == 'f'
        self.scale = ScaleValues(record.scale, scales_floats=floats)
        # uint8 is in [0, 1] whatever *scale* is, as in training
        self.normalize = Normalize(replace(record, scale=(1.0,) * len(record.bands)))

    def forward(self, images: Tensor) -> Tensor:
        """Scale and normalise a batch; NaN becomes the mean of its band.

        Args:
            images: Any real dtype, shape (B, C, H, W).

        Returns:
            Floating point, same shape.
        """
        normal: Tensor = self.normalize({'image': self.scale.to(images.device)(images)})['image']
        return normal


def find_features(pl_module: Any) -> Features:
    """Find what turns images into features in a task, and refuse a task without a backbone."""
    if isinstance(getattr(pl_module, 'backbone', None), nn.Module):
        backbone: Features = pl_module.backbone
        return backbone
    # torchgeo's BYOL holds a timm model with its classifier
    wrapper: Any = getattr(getattr(pl_module, 'model', None), 'backbone', None)
    wrapped: Any = getattr(wrapper, 'model', None)
    if hasattr(wrapped, 'forward_features'):
        return lambda images: wrapped.forward_head(
            wrapped.forward_features(images), pre_logits=True
        )
    raise ValueError(f'OnlineKNN needs a task with a backbone, got {type(pl_module).__name__}')


def find_record(trainer: Trainer, pl_module: LightningModule) -> Preprocessing:
    """Take the record that goes into checkpoints, which may have been given by hand."""
    callbacks: Sequence[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    given = [callback for callback in callbacks if isinstance(callback, PreprocessingRecord)]
    return (given or [PreprocessingRecord()])[0].find_record(trainer, pl_module)


def check_images(chips: LabelledChips, *, in_channels: int) -> None:
    """Refuse images that cannot be evaluated.

    They need two classes of two images each, and as many bands as the task takes.
    """
    if len(chips.classes) < 2:
        raise ValueError(
            f'{chips.folder} must hold at least two classes, one folder each, '
            f'got {len(chips.classes)}'
        )
    counts = chips.labels.bincount(minlength=len(chips.classes)).tolist()
    small = [name for name, count in zip(chips.classes, counts, strict=True) if count < 2]
    if small:
        raise ValueError(
            f'each class in {chips.folder} must have at least two images, one for the bank and one '
            f'to classify; {", ".join(small)} has fewer'
        )
    if len(chips.bands) != in_channels:
        raise ValueError(
            f'images in {chips.folder} have {len(chips.bands)} bands, '
            f'the task takes in_channels={in_channels}'
        )
