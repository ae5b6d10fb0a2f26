"""Ratios of totals over strata, with the variance of their linearisation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .figures import Estimate

type Floats = NDArray[np.float64]
type Bools = NDArray[np.bool_]

Z = 1.96
"""Standard errors in half a 95 % interval, rounded as in the literature, for its printed digits."""

FEWEST_UNITS = 10
"""So many units have to decide a figure, for its interval to cover the truth as often as it says."""


def estimate_ratio(
    groups: Floats,
    *,
    areas: Floats,
    possible: Bools,
    numerator: Sequence[int],
    denominator: Sequence[int],
    is_sample: bool,
) -> Estimate:
    """Estimate a ratio of two totals, of units that fall into a few groups.

    The combined ratio estimator, eq. 27 and 28 of Stehman (2014,
    https://doi.org/10.1080/01431161.2014.930207), without the correction for a finite number of
    units.

    Args:
        groups: Units, or their weights, by stratum and group, shape (H, G).
        areas: What the units of a stratum stand for together, shape (H,).
        possible: Whether a unit of a stratum may be of a group, shape (H, G).
        numerator: What a unit of each group adds to it.
        denominator: What a unit of each group adds to it.
        is_sample: Whether units were drawn at random, so that the ratio has an interval.

    Returns:
        The ratio: not known where it needs a stratum without units, and without an interval where
        it needs one of a single unit.
    """
    groups, possible, y, x = _merge(groups, possible, numerator, denominator)
    sizes = groups.sum(1)
    counted = areas > 0
    if ((possible & ((y != 0) | (x != 0))).any(1) & counted & (sizes == 0)).any():
        return Estimate(value=np.nan)
    counted &= sizes > 0
    groups, possible, sizes = groups[counted], possible[counted], sizes[counted]
    each = areas[counted] / sizes
    below = float(each @ groups @ x)
    if not below:
        return Estimate(value=np.nan)
    value = float(each @ groups @ y) / below
    if not is_sample:
        return Estimate(value=value)
    residuals = y - value * x
    # strata where all units count the same, whatever they are, add nothing to the variance
    moved = np.array([np.ptp(residuals[kinds]) > 1e-12 for kinds in possible])
    if (moved & (sizes < 2)).any():
        return Estimate(value=value)
    effects = each[:, None] * (residuals - (groups @ residuals / sizes)[:, None]) / below
    sizes, effects, groups, possible = (a[moved] for a in (sizes, effects, groups, possible))
    variance = float(np.sum(sizes / (sizes - 1) * (groups * effects**2).sum(1)))
    return Estimate(
        value=value,
        half_width=Z * variance**0.5,
        is_too_short=count_deciding(groups, effects=effects, possible=possible) < FEWEST_UNITS,
    )


def count_deciding(groups: Floats, *, effects: Floats, possible: Bools) -> float:
    """Count the units that decide a variance.

    This is the number of units of one kind whose count would be as uncertain as the variance is.
    With few of them, an interval that comes out short lies beside the truth too often. Units of a
    kind that the sample lacks may be there all the same: with a single one of them more, of the
    kind that matters most, the number must not be smaller.

    Args:
        groups: Units by stratum and group, shape (H, G).
        effects: How much one unit moves the figure, shape (H, G).
        possible: Whether there may be such a unit, shape (H, G).

    Returns:
        The number, infinite where no unit moves the figure.
    """
    squares = effects**2
    variance, spread = (groups * squares).sum(), (groups * squares**2).sum()
    unseen = np.append(squares[possible & (groups == 0)], 0.0)
    with np.errstate(invalid='ignore'):
        numbers = (variance + unseen) ** 2 / (spread + unseen**2)
    return float(np.nanmin(numbers, initial=np.inf))


def _merge(
    groups: Floats, possible: Bools, numerator: Sequence[int], denominator: Sequence[int]
) -> tuple[Floats, Bools, Floats, Floats]:
    """Make one of groups that add the same to both totals."""
    pairs = list(zip(numerator, denominator, strict=True))
    kinds = sorted(set(pairs))
    members = [[g for g, pair in enumerate(pairs) if pair == kind] for kind in kinds]
    y, x = np.array(kinds, np.float64).T
    return (
        np.stack([groups[:, chosen].sum(1) for chosen in members], axis=1),
        np.stack([possible[:, chosen].any(1) for chosen in members], axis=1),
        y,
        x,
    )
