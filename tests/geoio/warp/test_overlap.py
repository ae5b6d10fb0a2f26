"""Shares of ground that two rasters have in common, against shares that are known."""

from dataclasses import replace
from typing import Any

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.transform import from_origin

from gersp_geo.geoio.read.reader import RasterHeader
from gersp_geo.geoio.warp.overlap import measure_overlap

UTM = CRS.from_epsg(32633)
DEGREES = CRS.from_epsg(4326)


def header(transform: Affine, *, height: int = 100, width: int = 100, crs: Any = UTM) -> Any:
    return RasterHeader(
        height=height, width=width, count=1, dtype='uint8', crs=crs, transform=transform,
        nodata=None, descriptions=(None,), alpha=(), block_shape=(64, 64),
    )  # fmt: skip


@given(
    right=st.integers(-120, 120), down=st.integers(-120, 120), size=st.sampled_from([2.5, 10, 40])
)
def test_shares_of_upright_rasters_are_those_of_rectangles(
    right: int, down: int, size: float
) -> None:
    # the second has 50 x 80 pixels
    one = header(from_origin(5e5, 5e6, 10, 10))
    other = header(from_origin(5e5 + 10 * right, 5e6 - 10 * down, size, size), height=50, width=80)
    across = max(0, min(1000, 10 * right + 80 * size) - max(0, 10 * right))
    along = max(0, min(1000, 10 * down + 50 * size) - max(0, 10 * down))
    found = measure_overlap(one, other)
    assert found.of_first == pytest.approx(across * along / 1e6, abs=1e-9)
    assert found.of_second == pytest.approx(across * along / (80 * 50 * size**2), abs=1e-9)
    swapped = measure_overlap(other, one)
    assert (swapped.of_second, swapped.of_first) == (found.of_first, found.of_second)


def test_a_turned_raster_has_a_turned_outline() -> None:
    # a square on its corner has half the area of the square around it
    turned = header(Affine(5, 5, 5e5, 5, -5, 5e6))
    around = header(from_origin(5e5, 5e6 + 500, 10, 10))
    found = measure_overlap(turned, around)
    assert found.of_first == pytest.approx(1)
    assert found.of_second == pytest.approx(0.5)


def test_two_crs_are_compared_on_the_ground() -> None:
    # the zone's meridian is 15 degrees east, where 45 degrees north are at 4,982,950 m
    degrees = header(from_origin(14.9, 45.1, 0.002, 0.002), crs=DEGREES)
    meters = header(from_origin(4.6e5, 4982950, 800, 800))
    found = measure_overlap(degrees, meters)
    assert found.of_first == pytest.approx(0.5, abs=0.005)
    assert found.crs == UTM


def test_the_whole_earth_and_the_antimeridian_are_compared_where_they_can_be() -> None:
    earth = header(from_origin(-180, 90, 0.1, 0.1), height=1800, width=3600, crs=DEGREES)
    scene = header(from_origin(5e5, 5e6, 10, 10))
    found = measure_overlap(scene, earth)
    assert found.of_first == pytest.approx(1, abs=1e-6)
    assert found.crs == DEGREES
    # 180 degrees lie 333 km east of the meridian of zone 60
    across = header(from_origin(8.2e5, 1e5, 1000, 1000), crs=CRS.from_epsg(32660))
    beyond = header(from_origin(-180, 2, 0.02, 0.02), crs=DEGREES)
    assert 0.3 < measure_overlap(across, beyond).of_first < 0.9


def test_what_cannot_be_compared_is_said() -> None:
    scene = header(from_origin(5e5, 5e6, 10, 10))
    with pytest.raises(ValueError, match='only if both name a CRS'):
        measure_overlap(scene, replace(scene, crs=None))
    above = CRS.from_string('+proj=ortho +lat_0=-80 +lon_0=180')
    earth = header(from_origin(-180, 90, 0.1, 0.1), height=1800, width=3600, crs=DEGREES)
    far = header(from_origin(-6e6, 7e6, 1e5, 1e5), crs=above)
    with pytest.raises(ValueError, match='neither CRS reaches the ground of the other; resample'):
        measure_overlap(earth, far)
