from itertools import pairwise

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes

from gersp_geo.geoio.polygons.geometry import to_polygons
from gersp_geo.geoio.polygons.outlines import Outlines, join_outlines, trace_outlines

type Codes = NDArray[np.integer]
"""A map: 0 is nothing, other values are classes."""

NORTH_UP = Affine(1, 0, 0, 0, -1, 0)


@st.composite
def class_maps(draw: st.DrawFn) -> Codes:
    """Draw maps of 1 to 4 classes with gaps, in pixels of 1 to 3 rows and columns."""
    size = st.integers(1, 9)
    codes = draw(arrays(np.uint8, (draw(size), draw(size)), elements=st.integers(0, 4)))
    return np.kron(codes, np.ones((draw(st.integers(1, 3)), draw(st.integers(1, 3))), np.uint8))


def trace(codes: Codes, *heights: int) -> Outlines:
    """Trace a map in strips of some heights, the last one as often as it takes."""
    cuts = [0]
    while cuts[-1] < len(codes):
        cuts.append(cuts[-1] + heights[min(len(cuts), len(heights)) - 1])
    return join_outlines(list(trace_outlines(codes[a:b] for a, b in pairwise(cuts))))


def as_text(outlines: Outlines) -> list[tuple[int, str]]:
    """Write polygons so that neither their order nor the beginning of a ring matters."""
    polygons = shapely.normalize(to_polygons(outlines, NORTH_UP))
    return sorted(zip(outlines.values.tolist(), shapely.to_wkt(polygons).tolist(), strict=True))


def paint(outlines: Outlines, shape: tuple[int, ...]) -> Codes:
    """Turn polygons into a map."""
    if not len(outlines):
        return np.zeros(shape, np.uint8)
    drawn = zip(to_polygons(outlines, NORTH_UP), outlines.values.tolist(), strict=True)
    painted: Codes = rasterize(drawn, out_shape=shape, transform=NORTH_UP, dtype=np.uint8)
    return painted


def spiral(size: int) -> Codes:
    """A line of one pixel that winds inwards, in another class."""
    codes = np.full((size, size), 2, np.uint8)
    row, col, step = 0, 0, (0, 1)
    codes[0, 0] = 1
    for length in [size - 1, *(n for n in range(size - 1, 1, -2) for _ in range(2))]:
        for _ in range(length):
            row, col = row + step[0], col + step[1]
            codes[row, col] = 1
        step = step[1], -step[0]
    return codes


def rings(size: int) -> Codes:
    """Squares within squares: holes in holes in holes."""
    distance = np.minimum(np.arange(size), np.arange(size)[::-1])
    return (np.minimum(distance[:, None], distance) % 2 + 1).astype(np.uint8)


def comb(rows: int, cols: int) -> Codes:
    """Teeth that only the last row joins."""
    codes = np.zeros((rows, cols), np.uint8)
    codes[:, ::2] = codes[-1] = 3
    return codes


SHAPES = {
    'checkerboard': np.indices((7, 9)).sum(axis=0).astype(np.uint8) % 2,
    'two-class checkerboard': np.indices((8, 7)).sum(axis=0).astype(np.uint8) % 2 + 1,
    'spiral': spiral(15),
    'nested rings': rings(17),
    'comb': comb(9, 11),
    'comb upside down': comb(9, 11)[::-1],
    'comb on its side': comb(11, 9).T,
    'one column': np.array([[1], [1], [2], [0], [1]], np.uint8),
    'one row': np.array([[1, 1, 2, 0, 1]], np.uint8),
    'one pixel': np.array([[7]], np.uint8),
    'one class': np.ones((5, 6), np.uint8),
    'nothing': np.zeros((5, 6), np.uint8),
    'holes that touch': np.array(
        [[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]], np.uint8
    ),
    'a hole that touches the outside': np.array(
        [[1, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]], np.uint8
    ),
    'large values': np.array([[65536, 1], [1, 65536]], np.int32),
}


