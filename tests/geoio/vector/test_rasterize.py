"""Outlines of masks."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rasterio.features import rasterize
from scipy import ndimage

from gersp_geo.geoio.vector.rasterize import outline_mask


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_the_outline_is_that_of_the_largest_part(mask: NDArray[np.bool_]) -> None:
    outline = outline_mask(mask)
    if not mask.any():
        assert outline is None
        return
    assert outline is not None
    numbered, _ = ndimage.label(mask)
    sizes = np.bincount(numbered.ravel())[1:]
    assert outline.is_valid
    assert outline.area == sizes.max()
    burnt = rasterize([outline], out_shape=mask.shape)
    (number,) = np.unique(numbered[burnt == 1])
    assert ((burnt == 1) == (numbered == number)).all()


def test_holes_stay() -> None:
    mask = np.ones((5, 6), dtype=bool)
    mask[2, 3] = False
    outline = outline_mask(mask)
    assert outline is not None
    assert outline.equals(shapely.box(0, 0, 6, 5) - shapely.box(3, 2, 4, 3))


@pytest.mark.parametrize('shape', [(0, 0), (3, 0), (4, 4)])
def test_an_empty_mask_has_none(shape: tuple[int, int]) -> None:
    assert outline_mask(np.zeros(shape, dtype=bool)) is None
