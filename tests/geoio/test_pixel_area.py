"""What pixels and polygons measure, against quadrature and geodesics."""

from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from rasterio.crs import CRS
from scipy.integrate import quad

from gersp_geo.geoio.pixel_area import pixel_areas_m2, pixel_size_m, polygon_areas_m2
from gersp_geo.geoio.read.reader import RasterHeader


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


def density(lat: float, *, a: float = 6378137.0, f: float = 1 / 298.257223563) -> float:
    """Area per square degree: radii of curvature along the meridian and across, and the cosine."""
    squared, sine = f * (2 - f), np.sin(np.radians(lat))
    along, across = (
        a * (1 - squared) / (1 - squared * sine**2) ** 1.5,
        a / (1 - squared * sine**2) ** 0.5,
    )
    return float(along * across * np.cos(np.radians(lat)) * np.radians(1) ** 2)


def zone(south: float, north: float, *, height: float | None = None) -> float:
    """Area between two parallels, per degree of longitude, by quadrature."""
    high = north - south if height is None else height
    found, _ = quad(lambda t: density(north - t * high), 0, 1, epsabs=0, epsrel=1e-11)
    return float(found * high)


@pytest.mark.parametrize('res', [1e-7, 1e-4, 0.1, 15.0])
@pytest.mark.parametrize('north', [89.999, 47.3, 0.05, -75.0])
def test_areas_of_pixels_of_any_size_have_nine_digits(north: float, res: float) -> None:
    (area,) = pixel_areas_m2(header('EPSG:4326', Affine(res, 0, 7, 0, -res, north)), 0, 1) or []
    assert area == pytest.approx(res * zone(0, north, height=min(res, north + 90)), rel=1e-9)


@given(
    west=st.floats(-400, 400), south=st.floats(-89, 60), width=st.floats(1e-4, 300),
    height=st.floats(1e-4, 29), hole=st.booleans(), flip=st.booleans(),
)  # fmt: skip
def test_polygons_in_degrees_have_their_area_on_the_ellipsoid(
    west: float, south: float, width: float, height: float, hole: bool, flip: bool
) -> None:
    # a pixel of one degree, so that rows are latitudes
    found = header('EPSG:4326', Affine(1, 0, west, 0, 1, south))
    drawn = shapely.box(0, 0, width, height)
    expected = width * zone(0, south + height, height=height)
    if hole:
        drawn -= shapely.box(width / 4, height / 2, width / 2, height * 0.75)
        expected -= width / 4 * zone(0, south + height * 0.75, height=height / 4)
    polygons = np.array([shapely.box(0, 0, 1, 1), drawn.reverse() if flip else drawn])
    areas = polygon_areas_m2(polygons, found)
    assert areas is not None
    np.testing.assert_allclose(areas, [zone(south, south + 1), expected], rtol=1e-9)


def test_a_slanted_side_is_straight_in_degrees() -> None:
    corners = [(10, 30), (40, 30), (10, 70)]
    expected = quad(lambda lat: (70 - lat) * 0.75 * density(lat), 30, 70, epsrel=1e-12)[0]
    transforms = Affine(1, 0, 0, 0, -1, 0), Affine(0.1, 0.02, 3, 0.01, 0.3, 5)
    for transform in transforms:
        triangle = shapely.Polygon([~transform @ corner for corner in corners])
        areas = polygon_areas_m2(np.array([triangle]), header('EPSG:4326', transform))
        assert areas is not None
        np.testing.assert_allclose(areas, [expected], rtol=1e-9)


def test_polygons_have_an_area_where_pixels_have_one() -> None:
    box, grid = np.array([shapely.box(0, 0, 10, 1)]), Affine(10, 0, 4e5, 0, -10, 5e6)
    feet = (1200 / 3937) ** 2
    assert polygon_areas_m2(box, header('EPSG:32633', grid)) == pytest.approx([1000])
    assert polygon_areas_m2(box, header('EPSG:2263', grid)) == pytest.approx([1000 * feet])
    assert polygon_areas_m2(box, header(None, grid)) is None
    assert polygon_areas_m2(box, header('LOCAL_CS["plan",UNIT["metre",1]]', grid)) is None
    none = polygon_areas_m2(box[:0], header('EPSG:4326', grid))
    assert none is not None
    assert none.tolist() == []
