import pytest
import shapely
from affine import Affine
from geopandas import GeoSeries
from pyproj import CRS as PyprojCRS
from rasterio.crs import CRS

from gersp_geo.geoio.read.reader import RasterHeader
from gersp_geo.geoio.vector.placement import place_around, rasters_bounds


def header_of(transform: Affine) -> RasterHeader:
    return RasterHeader(
        height=100, width=200, count=1, dtype='uint8', crs=CRS.from_epsg(32633),
        transform=transform, nodata=None, descriptions=(None,), alpha=(), block_shape=(100, 200),
    )  # fmt: skip


@pytest.mark.parametrize('angle', [0, 30, 45, 90, 200])
def test_bounds_of_rasters_hold_all_of_a_rotated_one(angle: float) -> None:
    place = Affine.translation(4e5, 5e6)
    header = header_of(place @ Affine.rotation(angle) @ Affine.scale(2, -2))
    upright = header_of(place @ Affine.translation(500, 0) @ Affine.scale(2, -2))
    bounds = shapely.box(*rasters_bounds([header, upright]))
    for each in (header, upright):
        corners = [each.transform @ (col, row) for col in (0, 200) for row in (0, 100)]
        assert shapely.MultiPoint(corners).within(bounds.buffer(1e-6))


def test_what_lies_in_a_corner_of_a_rotated_raster_is_kept() -> None:
    header = header_of(Affine.translation(4e5, 5e6) @ Affine.rotation(45) @ Affine.scale(2, -2))
    # beyond the first and the last corner, which lie one above the other
    corner = shapely.Point(header.transform @ (199.0, 1.0)).buffer(1.0)
    there = GeoSeries([corner], crs='EPSG:32633').to_crs('EPSG:4326')
    (placed,) = place_around(there, [header], crs=PyprojCRS('EPSG:32633'))
    assert placed is not None
    assert placed.intersection(corner).area == pytest.approx(corner.area, rel=1e-3)
