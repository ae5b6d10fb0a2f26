"""From sampled units to accuracies and areas with confidence intervals.

One estimator serves every design: a figure is a ratio of two totals over the strata (Stehman, 2014,
https://doi.org/10.1080/01431161.2014.930207). Where the strata are the classes of the map, it is the
estimator of Olofsson et al. (2014, https://doi.org/10.1016/j.rse.2014.02.015).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..messages import name_some
from .figures import Accuracy, ClassAccuracy, Estimate, SampledCounts
from .ratios import FEWEST_UNITS, Bools, Floats, estimate_ratio

FIGURES = {
    'users': "user's accuracy",
    'producers': "producer's accuracy",
    'f1': 'F1',
    'iou': 'IoU',
    'area': 'area',
}
"""Fields of a ClassAccuracy, and what they are called."""

# What a unit adds to numerator and denominator of a figure of a class, for units that are mapped
# right as the class, mapped as it wrongly, missed by the map, of another class in both, and beyond
# what is judged
_UNITS_ADD: Mapping[str, tuple[Sequence[int], Sequence[int]]] = {
    'users': ((1, 0, 0, 0, 0), (1, 1, 0, 0, 0)),
    'producers': ((1, 0, 0, 0, 0), (1, 0, 1, 0, 0)),
    'f1': ((2, 0, 0, 0, 0), (2, 1, 1, 0, 0)),
    'iou': ((1, 0, 0, 0, 0), (1, 1, 1, 0, 0)),
    'area': ((1, 0, 1, 0, 0), (1, 1, 1, 1, 1)),
}

_FEW_UNITS = {
    0: 'Strata without any unit leave the figures that need them unknown',
    1: 'Strata with a single unit leave the figures that need them without an interval',
}


def estimate_accuracy(counts: SampledCounts) -> Accuracy:
    """Estimate how right a map is, and how large its classes are in truth.

    Variances divide by n - 1 within each stratum, and are not corrected for drawing from a finite
    number of pixels: intervals are a little too wide where a sample is a large part of a stratum.
    Figures of a census are exact and have no interval. Of a reference that nobody knows the design
    of, they describe the reference alone, and there are no areas.

    Units that were drawn beyond what is judged add nothing to any total, but to the variance: which
    part of a stratum is judged is an estimate as well (Cochran, 1977, Sampling techniques, section
    5A.14, domains of study).

    Args:
        counts: Units by stratum, class of the map and class of the reference.

    Returns:
        Overall accuracy; per class user's and producer's accuracy, F1, IoU and area. Notes say
        what the design does not support, and which intervals are too short.

    Raises:
        ValueError: If there is no unit, a shape is wrong, an area is negative or not finite, or
            weights of a sample are other
            units than those of its strata.
    """
    _check(counts)
    units = _units(counts)
    total = units.right.sum(1) + units.commission.sum(1)
    overall = estimate_ratio(
        np.stack([units.right.sum(1), units.commission.sum(1), units.unjudged], axis=1),
        areas=units.whole_areas,
        possible=np.stack(
            [units.always, units.always & (len(counts.classes) > 1), units.unjudged > 0], axis=1
        ),
        numerator=(1, 0, 0),
        denominator=(1, 1, 0),
        is_sample=counts.design in ('stratified', 'simple'),
    )
    classes = tuple(_class_accuracy(counts, units, total, k) for k in range(len(counts.classes)))
    return Accuracy(
        counts=counts,
        shares=_shares(units),
        overall=overall,
        classes=classes,
        notes=(*counts.notes, *_notes(counts, overall, classes)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Units:
    """Units with the areas that they stand for."""

    amounts: Floats
    """Number of units or, where these are given, their weights, shape (H, K, K)."""
    areas: Floats
    """What the units of a stratum stand for together, shape (H,)."""
    unjudged: Floats
    """Units that were drawn beyond what is judged, shape (H,)."""
    rows: Bools
    """Whether a class of the map may be in a stratum, shape (H, K)."""
    right: Floats
    """What is mapped right as a class, shape (H, K)."""
    commission: Floats
    """What is mapped as a class wrongly, shape (H, K)."""
    omission: Floats
    """What is of a class, and mapped as another one, shape (H, K)."""

    @property
    def always(self) -> Bools:
        """True for each stratum, shape (H,)."""
        return np.ones(len(self.areas), dtype=np.bool_)

    @property
    def whole_areas(self) -> Floats:
        """What the units of a stratum stand for, with those beyond what is judged, shape (H,)."""
        sizes = self.amounts.sum((1, 2))
        beyond = np.divide(self.unjudged, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        return np.asarray(self.areas * (1 + beyond))


def _units(counts: SampledCounts) -> _Units:
    """Find what units stand for."""
    given = counts.counts if counts.weights is None else counts.weights
    amounts = np.asarray(given, np.float64)
    is_sample = counts.design in ('stratified', 'simple')
    known = is_sample or (counts.weights is None and counts.design != 'unknown')
    areas = np.asarray(counts.stratum_areas, np.float64) if known else amounts.sum((1, 2))
    rows = amounts.sum(2) > 0
    # a class that fills other strata cannot be where nothing was sampled
    pure = rows & (rows.sum(1, keepdims=True) == 1)
    whole = np.isclose((areas[:, None] * pure).sum(0), counts.mapped_areas, rtol=1e-6)
    may_be = ~rows.any(1, keepdims=True) & ~whole
    if len(rows) == 1:
        # all that is mapped is in the only stratum
        may_be = np.asarray(counts.mapped_areas)[None] > 0
    wrong = np.where(np.eye(len(whole), dtype=bool), 0.0, amounts)
    return _Units(
        amounts=amounts,
        areas=areas,
        unjudged=np.zeros(len(rows)) if counts.unjudged is None else counts.unjudged,
        rows=rows | may_be,
        right=np.diagonal(amounts, axis1=1, axis2=2),
        commission=wrong.sum(2),
        omission=wrong.sum(1),
    )


def _class_accuracy(counts: SampledCounts, units: _Units, total: Floats, k: int) -> ClassAccuracy:
    """Estimate all figures of one class; *total* is the sum of a stratum, shape (H,)."""
    of_class = [units.right[:, k], units.commission[:, k], units.omission[:, k]]
    # of weights the difference may be a hair below nothing
    rest = np.maximum(total - sum(of_class), 0)
    groups = np.stack([*of_class, rest, units.unjudged], axis=1)
    here, elsewhere = units.rows[:, k], units.rows.sum(1) > units.rows[:, k]
    confused = here & (len(counts.classes) > 1)
    found = {
        name: estimate_ratio(
            groups,
            areas=units.whole_areas,
            possible=np.stack([here, confused, elsewhere, elsewhere, units.unjudged > 0], axis=1),
            numerator=above,
            denominator=below,
            is_sample=counts.design in ('stratified', 'simple'),
        )
        for name, (above, below) in _UNITS_ADD.items()
    }
    share, size = found.pop('area'), float(units.whole_areas.sum())
    area = Estimate(
        value=share.value * size,
        half_width=None if share.half_width is None else share.half_width * size,
        is_too_short=share.is_too_short,
    )
    return ClassAccuracy(
        map_class=counts.classes[k],
        mapped_area=float(counts.mapped_areas[k]),
        area=None if counts.design == 'unknown' else area,
        **found,
    )


def _shares(units: _Units) -> Floats:
    """Share the area out to the cells of the matrix; NaN in rows that unsampled strata may have."""
    sizes = units.amounts.sum((1, 2))
    each = np.divide(units.areas, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    cells = np.asarray(np.tensordot(each, units.amounts, 1) / units.areas.sum())
    missing = (sizes == 0) & (units.areas > 0)
    cells[units.rows[missing].any(0)] = np.nan
    return cells


def _check(counts: SampledCounts) -> None:
    """Refuse what no figure follows from."""
    strata, classes = len(counts.strata), len(counts.classes)
    shapes = {
        'counts': (counts.counts, (strata, classes, classes)),
        'weights': (counts.weights, (strata, classes, classes)),
        'stratum_areas': (counts.stratum_areas, (strata,)),
        'mapped_areas': (counts.mapped_areas, (classes,)),
        'unjudged': (counts.unjudged, (strata,)),
    }
    for name, (values, wanted) in shapes.items():
        if values is None:
            continue
        if np.shape(values) != wanted:
            raise ValueError(f'{name} must have the shape {wanted}, got {np.shape(values)}')
        if not (np.isfinite(values).all() and (np.asarray(values) >= 0).all()):
            raise ValueError(f'{name} must be finite and not negative, got {np.min(values)}')
    if not counts.counts.sum():
        raise ValueError('no unit of the reference has a class and lies on the map, got 0 units')
    if counts.weights is not None and counts.design in ('stratified', 'simple'):
        _check_weights(counts.weights, counts.counts)
    if counts.design == 'simple' and strata != 1:
        raise ValueError(f"a simple sample has one stratum, got {strata}; use design='stratified'")
    units = _units(counts)
    if not (units.areas * units.amounts.sum((1, 2))).any():
        raise ValueError('strata with units must have an area, got 0; give their stratum_areas')


def _check_weights(weights: Floats, counts: NDArray[np.int64]) -> None:
    """Refuse weights of a sample that are other units than those that were drawn."""
    sums, units = np.sum(weights, axis=(1, 2)), counts.sum((1, 2))
    if not np.allclose(sums, units):
        place = int(np.abs(sums - units).argmax())
        raise ValueError(
            'weights of a sample must sum up to the units of each stratum, got '
            f'{sums[place]:g} for {units[place]}'
        )


def _notes(
    counts: SampledCounts, overall: Estimate, classes: Sequence[ClassAccuracy]
) -> Iterator[str]:
    """Say what a figure is not, in sentences."""
    if counts.design == 'unknown':
        yield (
            'It is not known how the reference was chosen, so that the figures are those of the '
            'reference alone, without intervals and without areas.'
        )
    if counts.design == 'census':
        yield 'The reference is a census, so that the figures are exact and have no intervals.'
    sizes = counts.counts.sum((1, 2)) + (0 if counts.unjudged is None else counts.unjudged)
    for size, words in _FEW_UNITS.items():
        chosen = (sizes == size) & (counts.stratum_areas > 0)
        found = [name for name, few in zip(counts.strata, chosen, strict=True) if few]
        if found and counts.design in ('stratified', 'simple'):
            yield f'{words}: {name_some(found)}; draw more points in them.'
    short = ['all classes together'] if overall.is_too_short else []
    for each in classes:
        figures = (getattr(each, field) for field in FIGURES)
        if any(figure is not None and figure.is_too_short for figure in figures):
            short.append(each.map_class.name)
    if short:
        yield (
            f'Intervals with a star (*) are too short: fewer than {FEWEST_UNITS} units decide each. '
            f'They are of {name_some(short, most=30)}; draw more points.'
        )
