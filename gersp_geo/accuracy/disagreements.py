"""Places where map and reference differ, those first that count for most."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .figures import MapClass

# of one confusion, so that a frequent one leaves room for others
_MOST_ALIKE = 3


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
    """Choose the units to look at: most weight first, and a few of each confusion.

    Args:
        rows: Of the pixels of all units, shape (n,).
        cols: The same for columns.
        mapped: Places of the map's classes in *classes*, shape (n,).
        reference: Places of the reference's classes, shape (n,).
        weights: Areas that they stand for, shape (n,).
        classes: All classes.
        most: So many at most.

    Returns:
        In the order in which they are worth a look; equal ones as they are given.
    """
    wrong = np.flatnonzero(mapped != reference)
    chosen: list[int] = []
    alike: Counter[tuple[int, int]] = Counter()
    for unit in wrong[np.argsort(-weights[wrong], kind='stable')].tolist():
        pair = int(mapped[unit]), int(reference[unit])
        alike[pair] += 1
        if alike[pair] <= _MOST_ALIKE:
            chosen.append(unit)
        if len(chosen) == most:
            break
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
