import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gersp_geo.comparison.intervals import bootstrap, difference


def simulate(
    rng: np.random.Generator, *, seeds: tuple[int, int], draws: int, by_seed: float
) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies of two methods that are 0.05 apart; a draw is hard or easy for both."""
    hard = rng.normal(scale=0.1, size=draws)

    def side(count: int, mean: float) -> np.ndarray:
        own = rng.normal(scale=by_seed, size=(count, 1)) + rng.normal(scale=0.01, size=draws)
        return mean + hard + own + rng.normal(scale=0.01, size=(count, draws))

    return side(seeds[0], 0.85), side(seeds[1], 0.8)


def count_covered(*, seeds: tuple[int, int], draws: int, by_seed: float, runs: int) -> int:
    rng = np.random.default_rng(0)
    found = (
        difference(*simulate(rng, seeds=seeds, draws=draws, by_seed=by_seed)) for _ in range(runs)
    )
    return sum(interval.low <= 0.05 <= interval.high for interval in found)


def test_interval_of_a_difference_holds_the_true_one_in_95_of_100_cases() -> None:
    covered = count_covered(seeds=(3, 3), draws=50, by_seed=0.02, runs=200)
    assert stats.binomtest(covered, 200, 0.95).pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize('by_seed', [0.0, 0.002, 0.02])
@pytest.mark.parametrize(('seeds', 'draws'), [((3, 3), 50), ((5, 3), 20), ((4, 4), 5), ((2, 9), 5)])
def test_no_mixture_of_seeds_and_draws_covers_less(
    seeds: tuple[int, int], draws: int, by_seed: float
) -> None:
    covered = count_covered(seeds=seeds, draws=draws, by_seed=by_seed, runs=1500)
    # where nothing depends on seeds, the noise of single cells is counted twice
    assert 0.925 < covered / 1500 < 0.999


def test_one_seed_of_each_leaves_the_paired_interval_over_draws() -> None:
    one, other = simulate(np.random.default_rng(1), seeds=(1, 1), draws=30, by_seed=0.02)
    found = difference(one, other)
    expected = stats.ttest_rel(one[0], other[0]).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_one_draw_leaves_the_interval_of_welch_over_seeds() -> None:
    one, other = simulate(np.random.default_rng(2), seeds=(5, 3), draws=1, by_seed=0.02)
    found = difference(one, other)
    expected = stats.ttest_ind(one[:, 0], other[:, 0], equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected))


def test_draws_that_are_hard_for_both_widen_nothing() -> None:
    rng = np.random.default_rng(3)
    one, other = simulate(rng, seeds=(3, 3), draws=50, by_seed=0.02)
    hard = rng.normal(scale=0.5, size=50)
    easy, found = difference(one, other), difference(one + hard, other + hard)
    assert (found.low, found.high) == pytest.approx((easy.low, easy.high))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4), st.integers(1, 6))
def test_swapping_the_sides_swaps_the_sign(seed: int, seeds: int, others: int, draws: int) -> None:
    one, other = simulate(
        np.random.default_rng(seed), seeds=(seeds, others), draws=draws, by_seed=0.1
    )
    there, back = difference(one, other), difference(other, one)
    assert there.value == pytest.approx(-back.value)
    assert there.low == pytest.approx(-back.high, nan_ok=True)
    assert np.isnan(there.low) == (seeds == others == draws == 1)
    assert not there.low > there.value


def test_equal_sides_differ_by_nothing() -> None:
    found = difference(np.ones((2, 5)), np.ones((1, 5)))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_interval_of_an_accuracy_is_that_of_the_binomial() -> None:
    correct = np.arange(1000) % 10 > 0
    found = bootstrap(correct, resamples=2000)
    assert found.value == 0.9
    low, high = stats.binom(1000, 0.9).ppf((0.025, 0.975)) / 1000
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.002)
    assert found == bootstrap(correct, resamples=2000) != bootstrap(correct, resamples=2000, seed=1)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match='N >= 1, got'):
        bootstrap(np.zeros(0, dtype=bool))
    with pytest.raises(ValueError, match='resamples must be >= 1, got 0'):
        bootstrap(np.ones(3, dtype=bool), resamples=0)
    with pytest.raises(ValueError, match='same draws, got 2 and 3'):
        difference(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(ValueError, match='shape'):
        difference(np.ones(2), np.ones((1, 2)))
