"""How often intervals hold the truth, over samples from maps whose truth is known."""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np
import pytest

from gersp_geo.accuracy.estimators import FIGURES, estimate_accuracy
from gersp_geo.accuracy.figures import Accuracy, Design, MapClass, SampledCounts

PIXEL = 900.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Pixels of a map by stratum, class of the map and class in truth; units that are drawn."""

    design: Design
    pixels: list[list[list[int]]]
    units: list[int]

    def count(self, counts: np.ndarray, design: Design) -> SampledCounts:
        cells = np.array(self.pixels)
        return SampledCounts(
            design=design,
            classes=tuple(
                MapClass(value=k, name=f'class {k}', color=(0, 0, 0)) for k in range(cells.shape[1])
            ),
            strata=tuple(map(str, range(len(cells)))),
            counts=counts,
            stratum_areas=cells.sum((1, 2)) * PIXEL,
            mapped_areas=cells.sum((0, 2)) * PIXEL,
        )

    def draw(self, rng: np.random.Generator) -> SampledCounts:
        """Draw pixels without replacement from each stratum."""
        cells = np.array(self.pixels)
        drawn = [
            rng.multivariate_hypergeometric(stratum.ravel(), units, method='marginals')
            for stratum, units in zip(cells, self.units, strict=True)
        ]
        return self.count(np.reshape(drawn, cells.shape), self.design)

    @property
    def truth(self) -> Accuracy:
        return estimate_accuracy(self.count(np.array(self.pixels), 'census'))

    @property
    def fewest_expected(self) -> float:
        cells = np.array(self.pixels)
        expected = cells * (np.array(self.units) / cells.sum((1, 2)))[:, None, None]
        return float(expected[expected > 0].min())


def by_class(matrix: list[list[int]], pixels: list[int], units: list[int]) -> Scene:
    """A map whose classes are the strata, with rows of truth in proportion to a matrix."""
    cells = np.zeros((len(matrix), len(matrix), len(matrix)), dtype=np.int64)
    for k, (row, size) in enumerate(zip(matrix, pixels, strict=True)):
        cells[k, k] = np.round(np.array(row) / sum(row) * size)
    return Scene(design='stratified', pixels=cells.tolist(), units=units)


OLOFSSON = by_class(
    [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]],
    [200_000, 150_000, 3_200_000, 6_450_000],
    [75, 75, 165, 325],
)
BY_CLASS = by_class(
    [[60, 10, 10], [12, 150, 13], [0, 20, 280]], [400_000, 1_500_000, 3_000_000], [80, 175, 300]
)
RARE = by_class([[85, 15], [12, 988]], [30_000, 9_000_000], [100, 1000])
SIMPLE = Scene(design='simple', pixels=[[[300, 20, 20], [25, 200, 40], [30, 20, 345]]], units=[1])
SIMPLE = replace(SIMPLE, pixels=(np.array(SIMPLE.pixels) * 1000).tolist(), units=[600])
REGIONS = Scene(
    design='stratified',
    pixels=[
        [[400_000, 40_000], [30_000, 130_000]],
        [[300_000, 60_000], [50_000, 3_090_000]],
        [[0, 0], [100_000, 900_000]],
    ],
    units=[250, 700, 120],
)
WELL_SAMPLED = {'by class': BY_CLASS, 'rare': RARE, 'simple': SIMPLE, 'regions': REGIONS}


@dataclass(frozen=True, kw_only=True)
class PartlyIgnored(Scene):
    """Units whose class in truth is the last one are drawn, and not judged."""

    def count(self, counts: np.ndarray, design: Design) -> SampledCounts:
        found, shares = super().count(counts, design), counts[..., -1].sum(1) / counts.sum((1, 2))
        return replace(
            found,
            counts=counts * (np.arange(counts.shape[2]) < counts.shape[2] - 1),
            stratum_areas=found.stratum_areas * (1 - shares),
            unjudged=None if design == 'census' else counts[..., -1].sum(1).astype(float),
        )


# a third to a half of each stratum is ignored, which nobody knew before
SIMPLE_DOMAIN = PartlyIgnored(
    design='simple', units=[600],
    pixels=[[[300_000, 30_000, 250_000], [40_000, 500_000, 400_000], [0, 0, 0]]],
)  # fmt: skip
CLASS_DOMAIN = PartlyIgnored(
    design='stratified', units=[250, 300],
    pixels=[
        [[300_000, 40_000, 260_000], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [100_000, 800_000, 300_000], [0, 0, 0]],
    ],
)  # fmt: skip
DOMAINS = {'simple': SIMPLE_DOMAIN, 'by class': CLASS_DOMAIN}


def figures(accuracy: Accuracy) -> dict[str, tuple[float, float, bool]]:
    found = {'overall': accuracy.overall}
    for one in accuracy.classes:
        found |= {f'{field} {one.map_class.value}': getattr(one, field) for field in FIGURES}
    return {name: (e.value, e.half_width or 0.0, e.is_too_short) for name, e in found.items()}


def measure(scene: Scene, repetitions: int, *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Share of intervals that hold the truth, and of intervals that are said to be too short."""
    rng = np.random.default_rng(seed)
    truth = figures(scene.truth)
    held, short, known = (defaultdict[str, int](int) for _ in range(3))
    for _ in range(repetitions):
        for name, (value, half, too_short) in figures(estimate_accuracy(scene.draw(rng))).items():
            if np.isfinite(value):
                known[name] += 1
                held[name] += abs(value - truth[name][0]) <= half + 1e-12
                short[name] += too_short
    return {name: (held[name] / n, short[name] / n) for name, n in known.items()}


