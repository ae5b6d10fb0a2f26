import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gersp_geo.labels.pixel_values import whole_patches


@given(
    known=array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(
        lambda shape: arrays(np.bool_, shape, elements=st.sampled_from([True] * 9 + [False]))
    ),
    size=st.integers(1, 6),
)
def test_whole_patches_are_those_with_a_value_in_each_pixel(known: np.ndarray, size: int) -> None:
    found = whole_patches(known, size=size, generator=np.random.default_rng(0))
    every = {
        (row, col)
        for row in range(known.shape[0] - size + 1)
        for col in range(known.shape[1] - size + 1)
        if known[row : row + size, col : col + size].all()
    }
    assert bool(len(found)) is bool(every)
    for top, left, bottom, right in found.tolist():
        assert known[top:bottom, left:right].all()
        assert (top, left) in every
        assert (bottom - top, right - left) in {(size, size), known.shape}
