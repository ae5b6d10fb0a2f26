import math
from collections.abc import Sequence

import numpy as np
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.features import rasterize

from gersp_geo.geoio.vector.aoi import Area
from gersp_geo.windows import Window

HEIGHT, WIDTH = 23, 31
TRANSFORMS = {
    'north-up': Affine(10, 0, 4e5, 0, -10, 5e6),
    '0.1 m at a large northing': Affine(0.1, 0, 812_345.3, 0, -0.1, 5_123_456.7),
    'south-up': Affine(10, 0, 4e5, 0, 10, 5e6),
    'rotated': Affine(8, 6, 4e5, 6, -8, 5e6),
    'sheared': Affine(2, 1, 4e5, 0.3, -3, 5e6),
    'degrees': Affine(1e-4, 0, 13.1, 0, -1e-4, 52.3),
}
transforms = st.sampled_from(list(TRANSFORMS.values()))
coordinate = st.one_of(st.floats(-10, 40), st.integers(-20, 80).map(lambda half: half / 2))
corners = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8)


def window(row_off: int, col_off: int, height: int, width: int) -> Window:
    return Window(row_off=row_off, col_off=col_off, height=height, width=width)


WHOLE = window(0, 0, HEIGHT, WIDTH)


def area_of(pixels: Sequence[Sequence[tuple[float, float]]], transform: Affine) -> Area:
    """Unite polygons that are given in pixels, (column, row)."""
    rows, cols = np.array([[transform.d, transform.e], [transform.a, transform.b]])
    polygons = [
        shapely.Polygon(np.array(ring) @ np.stack([cols, rows], axis=1) + transform[2:6:3])
        for ring in pixels
    ]
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(polygons)))
    return Area(shapely.union_all(parts[shapely.area(parts) > 0]))


def centres(transform: Affine) -> np.ndarray:
    rows, cols = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    x = transform.a * cols + transform.b * rows + transform.c
    y = transform.d * cols + transform.e * rows + transform.f
    return np.asarray(shapely.points(x, y))


@given(
    rings=st.lists(corners, min_size=1, max_size=3), transform=transforms,
    row=st.integers(1, HEIGHT - 1), col=st.integers(1, WIDTH - 1),
)  # fmt: skip
def test_masks_of_windows_tile_to_the_mask_of_the_whole(
    rings: list[list[tuple[float, float]]], transform: Affine, row: int, col: int
) -> None:
    area = area_of(rings, transform)
    whole = area.mask(transform, WHOLE)
    above = [window(0, 0, row, col), window(0, col, row, WIDTH - col)]
    below = [window(row, 0, HEIGHT - row, col), window(row, col, HEIGHT - row, WIDTH - col)]
    parts = [[area.mask(transform, part) for part in line] for line in (above, below)]
    np.testing.assert_array_equal(np.block(parts), whole)
    larger = area.mask(transform, window(-5, -7, HEIGHT + 9, WIDTH + 11))
    np.testing.assert_array_equal(larger[5:-4, 7:-4], whole)


@given(rings=st.lists(corners, min_size=1, max_size=3), transform=transforms)
def test_a_pixel_belongs_if_its_centre_is_inside(
    rings: list[list[tuple[float, float]]], transform: Affine
) -> None:
    area = area_of(rings, transform)
    points = centres(transform)
    # rounding decides what lies on the outline
    side = math.sqrt(abs(transform.determinant))
    is_clear = shapely.distance(points, shapely.boundary(area.geometry)) > 1e-6 * side
    is_clear |= area.geometry.is_empty
    expected = shapely.contains(area.geometry, points)
    np.testing.assert_array_equal(area.mask(transform, WHOLE)[is_clear], expected[is_clear])


@given(
    rings=st.lists(corners, min_size=1, max_size=3), transform=transforms,
    row=st.integers(-5, HEIGHT), col=st.integers(-5, WIDTH),
    height=st.integers(1, 30), width=st.integers(1, 30),
)  # fmt: skip
def test_a_window_touches_the_area_if_they_share_a_point(
    rings: list[list[tuple[float, float]]], transform: Affine,
    row: int, col: int, height: int, width: int,
) -> None:  # fmt: skip
    area = area_of(rings, transform)
    here = window(row, col, height, width)
    square = [(col, row), (col + width, row), (col + width, row + height), (col, row + height)]
    outline = area_of([square], transform).geometry
    touches: bool = area.touches(transform, here)
    side = math.sqrt(abs(transform.determinant))
    if area.geometry.is_empty or shapely.distance(outline, area.geometry) > 1e-6 * side:
        assert not touches
        assert not area.mask(transform, here).any()
    elif shapely.intersection(outline, area.geometry).area > 1e-6 * side**2:
        assert touches


def test_areas_that_share_an_edge_share_no_pixel() -> None:
    transform = TRANSFORMS['north-up']
    # the edges run through centres
    left = area_of([[(0, 0), (10.5, 0), (10.5, 10.5), (0, 10.5)]], transform)
    right = area_of([[(10.5, 0), (31, 0), (31, 10.5), (10.5, 10.5)]], transform)
    below = area_of([[(0, 10.5), (31, 10.5), (31, 23), (0, 23)]], transform)
    masks = [area.mask(transform, WHOLE).astype(int) for area in (left, right, below)]
    np.testing.assert_array_equal(sum(masks), 1)


def test_holes_do_not_belong() -> None:
    transform = TRANSFORMS['north-up']
    hole = shapely.box(400_050, 4_999_850, 400_150, 4_999_950)
    area = Area(shapely.difference(shapely.box(4e5, 4_999_800, 400_200, 5e6), hole))
    mask = area.mask(transform, WHOLE)
    expected = rasterize([area.geometry], out_shape=(HEIGHT, WIDTH), transform=transform)
    np.testing.assert_array_equal(mask, expected == 1)
    assert not mask[5:15, 5:15].any()
    assert not area.touches(transform, window(7, 7, 3, 3))
    assert area.touches(transform, window(4, 4, 3, 3))


def test_bounds_tell_an_area_that_misses_the_raster() -> None:
    area = Area(shapely.box(10, 20, 30, 40))
    assert area.bounds == (10.0, 20.0, 30.0, 40.0)
    assert not area.touches(TRANSFORMS['north-up'], WHOLE)
    assert not area.mask(TRANSFORMS['north-up'], WHOLE).any()
