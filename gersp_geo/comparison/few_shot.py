"""How well frozen features tell classes apart by a few labelled images of each, over many draws."""

import warnings
from collections.abc import Iterator
from itertools import batched
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import neighbours
from .linear_probe import COST_WITHOUT_VALIDATION, check_splits
from .records import Judged, Split
from .softmax_regression import Solutions, solve, state_problems

type Classifier = Literal['knn', 'linear']

COSTS: tuple[float, ...] = tuple(np.logspace(-6, 3, 10).tolist())
"""Values of C that validation chooses from: the decades of what the linear probe has, but the last.

Few images are told apart without a mistake long before, and the minimum is ever farther away.
"""

# Features of draws that are solved together, in values of float64
_TOGETHER = 2**24


def judge(
    train: Split,
    val: Split | None,
    test: Split,
    *,
    per_class: int,
    draws: int,
    seed: int,
    k: int,
    classifier: Classifier = 'linear',
) -> list[Judged]:
    """Classify the test images by a few labelled training images, again and again.

    Draws depend on the labels of *train*, *per_class* and *seed*, not on features, so that methods
    are judged on the same ones; more draws begin with those that fewer give.

    The linear classifier is that of :mod:`~gersp_geo.comparison.linear_probe`, at its minimum, which
    takes no time with few images. C is one for all draws: the first of :data:`COSTS` with the most
    right validation images over all of them. Choosing it for each draw would be choosing noise.

    Args:
        train: What is drawn from.
        val: What chooses C. Without, C is ``COST_WITHOUT_VALIDATION``, 1.
        test: What is classified; its labels are not used.
        per_class: Images of each class, >= 1; all of a class that has fewer, with a warning.
        draws: How often, >= 1.
        seed: Of the draws.
        k: Number of neighbours of 'knn', >= 1; all images where there are fewer.
        classifier: What tells classes apart.

    Returns:
        What each draw gives, and of 'linear' C.

    Raises:
        ValueError: If a number or *classifier* is out of range, splits do not fit each other, a
            feature is not finite, or training has fewer than two classes.
    """
    for name, number in (('per_class', per_class), ('draws', draws), ('k', k)):
        if number < 1:
            raise ValueError(f'{name} must be >= 1, got {number}')
    if classifier not in ('knn', 'linear'):
        raise ValueError(f"classifier must be 'knn' or 'linear', got {classifier!r}")
    check_splits(train, val, test)
    labels = train.labels.numpy(force=True)
    drawn = list(draw_images(labels, per_class=per_class, draws=draws, seed=seed))
    if classifier == 'knn':
        return [_judge_neighbours(train, test, rows, k) for rows in drawn]
    return _judge_linear(train, val, test, drawn)


def draw_images(
    labels: NDArray[np.int64], *, per_class: int, draws: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Draw images of each class without replacement, as ascending rows.

    Warns:
        UserWarning: If a class has fewer than *per_class*.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < per_class:
        warnings.warn(
            f'of {int((counts < per_class).sum())} classes, training has fewer than '
            f'{per_class} images, {counts.min()} at least; all of them are taken in every draw',
            stacklevel=2,
        )
    places = [np.flatnonzero(labels == one) for one in classes]
    for draw in range(draws):
        rng = np.random.default_rng([seed, per_class, draw])
        rows = [rng.choice(some, min(per_class, len(some)), replace=False) for some in places]
        yield np.sort(np.concatenate(rows))


def _judge_neighbours(train: Split, test: Split, rows: NDArray[np.int64], k: int) -> Judged:
    """Let neighbours among some training images vote."""
    chosen = torch.from_numpy(rows).to(train.labels.device)
    bank, labels = train.features[chosen], train.labels[chosen]
    found = neighbours.classify(test.features, bank=bank, bank_labels=labels, k=k)
    return Judged(predictions=found.classes)


def _judge_linear(
    train: Split, val: Split | None, test: Split, drawn: list[NDArray[np.int64]]
) -> list[Judged]:
    """Fit a linear classifier to each draw, with the C that is best over all of them."""
    classes, targets = torch.unique(train.labels, return_inverse=True)
    rows = torch.from_numpy(np.stack(drawn)).to(targets.device)
    costs = COSTS if val is not None else (COST_WITHOUT_VALIDATION,)
    together = max(1, _TOGETHER // (rows.shape[1] * train.features.shape[1]))
    right = dict.fromkeys(costs, 0)
    fits: dict[float, list[Solutions]] = {cost: [] for cost in costs}
    for part in batched(rows, together):
        features, labels = train.features[torch.stack(part)], targets[torch.stack(part)]
        for cost, fitted in _fit(features, labels, len(classes), costs):
            fits[cost].append(fitted)
            if val is not None:
                right[cost] += int((classes[fitted.predict(val.features)] == val.labels).sum())
    best = max(costs, key=right.__getitem__)
    predictions = torch.cat([classes[fitted.predict(test.features)] for fitted in fits[best]])
    return [
        Judged(predictions=predicted, chosen={'C': best})
        for predicted in predictions.numpy(force=True)
    ]


def _fit(
    features: Tensor, labels: Tensor, classes: int, costs: tuple[float, ...]
) -> Iterator[tuple[float, Solutions]]:
    """Solve some draws for one C after the other; each starts where the one before it ended."""
    problems, start = state_problems(features, labels, classes), None
    for cost in costs:
        fitted = solve(problems, cost=cost, start=start)
        start = fitted.inner
        yield cost, fitted
