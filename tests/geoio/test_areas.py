import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from rasterio.crs import CRS
from rasterio.features import rasterize

from gersp_geo.geoio.areas import Area, pixel_areas_m2, pixel_size_m
from gersp_geo.geoio.reading import RasterHeader
from gersp_geo.records import Window

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
@settings(max_examples=200, deadline=None)
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
@settings(max_examples=200, deadline=None)
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
@settings(max_examples=200, deadline=None)
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


def header(crs: str | None, transform: Affine) -> RasterHeader:
    values: dict[str, Any] = {
        'height': 100, 'width': 100, 'count': 1, 'dtype': 'uint8', 'nodata': None,
        'descriptions': (None,), 'alpha': (), 'block_shape': (100, 100),
    }  # fmt: skip
    found = None if crs is None else CRS.from_user_input(crs)
    return RasterHeader(crs=found, transform=transform, **values)


@given(
    north=st.floats(-89.9, 90), res=st.floats(1e-6, 0.5), flip=st.sampled_from([1, -1]),
    crs=st.sampled_from(['EPSG:4326', 'EPSG:4267', '+proj=longlat +R=6371000']),
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_pixels_of_degrees_have_their_area_on_the_ellipsoid(
    north: float, res: float, flip: int, crs: str
) -> None:
    found = header(crs, Affine(res, 0, 7.0, 0, flip * -res, north))
    areas = pixel_areas_m2(found, 2, 4)
    assert areas is not None
    assert areas.shape == (2,)
    geod = Geod(ellps={'EPSG:4326': 'WGS84', 'EPSG:4267': 'clrk66'}.get(crs, 'sphere'))
    if crs.startswith('+'):
        geod = Geod(a=6371000, b=6371000)
    for row, area in zip((2, 3), areas, strict=True):
        one, other = (max(-90.0, min(90.0, north - flip * r * res)) for r in (row, row + 1))
        # geodesics leave the parallels: follow them in small steps
        east = 7.0 + res * np.linspace(0, 1, 1001)
        lon = np.concatenate([east, east[::-1]])
        lat = np.concatenate([np.full(1001, one), np.full(1001, other)])
        expected = abs(geod.polygon_area_perimeter(lon, lat)[0])
        # a square millimetre more: what the reference rounds away
        assert area == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_all_pixels_of_the_world_cover_the_ellipsoid() -> None:
    found = header('EPSG:4326', Affine(0.25, 0, -180, 0, -0.25, 90))
    areas = pixel_areas_m2(found, -3, 723)
    assert areas is not None
    # 510065621.724 km2: Moritz, Geodetic Reference System 1980, and WGS 84 is 0.1 mm smaller
    assert areas.sum() * 1440 == pytest.approx(510_065_621.7e6, rel=1e-9)
    np.testing.assert_array_equal(areas[:3], 0)
    assert (areas[3:723] > 0).all()


def test_grads_are_no_degrees() -> None:
    # of Paris; 100 grads are 90 degrees
    grads = pixel_areas_m2(header('EPSG:4807', Affine(0.01, 0, 0, 0, -0.01, 54)), 0, 1)
    same = '+proj=longlat +a=6378249.2 +b=6356515'
    expected = pixel_areas_m2(header(same, Affine(0.009, 0, 0, 0, -0.009, 48.6)), 0, 1)
    assert grads is not None
    assert expected is not None
    np.testing.assert_allclose(grads, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ('crs', 'transform', 'expected'),
    [
        ('EPSG:32633', Affine(10, 0, 4e5, 0, -10, 5e6), 100.0),
        ('EPSG:32633', Affine(8, 6, 4e5, 6, -8, 5e6), 100.0),
        # feet of the US survey
        ('EPSG:2263', Affine(1, 0, 0, 0, -1, 0), (1200 / 3937) ** 2),
        (None, Affine(10, 0, 4e5, 0, -10, 5e6), None),
        ('EPSG:4326', Affine(8e-5, 6e-5, 7, 6e-5, -8e-5, 50), None),
        ('LOCAL_CS["plan",UNIT["metre",1]]', Affine(10, 0, 0, 0, -10, 0), None),
        ('+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39 +lon_0=180 +to_meter=0.01745329',
         Affine(0.1, 0, 7, 0, -0.1, 50), None),
    ],
)  # fmt: skip
def test_pixels_of_a_plane_are_all_alike_and_unknown_ones_have_no_area(
    crs: str | None, transform: Affine, expected: float | None
) -> None:
    areas = pixel_areas_m2(header(crs, transform), 5, 8)
    if expected is None:
        assert areas is None
    else:
        assert areas is not None
        np.testing.assert_allclose(areas, [expected] * 3, rtol=1e-12)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match='row_stop must be > row_off=3, got 3'):
        pixel_areas_m2(header('EPSG:4326', Affine(1, 0, 0, 0, -1, 0)), 3, 3)


@pytest.mark.parametrize(
    ('crs', 'transform', 'expected'),
    [
        # scale of UTM at its central meridian
        ('EPSG:32633', Affine(10, 0, 499_500, 0, -10, 5e6), (10 / 0.9996, 10 / 0.9996)),
        # Web Mercator at 60 degrees: radii of curvature times the cosine, over the equator's
        ('EPSG:3857', Affine(2, 0, 0, 0, -2, 8_399_837.9), (1.0025, 1.0008)),
        ('EPSG:4326', Affine(1e-3, 0, 7, 0, -1e-3, 60.05), (55.80, 111.41)),
        ('EPSG:32633', Affine(8, 6, 5e5, 6, -8, 5e6), (10 / 0.9996, 10 / 0.9996)),
    ],
)
def test_a_pixel_has_its_size_on_the_ground(
    crs: str, transform: Affine, expected: tuple[float, float]
) -> None:
    assert pixel_size_m(header(crs, transform)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ('crs', 'transform'),
    [
        (None, Affine(1, 0, 0, 0, -1, 0)),
        ('LOCAL_CS["plan",UNIT["metre",1]]', Affine(1, 0, 0, 0, -1, 0)),
        # beyond the reach of the projection
        ('EPSG:32633', Affine(1e9, 0, 1e30, 0, -1e9, 1e30)),
        # the moon
        ('+proj=longlat +R=1737400', Affine(1, 0, 0, 0, -1, 500)),
    ],
)
def test_a_pixel_of_unknown_ground_has_no_size(crs: str | None, transform: Affine) -> None:
    assert pixel_size_m(header(crs, transform)) is None
