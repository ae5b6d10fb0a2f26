from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.accuracy.references.counting import Tally


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)), st.sampled_from([3, 16, 200, 70_000]),
    st.booleans(), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_each_pair_is_counted_with_the_area_of_its_row(
    shape: tuple[int, int], most: int, is_even: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    kind = np.uint8 if most <= 255 else np.int32
    ours, theirs = random.integers(0, most, (2, *shape)).astype(kind)
    areas = np.full(shape[0], 2.0) if is_even else random.random(shape[0])
    tally = Tally(areas)
    # in two windows, one below the other
    for rows in (slice(0, shape[0] // 2), slice(shape[0] // 2, None)):
        if len(ours[rows]):
            tally.add(rows.start, ours[rows], theirs[rows])
    pairs = list(zip(ours.ravel().tolist(), theirs.ravel().tolist(), strict=True))
    assert tally.pixels == Counter(pairs)
    expected: dict[tuple[int, int], float] = {}
    for pair, area in zip(pairs, np.repeat(areas, shape[1]).tolist(), strict=True):
        expected[pair] = expected.get(pair, 0) + area
    assert tally.areas == pytest.approx(expected)


def test_measurements_are_no_classes() -> None:
    many = np.arange(1, 2001, dtype=np.int32)[None]
    with pytest.raises(ValueError, match='at most 1,024 classes'):
        Tally(np.ones(1)).add(0, many, many)
