from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics

from gersp_geo.accuracy.estimators import FIGURES, estimate_accuracy
from gersp_geo.accuracy.figures import Accuracy, ClassAccuracy, Estimate, MapClass, SampledCounts

SHARES = ('users', 'producers', 'f1', 'iou')


def sampled(counts: ArrayLike, *, design: Any = 'stratified', **changes: Any) -> SampledCounts:
    """Units by stratum and two classes; strata of 1 ha, unless it is said."""
    given_counts = np.asarray(counts, dtype=np.int64)
    strata, size, _ = given_counts.shape
    classes = tuple(MapClass(value=k, name=f'class {k}', color=(k, 0, 0)) for k in range(size))
    known: dict[str, Any] = {
        'strata': tuple(f'stratum {h}' for h in range(strata)),
        'stratum_areas': np.full(strata, 1e4),
        'mapped_areas': given_counts.sum((0, 2)).astype(float),
    }
    return SampledCounts(design=design, classes=classes, counts=given_counts, **(known | changes))


def by_class(matrix: ArrayLike, areas: ArrayLike) -> SampledCounts:
    """Units of a sample whose strata are the classes of the map."""
    rows, sizes = np.asarray(matrix), np.asarray(areas, dtype=float)
    counts = np.zeros((len(rows), *rows.shape), dtype=np.int64)
    counts[range(len(rows)), range(len(rows))] = rows
    return sampled(counts, stratum_areas=sizes, mapped_areas=sizes)


def figures(accuracy: Accuracy) -> dict[str, Estimate]:
    found = {'overall': accuracy.overall}
    for one in accuracy.classes:
        found |= {f'{field} {one.map_class.value}': getattr(one, field) for field in FIGURES}
    return found


def values(accuracy: Accuracy, field: str) -> NDArray[np.float64]:
    return np.array([getattr(one, field).value for one in accuracy.classes])


@st.composite
def samples(draw: st.DrawFn, *, strata: int = 3, fewest: int = 2) -> SampledCounts:
    classes = draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    counts = rng.poisson(rng.uniform(0, 8, (strata, classes, classes)))
    counts[:, 0, 0] += fewest
    return sampled(counts, stratum_areas=rng.uniform(1, 1e6, strata))


def test_the_worked_example_of_olofsson_2014_comes_out() -> None:
    matrix = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    pixels = np.array([200_000, 150_000, 3_200_000, 6_450_000])
    accuracy = estimate_accuracy(by_class(matrix, pixels * 30.0**2))

    def printed(field: str, digits: int, unit: float = 1) -> list[tuple[float, float]]:
        found = [getattr(one, field) for one in accuracy.classes]
        return [(round(f.value / unit, digits), round(f.half_width / unit, digits)) for f in found]

    assert printed('users', 2) == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]
    assert printed('producers', 2) == [(0.75, 0.21), (0.85, 0.25), (0.93, 0.03), (0.96, 0.02)]
    assert printed('area', 0, 1e4) == [
        (21_158, 6_158), (11_686, 3_756), (285_770, 15_510), (581_386, 16_282),
    ]  # fmt: skip
    assert round(accuracy.overall.value, 3) == 0.947
    assert round(accuracy.overall.half_width or 0, 3) == 0.018
    short = {name for name, figure in figures(accuracy).items() if figure.is_too_short}
    assert {'area 0', 'area 1', 'producers 0', 'producers 1'} <= short
    assert short.isdisjoint({'overall', 'area 2', 'area 3', 'users 1'})
    assert any('class 1' in note and '(*)' in note for note in accuracy.notes)


