import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.accuracy.codes import count_codes, to_codes


@given(st.integers(0, 255), st.booleans(), st.integers(0, 2**32 - 1))
def test_codes_are_classes_plus_one_and_0_for_nothing(top: int, has_mask: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, top + 1, (4, 5), dtype=np.uint8)
    valid = random.random((4, 5)) < 0.7 if has_mask else None
    expected = pixels.astype(int) + 1
    if valid is not None:
        expected[~valid] = 0
    assert (to_codes(pixels, valid, name='map.tif') == expected).all()


@given(
    st.integers(1, 2000), st.sampled_from([1, 3, 8, 9, 255, 300]), st.sampled_from([1, 7, 20]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_codes_are_counted_alone_and_in_runs(count: int, size: int, run: int, seed: int) -> None:
    kind = np.dtype('uint8' if size <= 255 else 'int32')
    drawn = np.random.default_rng(seed).integers(0, size, count)
    codes = drawn[np.arange(count * run) // run].astype(kind)
    np.testing.assert_array_equal(count_codes(codes, size=size), np.bincount(codes, minlength=size))
