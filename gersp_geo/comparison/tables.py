"""What was found, as Markdown: a row per label, a column per protocol, per cent with intervals."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .intervals import difference
from .records import Comparison, Finding, Interval, Protocol

type Cell = tuple[str, Protocol, int | None]
"""Label, protocol, and labels per class of few-shot."""

_EXPLAINED = (
    'Accuracy on the test split in per cent, with 95 % intervals: of one seed, test images are '
    "resampled; of several, seeds and test images each add their part (Student's t). With few labels, "
    'the mean over draws of training images, and draws take the place of test images.'
)
_NAMES = {'knn': 'k-NN', 'linear': 'linear probe', 'finetune': 'fine-tuned'}


def summarise(findings: Sequence[Finding], labels: NDArray[np.int64]) -> dict[Cell, Interval]:
    """Average the seeds of each label.

    Args:
        findings: Of all candidates and protocols.
        labels: Classes of the test images, shape (N,).

    Returns:
        Mean accuracy with its 95 % interval: of one seed, the one that was found with it; of
        several, for other seeds and other test images (or draws).
    """
    return {
        cell: found[0].accuracy if len(found) == 1 else _average(found, labels)
        for cell, found in _cells(findings).items()
    }


def find_differences(
    findings: Sequence[Finding], labels: NDArray[np.int64], *, baseline: str | None
) -> dict[Cell, Interval]:
    """Compare every label with one of them, on the same test images or draws.

    Args:
        findings: Of all candidates and protocols.
        labels: Classes of the test images, shape (N,).
        baseline: Label that others are compared with; None for no comparison.

    Returns:
        Accuracy minus that of the baseline, with 95 % intervals.
    """
    cells = _cells(findings)
    return {
        cell: _clip(
            difference(_outcomes(found, labels), _outcomes(cells[baseline, *cell[1:]], labels)),
            lowest=-1.0,
        )
        for cell, found in cells.items()
        if baseline is not None and cell[0] != baseline and (baseline, *cell[1:]) in cells
    }


def find_shared(findings: Sequence[Finding]) -> str:
    """Give the published value of all seeds of a label; '' where it is not one of them all."""
    values = {finding.published for finding in findings}
    return values.pop() if len(values) == 1 else ''


def name_protocol(protocol: Protocol, labels_per_class: int | None) -> str:
    """Name a column."""
    if protocol == 'few-shot':
        return f'{labels_per_class} label{"s" * (labels_per_class != 1)} per class'
    return _NAMES[protocol]


def to_percent(interval: Interval, *, sign: bool = False) -> str:
    """Write a share as per cent, such as '85.6 (83.2 to 87.5)'."""
    form = '+.1f' if sign else '.1f'
    value, low, high = (100 * part for part in (interval.value, interval.low, interval.high))
    if not (math.isfinite(low) and math.isfinite(high)):
        return f'{value:{form}} (no interval)'
    return f'{value:{form}} ({low:{form}} to {high:{form}})'


def describe(comparison: Comparison) -> str:
    """Write the table, and that of the differences to the baseline."""
    parts = [_main_table(comparison)]
    if comparison.differences:
        parts += [
            f'Differences to {comparison.baseline} in percentage points:',
            _table_of(
                {
                    cell: to_percent(interval, sign=True)
                    for cell, interval in comparison.differences.items()
                }
            ),
        ]
    return '\n\n'.join(parts)


def to_markdown(comparison: Comparison) -> str:
    """Write all that results.md holds."""
    return '\n\n'.join(
        [
            f'# {comparison.title}',
            _EXPLAINED,
            describe(comparison),
            *_chosen(comparison.findings),
            *(['## Notes', _bullets(comparison.notes)] if comparison.notes else []),
            '## Settings',
            _bullets([f'{name}: {text}' for name, text in comparison.settings.items()]),
        ]
    ) + '\n'  # fmt: skip


def _main_table(comparison: Comparison) -> str:
    """Write accuracies, and published ones beside them."""
    cells = summarise(comparison.findings, comparison.images.labels)
    published = {cell: find_shared(found) for cell, found in _cells(comparison.findings).items()}
    seeds: dict[str, set[int]] = {}
    for finding in comparison.findings:
        seeds.setdefault(finding.candidate.label, set()).add(finding.candidate.seed)
    return _table_of(
        {
            cell: to_percent(interval)
            + (f', published {published[cell]}' if published[cell] else '')
            for cell, interval in cells.items()
        },
        seeds={label: len(some) for label, some in seeds.items()},
    )


def _table_of(cells: Mapping[Cell, str], *, seeds: Mapping[str, int] | None = None) -> str:
    """Lay cells out, labels in rows."""
    columns = list(dict.fromkeys(cell[1:] for cell in cells))
    labels = list(dict.fromkeys(cell[0] for cell in cells))
    rows = [
        ['weights', *(['seeds'] if seeds else []), *(name_protocol(*pair) for pair in columns)],
        *(
            [
                label.replace('|', '\\|'),
                *([str(seeds[label])] if seeds else []),
                *(cells.get((label, *pair), '') for pair in columns),
            ]
            for label in labels
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ['| ' + ' | '.join(map(str.ljust, row, widths)) + ' |' for row in rows]
    # more dashes than three are a line too
    return '\n'.join([lines[0], '|' + '|'.join('-' * (n + 2) for n in widths) + '|', *lines[1:]])


def _chosen(findings: Sequence[Finding]) -> Iterator[str]:
    """Say what validation chose."""
    told = [
        f'{finding.candidate.label}, seed {finding.candidate.seed}, '
        f'{name_protocol(finding.protocol, finding.labels_per_class)}: '
        + ', '.join(f'{name} = {value:.3g}' for name, value in finding.chosen.items())
        for finding in findings
        if finding.chosen
    ]
    if told:
        yield '## Chosen on validation'
        yield _bullets(told)


def _bullets(items: Sequence[str]) -> str:
    """List some sentences."""
    return '\n'.join(f'- {item}' for item in items)


def _cell(finding: Finding) -> Cell:
    """Say where a finding belongs."""
    return finding.candidate.label, finding.protocol, finding.labels_per_class


def _cells(findings: Sequence[Finding]) -> dict[Cell, list[Finding]]:
    """Gather the seeds of each cell, in the order of their first one."""
    gathered: dict[Cell, list[Finding]] = {}
    for finding in findings:
        gathered.setdefault(_cell(finding), []).append(finding)
    return gathered


def _average(found: Sequence[Finding], labels: NDArray[np.int64]) -> Interval:
    """Find the mean over seeds, and where that of other seeds and images probably lies."""
    one = _outcomes(found, labels)
    return _clip(difference(one, np.zeros((1, one.shape[1]))), lowest=0.0)


def _clip(found: Interval, *, lowest: float) -> Interval:
    """Leave out what a share, or the difference of two, cannot be."""
    # of no bounds (NaN), none are made
    low, high = np.clip((found.low, found.high), lowest, 1.0).tolist()
    return replace(found, low=low, high=high)


def _outcomes(found: Sequence[Finding], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give a row per seed: accuracy of each draw, or 1 for each test image that is right."""
    rows = [
        np.asarray(finding.draws)
        if finding.protocol == 'few-shot'
        else np.asarray(finding.predictions) == labels
        for finding in found
    ]
    return np.stack(rows).astype(np.float64)