def test_the_worked_example_of_stehman_2014_comes_out_where_strata_are_no_classes() -> None:
    counts = np.zeros((4, 4, 4), dtype=np.int64)
    strata = 'A' * 10 + 'B' * 10 + 'C' * 10 + 'D' * 10
    mapped = 'AAAAAAABBBABBBBBBBBBBBCCCCCCBBDDDDDDDDDD'
    true = 'AAAAACBABCABBBBBAABBCCCCCDDBBADDDDDDDCCB'
    for h, i, j in zip(strata, mapped, true, strict=True):
        counts['ABCD'.index(h), 'ABCD'.index(i), 'ABCD'.index(j)] += 1
    areas = np.array([40_000.0, 30_000, 20_000, 10_000])
    found = figures(estimate_accuracy(sampled(counts, stratum_areas=areas)))
    # p. 4932-4936 of the paper: figures and their standard errors
    for name, value, error, unit in (
        ('overall', 0.63, 0.085, 1.0),
        ('users 1', 0.574, 0.125, 1.0),
        ('producers 1', 0.794, 0.117, 1.0),
        ('area 0', 0.35, 0.082, areas.sum()),
        ('area 2', 0.20, 0.064, areas.sum()),
    ):
        assert found[name].value / unit == pytest.approx(value, abs=5e-4)
        assert (found[name].half_width or 0) / 1.96 / unit == pytest.approx(error, abs=5e-4)


@given(counts=samples())
def test_figures_and_intervals_equal_those_of_single_units(counts: SampledCounts) -> None:
    h, i, j = np.repeat(np.argwhere(counts.counts >= 0), counts.counts.ravel(), axis=0).T
    total = counts.stratum_areas.sum()

    def expect(numerator: NDArray[Any], denominator: NDArray[Any]) -> tuple[float, float]:
        sizes = np.bincount(h)
        weights = (counts.stratum_areas / sizes)[h]
        below = (weights * denominator).sum()
        ratio = (weights * numerator).sum() / below
        residuals = numerator - ratio * denominator
        variances = [residuals[h == one].var(ddof=1) for one in range(len(sizes))]
        error = np.sqrt((counts.stratum_areas**2 * variances / sizes).sum()) / below
        return ratio, 1.96 * error

    everything = np.ones(len(h))
    expected = {'overall': expect(i == j, everything)}
    for k in range(len(counts.classes)):
        ours, theirs = i == k, j == k
        if ours.any() and theirs.any():
            right = (ours & theirs).astype(float)
            expected[f'users {k}'] = expect(right, ours)
            expected[f'producers {k}'] = expect(right, theirs)
            expected[f'f1 {k}'] = expect(2 * right, ours * 1.0 + theirs)
            expected[f'iou {k}'] = expect(right, ours | theirs)
            share, half = expect(theirs, everything)
            expected[f'area {k}'] = total * share, total * half
    found = figures(estimate_accuracy(counts))
    for name, pair in expected.items():
        assert (found[name].value, found[name].half_width) == pytest.approx(pair, abs=1e-9)


@pytest.mark.parametrize('design', ['simple', 'census', 'unknown'])
@pytest.mark.parametrize('units', [6, 200])
def test_figures_of_equal_units_are_those_of_torchmetrics(design: str, units: int) -> None:
    # takes seconds
    import torch
    from torchmetrics.functional import classification as oracles

    ours, theirs = torch.from_numpy(np.random.default_rng(units).integers(0, 4, (2, units)))
    counts = oracles.multiclass_confusion_matrix(theirs, ours, num_classes=4).numpy()
    accuracy = estimate_accuracy(sampled(counts[None], design=design))
    oracle: dict[str, Any] = {
        'users': oracles.multiclass_precision, 'producers': oracles.multiclass_recall,
        'f1': oracles.multiclass_f1_score, 'iou': oracles.multiclass_jaccard_index,
    }  # fmt: skip
    for field, function in oracle.items():
        found = values(accuracy, field)
        expected = function(ours, theirs, num_classes=4, average='none').numpy()
        known = np.isfinite(found)
        # single precision is all that it has
        np.testing.assert_allclose(found[known], expected[known], rtol=1e-6)
        assert not expected[~known].any()
    assert accuracy.overall.value == pytest.approx(float((ours == theirs).double().mean()))


