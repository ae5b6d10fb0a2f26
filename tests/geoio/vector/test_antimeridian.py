import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS as PyprojCRS
from shapely import Point, Polygon, affinity, box

from gersp_geo.geoio.crs import Turn
from gersp_geo.geoio.read.reader import RasterHeader
from gersp_geo.geoio.vector.antimeridian import bring_near, repeat, turn_onto, unroll
from gersp_geo.geoio.vector.placement import place_around

DEGREES = Turn(length=360, middle=0)
RING = Polygon(
    box(178, 10, 184, 16).exterior.coords, [box(179, 11, 179.5, 12).exterior.coords,
    box(181, 11, 182, 12).exterior.coords],
)  # fmt: skip


def roll(geometry: shapely.Geometry) -> shapely.Geometry:
    """Bring longitudes to -180 to 180, as reprojection does."""
    rolled: shapely.Geometry = shapely.transform(
        geometry, lambda points: np.stack([(points[:, 0] + 180) % 360 - 180, points[:, 1]], axis=1)
    )
    return rolled


def test_a_torn_polygon_is_put_together_with_its_holes() -> None:
    torn = roll(RING)
    assert torn.area > 1000
    (whole,) = unroll(np.array([torn]), DEGREES)
    west = affinity.translate(whole, -round((whole.bounds[0] - 178) / 360) * 360)
    assert west.equals(RING)


def test_what_is_not_torn_stays_and_what_surrounds_a_pole_is_none() -> None:
    drawn = np.array([box(-180, -10, -100, 10), box(10, 10, 20, 20)])
    assert [*unroll(drawn, DEGREES)] == [*drawn]
    lon = np.arange(-175.0, 180, 10)
    pole = Polygon(np.stack([lon, np.full_like(lon, 80)], axis=1))
    assert unroll(np.array([pole]), DEGREES)[0].is_empty


@pytest.mark.parametrize('turns', [-1, 0, 1])
def test_polygons_are_moved_to_where_a_raster_is(turns: int) -> None:
    drawn = np.array([affinity.translate(box(179, 0, 182, 1), 360 * turns), box(0, 0, 1, 1)])
    found = repeat(drawn, DEGREES, (178, 190))
    assert [polygon.bounds for polygon in found] == [(179, 0, 182, 1)]
    # of a world, both ends are there
    found = repeat(np.array([box(-180, 0, 180, 1)]), DEGREES, (170, 190))
    assert [polygon.bounds[0] for polygon in found] == [-180, 180]
    near = bring_near(drawn, DEGREES, (178, 190))
    assert near[0].bounds == (179, 0, 182, 1)
    assert len(near) == 2


def test_features_of_any_kind_are_moved_and_keep_their_number() -> None:
    drawn = np.array([Point(-175, 1), None, box(0, 0, 1, 1), box(-180, 0, 180, 1)], dtype=object)
    moved = turn_onto(drawn, DEGREES, (170, 190))
    assert moved[0].equals(Point(185, 1))
    assert moved[1] is None
    assert moved[2].equals(drawn[2])
    assert moved[3].bounds == (-180, 0, 540, 1)
    assert turn_onto(drawn, DEGREES, (-10, 10)) is drawn


@pytest.mark.parametrize('crs', ['OGC:CRS84', 'EPSG:32660'])
def test_labels_lie_on_images_beyond_180(crs: str) -> None:
    drawn = geopandas.GeoSeries([box(179.5, 10, 180.5, 11)], crs='OGC:CRS84').segmentize(0.1)
    if crs == 'OGC:CRS84':
        drawn = geopandas.GeoSeries([affinity.translate(drawn[0], -360)], crs=crs)
    else:
        drawn = drawn.to_crs(crs)
    header = RasterHeader(
        height=40, width=40, count=1, dtype='uint8', crs=None, nodata=None,
        transform=Affine(0.1, 0, 178, 0, -0.1, 12), descriptions=(None,), block_shape=(40, 40),
        masks=('all_valid',), alpha=(),
    )  # fmt: skip
    (placed,) = place_around(drawn, [header], crs=PyprojCRS('OGC:CRS84'))
    assert placed.bounds == pytest.approx((179.5, 10, 180.5, 11), abs=1e-3)
    assert placed.area == pytest.approx(1, abs=1e-3)
