"""Tables say what was found, per cent, and which differences are paired."""

import re
from collections.abc import Sequence

import numpy as np
import pytest

from gersp_geo.comparison.records import (
    Candidate,
    ComparedImages,
    Comparison,
    Finding,
    Interval,
    Protocol,
)
from gersp_geo.comparison.tables import (
    describe,
    find_differences,
    find_shared,
    summarise,
    to_markdown,
    to_percent,
)

LABELS = np.array([0, 1, 0, 1, 0, 1, 0, 1])
NO_PICTURES = np.zeros((0, 1, 1, 3), dtype=np.uint8)
IMAGES = ComparedImages(classes=('x', 'y'), labels=LABELS, thumbnails=NO_PICTURES, shown=[])


def find(
    label: str,
    wrong: Sequence[int] = (),
    *,
    seed: int = 0,
    protocol: Protocol = 'knn',
    draws: tuple[float, ...] = (),
    published: str = '',
) -> Finding:
    """A finding that is wrong at some test images, or one of draws."""
    predictions = np.where(np.isin(np.arange(8), wrong), 1 - LABELS, LABELS)
    value = float(np.mean(draws)) if draws else 1 - len(wrong) / 8
    return Finding(
        candidate=Candidate(label=label, source=label, seed=seed, digest='0' * 16),
        protocol=protocol,
        labels_per_class=5 if draws else None,
        accuracy=Interval(value=value, low=max(value - 0.1, 0), high=min(value + 0.1, 1)),
        draws=draws,
        chosen={'C': 0.125} if protocol == 'linear' else {},
        settings={},
        predictions=() if draws else tuple(predictions.tolist()),
        published=published,
    )


def compare(findings: Sequence[Finding], *, baseline: str | None = None) -> Comparison:
    return Comparison(
        title='Weights compared on stones',
        findings=findings,
        differences=find_differences(findings, LABELS, baseline=baseline),
        baseline=baseline,
        images=IMAGES,
        views=[],
        settings={'size': '32'},
        notes=['The split is drawn.'],
    )


def test_one_seed_keeps_the_interval_that_was_found_with_it() -> None:
    finding = find('a', wrong=[1])
    assert summarise([finding], LABELS) == {('a', 'knn', None): finding.accuracy}


def test_the_mean_over_seeds_has_an_interval_within_what_is_possible() -> None:
    found = summarise([find('a', [0], seed=0), find('a', [0, 1, 2], seed=1)], LABELS)
    mean = found['a', 'knn', None]
    assert mean.value == pytest.approx(0.75)
    assert 0 <= mean.low < 0.75 < mean.high <= 1


def test_differences_are_paired_over_images_and_draws() -> None:
    # the same images but one are wrong: less is left open than the two accuracies do
    findings = [
        find('base', [0, 1, 2]), find('a', [0, 1]),
        find('base', protocol='few-shot', draws=(0.2, 0.5, 0.8)),
        find('a', protocol='few-shot', draws=(0.3, 0.6, 0.9)),
        find('a', [0], protocol='linear'),
    ]  # fmt: skip
    found = find_differences(findings, LABELS, baseline='base')
    assert set(found) == {('a', 'knn', None), ('a', 'few-shot', 5)}
    assert found['a', 'knn', None].value == pytest.approx(1 / 8)
    assert found['a', 'knn', None].high - found['a', 'knn', None].low < 0.6
    few = found['a', 'few-shot', 5]
    assert [few.value, few.low, few.high] == pytest.approx([0.1, 0.1, 0.1])
    assert find_differences(findings, LABELS, baseline=None) == {}


def test_what_has_no_interval_and_seeds_of_other_weights_are_not_told_otherwise() -> None:
    assert to_percent(Interval(value=0.5, low=np.nan, high=np.nan)) == '50.0 (no interval)'
    # a value of one is not that of the mean with another
    assert find_shared([find('a', published='85.6'), find('a', seed=1)]) == ''
    assert find_shared([find('a', published='85.6'), find('a', published='85.6')]) == '85.6'


def test_the_table_has_a_row_per_label_and_a_column_per_protocol() -> None:
    findings = [
        find('a', [1], published='85.6 (83.2 to 87.5)'), find('b|c', [1, 2], seed=0),
        find('b|c', [1, 2], seed=1), find('b|c', protocol='few-shot', draws=(0.5, 0.7)),
    ]  # fmt: skip
    head, rule, one, two = describe(compare(findings)).splitlines()
    assert re.split(r' +\| ', head.strip('| ')) == [
        'weights',
        'seeds',
        'k-NN',
        '5 labels per class',
    ]
    assert set(rule) == {'|', '-'}
    assert '87.5 (77.5 to 97.5), published 85.6 (83.2 to 87.5)' in one
    assert re.match(r'\| b\\\|c +\| 2 ', two)
    assert '60.0 (50.0 to 70.0)' in two
    assert len({len(line) for line in (head, rule, one, two)}) == 1


def test_the_text_says_what_was_chosen_and_what_it_depends_on() -> None:
    findings = [find('base', [0, 1]), find('a', [0]), find('a', [0], protocol='linear')]
    text = to_markdown(compare(findings, baseline='base'))
    assert text.startswith('# Weights compared on stones\n')
    assert '\nDifferences to base in percentage points:\n' in text
    assert '+12.5 (' in text
    assert '- a, seed 0, linear probe: C = 0.125\n' in text
    assert '- The split is drawn.\n' in text
    assert '- size: 32\n' in text
