"""Counts of pixels, images and values from which all metrics follow, whatever the number of batches."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .summary import Matrix, Summary, mean_of_known

type Sum = Callable[[Tensor], Tensor]
"""Adds up a tensor over all processes."""


class Tally(Protocol):
    """What is kept of the batches of one validation."""

    def update(self, output: Any, batch: Mapping[str, Any]) -> None:
        """Count the batch that a task gave *output* for."""

    def summary(self, add: Sum) -> Summary:
        """Compute the metrics, over all processes."""


class ClassTally:
    """A confusion matrix of pixels or images that have one class each."""

    def __init__(
        self, names: Sequence[str], *, target: str, ignore: int | None, device: torch.device
    ) -> None:
        """Initialize a new ClassTally instance.

        Args:
            names: Of the classes 0, 1, ...
            target: Key of the truth in batches: 'mask' of pixels, 'label' of images.
            ignore: Truth that is left out, besides what is no class.
            device: Where outputs are.
        """
        self.names, self.target, self.ignore = tuple(names), target, ignore
        self.counts = torch.zeros(len(names), len(names), dtype=torch.int64, device=device)

    def update(self, output: Tensor, batch: Mapping[str, Any]) -> None:
        """Count logits of shape (B, classes, ...), or (B, 1, ...) of the second of two classes."""
        count = len(self.names)
        truth = batch[self.target].long().flatten()
        predicted = predict_classes(output).flatten()
        known = (truth >= 0) & (truth < count)
        if self.ignore is not None:
            known &= truth != self.ignore
        pairs = truth[known] * count + predicted[known]
        self.counts += pairs.bincount(minlength=count**2).reshape(count, count)

    def summary(self, add: Sum) -> Summary:
        """Compute IoU, precision, recall and F1 of each class."""
        counts = add(self.counts).cpu().numpy()
        classes = judge(
            self.names, right=counts.diagonal(), true=counts.sum(1), predicted=counts.sum(0)
        )
        total = int(counts.sum())
        accuracy = int(counts.trace()) / total if total else math.nan
        return Summary(
            unit='pixels' if self.target == 'mask' else 'images',
            counts=dict(zip(self.names, counts.sum(1).tolist(), strict=True)),
            classes=classes,
            overall=average(classes) | {'Accuracy': accuracy},
            matrix=Matrix(rows=self.names, columns=self.names, counts=counts),
        )


class LabelTally:
    """Counts of right and wrong answers for pixels or images that may have several labels."""

    COLUMNS = ('found', 'missed', 'false alarm', 'rightly absent')

    def __init__(
        self, names: Sequence[str], *, target: str, ignore: int | None, device: torch.device
    ) -> None:
        """Initialize a new LabelTally instance; arguments as of :class:`ClassTally`."""
        self.names, self.target, self.ignore = tuple(names), target, ignore
        self.counts = torch.zeros(len(names), 4, dtype=torch.int64, device=device)

    def update(self, output: Tensor, batch: Mapping[str, Any]) -> None:
        """Count logits of shape (B, labels, ...), with truth of the same shape."""
        truth = batch[self.target].reshape(output.shape).movedim(1, 0).flatten(1)
        predicted = (output >= 0).movedim(1, 0).flatten(1)
        known = (truth == 0) | (truth == 1)
        if self.ignore is not None:
            known &= truth != self.ignore
        there, absent = known & (truth == 1), known & (truth == 0)
        cases = (there & predicted, there & ~predicted, absent & predicted, absent & ~predicted)
        self.counts += torch.stack([case.sum(dim=1) for case in cases], dim=1)

    def summary(self, add: Sum) -> Summary:
        """Compute IoU, precision, recall and F1 of each label."""
        counts = add(self.counts).cpu().numpy()
        found, missed, false, absent = counts.T
        classes = judge(self.names, right=found, true=found + missed, predicted=found + false)
        total = int(counts.sum())
        accuracy = int((found + absent).sum()) / total if total else math.nan
        return Summary(
            unit='pixels' if self.target == 'mask' else 'images',
            counts=dict(zip(self.names, (found + missed).tolist(), strict=True)),
            classes=classes,
            overall=average(classes) | {'Accuracy': accuracy},
            matrix=Matrix(rows=self.names, columns=self.COLUMNS, counts=counts),
        )


class ValueTally:
    """Sums of errors of predicted values, and of true ones."""

    def __init__(self, names: Sequence[str], *, target: str, device: torch.device) -> None:
        """Initialize a new ValueTally instance; *names* are those of the outputs."""
        self.names, self.target = tuple(names), target
        self.sums = torch.zeros(len(names), 6, dtype=torch.float64, device=device)

    def update(self, output: Tensor, batch: Mapping[str, Any]) -> None:
        """Add up values of shape (B, outputs, ...); a truth that is not finite is left out."""
        truth = batch[self.target].reshape(output.shape).double().movedim(1, 0).flatten(1)
        error = output.double().movedim(1, 0).flatten(1) - truth
        known = truth.isfinite()
        truth, error = truth.where(known, 0), error.where(known, 0)
        parts = (known.double(), error, error.abs(), error**2, truth, truth**2)
        self.sums += torch.stack([part.sum(dim=1) for part in parts], dim=1)

    def summary(self, add: Sum) -> Summary:
        """Compute root mean square and mean absolute error, bias and R2 of each output."""
        sums = dict(zip(self.names, add(self.sums).cpu().tolist(), strict=True))
        outputs = {name: judge_values(*row) for name, row in sums.items()}
        (first, *more) = outputs.values()
        overall = first if not more else {
            metric: mean_of_known(values[metric] for values in outputs.values()) for metric in first
        }  # fmt: skip
        return Summary(
            unit='values',
            counts={name: int(row[0]) for name, row in sums.items()},
            # what is said of one output alone is said of all
            classes=outputs if more else {},
            overall=overall,
        )


def predict_classes(output: Tensor) -> Tensor:
    """Choose classes from logits, shape (B, classes, ...) to (B, ...).

    One logit chooses the second of two classes where its probability is 0.5 or more.
    """
    return output.argmax(dim=1) if output.shape[1] > 1 else (output >= 0).long().squeeze(1)


def judge(
    names: Sequence[str],
    *,
    right: NDArray[np.int64],
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
) -> dict[str, dict[str, float]]:
    """Compute the metrics of each class from how often it is true, predicted, and both."""
    ratios = {
        'IoU': (right, true + predicted - right),
        'Precision': (right, predicted),
        'Recall': (right, true),
        'F1': (2 * right, true + predicted),
    }
    # nothing is said of a class that is nowhere true; one that is never predicted has no right one
    values = {
        metric: np.where(true > 0, part / np.maximum(whole, 1), np.nan).tolist()
        for metric, (part, whole) in ratios.items()
    }
    return {name: {m: values[m][i] for m in ratios} for i, name in enumerate(names)}


def average(classes: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Average each metric over the classes for which it is known."""
    metrics = next(iter(classes.values()), {})
    return {m: mean_of_known(values[m] for values in classes.values()) for m in metrics}


def judge_values(
    count: float, error: float, size: float, square: float, truth: float, truth_square: float
) -> dict[str, float]:
    """Compute metrics from sums over all values: of errors, their sizes and squares, and of truth."""
    if not count:
        return dict.fromkeys(('RMSE', 'MAE', 'Bias', 'R2'), math.nan)
    spread = truth_square - truth**2 / count
    # rounding leaves a little of truth that is the same everywhere
    varies = spread > 1e-12 * truth_square
    return {
        'RMSE': math.sqrt(square / count),
        'MAE': size / count,
        'Bias': error / count,
        'R2': 1 - square / spread if varies else math.nan,
    }
