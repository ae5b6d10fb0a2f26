"""Laws of the page of a comparison: it says who leads, no more than intervals allow, and all else."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gersp_geo.comparison.records import (
    Candidate,
    ComparedImages,
    Comparison,
    FeatureView,
    Finding,
    Interval,
)
from gersp_geo.reports.comparison_pictures import class_legend, shorten
from gersp_geo.reports.comparison_report import write_comparison_report
from gersp_geo.reports.comparison_rows import Trial, find_rows, write_points

from .conftest import Page

pytestmark = pytest.mark.quick

type Read = Callable[[Path], Page]
type Counts = dict[str, Sequence[int]]
"""Test images that are right, of each seed of each label."""

KNN: Trial = ('knn', None)
FEW: tuple[Trial, Trial] = (('few-shot', 5), ('few-shot', 20))
EVEN: Counts = {'gersp': [80], 'moco': [70], '<b>&"ü 平均': [60]}


def compare(
    counts: Counts,
    *,
    trials: Sequence[Trial] = (KNN,),
    baseline: str | None = None,
    difference: tuple[float, float, float] | None = None,
    classes: int = 4,
    images: int = 100,
    shown: Sequence[int] = (0, 1),
    published: str = '',
) -> Comparison:
    """Compare labels of which so many test images are right, one class taken for the next."""
    labels = np.arange(images) % classes
    findings, rng = [], np.random.default_rng(0)
    for label, seeds in counts.items():
        for seed, right in enumerate(seeds):
            mistaken = np.where(np.arange(images) < right, labels, (labels + 1) % classes)
            one = Candidate(label=label, source='random:x', seed=seed, digest='0a1b' * 4)
            value = right / images
            for protocol, number in trials:
                findings.append(
                    Finding(
                        candidate=one, protocol=protocol, labels_per_class=number,
                        accuracy=Interval(value=value, low=value - 0.05, high=min(value + 0.04, 1.0)),
                        draws=() if number is None else (value - 0.1, value + 0.1, value),
                        chosen={'C': 0.125}, settings={'data': 'EuroSAT', 'seconds': str(seed)},
                        predictions=tuple(mistaken.tolist()) if number is None else (),
                        published=published,
                    )
                )  # fmt: skip
    known = (
        {} if difference is None else dict(zip(('value', 'low', 'high'), difference, strict=True))
    )
    near = np.arange(len(shown) * 3).reshape(-1, 3) % classes
    views = [
        FeatureView(
            label=label, points=rng.normal(size=(images, 2)).astype(np.float32),
            explained=(0.61, 0.125), neighbour_classes=near,
            neighbours=rng.integers(0, 255, (*near.shape, 8, 8, 3), dtype=np.uint8),
        )
        for label in counts
    ]  # fmt: skip
    return Comparison(
        title='Comparison on <data>', findings=findings, baseline=baseline, views=views,
        differences={
            (label, *trial): Interval(**known)
            for label in counts for trial in trials if known and label != baseline
        },
        images=ComparedImages(
            classes=[f'class {i}' for i in range(classes)], labels=labels, shown=shown,
            thumbnails=np.zeros((len(shown), 8, 8, 3), dtype=np.uint8),
        ),
        settings={'gersp_geo': '1.2.3', 'n_train': '300'}, notes=['Nothing is held out.', ''],
    )  # fmt: skip


@pytest.fixture
def write(tmp_path: Path, read_page: Read) -> Callable[[Comparison], Page]:
    def write_and_read(comparison: Comparison) -> Page:
        path = write_comparison_report(comparison, tmp_path / 'r.html', overwrite=True)
        return read_page(path)

    return write_and_read


type Write = Callable[[Comparison], Page]


@pytest.mark.parametrize(
    ('baseline', 'difference', 'expected'),
    [
        ('moco', (0.1, 0.02, 0.18), (
            'gersp leads by k-NN. The 95 % interval of the lead over the baseline moco excludes zero.',
            'gersp 80.0 % (95 % interval 75.0 to 84.0 %), which is 10.0 points above the baseline',
            'moco (95 % interval +2.0 to +18.0); the interval excludes zero.',
        )),
        ('moco', (0.1, -0.0004, 0.2), (
            'the baseline moco includes zero.',
            '(95 % interval 0.0 to +20.0); the interval includes zero, so that which of the two is',
        )),
        ('gersp', (-0.1, -0.2, -0.01), (
            'gersp leads by k-NN.k-NN: gersp 80.0 %',
            'the baseline; the next, moco, is 10.0 points below it (95 % interval −20.0 to −1.0)',
        )),
        ('moco', (0.1, np.nan, np.nan), (
            'gersp leads by k-NN.k-NN', 'above the baseline moco (no interval), so that which of',
        )),
        (None, None, (
            'gersp leads by k-NN. Without a baseline (--baseline), it stays open how sure that is.',
            'k-NN: gersp 80.0 % (95 % interval 75.0 to 84.0 %).',
        )),
        ('moco', None, ('its difference to the baseline is not known.',)),
    ],
)  # fmt: skip
def test_a_lead_is_said_with_its_interval(
    baseline: str | None,
    difference: tuple[float, float, float] | None,
    expected: Sequence[str],
    write: Write,
) -> None:
    page = write(compare(EVEN, baseline=baseline, difference=difference))
    for text in expected:
        assert text in page.text
    assert ('Difference to' in page.text) == (difference is not None)
    # names are text, whatever is in them
    assert '<b>&"ü 平均' in page.text
    for text in ('nothing of how another training would turn out', 'flatters it slightly'):
        assert text in page.text


def test_labels_that_are_level_lead_together_and_leaders_differ_by_protocol(write: Write) -> None:
    text = write(compare({'a': [80], 'b': [80], 'c': [70]}, trials=(KNN, *FEW))).text
    assert 'a and b lead together by all 3 protocols.' in text
    mixed = compare({'a': [80], 'b': [70]}, trials=(KNN, FEW[0]))
    swapped = [
        replace(one, accuracy=Interval(value=0.9, low=0.8, high=0.95))
        if one.protocol == 'few-shot' and one.candidate.label == 'b'
        else one
        for one in mixed.findings
    ]
    text = write(replace(mixed, findings=swapped)).text
    assert 'a leads by k-NN; b leads by few-shot (5 labels per class).' in text


def test_everything_of_a_comparison_is_on_the_page(write: Write) -> None:
    trials: tuple[Trial, ...] = (KNN, ('linear', None), *FEW)
    comparison = compare(
        {'gersp': [80, 84], 'moco': [70]}, trials=trials, baseline='moco',
        difference=(0.1, 0.02, 0.18), published='76.2 (73.6 to 78.7)',
    )  # fmt: skip
    page = write(comparison)
    for text in (
        'over the baseline moco excludes zero in all 4.',
        'published 76.2 (73.6 to 78.7)', '2 seeds, 3 draws', '1 seed, 3 draws', 'Nothing is held out.',
        'Accuracy by labels per class', 'Linear probe, first seed of each label. Rows: predicted',
        'Across: 61 % of the variance of the features; up: 12 %.', 'gersp-geo1.2.3', 'n train300',
        'C 0.125', 'seconds 1', '0a1b0a1b0a1b0a1b', 'dataEuroSAT', 'with one seed, nothing is known of',
    ):  # fmt: skip
        assert text in page.text
    # the mean of two seeds, 4 rows of one protocol in the matrices, and no column of seconds apart
    assert '82.0' in page.text
    assert [row.label for row in find_rows(comparison)] == ['gersp', 'moco'] * 4
    assert page.html.count('class="range"') == 2


def test_frames_say_in_shape_and_sign_which_neighbours_are_right(write: Write) -> None:
    page = write(compare({'a': [80]}, shown=(0, 1, 2)))
    # neighbours 0 1 2, 3 0 1 and 2 3 0 of classes 0, 1 and 2
    assert re.findall(r'([✓×])</b></div>', page.html) == list('✓××××✓✓××')
    assert page.html.count('class="near other"') == 6
    assert page.text.count('1 of 3; others: class') == 3
    assert page.tags.count('img') == 3 + 9


@pytest.mark.parametrize('classes', [2, 20, 21, 60])
def test_any_number_of_classes_has_its_confusions_and_its_marks(classes: int, write: Write) -> None:
    page = write(compare({'a': [55, 60]}, classes=classes))
    is_matrix = classes <= 20
    assert ('Rows: predicted' in page.text) == is_matrix
    assert ('The largest confusions' in page.text) == (not is_matrix)
    legend = class_legend([f'{i}' for i in range(classes)], range(classes))
    marks = [path.get('style', '') + path.get('d', '') for path in legend.iter('path')]
    assert len(set(marks)) == classes


def test_no_more_points_are_drawn_than_can_be_told_apart(write: Write) -> None:
    page = write(compare({'a': [80], 'b': [70]}, images=2500))
    drawn = page.html.split('Features in two dimensions</h2>')[1].split('</ul>', 1)[1]
    assert len(re.findall(r'M[-\d.]+ [-\d.]+[a-z]', drawn)) == 2 * 2000


def test_parts_without_content_are_left_out(write: Write) -> None:
    bare = compare({'a': [100]}, trials=FEW[:1], shown=())
    page = write(replace(bare, views=[]))
    for text in ('Nearest', 'Features in', 'Confusion', 'by labels per class', 'Difference'):
        assert f'<h2>{text}' not in page.html
    assert 'a: 100.0 % (95 % interval 95.0 to 100.0 %) of the test images are right by' in page.text
    # an axis of accuracies ends at 100
    assert re.findall(r'>(1\d\d)</text>', page.html) == ['100']
    assert 'Nothing was judged.' in write(replace(bare, findings=[], views=[])).text
    once = replace(bare.findings[0], accuracy=Interval(value=1.0, low=np.nan, high=np.nan))
    assert '100.0 (no interval)' in write(replace(bare, findings=[once])).text


def test_long_names_keep_both_ends() -> None:
    assert shorten('runs/version_1/last.ckpt') == 'runs/version_1/last.ckpt'
    short = shorten(f'runs/{"x" * 80}/a.ckpt')
    assert len(short) == 26
    assert short.startswith('runs/')
    assert short.endswith('/a.ckpt')
    assert len(shorten('平' * 40)) == 13


@pytest.mark.parametrize(
    ('share', 'written'),
    [(0.0123, '+1.2'), (-0.0004, '0.0'), (-0.25, '−25.0'), (0.0, '0.0'), (np.nan, '–')],
)
def test_differences_have_the_sign_that_is_seen(share: float, written: str) -> None:
    assert write_points(share) == written