@pytest.mark.parametrize('scene', WELL_SAMPLED.values(), ids=WELL_SAMPLED)
@pytest.mark.slow
def test_intervals_hold_the_truth_where_every_cell_is_expected_ten_times(scene: Scene) -> None:
    assert scene.fewest_expected >= 10 - 1e-3
    for name, (held, _) in measure(scene, 1000).items():
        assert 0.92 <= held <= 0.98, name


@pytest.mark.parametrize('scene', DOMAINS.values(), ids=DOMAINS)
@pytest.mark.slow
def test_intervals_hold_the_truth_where_a_part_of_what_was_drawn_is_not_judged(
    scene: Scene,
) -> None:
    for name, (held, _) in measure(scene, 1000).items():
        if not name.endswith(' 2'):
            assert 0.92 <= held <= 0.98, name


def test_the_part_that_is_judged_makes_areas_less_sure_and_accuracies_no_other() -> None:
    drawn = CLASS_DOMAIN.draw(np.random.default_rng(0))
    told, without = (
        figures(estimate_accuracy(drawn)),
        figures(estimate_accuracy(replace(drawn, unjudged=None))),
    )
    for name, (value, half, _) in told.items():
        assert value == pytest.approx(without[name][0], nan_ok=True)
        if name.startswith('area') and value:
            assert half > 1.2 * without[name][1]
        elif name.startswith('users'):
            assert half == pytest.approx(without[name][1], rel=0.02)


@pytest.mark.slow
def test_intervals_that_are_too_short_are_said_to_be() -> None:
    found = measure(OLOFSSON, 1000)
    assert found['area 1'][0] == pytest.approx(0.74, abs=0.04)
    for name, (held, short) in found.items():
        assert short > 0.5 or held >= 0.92, name


def test_a_few_samples_show_which_intervals_hold_the_truth() -> None:
    good, poor = measure(REGIONS, 60), measure(OLOFSSON, 60)
    assert min(held for held, _ in good.values()) >= 0.85
    assert max(short for _, short in good.values()) < 0.5
    assert poor['area 1'][0] < 0.9
    assert poor['area 1'][1] == 1
