"""What pixels and polygons measure on the ground."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS as RasterCRS

from .crs import crs_text
from .grids import Grid, place_points

# An edge is straight in the CRS of its file and curved in another: over 500 m, the arc of a
# parallel leaves its chord by length**2 * tan(latitude) / (8 * earth radius), 5 mm at 45 degrees.
_LONGEST_EDGE_M = 500.0
_EARTH_RADIUS_M = 6_371_000.0

# places and weights to average over an edge: exact to the last digit up to 90 degrees
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(10)

type Floats = NDArray[np.float64]


def pixel_areas_m2(grid: Grid, row_off: int, row_stop: int) -> Floats | None:
    """Compute the area of a pixel of each row in square metres.

    Args:
        grid: Where the pixels lie.
        row_off: First row; may lie outside the raster.
        row_stop: One past the last row.

    Returns:
        Shape (row_stop - row_off,). With a projected CRS, the area in the plane of projection,
        which the projection may distort; with a geographic one, the true area on its ellipsoid
        between the parallels and meridians that bound a pixel, 0 beyond the poles. None where
        coordinates are neither, or rows do not follow parallels.

    Raises:
        ValueError: If there is no row.
    """
    if row_stop <= row_off:
        raise ValueError(f'row_stop must be > row_off={row_off}, got {row_stop}')
    transform = grid.transform
    surface = _surface_of(grid.crs)
    if isinstance(surface, float):
        area = abs(transform.determinant) * surface**2
        return np.full(row_stop - row_off, area, dtype=np.float64)
    if surface is None or not transform.b == transform.d == 0:
        return None
    edges = transform.f + transform.e * np.arange(row_off, row_stop + 1)
    latitudes = np.asarray(edges * surface.radians_per_unit, dtype=np.float64)
    # the difference of two latitudes would lose digits
    heights = np.full(row_stop - row_off, transform.e * surface.radians_per_unit, dtype=np.float64)
    zones = surface.zones(latitudes[:-1], heights)
    return np.abs(zones * transform.a * surface.radians_per_unit)


def polygon_areas_m2(polygons: NDArray[np.object_], grid: Grid) -> Floats | None:
    """Compute areas of polygons in square metres, as :func:`pixel_areas_m2` does those of pixels.

    Args:
        polygons: In (column, row). With a geographic CRS, their sides are straight in longitude and
            latitude.
        grid: Where the pixels lie.

    Returns:
        One per polygon; None where the CRS does not tell.
    """
    transform, surface = grid.transform, _surface_of(grid.crs)
    if surface is None:
        return None
    if isinstance(surface, float):
        return np.asarray(shapely.area(polygons) * abs(transform.determinant) * surface**2)
    rings, polygon = shapely.get_rings(shapely.orient_polygons(polygons), return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    is_side = np.flatnonzero(ring[1:] == ring[:-1])
    owner = polygon[ring[is_side]]
    # each polygon is measured from one of its own points, so that no digits are lost
    origin = np.zeros((len(polygons), 2))
    origin[polygon[ring]] = points
    first, second = points[is_side] - origin[owner], points[is_side + 1] - origin[owner]
    unit = surface.radians_per_unit
    parallel = (transform.f + origin @ (transform.d, transform.e))[owner] * unit
    zones = np.zeros(len(is_side))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        here = first + (node + 1) / 2 * (second - first)
        zones += weight / 2 * surface.zones(parallel, here @ (transform.d, transform.e) * unit)
    # the area between a side and that parallel, by the theorem of Green
    between = zones * ((second - first) @ (transform.a, transform.b)) * unit
    return np.abs(np.bincount(owner, weights=between, minlength=len(polygons)))


def pixel_size_m(grid: Grid) -> tuple[float, float] | None:
    """Measure the pixel in the middle of a raster on the ground.

    On the ground, lengths differ from those in the plane of projection: a metre of a map in
    Mercator's projection at 60 degrees is half a metre there.

    Args:
        grid: Where the pixels lie.

    Returns:
        Length along a row and along a column in metres; None without a CRS that tells.
    """
    if grid.crs is None:
        return None
    middle = np.array([grid.width, grid.height]) / 2
    corners = middle + np.array([[-0.5, 0], [0.5, 0], [0, -0.5], [0, 0.5]])
    transform = grid.transform
    try:
        to_degrees = Transformer.from_crs(crs_text(grid.crs), 'OGC:CRS84', always_xy=True)
        lon, lat = to_degrees.transform(*place_points(transform, corners).T)
    except ProjError:
        return None
    _, _, lengths = Geod(ellps='WGS84').inv(lon[::2], lat[::2], lon[1::2], lat[1::2])
    x, y = (float(length) for length in lengths)
    return (x, y) if 0 < x < np.inf and 0 < y < np.inf else None


def longest_edge(crs: CRS) -> float:
    """Choose how long an edge may be to be reprojected as a straight line.

    Args:
        crs: In which it is straight.

    Returns:
        Length in units of *crs*: that of 500 m.
    """
    # the factor is radians or metres per unit
    factor = crs.axis_info[0].unit_conversion_factor
    return float(_LONGEST_EDGE_M / (_EARTH_RADIUS_M if crs.is_geographic else 1) / factor)


def area_factor(grid: Grid) -> float | None:
    """Compare the area of the middle pixel, as :func:`pixel_areas_m2` has it, with the ground.

    Args:
        grid: Where the pixels lie.

    Returns:
        How many times as large it is there; None without a CRS that tells.
    """
    middle = grid.height // 2
    areas, sides = pixel_areas_m2(grid, middle, middle + 1), pixel_size_m(grid)
    if areas is None or sides is None:
        return None
    transform = grid.transform
    along = np.hypot(transform.a, transform.d) * np.hypot(transform.b, transform.e)
    # a pixel of a sheared grid is smaller than the product of its sides
    return float(areas[0] / (sides[0] * sides[1] * abs(transform.determinant) / along))


@dataclass(frozen=True, slots=True)
class _Ellipsoid:
    """On which longitudes and latitudes lie."""

    semi_major_m: float
    semi_minor_m: float
    radians_per_unit: float

    def zones(self, latitudes: Floats, heights: Floats) -> Floats:
        """Compute the area from parallels to others, per radian of longitude, in m2.

        Snyder (1987), Map projections: a working manual, USGS Professional Paper 1395, eq. 3-12, as
        differences, so that narrow zones keep their digits.

        Args:
            latitudes: Geodetic, in radians; beyond the poles there is nothing.
            heights: To the other parallel, northwards, in radians.

        Returns:
            Negative towards the south.
        """
        pole = np.pi / 2
        first = np.clip(latitudes, -pole, pole)
        second = np.clip(latitudes + heights, -pole, pole)
        is_cut = (np.abs(latitudes) > pole) | (np.abs(latitudes + heights) > pole)
        step = np.where(is_cut, second - first, heights)
        sine, other = np.sin(first), np.sin(second)
        rise = 2 * np.cos((first + second) / 2) * np.sin(step / 2)
        squared = 1 - (self.semi_minor_m / self.semi_major_m) ** 2
        if squared == 0:
            # the ellipsoid is a sphere
            return np.asarray(self.semi_major_m**2 * rise)
        both = squared * sine * other
        meridional = rise * (1 + both) / ((1 - squared * sine**2) * (1 - squared * other**2))
        eccentricity = squared**0.5
        meridional += np.arctanh(eccentricity * rise / (1 - both)) / eccentricity
        return np.asarray(self.semi_minor_m**2 / 2 * meridional)


def _surface_of(crs: RasterCRS | None) -> float | _Ellipsoid | None:
    """Say where areas are those of a CRS: in a plane, by its unit in metres, or on an ellipsoid."""
    if crs is None:
        return None
    if crs.is_projected:
        return float(crs.linear_units_factor[1])
    if not crs.is_geographic:
        return None
    known = CRS.from_wkt(crs_text(crs))
    # coordinates around another pole are no latitudes
    if known.is_derived or known.ellipsoid is None:
        return None
    return _Ellipsoid(
        known.ellipsoid.semi_major_metre,
        known.ellipsoid.semi_minor_metre,
        known.axis_info[0].unit_conversion_factor,
    )
