"""Polygons in longitude and latitude cover the ground that they covered before."""

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.crs import CRS

from gersp_geo.geoio.pixel_area import polygon_areas_m2
from gersp_geo.geoio.read.reader import RasterHeader
from gersp_geo.geoio.vector.geojson import Degrees

# areas are true in these: around the poles, on the equator at 180 degrees, and from 0 to 360
POLES = (
    'EPSG:6931',
    'EPSG:6932',
    '+proj=laea +lat_0=-60 +lon_0=170',
    '+proj=laea +lat_0=10 +lon_0=180',
)
WORLD = RasterHeader(
    height=1, width=1, count=1, dtype='uint8', nodata=None, descriptions=(None,), alpha=(),
    block_shape=(1, 1), crs=CRS.from_epsg(4326), transform=Affine.identity(),
)  # fmt: skip

places = st.integers(-40, 39)


def place(crs: str, *polygons: shapely.Geometry) -> NDArray[np.object_]:
    placed, _ = Degrees.of(CRS.from_user_input(crs)).place(np.array(polygons))
    return placed


def area_m2(geometry: shapely.Geometry) -> float:
    areas = polygon_areas_m2(shapely.get_parts(geometry), WORLD)
    assert areas is not None
    return float(areas.sum())


def check(geometry: shapely.Geometry) -> None:
    """What RFC 7946 asks."""
    assert geometry.is_valid
    left, bottom, right, top = geometry.bounds
    assert left >= -180
    assert right <= 180
    assert bottom >= -90
    assert top <= 90
    for part in shapely.get_parts(geometry):
        assert part.geom_type == 'Polygon'
        assert part.exterior.is_ccw
        assert not any(hole.is_ccw for hole in part.interiors)


@given(
    crs=st.sampled_from(POLES), left=places, top=places, width=st.integers(1, 30),
    height=st.integers(1, 30), hole=st.sampled_from([None, 'inside', 'corner']), flip=st.booleans(),
)  # fmt: skip
@example(crs=POLES[0], left=-9, top=-9, width=18, height=18, hole='inside', flip=False)
@example(crs=POLES[0], left=0, top=0, width=5, height=5, hole=None, flip=True)
@example(crs=POLES[1], left=-5, top=0, width=10, height=5, hole=None, flip=False)
@example(crs=POLES[1], left=-20, top=-20, width=30, height=30, hole='corner', flip=False)
def test_no_ground_is_lost_or_won(
    crs: str, left: int, top: int, width: int, height: int, hole: str | None, flip: bool
) -> None:
    # pixels of 50 km; poles and the 180th meridian lie on corners of them
    drawn = shapely.box(left, top, left + width, top + height)
    if hole is not None and min(width, height) > 2:
        # at a corner, the hole shares a point with the ring around
        at = left if hole == 'corner' else left + 0.5
        inner = [(at, top + 1), (left + 1, top + 2), (left + 2, top + 1), (left + 1, top + 0.5)]
        drawn -= shapely.Polygon(inner)
    drawn = shapely.transform(drawn, lambda points: 50_000.0 * points)
    (placed,) = place(crs, drawn.reverse() if flip else drawn)
    check(placed)
    assert area_m2(placed) == pytest.approx(drawn.area, rel=1e-4)
    # and it is the same ground
    inner = shapely.get_coordinates(drawn.representative_point())
    back = Transformer.from_crs(CRS.from_user_input(crs).to_wkt(), 'OGC:CRS84', always_xy=True)
    assert placed.intersects(shapely.Point(*back.transform(*inner[0])))


@given(
    crs=st.sampled_from(['EPSG:4326', 'EPSG:4267', 'EPSG:4258']), west=st.integers(-400, 400),
    south=st.integers(-110, 80), width=st.integers(1, 360), height=st.integers(1, 60),
)  # fmt: skip
@example(crs='EPSG:4267', west=-180, south=-90, width=360, height=180)
@example(crs='EPSG:4326', west=0, south=-90, width=360, height=180)
@example(crs='EPSG:4267', west=246, south=0, width=350, height=40)
@example(crs='EPSG:4267', west=-400, south=0, width=300, height=40)
def test_degrees_go_once_around(crs: str, west: int, south: int, width: int, height: int) -> None:
    (placed,) = place(crs, shapely.box(west, south, west + width, south + height))
    low, high = max(south, -90), min(south + height, 90)
    if low >= high:
        assert placed is None
        return
    check(placed)
    # datums differ by less than 300 m
    assert placed.area == pytest.approx(width * (high - low), rel=0.01)
    middle = (west + width / 2 + 180) % 360 - 180
    assert placed.distance(shapely.Point(middle, (low + high) / 2)) < 0.01


def test_neighbours_do_not_overlap_after_the_cut() -> None:
    side = 100_000.0
    corners = [(x * side, y * side) for x in range(-3, 3) for y in range(-3, 3)]
    placed = place('EPSG:3031', *(shapely.box(x, y, x + side, y + side) for x, y in corners))
    assert shapely.area(shapely.union_all(placed)) == pytest.approx(
        shapely.area(placed).sum(), rel=1e-6
    )
    # all around the pole, without a gap
    assert area_m2(shapely.union_all(placed)) == pytest.approx(
        sum(area_m2(one) for one in placed), rel=1e-6
    )


def test_ordinary_polygons_are_those_that_geopandas_makes() -> None:
    drawn = shapely.box(5e5, 5e6, 5e5 + 40, 5e6 + 30) - shapely.box(
        5e5 + 10, 5e6 + 10, 5e5 + 20, 5e6 + 20
    )
    expected = geopandas.GeoSeries([drawn], crs=32633).to_crs('OGC:CRS84')[0]
    (placed,) = place('EPSG:32633', drawn)
    assert shapely.hausdorff_distance(placed, expected) < 1e-7
    assert len(placed.interiors) == 1
