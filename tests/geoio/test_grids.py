from dataclasses import replace

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from gersp_geo.geoio.grids import Grid, corner_offsets, describe_shift
from gersp_geo.geoio.read.reader import RasterHeader
from gersp_geo.geoio.warp.alignment import on_one_grid

HEADER = RasterHeader(
    height=200,
    width=300,
    count=1,
    dtype='uint8',
    crs=CRS.from_epsg(32633),
    transform=Affine(2, 0, 4e5, 0, -2, 5e6),
    nodata=None,
    descriptions=(None,),
    alpha=(),
    block_shape=(200, 300),
)


@given(
    cols=st.floats(-50, 50),
    rows=st.floats(-50, 50),
    res=st.sampled_from([1e-4, 0.05, 10.0, 1000.0]),
    up=st.booleans(),
)
def test_offsets_are_in_pixels_whatever_their_size(
    cols: float, rows: float, res: float, up: bool
) -> None:
    transform = Affine(res, 0, 4e5, 0, res if up else -res, 5e6)
    one = replace(HEADER, transform=transform)
    x, y = transform @ (cols, rows)
    other = replace(HEADER, transform=Affine(res, 0, x, 0, transform.e, y))
    offsets = corner_offsets(one, other)
    # coordinates of 5e6 m have nine digits behind the point
    np.testing.assert_allclose(offsets, [(cols, rows)] * 4, atol=1e-9 / res + 1e-9)
    farthest = max(abs(cols), abs(rows))
    if abs(farthest - 0.01) > 1e-4:
        assert on_one_grid(one, other) == (farthest < 0.01)


def test_differences_of_size_add_up_to_the_far_corner() -> None:
    # a thousandth of a pixel in all, then 0.03
    nearly = replace(HEADER, transform=HEADER.transform @ Affine.scale(1 + 1e-3 / 300, 1))
    assert describe_shift(HEADER, nearly, name='a.tif') is None
    wider = replace(HEADER, transform=HEADER.transform @ Affine.scale(1.0001, 1))
    text = describe_shift(HEADER, wider, name='a.tif')
    assert text == (
        'has pixels 1.0001 times as wide and 1.0 times as high as a.tif, '
        'with a corner 0.03 pixels off'
    )


def test_grids_with_rows_upward_are_compared_likewise() -> None:
    upward = replace(HEADER, transform=Affine(2, 0, 4e5, 0, 2, 5e6))
    higher = replace(HEADER, transform=Affine(2, 0, 4e5, 0, 2, 5e6 + 4))
    assert describe_shift(upward, higher, name='a') == 'lies 0.0 pixels east and 2.0 north of a'
    assert describe_shift(upward, HEADER, name='a') == 'counts its rows from the other side than a'


@pytest.mark.parametrize('other', ['EPSG:32633+5773', '+proj=utm +zone=33 +datum=WGS84'])
def test_the_same_system_in_other_words_is_the_same_grid(other: str) -> None:
    assert on_one_grid(HEADER, replace(HEADER, crs=CRS.from_user_input(other)))


@given(
    angle=st.floats(-180, 180),
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    up=st.booleans(),
)
def test_bounds_hold_all_corners_of_a_grid_and_touch_each_side(
    angle: float, height: int, width: int, up: bool
) -> None:
    transform = Affine.translation(4e5, 5e6) @ Affine.rotation(angle)
    transform @= Affine.scale(2, 2 if up else -2)
    grid = Grid(height=height, width=width, crs=None, transform=transform)
    left, bottom, right, top = grid.bounds()
    corners = shapely.MultiPoint(
        [transform @ (col, row) for col in (0, width) for row in (0, height)]
    )
    np.testing.assert_allclose((left, bottom, right, top), corners.bounds, rtol=1e-12)
    assert grid.x_range() == (left, right)
