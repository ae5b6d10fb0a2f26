"""Which pixels are drawn, and with which probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.accuracy.selection import find_probabilities, find_room, select_pixels

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
