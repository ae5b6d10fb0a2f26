"""Which pixels are drawn, and with which probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.accuracy.estimators import estimate_accuracy
from gersp_geo.accuracy.figures import Estimate, MapClass, SampledCounts
from gersp_geo.accuracy.sampling.selection import find_probabilities, find_room, select_pixels

HEIGHT, WIDTH, CLASSES, POINTS = 300, 400, 3, 200

cells = st.lists(st.tuples(st.integers(0, 40), st.floats(0.1, 10)), min_size=1, max_size=20).filter(
    lambda pairs: any(count for count, _ in pairs)
)


@given(cells, st.booleans(), st.floats(0, 1), st.integers(0, 2**32))
def test_pixels_are_drawn_once_and_stand_for_the_whole(
    pairs: list[tuple[int, float]], is_equal: bool, part: float, seed: int
) -> None:
    counts = np.array([count for count, _ in pairs])
    areas = np.ones(len(pairs)) if is_equal else np.array([area for _, area in pairs])
    room = find_room(counts, areas, minimum=5)
    count = max(1, round(part * room))
    found, ranks = select_pixels(counts, areas, count=count, rng=np.random.default_rng(seed))
    assert len({*zip(found.tolist(), ranks.tolist(), strict=True)}) == count
    assert ((ranks >= 0) & (ranks < counts[found])).all()
    probabilities, weights = find_probabilities(counts, areas, found, count=count)
    assert ((probabilities > 0) & (probabilities <= 1 + 1e-9)).all()
    np.testing.assert_allclose(weights, areas[found] / probabilities)
    np.testing.assert_allclose(weights.sum(), (counts * areas).sum())


@pytest.mark.parametrize('is_equal', [True, False])
def test_pixels_are_drawn_as_often_as_is_said(is_equal: bool) -> None:
    counts = np.array([1, 7, 0, 12, 3, 2])
    areas = np.ones(6) if is_equal else np.array([5.0, 3.0, 1.0, 2.0, 4.5, 1.5])
    rng, times, count = np.random.default_rng(1), 2000, 6
    drawn = np.zeros((6, 12))
    for _ in range(times):
        np.add.at(drawn, select_pixels(counts, areas, count=count, rng=rng), 1)
    for cell in np.flatnonzero(counts).tolist():
        each = np.full(1, cell)
        probability = find_probabilities(counts, areas, np.repeat(each, count), count=count)[0][0]
        # five standard errors
        slack = 5 * np.sqrt(probability * (1 - probability) / times)
        shares = drawn[cell, : counts[cell]] / times
        assert np.abs(shares - probability).max() < slack
    assert drawn.sum() == times * count


def test_large_pixels_are_no_reason_to_draw_fewer_than_the_minimum() -> None:
    counts, areas = np.array([10, 10]), np.array([1.0, 9.0])
    assert find_room(counts, areas, minimum=20) == 20
    assert find_room(counts, areas, minimum=10) == 11


@pytest.mark.slow
def test_intervals_cover_the_truth_where_errors_go_with_latitude() -> None:
    rng = np.random.default_rng(0)
    areas = np.cos(np.radians(np.linspace(85, 5, HEIGHT)))
    ours = rng.choice(CLASSES, (HEIGHT, WIDTH), p=[0.5, 0.3, 0.2])
    # from 40 % that is wrong in the north to 10 %
    is_wrong = rng.random((HEIGHT, WIDTH)) < np.linspace(0.4, 0.1, HEIGHT)[:, None]
    theirs = np.where(is_wrong, rng.integers(0, CLASSES, (HEIGHT, WIDTH)), ours)
    weights = np.broadcast_to(areas[:, None], ours.shape)
    mapped = np.bincount(ours.ravel(), weights.ravel(), CLASSES)
    truth = np.bincount(theirs.ravel(), weights.ravel(), CLASSES)
    overall = float(weights[ours == theirs].sum() / weights.sum())
    counts = np.stack([(ours == value).sum(axis=1) for value in range(CLASSES)])
    classes = tuple(MapClass(value=v, name=str(v), color=(0, 0, 0)) for v in range(CLASSES))
    times = 600
    hits = np.zeros((times, 1 + CLASSES), dtype=np.bool_)
    for time in range(times):
        found = np.zeros((CLASSES, CLASSES, CLASSES), dtype=np.int64)
        for value in range(CLASSES):
            rows, ranks = select_pixels(counts[value], areas, count=POINTS, rng=rng)
            cols = [
                np.flatnonzero(ours[row] == value)[rank]
                for row, rank in zip(rows.tolist(), ranks.tolist(), strict=True)
            ]
            np.add.at(found[value, value], theirs[rows, cols], 1)
        told = estimate_accuracy(
            SampledCounts(
                design='stratified', classes=classes, strata=('0', '1', '2'), counts=found,
                stratum_areas=mapped, mapped_areas=mapped,
            )
        )  # fmt: skip
        pairs: list[tuple[Estimate | None, float]] = [(told.overall, overall)]
        pairs += [(each.area, area) for each, area in zip(told.classes, truth, strict=True)]
        hits[time] = [
            each is not None
            and each.half_width is not None
            and abs(each.value - true) <= each.half_width
            for each, true in pairs
        ]
    coverage = hits.mean(axis=0)
    assert ((coverage >= 0.92) & (coverage <= 0.98)).all(), coverage
