"""Several models of one kind as one, which returns the average of what they say."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from math import isclose
from typing import Any

import torch
from torch import Tensor, nn

from .load import LoadedModel
from .signature import Scores

# what records must agree in, for one image and one legend to be those of all
_SHARED = ('bands', 'scale', 'mean', 'std', 'dtype', 'nodata', 'class_names', 'units')

# statistics of the same data, summed up in another order
_RELATIVE = 1e-6

# probabilities of float32 that are not told from 0 and 1
_LEAST = torch.finfo(torch.float32).tiny
_STEP = 2.0**-24


class Ensemble(nn.Module):
    """Averages probabilities, or values, and returns them as one model would."""

    def __init__(self, members: Sequence[nn.Module], *, scores: Scores) -> None:
        """Set up.

        Args:
            members: From the same images to scores of the same shape.
            scores: What they return.
        """
        super().__init__()
        self.members = nn.ModuleList(members)
        self.scores = scores

    def forward(self, images: Tensor) -> Tensor:
        """Average.

        Args:
            images: As every member takes them.

        Returns:
            Values, or logits whose probabilities are the mean of those of all members, shape (B, K,
            H, W).

        Raises:
            ValueError: If members return different shapes.
        """
        total: Tensor | None = None
        for member in self.members:
            scores = self._activate(member(images))
            if total is not None and scores.shape != total.shape:
                raise ValueError(
                    f'models of an ensemble must return one shape, got {tuple(total.shape)} and '
                    f'{tuple(scores.shape)}'
                )
            total = scores if total is None else total + scores
        assert total is not None  # there are always two
        mean = total / len(self.members)
        if self.scores == 'values':
            return mean
        if self._is_independent(mean):
            return torch.logit(mean, eps=_STEP)
        return mean.clamp_min(_LEAST).log()

    def _activate(self, scores: Tensor) -> Tensor:
        """Turn what a member returns into what is averaged."""
        if self.scores == 'values':
            return scores
        if self._is_independent(scores):
            return scores.float().sigmoid()
        return scores.float().softmax(dim=1)

    def _is_independent(self, scores: Tensor) -> bool:
        """Say whether each channel has a probability of its own."""
        return self.scores == 'labels' or scores.shape[1] == 1


def join_models(models: Sequence[LoadedModel]) -> LoadedModel:
    """Make one model of several.

    Args:
        models: Two or more, the first of which gives the legend.

    Returns:
        The average of all, whose checksum is that of all of theirs.

    Raises:
        ValueError: If one is no module, is given twice, or differs in what it takes or returns.
    """
    first = models[0]
    modules = [model.forward for model in models if isinstance(model.forward, nn.Module)]
    strange = [model.name for model in models if not isinstance(model.forward, nn.Module)]
    if strange:
        raise ValueError(f'an ensemble is made of checkpoints, and {strange[0]} is none')
    for number, model in enumerate(models):
        known = [other.name for other in models[:number] if other.sha256 == model.sha256]
        if known and model.sha256 is not None:
            raise ValueError(f'{model.name} holds the same model as {known[0]}; leave one out')
        _check_alike(first, model)
    hashes = [model.sha256 for model in models]
    return replace(
        first,
        forward=Ensemble(modules, scores=first.scores),
        name=' + '.join(model.name for model in models),
        sha256=None
        if None in hashes
        else hashlib.sha256(' '.join(map(str, hashes)).encode()).hexdigest(),
        forms={},
    )


def _check_alike(first: LoadedModel, other: LoadedModel) -> None:
    """Refuse a model that takes or returns something else.

    Raises:
        ValueError: If it does; names what.
    """
    pairs: dict[str, tuple[Any, Any]] = {
        name: (getattr(first.preprocessing, name), getattr(other.preprocessing, name))
        for name in _SHARED
    }
    pairs |= {'scores': (first.scores, other.scores), 'dates': (first.dates, other.dates)}
    for name, (one, another) in pairs.items():
        if not _same(one, another):
            raise ValueError(
                f'models of an ensemble must agree in {name}, but {first.name} has {one} and '
                f'{other.name} {another}; train them alike, or pass one record (--preprocessing)'
            )


def _same(one: Any, another: Any) -> bool:
    """Compare, numbers but for rounding."""
    if one == another or not isinstance(one, tuple) or len(one) != len(another):
        return bool(one == another)
    return all(
        isinstance(a, float | int)
        and isinstance(b, float | int)
        and isclose(a, b, rel_tol=_RELATIVE)
        for a, b in zip(one, another, strict=True)
    )
