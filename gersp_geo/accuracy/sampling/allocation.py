"""How many points each stratum gets.

By Olofsson et al. (2014), section 5.1.2, https://doi.org/10.1016/j.rse.2014.02.015: in proportion to
area, with a minimum that lets the accuracy of rare classes be estimated.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

type Allocation = Literal['class', 'equal', 'neyman', 'simple']
"""In proportion to the area of classes, the same for each, by Neyman, or without strata."""

type Floats = NDArray[np.float64]

FEWEST = 2
"""Points of a stratum from which a variance can be estimated."""


def allocate(
    shares: Floats, room: NDArray[np.int64], *, count: int, minimum: int
) -> NDArray[np.int64]:
    """Share points out in proportion, between a minimum and the room of each stratum.

    Args:
        shares: Of the points, in any unit, >= 0, shape (H,).
        room: Points that a stratum can hold at most, >= 1, shape (H,).
        count: Points of all.
        minimum: Each stratum gets so many, or as many as it has room for.

    Returns:
        Shape (H,), of sum *count*.

    Raises:
        ValueError: If *count* is less than all the minima, or more than all the room.
    """
    least = np.minimum(room, minimum)
    if count < least.sum():
        lower = count // len(room)
        advice = f', or lower the minimum to {lower} (--minimum)' if lower >= FEWEST else ''
        raise ValueError(
            f'{len(room)} classes with {minimum} points each, or all pixels that they have, need '
            f'{least.sum()} points, got {count}; draw more (-n){advice}'
        )
    if count > room.sum():
        raise ValueError(
            f'{count} points are more than the {room.sum()} that can be drawn here; draw fewer (-n)'
        )
    exact = _between(shares, least.astype(np.float64), room.astype(np.float64), float(count))
    found = np.floor(exact + 1e-9).astype(np.int64)
    # the largest remainders are rounded up; of equal ones, those of the first strata
    more = np.argsort(found - exact, kind='stable')
    free = more[found[more] < room[more]]
    found[free[: count - int(found.sum())]] += 1
    return found


def neyman_shares(areas: Floats, expected: Floats) -> Floats:
    """Compute shares that make the variance of the overall accuracy smallest.

    Cochran (1977), Sampling techniques, eq. 5.26: area times the deviation of what is right or not.

    Args:
        areas: Of the strata.
        expected: User's accuracies that are expected, in (0, 1).
    """
    return np.asarray(areas * np.sqrt(expected * (1 - expected)))


def _between(shares: Floats, least: Floats, most: Floats, total: float) -> Floats:
    """Share a total out in proportion, but for those that are bound by a limit.

    The sum of what is within limits grows with the factor of the shares, which is found by halving.
    """
    # a stratum of no share still takes what the others have no room for
    largest = float(shares.max())
    shares = np.maximum(shares / largest, 1e-12) if largest > 0 else np.ones(len(shares))
    low, high = 0.0, float((most / shares).max())
    for _ in range(200):
        factor = (low + high) / 2
        if np.clip(factor * shares, least, most).sum() < total:
            low = factor
        else:
            high = factor
    return np.clip(high * shares, least, most)
