"""Places where map and reference differ, those first that count for most."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .figures import MapClass

# of one confusion, so that a frequent one leaves room for others
_MOST_ALIKE = 3
# A picture of what is around a unit shows others that are nearer, in rows and columns
_APART = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A unit of a reference that is of another class than the map says."""

    row: int
    """Of its pixel in the map."""

    col: int
    """Of its pixel in the map."""

    map_class: MapClass
    """What the map says."""

    reference_class: MapClass
    """What the reference says."""

    weight: float
    """Area that it stands for, in the unit of all areas."""


def choose_disagreements(
    *,
    rows: NDArray[np.integer],
    cols: NDArray[np.integer],
    mapped: NDArray[np.integer],
    reference: NDArray[np.integer],
    weights: NDArray[np.floating],
    classes: Sequence[MapClass],
    most: int = 12,
) -> tuple[Disagreement, ...]:
    """Choose the units to look at: most weight first, a few of each confusion, none beside another.

    Args:
        rows: Of the pixels of all units, shape (n,), signed.
        cols: The same for columns.
        mapped: Places of the map's classes in *classes*, shape (n,).
        reference: Places of the reference's classes, shape (n,).
        weights: Areas that they stand for, shape (n,).
        classes: All classes.
        most: So many at most.

    Returns:
        In the order in which they are worth a look; equal ones as they are given.
    """
    left = np.flatnonzero(mapped != reference)
    left = left[np.argsort(-weights[left], kind='stable')]
    chosen: list[int] = []
    alike: Counter[tuple[int, int]] = Counter()
    while len(left) and len(chosen) < most:
        unit = int(left[0])
        chosen.append(unit)
        pair = int(mapped[unit]), int(reference[unit])
        alike[pair] += 1
        dropped = (abs(rows[left] - rows[unit]) < _APART) & (abs(cols[left] - cols[unit]) < _APART)
        if alike[pair] == _MOST_ALIKE:
            dropped |= (mapped[left] == pair[0]) & (reference[left] == pair[1])
        left = left[~dropped]
    return tuple(
        Disagreement(
            row=int(rows[unit]),
            col=int(cols[unit]),
            map_class=classes[int(mapped[unit])],
            reference_class=classes[int(reference[unit])],
            weight=float(weights[unit]),
        )
        for unit in chosen
    )
