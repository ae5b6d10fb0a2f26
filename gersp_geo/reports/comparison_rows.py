"""Figures of a comparison as a page needs them: one row per label and protocol."""

import math
from dataclasses import dataclass

from ..comparison.records import Comparison, Finding, Interval, Protocol
from ..comparison.tables import Cell, find_shared, summarise
from .numbers import UNKNOWN, write_share

type Trial = tuple[Protocol, int | None]
"""A protocol, and its labels per class where it has few."""

_ORDER: dict[Protocol, int] = {'knn': 0, 'linear': 1, 'few-shot': 2, 'finetune': 3}
_NAMES: dict[Protocol, str] = {
    'knn': 'k-NN', 'linear': 'Linear probe', 'few-shot': 'Few-shot', 'finetune': 'Fine-tuning',
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one label reached in one trial, over its seeds."""

    label: str
    trial: Trial
    accuracy: Interval
    seeds: tuple[float, ...]
    """Accuracy of each."""

    draws: int
    """Of few-shot; 0 otherwise."""

    published: str
    """'' without."""

    is_best: bool
    """Whether no label of the trial has a higher figure, as figures are written."""

    difference: Interval | None
    """To the baseline; None for the baseline itself, and where it is not known."""


def name_trial(trial: Trial) -> str:
    """Name a protocol, with its labels per class."""
    protocol, count = trial
    if count is None:
        return _NAMES[protocol]
    return f'{_NAMES[protocol]} ({count:,} label{"" if count == 1 else "s"} per class)'


def find_rows(comparison: Comparison) -> list[Row]:
    """Put the seeds of each label together, the best label of each trial first."""
    findings = comparison.findings
    groups: dict[Cell, list[Finding]] = {}
    for one in findings:
        cell = (one.candidate.label, one.protocol, one.labels_per_class)
        groups.setdefault(cell, []).append(one)
    means = summarise(findings, comparison.images.labels)
    best: dict[Trial, float] = {}
    for cell, mean in means.items():
        best[cell[1:]] = max(best.get(cell[1:], 0.0), mean.value)
    rows = [
        Row(
            label=cell[0],
            trial=cell[1:],
            accuracy=means[cell],
            seeds=tuple(one.accuracy.value for one in group),
            draws=max(len(one.draws) for one in group),
            published=find_shared(group),
            is_best=write_share(means[cell].value) == write_share(best[cell[1:]]),
            difference=comparison.differences.get(cell),
        )
        for cell, group in groups.items()
    ]
    return sorted(
        rows, key=lambda row: (_ORDER[row.trial[0]], row.trial[1] or 0, -row.accuracy.value)
    )


def write_points(share: float, *, sign: str = '+') -> str:
    """Write a share in percent, or a difference of shares in points with its sign."""
    if not math.isfinite(share):
        return UNKNOWN
    # what is written as zero has no sign
    shown = round(100 * share, 1) or 0.0
    return f'{shown:{sign if shown else ""}.1f}'.replace('-', '\N{MINUS SIGN}')


def write_bounds(found: Interval, *, sign: str = '') -> str:
    """Write where a share, or a difference with its sign, probably lies."""
    if not is_bounded(found):
        return 'no interval'
    low, high = (write_points(end, sign=sign) for end in (found.low, found.high))
    return f'{low} to {high}'


def is_bounded(found: Interval) -> bool:
    """Tell whether anything is known of where a figure lies: of one seed and one draw, nothing is."""
    return math.isfinite(found.low) and math.isfinite(found.high)


def place_zero(found: Interval) -> str:
    """Say where zero is."""
    if not is_bounded(found):
        return 'no interval'
    return f'{"excludes" if excludes_zero(found) else "includes"} zero'


def excludes_zero(found: Interval) -> bool:
    """Tell whether an interval lies on one side of zero."""
    return found.low > 0 or found.high < 0
