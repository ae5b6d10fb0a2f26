"""What the nearest labelled images say about others, as torchgeo-bench has it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from .linear_probe import check_features

# Rows that are compared with the whole bank together
_ROWS = 256

# How far float64 may be off, of squared distances by matrix products, as a share of squared lengths
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What :func:`classify` found."""

    classes: NDArray[np.int64]
    """Class that most neighbours have, shape (N,)."""

    indices: NDArray[np.int64]
    """Rows of the bank, nearest first, shape (N, k)."""


def classify(features: Tensor, *, bank: Tensor, bank_labels: Tensor, k: int = 5) -> Neighbours:
    """Let the *k* nearest features of a bank vote, by Euclidean distance without standardisation.

    Of equally far features the one that comes first is nearer, of classes with as many votes the
    smallest wins: ``KNNClassifier`` of torchgeo-bench 0.4. That computes distances in float32 as
    ``|a|^2 + |b|^2 - 2 ab``, which loses the digits that tell features apart where these are far from
    zero and close to each other; here they are exact, so that predictions may differ there, and among
    copies of one feature with different classes.

    Args:
        features: What to classify, shape (N, D).
        bank: Labelled features, shape (M, D).
        bank_labels: Their classes, shape (M,), int64 >= 0; some may be missing in between.
        k: Number of neighbours, >= 1; all M where there are fewer.

    Returns:
        Classes and neighbours.

    Raises:
        ValueError: If shapes do not fit, there are no features, one is not finite, or *k* is out of
            range.
    """
    if k < 1:
        raise ValueError(f'k must be >= 1, got {k}')
    check_features(bank, bank_labels, name='the bank')
    check_features(features, bank_labels.new_zeros(len(features)), name='what is classified')
    if features.shape[1] != bank.shape[1]:
        raise ValueError(
            f'features must be as many as those of the bank, {bank.shape[1]}, got '
            f'{features.shape[1]}'
        )
    k = min(k, len(bank))
    bank = bank.double()
    # without what all have in common, which would cost digits
    centre = bank.mean(dim=0)
    moved_bank = bank - centre
    indices = torch.cat(
        [_search(rows.double(), bank, centre, moved_bank, k) for rows in features.split(_ROWS)]
    )
    votes = F.one_hot(bank_labels[indices], int(bank_labels.max()) + 1).sum(dim=1)
    return Neighbours(
        classes=votes.argmax(dim=1).numpy(force=True), indices=indices.numpy(force=True)
    )


def _search(rows: Tensor, bank: Tensor, centre: Tensor, moved_bank: Tensor, k: int) -> Tensor:
    """Find the k nearest of a bank for each row, shape (N, k), all float64."""
    moved = rows - centre
    lengths, bank_lengths = (some.square().sum(dim=1) for some in (moved, moved_bank))
    distances = torch.addmm(bank_lengths, moved, moved_bank.T, alpha=-2) + lengths[:, None]
    found = distances.topk(min(k + 1, len(bank)), dim=1, largest=False)
    # what is closer to the last neighbour than rounding may have moved it could be one as well
    limits = found.values[:, k - 1] + _ROUNDING * (lengths + bank_lengths.max())
    indices = _order(rows, bank, found.indices[:, :k].sort(dim=1).values)
    if found.values.shape[1] > k:
        for row in (found.values[:, k] <= limits).nonzero().flatten().tolist():
            near = (distances[row] <= limits[row]).nonzero().T
            indices[row] = _order(rows[row, None], bank, near)[0, :k]
    return indices


def _order(rows: Tensor, bank: Tensor, near: Tensor) -> Tensor:
    """Sort ascending places in a bank, shape (N, n), by exact distance, and equally far ones not."""
    distances = (bank[near] - rows[:, None]).square().sum(dim=2)
    return near.gather(1, distances.argsort(dim=1, stable=True))
