"""A page about weights that were compared: which lead, by how much, and what their features look like."""

from collections.abc import Sequence
from itertools import batched
from os import PathLike
from pathlib import Path
from xml.etree.ElementTree import Element

from ..comparison.records import Comparison
from .charts import curve_chart
from .comparison_details import show_confusion, show_features, show_nearest, show_settings
from .comparison_pictures import Mark, axis_limits, breakable, interval_chart
from .comparison_rows import (
    Row,
    find_rows,
    is_bounded,
    name_trial,
    place_zero,
    write_bounds,
    write_points,
)
from .comparison_words import limits_of_claims, summarize
from .numbers import UNKNOWN, write_share
from .page import check_page, element, paragraph, section, table, write_page

# so many curves have colours of their own
_MOST_CURVES = 6


def write_comparison_report(
    comparison: Comparison, destination: str | PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a page of HTML that opens from disk and needs no network.

    Args:
        comparison: What was found.
        destination: File that ends in .html.
        overwrite: Replace an existing file.

    Returns:
        *destination*.

    Raises:
        FileExistsError: If *destination* exists and may not be replaced.
        OSError: If the page cannot be written.
        ValueError: If *destination* does not end in .html, or is not on a local disk.
    """
    check_page(destination, overwrite=overwrite)
    rows = find_rows(comparison)
    return write_page(
        destination,
        title=comparison.title,
        lead=summarize(rows, comparison.baseline),
        sections=[
            show_accuracies(rows, comparison.baseline),
            show_differences(rows, comparison.baseline),
            show_few_shot(rows, comparison.baseline),
            show_confusion(comparison, rows),
            show_nearest(comparison),
            show_features(comparison),
            show_settings(comparison),
        ],
        overwrite=overwrite,
    )


def show_accuracies(rows: Sequence[Row], baseline: str | None) -> Element | None:
    """Write and draw the accuracy of each label by each protocol; None where nothing was judged."""
    if not rows:
        return None
    trials = list(dict.fromkeys(row.trial for row in rows))
    cells = {(row.label, row.trial): row for row in rows}
    written = [
        [
            breakable(label),
            *(
                _accuracy_cell(found) if (found := cells.get((label, trial))) else UNKNOWN
                for trial in trials
            ),
        ]
        for label in dict.fromkeys(row.label for row in rows)
    ]
    charts = [
        interval_chart(
            [_accuracy_mark(row, baseline) for row in rows if row.trial == trial],
            title=name_trial(trial),
            across='test images that are right, %',
        )
        for trial in trials
    ]
    several = len(written) > 1
    said = [limits_of_claims(rows)]
    if any(len(row.seeds) > 1 for row in rows):
        said.append('Small strokes in the charts are single seeds.')
    if baseline is not None:
        said.append('The baseline is grey.')
    return section(
        'Accuracy',
        table(
            written,
            head=('Weights', *map(name_trial, trials)),
            caption='Test images that are right, % (95 % interval)'
            + ('; the highest figures are bold' if several else ''),
            kind='cards',
        ),
        paragraph(' '.join(said), kind='key'),
        _lay_out(charts),
    )


def _lay_out(charts: Sequence[Element]) -> Element:
    """Put charts of intervals beside each other, four as two rows of two."""
    kind = 'charts intervals pairs' if len(charts) in (2, 4) else 'charts intervals'
    return element('div', *charts, class_=kind)


def _accuracy_cell(row: Row) -> Element:
    """Write a figure above its interval, and above what it follows from."""
    figure = write_share(row.accuracy.value)
    details = [f'{len(row.seeds)} seed{"" if len(row.seeds) == 1 else "s"}']
    if row.draws:
        details.append(f'{row.draws} draw{"" if row.draws == 1 else "s"}')
    lines = [write_bounds(row.accuracy), ', '.join(details)]
    if row.published:
        lines.append(f'published {row.published}')
    content = element(
        'div',
        element('strong', figure) if row.is_best else figure,
        *(element('span', line, class_='cell') for line in lines),
    )
    return element('td', content)


def _accuracy_mark(row: Row, baseline: str | None) -> Mark:
    """Make the line of a chart."""
    return Mark(
        name=row.label, interval=row.accuracy, seeds=row.seeds, is_baseline=row.label == baseline
    )


def show_differences(rows: Sequence[Row], baseline: str | None) -> Element | None:
    """Draw and write the differences to the baseline; None where there are none."""
    known = [row for row in rows if row.difference is not None]
    if not known:
        return None
    trials = list(dict.fromkeys(row.trial for row in known))
    charts = [
        interval_chart(
            [
                Mark(name=row.label, interval=row.difference)
                for row in known
                if row.trial == trial and row.difference is not None
            ],
            title=name_trial(trial),
            across='difference, points of accuracy',
            zero=True,
        )
        for trial in trials
    ]
    cells = {(row.label, row.trial): _difference_cell(row) for row in known}
    written = [
        [breakable(label), *(cells.get((label, trial), UNKNOWN) for trial in trials)]
        for label in dict.fromkeys(row.label for row in known)
    ]
    return section(
        f'Difference to {baseline}',
        paragraph(
            'Pairs are judged on the same test images and the same draws of labels. An interval '
            'that includes zero leaves open which of the two is better.'
        ),
        _lay_out(charts),
        table(
            written,
            head=('Weights', *map(name_trial, trials)),
            caption='Points of accuracy (95 % interval)',
            kind='cards',
        ),
    )


def _difference_cell(row: Row) -> Element:
    """Write a difference above its interval, and what that says of zero."""
    found = row.difference
    assert found is not None
    lines = dict.fromkeys((write_bounds(found, sign='+'), place_zero(found)))
    spans = (element('span', line, class_='cell') for line in lines)
    return element('td', element('div', write_points(found.value), *spans))


def show_few_shot(rows: Sequence[Row], baseline: str | None) -> Element | None:
    """Draw accuracy by labels per class; None where there is one number of labels, or none."""
    few: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.trial[1] or 0):
        if row.trial[1] is not None:
            few.setdefault(row.label, []).append(row)
    if max(map(len, few.values()), default=0) < 2:
        return None
    bounds = [end for found in few.values() for row in found
              for end in (row.accuracy.low, row.accuracy.high, row.accuracy.value)]  # fmt: skip
    groups = list(batched(few, _MOST_CURVES))
    if len(groups) > 1 and baseline in few:
        # beside each of the others
        others = (label for label in few if label != baseline)
        groups = [(baseline, *some) for some in batched(others, _MOST_CURVES - 1)]
    charts = [
        curve_chart(
            {label: _curve(few[label], 'value') for label in labels},
            ranges={
                label: (_curve(few[label], 'low')[1], _curve(few[label], 'high')[1])
                for label in labels
                if all(is_bounded(row.accuracy) for row in few[label])
            },
            title='Few-shot',
            across='labels per class',
            up='test images that are right, %',
            limits=axis_limits(bounds, are_shares=True),
            smooth=False,
        )
        for labels in groups
    ]
    return section(
        'Accuracy by labels per class',
        element('div', *(one for one in charts if one is not None), class_='charts'),
        paragraph('Bands are 95 % intervals of the mean over draws of labels.', kind='key'),
    )


def _curve(rows: Sequence[Row], end: str) -> tuple[list[float], list[float]]:
    """Take places and percent of one curve."""
    places = [float(row.trial[1] or 0) for row in rows]
    return places, [100 * getattr(row.accuracy, end) for row in rows]
