"""Whether a form of a model returns the same as the model, and how long it takes."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, Self

import torch
from torch import Tensor

from ...options import Precision, RuntimeName
from .availability import FORMS

TOLERANCE: dict[Precision, float] = {'float32': 1e-4, 'bfloat16': 2**-5}
"""Largest difference from the model as it is, as a share of the largest value that it returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What became of one form."""

    name: RuntimeName
    """The form."""

    patch_seconds: float | None = None
    """Time per patch; None if it was not measured."""

    building_seconds: float | None = None
    """Time to build and compare it; None if it was not measured."""

    difference: float | None = None
    """Largest difference from the model as it is, as a share of the largest value."""

    reason: str | None = None
    """Why it cannot be used; None if it can be."""

    agreement: str | None = None
    """How far a model in int8 is the same as in float32, in words; None for all others."""

    ranges: str | None = None
    """Ranges of values that it was rounded for, as JSON; None as above."""

    is_final: bool = True
    """Whether another job would end alike."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Read what ``dataclasses.asdict`` gave, and JSON kept.

        Raises:
            TypeError: If something has another name or type.
            ValueError: If it is none.
        """
        numbers = (record['patch_seconds'], record['building_seconds'], record['difference'])
        if record['name'] not in FORMS or not isinstance(record['reason'], str | None):
            raise ValueError(f'{record} is no trial')
        if not all(isinstance(number, float | int | None) for number in numbers):
            raise TypeError(f'{record} is no trial')
        texts = (record.get('agreement'), record.get('ranges'))
        if not all(isinstance(text, str | None) for text in texts):
            raise TypeError(f'{record} is no trial')
        return cls(**record)

    def __str__(self) -> str:
        """Say it in a few words."""
        if self.reason is not None:
            return f'{self.name} {self.reason}'
        time = '' if self.patch_seconds is None else f' {1e3 * self.patch_seconds:.0f} ms a patch'
        words = '' if self.agreement is None else f', int8 {self.agreement}'
        return f'{self.name}{time}{words}'


def compare(reference: object, found: object) -> float:
    """Say how far what a form returns is from what the model returns.

    Args:
        reference: Tensors, in lists and mappings.
        found: Of the form, alike.

    Returns:
        The largest difference as a share of the largest finite value of that tensor; infinite
        where shapes, whole numbers, or places without a number differ.
    """
    wanted, given = list(_tensors(reference)), list(_tensors(found))
    if [tensor.shape for tensor in wanted] != [tensor.shape for tensor in given]:
        return float('inf')
    return max((_differ(*pair) for pair in zip(wanted, given, strict=True)), default=0.0)


def time_patches(
    run: Callable[[Tensor], object], batches: Sequence[Tensor], *, device: str
) -> float:
    """Measure how long a form takes per patch, the median of some batches."""
    taken = []
    for images in batches:
        started = perf_counter()
        run(images)
        synchronize(device)
        taken.append((perf_counter() - started) / len(images))
    return median(taken)


def synchronize(device: str) -> None:
    """Wait until an accelerator has done what it was given."""
    if device != 'cpu':
        torch.accelerator.synchronize(device)


def _tensors(found: object) -> Iterator[Tensor]:
    """List the tensors in what a model returns."""
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, Mapping):
        for name in sorted(found):
            yield from _tensors(found[name])
    elif isinstance(found, Sequence) and not isinstance(found, str):
        for each in found:
            yield from _tensors(each)


def _differ(reference: Tensor, found: Tensor) -> float:
    """Compare two tensors of one shape."""
    wanted, given = reference.detach().cpu(), found.detach().cpu()
    if not wanted.is_floating_point():
        return 0.0 if torch.equal(wanted, given.to(wanted.dtype)) else float('inf')
    wanted, given = wanted.float(), given.float()
    finite = wanted.isfinite()
    # infinities and NaN have to stand in the same places
    if not torch.equal(wanted[~finite].nan_to_num(), given[~finite].nan_to_num()):
        return float('inf')
    if not finite.any():
        return 0.0
    largest = float(wanted[finite].abs().max())
    difference = float((wanted[finite] - given[finite]).abs().max())
    # also where the form alone returns NaN
    return difference / max(largest, 1e-30) if math.isfinite(difference) else float('inf')