@given(codes=class_maps(), heights=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_polygons_are_valid_paint_the_map_and_do_not_depend_on_strips(
    codes: Codes, heights: list[int]
) -> None:
    outlines = trace(codes, *heights)
    assert shapely.is_valid(to_polygons(outlines, NORTH_UP)).all()
    np.testing.assert_array_equal(paint(outlines, codes.shape), codes)
    assert as_text(outlines) == as_text(trace(codes, len(codes)))


@given(codes=class_maps(), height=st.integers(1, 9))
def test_polygons_are_those_of_gdal(codes: Codes, height: int) -> None:
    drawn = shapes(codes, mask=codes > 0, connectivity=4, transform=NORTH_UP)
    expected = sorted(
        (int(value), shapely.to_wkt(shapely.normalize(shapely.geometry.shape(geometry))))
        for geometry, value in drawn
    )
    assert as_text(trace(codes, height)) == expected


@given(codes=class_maps(), height=st.integers(1, 9))
def test_sums_count_the_pixels_of_each_object(codes: Codes, height: int) -> None:
    outlines = trace(codes, height)
    sums = outlines.sum_up(np.arange(len(codes) + 1.0))
    np.testing.assert_array_equal(sums, shapely.area(to_polygons(outlines, NORTH_UP)))
    # rows that count 1, 2, 3, ...
    weights = np.arange(1, len(codes) + 1)
    heavy = outlines.sum_up(np.concatenate([[0.0], np.cumsum(weights)]))
    for value in range(1, 5):
        expected = ((codes == value).sum(axis=1) * weights).sum()
        assert heavy[outlines.values == value].sum() == expected


@pytest.mark.parametrize('height', [1, 2, 3, 17])
@pytest.mark.parametrize('name', SHAPES)
def test_shapes_that_cross_strips_come_out_whole(name: str, height: int) -> None:
    codes = SHAPES[name]
    outlines = trace(codes, height)
    assert shapely.is_valid(to_polygons(outlines, NORTH_UP)).all()
    if codes.max() < 256:
        np.testing.assert_array_equal(paint(outlines, codes.shape), codes)
    assert as_text(outlines) == as_text(trace(codes, len(codes)))


@pytest.mark.parametrize('height', [1, 2, 15])
def test_a_spiral_is_one_polygon_and_nested_squares_have_one_hole_each(height: int) -> None:
    winding = trace(spiral(15), height)
    assert winding.values.tolist().count(1) == 1
    nested = to_polygons(trace(rings(15), height), NORTH_UP)
    assert sorted(shapely.get_num_interior_rings(nested).tolist()) == [0] + [1] * 7


@pytest.mark.parametrize('height', [1, 2, 9])
def test_sides_have_vertices_at_their_ends_only(height: int) -> None:
    codes = np.ones((9, 9), np.uint8)
    codes[2:7, 3:6] = 2
    (around,) = to_polygons(trace(codes, height).select(np.array([False, True])), NORTH_UP)
    assert len(around.exterior.coords) == 5
    assert [len(hole.coords) for hole in around.interiors] == [5]


def test_an_object_is_released_when_no_later_strip_can_touch_it() -> None:
    codes = np.zeros((12, 4), np.uint8)
    # ends within a strip, with a strip, and goes on
    codes[0:2, 0] = codes[0:3, 1:3] = 1
    codes[4:, 3] = 2
    released = trace_outlines(codes[row : row + 3] for row in range(0, 12, 3))
    assert [part.values.tolist() for part in released] == [[], [1], [], [], [2]]


def test_some_of_several_objects() -> None:
    codes = rings(9)
    outlines = trace(codes, 4)
    chosen = outlines.select(outlines.values == 1)
    np.testing.assert_array_equal(paint(chosen, codes.shape), np.where(codes == 1, 1, 0))
    assert len(chosen) + len(outlines.select(outlines.values == 2)) == len(outlines)
    assert len(outlines.select(np.zeros(len(outlines), np.bool_))) == 0
