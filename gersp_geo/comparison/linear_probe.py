"""How well a linear classifier of frozen features tells classes apart, as torchgeo-bench has it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from .records import Judged, Split

COSTS: tuple[float, ...] = tuple(np.logspace(-6, 4, 40).tolist())
"""Values of C that validation chooses from: the weight of the data, 1 / C is that of ``||W||^2``."""

COST_WITHOUT_VALIDATION = 1.0
"""C where nothing is held out to choose by."""

SWEEP_ITERATIONS, LAST_ITERATIONS = 2000, 4000
"""Of L-BFGS, while C is chosen and with the chosen one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearClassifier:
    """One logit per class that training has seen."""

    weight: Tensor
    """Shape (classes, D), float32."""

    bias: Tensor
    """Shape (classes,), float32."""

    classes: Tensor
    """What the rows stand for, shape (classes,), int64, ascending."""

    def predict(self, features: Tensor) -> NDArray[np.int64]:
        """Classify features of shape (N, D); of equal probabilities the smallest class wins."""
        # of probabilities, not logits: two that differ may round to the same probability
        likely = F.linear(features, self.weight, self.bias).softmax(dim=1).argmax(dim=1)
        predicted: NDArray[np.int64] = self.classes[likely].numpy(force=True)
        return predicted


def probe(
    train: Split, val: Split | None, test: Split, *, costs: Sequence[float] = COSTS
) -> Judged:
    """Fit a linear classifier to frozen features, and classify the test images.

    Of *costs*, the first one that is best on the validation split is taken, and the classifier
    fitted again to training and validation together: torchgeo-bench 0.4, ``LogisticRegression`` with
    a sweep. L-BFGS stops there by tolerances long before the minimum where C is large, so that what
    is chosen depends on each rounding. The same steps are therefore taken, in the same order, as fast
    or slow as they are: 22,000 evaluations for 7,000 x 512 features, two minutes on one core.

    Args:
        train: What is fitted.
        val: What chooses C. Without, C is :data:`COST_WITHOUT_VALIDATION`.
        test: What is classified; its labels are not used.
        costs: Values of C, each > 0.

    Returns:
        Classes of the test images, and C.

    Raises:
        ValueError: If splits do not fit each other, a feature is not finite, training has fewer than
            two classes, or a cost is out of range.
    """
    if not costs or min(costs) <= 0:
        raise ValueError(f'costs must be at least one number > 0, got {list(costs)}')
    check_splits(train, val, test)
    cost, whole = COST_WITHOUT_VALIDATION, train
    if val is not None:
        cost = choose_cost(train, val, costs)
        whole = Split(
            features=torch.cat([train.features, val.features]),
            labels=torch.cat([train.labels, val.labels]),
        )
    fitted = fit_linear(whole, cost=cost, iterations=LAST_ITERATIONS)
    return Judged(predictions=fitted.predict(test.features), chosen={'C': cost})


def choose_cost(train: Split, val: Split, costs: Sequence[float]) -> float:
    """Find the first C of those by which most validation images are right."""
    truth = val.labels.numpy(force=True)
    right = [
        int((fit_linear(train, cost=cost).predict(val.features) == truth).sum()) for cost in costs
    ]
    return costs[right.index(max(right))]


def fit_linear(
    split: Split, *, cost: float, iterations: int = SWEEP_ITERATIONS
) -> LinearClassifier:
    """Minimise mean cross entropy + ``||W||^2 / (2 C N)`` by L-BFGS from zero; the bias is free.

    Args:
        split: N features, of any classes.
        cost: C, > 0.
        iterations: At most so many; one evaluates the loss 1.25 times at most.

    Returns:
        The classifier, where the tolerances of torchgeo-bench 0.4 end the search.
    """
    classes, targets = torch.unique(split.labels, return_inverse=True)
    count, width = split.features.shape
    device = split.features.device
    weight = torch.zeros(len(classes), width, device=device, requires_grad=True)
    bias = torch.zeros(len(classes), device=device, requires_grad=True)
    penalty = 0.5 / cost / count
    optimizer = torch.optim.LBFGS(
        [weight, bias], lr=1, max_iter=iterations, history_size=10, tolerance_grad=1e-7,
        tolerance_change=1e-7, line_search_fn='strong_wolfe',
    )  # fmt: skip

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(split.features, weight, bias), targets)
        loss = loss + penalty * weight.mul(weight).sum()
        loss.backward()
        return loss

    optimizer.step(evaluate)
    return LinearClassifier(weight=weight.detach(), bias=bias.detach(), classes=classes)


def check_splits(train: Split, val: Split | None, test: Split) -> None:
    """Refuse features that no classifier can be fitted to.

    Raises:
        ValueError: If a split has no images or another number of features or labels, a feature is
            not finite, or training has fewer than two classes.
    """
    width = train.features.shape[1:]
    for name, split in (('train', train), ('val', val), ('test', test)):
        if split is None:
            continue
        check_features(split.features, split.labels, name=name)
        if split.features.shape[1:] != width:
            raise ValueError(
                f'{name} has {split.features.shape[1]} features of each image, train has {width[0]}'
            )
    if len(train.labels.unique()) < 2:
        raise ValueError('train must have at least two classes, got 1')


def check_features(features: Tensor, labels: Tensor, *, name: str) -> None:
    """Refuse what are no features of labelled images.

    Raises:
        ValueError: If they have another shape, there are none, or one is not finite.
    """
    if features.ndim != 2 or features.numel() == 0 or labels.shape != features.shape[:1]:
        raise ValueError(
            f'{name} must have features of shape (N, D) and labels of shape (N,), got '
            f'{tuple(features.shape)} and {tuple(labels.shape)}'
        )
    if wrong := int((~features.isfinite()).any(dim=1).sum()):
        raise ValueError(
            f'features must be finite, those of {wrong} of {len(features)} images of {name} are not'
        )
