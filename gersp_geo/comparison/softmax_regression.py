"""Many small linear classifiers at once, each at its minimum."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Newton's method stops where it would lower the loss by less than this share of the penalty, so that
# weights are known to a thousandth
_TOLERANCE = 1e-6

# Its directions are exact to this share
_EXACTNESS = 0.1

_MOST_STEPS, _MOST_DIRECTIONS, _MOST_HALVINGS = 100, 200, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallProblems:
    """Labelled images of some draws, in the coordinates that they span themselves.

    Where a penalty is that of ``||W||^2``, nothing but the part of W within these counts.
    """

    features: Tensor
    """Centred and turned, so that columns are orthogonal, shape (draws, n, r), float64."""

    axes: Tensor
    """What the columns are in the original features, shape (draws, r, D)."""

    centre: Tensor
    """Mean of the original features, shape (draws, 1, D)."""

    targets: Tensor
    """1 at the class, shape (draws, n, classes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solutions:
    """Minimum of each problem."""

    inner: Tensor
    """Weights, and in the last row biases, shape (draws, r + 1, classes)."""

    weight: Tensor
    """Of the original features, shape (draws, D, classes)."""

    bias: Tensor
    """Shape (draws, 1, classes)."""

    def predict(self, features: Tensor) -> Tensor:
        """Classify features of shape (N, D) by each, shape (draws, N)."""
        return torch.stack([
            (features.double() @ weight + bias).argmax(dim=1)
            for weight, bias in zip(self.weight, self.bias, strict=True)
        ])  # fmt: skip


def state_problems(features: Tensor, labels: Tensor, classes: int) -> SmallProblems:
    """Find the coordinates in which problems are small, n at most.

    Args:
        features: Shape (draws, n, D).
        labels: Shape (draws, n), int64 in [0, *classes*).
        classes: Number of classes.
    """
    wide = features.double()
    centre = wide.mean(dim=1, keepdim=True)
    turned, lengths, axes = torch.linalg.svd(wide - centre, full_matrices=False)
    return SmallProblems(
        features=turned * lengths[:, None], axes=axes, centre=centre,
        targets=F.one_hot(labels, classes).double(),
    )  # fmt: skip


def solve(problems: SmallProblems, *, cost: float, start: Tensor | None = None) -> Solutions:
    """Minimise mean cross entropy + ``||W||^2 / (2 C n)`` of each problem; the bias is free.

    Newton's method, its directions by conjugate gradients with the diagonal of the Hessian.

    Args:
        problems: Of which draws do not depend on each other.
        cost: C, > 0.
        start: ``inner`` of another solution, as for a smaller C. Defaults to zero.
    """
    draws, count, width = problems.features.shape
    inputs = torch.cat([problems.features, problems.features.new_ones(draws, count, 1)], dim=2)
    rough = inputs.float()
    penalty = inputs.new_full((width + 1, 1), 1 / cost / count)
    penalty[-1] = 0
    classes = problems.targets.shape[2]
    inner = inputs.new_zeros(draws, width + 1, classes) if start is None else start
    for _ in range(_MOST_STEPS):
        shares = (inputs @ inner).softmax(dim=2)
        gradient = inputs.mT @ (shares - problems.targets) / count + penalty * inner
        # half the digits are enough to find a way
        direction = _find_direction(
            rough, shares.float(), gradient.float(), penalty.float()
        ).double()
        fall = (gradient * direction).sum(dim=(1, 2))
        loss = _loss(inputs, problems.targets, inner, penalty)
        open_ = fall > _TOLERANCE * (penalty * inner.square()).sum(dim=(1, 2)) / 2
        if not open_.any():
            break
        step = open_.double()
        for _ in range(_MOST_HALVINGS):
            moved = inner - step[:, None, None] * direction
            worse = _loss(inputs, problems.targets, moved, penalty) > loss - 1e-4 * step * fall
            if not (worse & (step > 0)).any():
                break
            step = torch.where(worse, step / 2, step)
        inner = inner - step[:, None, None] * direction
    weight = problems.axes.mT @ inner[:, :-1]
    return Solutions(inner=inner, weight=weight, bias=inner[:, -1:] - problems.centre @ weight)


def _loss(inputs: Tensor, targets: Tensor, inner: Tensor, penalty: Tensor) -> Tensor:
    """Compute what is minimised, shape (draws,)."""
    logs = (inputs @ inner).log_softmax(dim=2)
    return -(targets * logs).sum(dim=2).mean(dim=1) + (penalty * inner.square()).sum(dim=(1, 2)) / 2


def _find_direction(inputs: Tensor, shares: Tensor, gradient: Tensor, penalty: Tensor) -> Tensor:
    """Solve Hessian @ direction = gradient for each draw, shape (draws, r + 1, classes)."""
    count = inputs.shape[1]
    diagonal = inputs.square().mT @ (shares * (1 - shares)) / count + penalty
    # of a class that is certain, the bias has no curvature
    diagonal = diagonal.clamp_min(torch.finfo(diagonal.dtype).tiny ** 0.5)
    direction = torch.zeros_like(gradient)
    rest = gradient.clone()
    scaled = rest / diagonal
    way = scaled.clone()
    size = (rest * scaled).sum(dim=(1, 2), keepdim=True)
    goal = _EXACTNESS**2 * size
    for _ in range(_MOST_DIRECTIONS):
        if not (size > goal).any():
            break
        change = shares * (inputs @ way)
        change = change - shares * change.sum(dim=2, keepdim=True)
        curved = inputs.mT @ change / count + penalty * way
        curvature = (way * curved).sum(dim=(1, 2), keepdim=True)
        length = torch.where((size > goal) & (curvature > 0), size / curvature, 0)
        direction = direction + length * way
        rest = rest - length * curved
        scaled = rest / diagonal
        new_size = (rest * scaled).sum(dim=(1, 2), keepdim=True)
        way = scaled + torch.where(size > 0, new_size / size, 0) * way
        size = torch.where(length > 0, new_size, 0)
    return direction
