"""A few patches of a validation, with truth and prediction, as they are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...bands import shown_bands
from .objects import binary_masks
from .tallies import predict_classes

SURE = 0.5
"""Boxes and masks of a lower score are not drawn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes:
    """Boxes of one patch, and masks where there are any."""

    boxes: NDArray[np.float32]
    """Left, top, right, bottom in pixels, shape (n, 4)."""

    names: tuple[str, ...]
    """Of the class of each."""

    masks: NDArray[np.uint8] | None = None
    """Shape (n, H, W)."""


type Shown = NDArray[np.int64] | NDArray[np.float64] | Shapes | str
"""Classes or values of pixels, shape (H, W); objects; or what is said of the image as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """One patch."""

    dates: tuple[NDArray[np.float32], ...]
    """Per date, the bands that are shown, in values as they are in files, shape (1 or 3, H, W)."""

    truth: Shown
    """What is there."""

    prediction: Shown
    """What was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How images, truth and output of a task are to be read."""

    kind: str
    """objects, values, labels (several per image) or classes."""

    target: str
    """Key of the truth in batches."""

    names: Mapping[int, str]
    """Of the classes, by number."""

    bands: tuple[str, ...] = ()
    """Names of the bands of one date."""

    mean: Tensor | float = 0.0
    """Of the normalisation."""

    std: Tensor | float = 1.0
    """Of the normalisation."""

    def patch(self, output: Any, batch: Mapping[str, Any], index: int) -> Patch:
        """Take one image of a batch with its truth and prediction."""
        match self.kind:
            case 'objects':
                truth, prediction = self.objects(output, batch, index)
            case 'values':
                truth, prediction = self.values(output, batch, index)
            case _:
                truth, prediction = self.classes(output, batch, index)
        return Patch(dates=self.dates(batch['image'][index]), truth=truth, prediction=prediction)

    def dates(self, image: Tensor) -> tuple[NDArray[np.float32], ...]:
        """Undo the normalisation of an image, shape (C, H, W) or (dates, C, H, W)."""
        found = []
        for date in image.reshape(-1, *image.shape[-3:]).detach().float().cpu():
            count = len(date)
            # of one date, or of several of which one is enough to see the ground
            mean, std = (
                torch.as_tensor(x).float().reshape(-1)[:count, None, None]
                for x in (self.mean, self.std)
            )
            fits = len(mean) in (1, count) and len(std) in (1, count)
            values = date * std + mean if fits else date
            names = self.bands if len(self.bands) == count else [None] * count
            found.append(values[list(shown_bands(names))].numpy())
        return tuple(found)

    def classes(self, output: Tensor, batch: Mapping[str, Any], index: int) -> tuple[Shown, Shown]:
        """Read classes or labels of pixels or of an image."""
        truth, scores = batch[self.target][index].detach(), output[index : index + 1].detach()
        if self.kind == 'labels':
            return self.say(truth == 1), self.say(scores[0] >= 0)
        if scores.ndim == 2:
            return self.name(int(truth)), self.name(int(predict_classes(scores)))
        sides = scores.shape[-2:]
        predicted = predict_classes(scores).reshape(sides)
        return truth.long().reshape(sides).cpu().numpy(), predicted.cpu().numpy()

    def values(self, output: Tensor, batch: Mapping[str, Any], index: int) -> tuple[Shown, Shown]:
        """Read values of pixels, or of an image; of several outputs, the first."""
        truth, predicted = (
            values[index].detach().double().cpu() for values in (batch[self.target], output)
        )
        if predicted.ndim == 3:
            sides = predicted.shape[-2:]
            return truth.reshape(-1, *sides)[0].numpy(), predicted[0].numpy()
        return tuple(', '.join(f'{v:.4g}' for v in x.reshape(-1)) for x in (truth, predicted))  # type: ignore[return-value]  # two

    def objects(
        self, output: Sequence[Mapping[str, Tensor]], batch: Mapping[str, Any], index: int
    ) -> tuple[Shown, Shown]:
        """Read boxes and masks; of those found, the sure ones."""
        found = output[index]
        sure = found['scores'] >= SURE
        masks = binary_masks(found['masks'])[sure] if 'masks' in found else None
        there = batch['mask'][index] if 'masks' in found and 'mask' in batch else None
        return (
            self.shapes(batch['bbox_xyxy'][index], batch['label'][index], there),
            self.shapes(found['boxes'][sure], found['labels'][sure], masks),
        )

    def shapes(self, boxes: Tensor, labels: Tensor, masks: Tensor | None) -> Shapes:
        """Bring objects of one image to NumPy."""
        return Shapes(
            boxes=boxes.detach().float().cpu().numpy(),
            names=tuple(self.name(label) for label in labels.tolist()),
            masks=None if masks is None else masks.detach().to(torch.uint8).cpu().numpy(),
        )

    def name(self, number: int) -> str:
        """Name a class."""
        return self.names.get(number, 'no label')

    def say(self, labels: Tensor) -> str:
        """Name all labels of an image that are true."""
        numbers = labels.reshape(-1).nonzero().reshape(-1).tolist()
        return ', '.join(map(self.name, numbers)) or 'none'


def choose_places(batches: float, *, most: int) -> tuple[int, int]:
    """Choose which patches are drawn, spread over a validation.

    Args:
        batches: Their number; infinite where it is not known.
        most: Number of patches that are drawn at most.

    Returns:
        Each how manieth batch is looked at, and how many of its patches are taken.
    """
    if batches == float('inf') or batches < 1:
        return 1, 1
    return max(1, int(batches) // most), -(-most // min(int(batches), most))
