"""What is behind the figures of a comparison: confusions, neighbours, features and settings."""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

import numpy as np

from ..comparison.records import ComparedImages, Comparison, Finding, Protocol
from .comparison_pictures import breakable, class_legend, draw_points, show_neighbours
from .comparison_rows import Row, name_trial, write_bounds
from .matrices import shaded_table
from .numbers import UNKNOWN, write_share
from .page import Child, bullet_list, element, facts_table, fold, paragraph, section, table

# a matrix of more classes is too wide to be read; of more, the largest confusions are listed
_MOST_CLASSES, _MOST_CONFUSIONS = 20, 12
_WITH_PREDICTIONS: tuple[Protocol, ...] = ('linear', 'knn', 'finetune')


def show_confusion(comparison: Comparison, rows: Sequence[Row]) -> Element | None:
    """Write what is taken for what; None where there are no predictions."""
    found = {one.protocol: one for one in comparison.findings if one.predictions}
    protocol = next((one for one in _WITH_PREDICTIONS if one in found), None)
    if protocol is None:
        return None
    first: dict[str, Finding] = {}
    for one in comparison.findings:
        if one.protocol == protocol and one.predictions:
            first.setdefault(one.candidate.label, one)
    # the leader and the baseline are what is asked for first
    order = [row.label for row in rows if row.trial == (protocol, None) and row.label in first]
    shown = {order[0], comparison.baseline}
    few = len(comparison.images.classes) <= _MOST_CLASSES
    parts = []
    for label in order:
        part = fold(label, _confusion(first[label], comparison.images))
        if label in shown:
            part.set('open', 'open')
        parts.append(part)
    of = 'Rows: predicted; columns: true.' if few else ''
    return section(
        'Confusion',
        paragraph(f'{name_trial((protocol, None))}, first seed of each label. {of}'),
        element('div', *parts, class_='dense'),
    )


def _confusion(finding: Finding, images: ComparedImages) -> Element:
    """Write a matrix, or the largest confusions of many classes."""
    names, count = images.classes, len(images.classes)
    counts = np.zeros((count, count), dtype=np.int64)
    np.add.at(counts, (np.array(finding.predictions), images.labels), 1)
    if count <= _MOST_CLASSES:
        return shaded_table(
            counts, rows=[*map(breakable, names)], columns=[*map(breakable, names)],
            caption='',
        )  # fmt: skip
    totals = counts.sum(axis=0)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind='stable')[:_MOST_CONFUSIONS]
    pairs = [divmod(int(place), count) for place in order if counts.flat[place]]
    rows = [
        (breakable(names[true]), names[taken], f'{counts[taken, true]:,}',
         write_share(counts[taken, true] / totals[true]))
        for taken, true in pairs
    ]  # fmt: skip
    if not rows:
        return paragraph('Every test image is right.')
    heads = ('True class', 'Taken for', 'Test images', 'Of the true class, %')
    return table(rows, head=heads, caption='The largest confusions', kind='cards')


def show_nearest(comparison: Comparison) -> Element | None:
    """Show what is nearest to a few test images; None where no image is shown."""
    views = [view for view in comparison.views if view.neighbours.size]
    if not views or not len(comparison.images.shown):
        return None
    cards = show_neighbours(comparison.images, views)
    key = element(
        'p',
        *(
            element('span', element('span', element('b', sign), class_=f'near sample {kind}'), said,
                    class_='named')
            for sign, kind, said in (
                ('✓', '', 'solid frame: of the class of the test image'),
                ('×', 'other', 'dashed frame: of another'),
            )
        ),
        class_='key samples',
    )  # fmt: skip
    return section(
        'Nearest neighbours',
        paragraph(
            'Test images, drawn at random, and below each the training images whose features are '
            'nearest, nearest first, by the first seed of each label.'
        ),
        key,
        element('div', *cards, class_='neighbours'),
    )


def show_features(comparison: Comparison) -> Element | None:
    """Draw the features of each label in two dimensions; None without."""
    images = comparison.images
    views = [view for view in comparison.views if len(view.points)]
    if not views:
        return None
    return section(
        'Features in two dimensions',
        paragraph(
            'Test images along the two directions in which the features of a label vary most '
            '(principal components), by its first seed. Classes that are apart here are apart; '
            'classes that overlap here may still be apart in what is not shown. Scales differ '
            'between labels.'
        ),
        class_legend(images.classes, np.unique(images.labels).tolist()),
        element('div', *draw_points(views, images), class_='charts'),
    )


def show_settings(comparison: Comparison) -> Element:
    """Write what the figures depend on, and what has to be said of them."""
    common = _common(comparison.findings)
    facts: dict[str, Child] = {
        _name_setting(name): text
        for name, text in (*common.items(), *comparison.settings.items())
        if text
    }
    rows = [_finding_row(one, comparison, common) for one in comparison.findings]
    heads = (
        'Weights', 'Seed', 'Protocol', 'Accuracy, %', 'Chosen', 'First layer', 'Source', 'Digest',
        'Other settings',
    )  # fmt: skip
    notes = [note for note in comparison.notes if note]
    parts: list[Child] = [bullet_list(notes)] if notes else []
    if facts:
        parts.append(facts_table(facts))
    if rows:
        parts.append(fold(f'Every finding ({len(rows):,})', table(rows, head=heads)))
    return section('Notes and settings', *parts)


def _name_setting(name: str) -> str:
    """Write a name of the code as words."""
    return 'gersp-geo' if name == 'gersp_geo' else name.replace('_', ' ')


def _common(findings: Sequence[Finding]) -> Mapping[str, str]:
    """Find the settings that all findings have."""
    if not findings:
        return {}
    first, *others = (one.settings for one in findings)
    return {
        name: text
        for name, text in first.items()
        if all(other.get(name) == text for other in others)
    }


def _finding_row(
    one: Finding, comparison: Comparison, common: Mapping[str, str]
) -> Sequence[Child]:
    """Write all of one finding."""
    candidate, found = one.candidate, one.accuracy
    settings = (
        f'{_name_setting(name)} {text}'
        for name, text in one.settings.items()
        if name not in common and text
    )
    return (
        breakable(candidate.label),
        f'{candidate.seed}',
        name_trial((one.protocol, one.labels_per_class)),
        f'{write_share(found.value)} ({write_bounds(found)})',
        ', '.join(f'{name} {value:.4g}' for name, value in one.chosen.items()) or UNKNOWN,
        candidate.first_layer,
        candidate.source,
        candidate.digest,
        ', '.join(settings) or UNKNOWN,
    )
