"""How many points each stratum gets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.accuracy.sampling.allocation import allocate, neyman_shares


@given(
    strata=st.lists(st.tuples(st.floats(0, 1e12), st.integers(1, 10**6)), min_size=1, max_size=8),
    minimum=st.integers(2, 60),
    more=st.floats(0, 1),
)
def test_all_points_are_shared_out_within_limits(
    strata: list[tuple[float, int]], minimum: int, more: float
) -> None:
    shares, room = (np.array(column) for column in zip(*strata, strict=True))
    least = np.minimum(room, minimum)
    count = int(least.sum() + more * (room - least).sum())
    found = allocate(shares, room, count=count, minimum=minimum)
    assert found.sum() == count
    assert ((least <= found) & (found <= room)).all()


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=8), st.integers(100, 10_000))
def test_points_beyond_the_minimum_are_in_proportion(shares: list[float], count: int) -> None:
    areas = np.array(shares)
    found = allocate(areas, np.full(len(areas), 10**9), count=count, minimum=10)
    free = found > 10
    exact = areas[free] / areas[free].sum() * found[free].sum()
    assert np.abs(found[free] - exact).max(initial=0) <= 1


def test_rare_classes_get_the_minimum() -> None:
    areas = np.array([200_000, 150_000, 3_200_000, 6_450_000])
    found = allocate(areas.astype(float), areas, count=641, minimum=75)
    assert found.tolist() == [75, 75, 163, 328]


def test_neyman_makes_the_variance_of_overall_accuracy_small() -> None:
    areas, expected = np.array([1e3, 5e3, 2e3]), np.array([0.6, 0.95, 0.8])
    room = np.full(3, 10**6)

    def variance(shares: np.ndarray) -> float:
        numbers = allocate(shares, room, count=600, minimum=2)
        return float((areas**2 * expected * (1 - expected) / numbers).sum())

    best = variance(neyman_shares(areas, expected))
    assert best < variance(areas)
    assert best < variance(np.ones(3))
    others = np.random.default_rng(0).uniform(0.1, 1, (50, 3))
    assert best <= min(map(variance, others)) * 1.001


@pytest.mark.parametrize(
    ('count', 'message'),
    [
        (100, 'need 150 points, got 100; draw more .-n., or lower the minimum to 33'),
        (4, 'need 150 points, got 4; draw more .-n.$'),
        (10**6, '1000000 points are more than the 3000'),
    ],
)
def test_too_few_and_too_many_points_are_refused(count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        allocate(np.ones(3), np.full(3, 1000), count=count, minimum=50)
