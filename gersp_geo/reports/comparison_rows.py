"""Figures of a comparison as a page needs them: one row per label and protocol."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..comparison.records import Candidate, Comparison, Finding, Interval, Protocol

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

    difference: Interval | None
    """To the baseline; None for the baseline itself, and where it is not known."""


def name_trial(trial: Trial) -> str:
    """Name a protocol, with its labels per class."""
    protocol, count = trial
    if count is None:
        return _NAMES[protocol]
    return f'{_NAMES[protocol]} ({count:,} label{"" if count == 1 else "s"} per class)'


def find_trials(findings: Sequence[Finding]) -> list[Trial]:
    """List what was tried, in the order of the page."""
    found = {(one.protocol, one.labels_per_class) for one in findings}
    return sorted(found, key=lambda trial: (_ORDER[trial[0]], trial[1] or 0))


def name_candidate(candidate: Candidate, findings: Sequence[Finding]) -> str:
    """Name a candidate so that first layers of one label are not mixed."""
    ways = {f.candidate.first_layer for f in findings if f.candidate.label == candidate.label}
    return candidate.label if len(ways) == 1 else f'{candidate.label} ({candidate.first_layer})'


def find_rows(comparison: Comparison) -> list[Row]:
    """Put the seeds of each label together, the best label of each trial first."""
    groups: dict[tuple[Trial, str], list[Finding]] = {}
    for one in comparison.findings:
        name = name_candidate(one.candidate, comparison.findings)
        groups.setdefault(((one.protocol, one.labels_per_class), name), []).append(one)
    rows = [
        Row(
            label=name,
            trial=trial,
            accuracy=join_seeds([one.accuracy for one in group]),
            seeds=tuple(one.accuracy.value for one in group),
            draws=max(len(one.draws) for one in group),
            published=' or '.join(sorted({one.published for one in group if one.published})),
            difference=comparison.differences.get((group[0].candidate.label, *trial))
            if name != comparison.baseline
            else None,
        )
        for (trial, name), group in groups.items()
    ]
    order = {trial: i for i, trial in enumerate(find_trials(comparison.findings))}
    return sorted(rows, key=lambda row: (order[row.trial], -row.accuracy.value))


def join_seeds(found: Sequence[Interval]) -> Interval:
    """Find the mean of several seeds, and where it probably lies.

    Seeds are judged on the same images, so that what these leave open is not less for several
    seeds. What the choice of seeds leaves open is added to it, by Student's t.
    """
    from scipy.stats import t

    count = len(found)
    mean = sum(one.value for one in found) / count
    below = sum(one.value - one.low for one in found) / count
    above = sum(one.high - one.value for one in found) / count
    spread = 0.0
    if count > 1:
        variance = sum((one.value - mean) ** 2 for one in found) / (count - 1)
        spread = float(t.ppf(0.975, count - 1)) * math.sqrt(variance / count)
    return Interval(
        value=mean,
        low=max(mean - math.hypot(below, spread), 0.0),
        high=min(mean + math.hypot(above, spread), 1.0),
    )


def in_percent(share: Interval) -> Interval:
    """Turn a share, or a difference of two, into percent."""
    return Interval(value=100 * share.value, low=100 * share.low, high=100 * share.high)