@pytest.mark.parametrize('design', ['simple', 'census'])
def test_figures_of_equal_units_are_those_of_scikit_learn(design: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        ours, theirs = rng.integers(0, 4, (2, rng.integers(50, 300)))
        counts = metrics.confusion_matrix(theirs, ours, labels=range(4)).T
        accuracy = estimate_accuracy(sampled(counts[None], design=design))
        for field, function in {
            'users': metrics.precision_score, 'producers': metrics.recall_score,
            'f1': metrics.f1_score, 'iou': metrics.jaccard_score,
        }.items():  # fmt: skip
            expected = function(theirs, ours, labels=range(4), average=None)
            np.testing.assert_allclose(values(accuracy, field), expected, rtol=1e-9)
        assert accuracy.overall.value == pytest.approx(metrics.accuracy_score(theirs, ours), 1e-9)


@given(counts=samples(), data=st.data())
def test_the_order_of_classes_and_strata_changes_no_figure(
    counts: SampledCounts, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(counts.classes))))
    strata = data.draw(st.permutations(range(len(counts.strata))))
    moved = SampledCounts(
        design=counts.design,
        classes=tuple(counts.classes[k] for k in order),
        strata=tuple(counts.strata[h] for h in strata),
        counts=counts.counts[np.ix_(strata, order, order)],
        stratum_areas=counts.stratum_areas[strata],
        mapped_areas=counts.mapped_areas[order],
    )
    before, after = figures(estimate_accuracy(counts)), figures(estimate_accuracy(moved))
    assert before.keys() == after.keys()
    for name, figure in before.items():
        expected = (figure.value, figure.half_width)
        assert (after[name].value, after[name].half_width) == pytest.approx(expected, nan_ok=True)
        assert after[name].is_too_short == figure.is_too_short


@given(counts=samples(), share=st.floats(0.01, 0.99))
def test_halves_of_a_stratum_with_the_same_content_give_the_same_values(
    counts: SampledCounts, share: float
) -> None:
    first = counts.stratum_areas[0]
    halves = sampled(
        np.concatenate([counts.counts[:1], counts.counts]),
        stratum_areas=np.array([first * share, first * (1 - share), *counts.stratum_areas[1:]]),
    )
    before, after = figures(estimate_accuracy(counts)), figures(estimate_accuracy(halves))
    for name, figure in before.items():
        assert after[name].value == pytest.approx(figure.value, nan_ok=True)


@given(counts=samples())
def test_the_matrix_of_shares_has_the_areas_of_the_classes_as_sums(counts: SampledCounts) -> None:
    accuracy = estimate_accuracy(counts)
    areas = accuracy.shares.sum(0) * counts.stratum_areas.sum()
    np.testing.assert_allclose(areas, [one.area.value for one in accuracy.classes if one.area])
    assert np.trace(accuracy.shares) == pytest.approx(accuracy.overall.value)


def test_a_census_in_unequal_pixels_is_exact_and_has_no_interval() -> None:
    weights = np.array([[[6.0, 1.0], [3.0, 10.0]]])
    counts = sampled([[[3, 1], [1, 3]]], design='census', weights=weights)
    accuracy = estimate_accuracy(counts)
    assert accuracy.overall.value == pytest.approx(0.8)
    np.testing.assert_allclose(values(accuracy, 'users'), [6 / 7, 10 / 13])
    np.testing.assert_allclose(values(accuracy, 'producers'), [6 / 9, 10 / 11])
    np.testing.assert_allclose(values(accuracy, 'area'), [9, 11])
    assert {figure.half_width for figure in figures(accuracy).values()} == {None}
    assert any('census' in note for note in accuracy.notes)


def test_a_reference_of_unknown_design_has_no_intervals_and_no_areas() -> None:
    accuracy = estimate_accuracy(sampled([[[3, 1], [2, 4]], [[5, 0], [0, 0]]], design='unknown'))
    assert accuracy.overall == Estimate(value=12 / 15)
    assert [one.area for one in accuracy.classes] == [None, None]
    assert values(accuracy, 'users').tolist() == [8 / 9, 4 / 6]
    assert any('not known how' in note for note in accuracy.notes)


def test_an_empty_stratum_leaves_unknown_what_needs_it_alone() -> None:
    accuracy = estimate_accuracy(by_class([[9, 1, 0], [2, 8, 0], [0, 0, 0]], [100, 50, 10]))
    np.testing.assert_allclose(values(accuracy, 'users'), [0.9, 0.8, np.nan])
    for field in ('producers', 'f1', 'iou', 'area'):
        assert np.isnan(values(accuracy, field)).all()
    assert not accuracy.overall.is_known
    assert np.isfinite(accuracy.shares).all(axis=1).tolist() == [True, True, False]
    assert [note for note in accuracy.notes if 'stratum 2' in note and 'without any' in note]


def test_a_single_unit_leaves_what_needs_it_without_an_interval() -> None:
    accuracy = estimate_accuracy(by_class([[9, 1], [0, 1]], [100, 50]))
    users = [one.users.half_width for one in accuracy.classes]
    assert users[0] is not None
    assert users[1] is None
    assert accuracy.overall.is_known
    assert accuracy.overall.half_width is None
    assert [note for note in accuracy.notes if 'stratum 1' in note and 'single unit' in note]


@pytest.mark.parametrize('units', [1, 30, 3000])
def test_an_interval_of_a_sample_without_errors_is_too_short(units: int) -> None:
    accuracy = estimate_accuracy(by_class([[units + 1, 0], [0, units + 1]], [100, 50]))
    assert accuracy.overall == Estimate(value=1.0, half_width=0.0, is_too_short=True)


def test_a_class_that_the_map_has_may_be_among_the_units_of_a_simple_sample() -> None:
    counts = sampled([[[0, 0], [7, 3]]], design='simple', mapped_areas=np.array([4e3, 6e3]))
    producers = estimate_accuracy(counts).classes[0].producers
    assert (producers.value, producers.is_too_short) == (0, True)
    one = sampled([[[0, 0], [1, 0]]], design='simple', mapped_areas=np.array([4e3, 6e3]))
    assert estimate_accuracy(one).classes[0].producers.half_width is None


def test_what_cannot_be_otherwise_is_known_exactly() -> None:
    accuracy = estimate_accuracy(sampled([[[1]], [[1]]]))
    assert accuracy.overall == Estimate(value=1.0, half_width=0.0)
    assert accuracy.classes[0].area == Estimate(value=2e4, half_width=0.0)


def test_a_class_that_nobody_saw_has_no_accuracy() -> None:
    accuracy = estimate_accuracy(by_class([[20, 10, 0], [10, 20, 0], [0, 0, 0]], [9, 9, 0]))
    never = accuracy.classes[2]
    assert not any(getattr(never, field).is_known for field in SHARES)
    assert isinstance(never, ClassAccuracy)
    assert never.area == Estimate(value=0.0, half_width=0.0, is_too_short=True)


@pytest.mark.parametrize(
    ('changes', 'rule'),
    [
        ({'stratum_areas': np.ones(3)}, r'stratum_areas must have the shape \(2,\)'),
        ({'stratum_areas': np.array([1, np.nan])}, 'stratum_areas must be finite'),
        ({'mapped_areas': np.array([-1.0, 1])}, 'mapped_areas must be finite and not negative'),
        ({'stratum_areas': np.zeros(2)}, 'strata with units must have an area'),
        (
            {'weights': np.full((2, 2, 2), 3.0)},
            'must sum up to the units of each stratum, got 12 for 4',
        ),
        ({'design': 'simple'}, 'a simple sample has one stratum, got 2'),
        ({'counts': np.zeros((2, 2, 2), dtype=int)}, 'no unit of the reference'),
    ],
)
def test_what_no_figure_follows_from_is_refused_in_one_line(
    changes: dict[str, Any], rule: str
) -> None:
    counts = changes.pop('counts', np.ones((2, 2, 2), dtype=int))
    with pytest.raises(ValueError, match=rule) as caught:
        estimate_accuracy(sampled(counts, **changes))
    assert '\n' not in str(caught.value)
