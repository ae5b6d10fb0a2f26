"""Areas: those of interest as pixels, and those of pixels in square metres."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError

from ..records import Window
from .placing import place_points
from .reading import RasterHeader, crs_text

# An edge is straight in the CRS of its file and curved in another: over 500 m, the arc of a
# parallel leaves its chord by length**2 * tan(latitude) / (8 * earth radius), 5 mm at 45 degrees.
_LONGEST_EDGE_M = 500.0
_EARTH_RADIUS_M = 6_371_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """Polygons that say which pixels are of interest.

    A pixel belongs to the area if its centre is inside: half-open, so that of areas that share an
    edge exactly one has a centre that lies on it. That depends on the pixel alone and on no window.
    """

    geometry: shapely.Polygon | shapely.MultiPolygon
    """In the CRS of the raster."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top in the CRS of the raster."""
        left, bottom, right, top = self.geometry.bounds
        return left, bottom, right, top

    def mask(self, transform: Affine, window: Window) -> NDArray[np.bool_]:
        """Say which pixels of a window belong to the area.

        Args:
            transform: Of the raster, from (column, row) to coordinates; any affine one.
            window: Pixels of the raster; it may hang over.

        Returns:
            Shape (window.height, window.width), True for pixels of the area.
        """
        rows, cols = _crossings(
            _edges_between(self, transform, window.row_off, window.row_stop), window
        )
        # of an odd number of edges to its left, a pixel is inside
        toggles = np.zeros((window.height, window.width + 1), dtype=np.bool_)
        np.logical_xor.at(toggles, (rows, cols), True)
        if not toggles[:, 1:-1].any():
            # no edge within: most windows of a large area
            return np.repeat(toggles[:, :1], window.width, axis=1)
        return np.logical_xor.accumulate(toggles[:, :-1], axis=1)

    def touches(self, transform: Affine, window: Window) -> bool:
        """Say whether a window and the area share a point; where not, no pixel belongs to it.

        Args:
            transform: As in :meth:`mask`.
            window: As in :meth:`mask`.

        Returns:
            Whether they do.
        """
        edges = _edges_between(self, transform, window.row_off, window.row_stop)
        x0, y0, x1, y1 = edges
        # the part of each edge that lies between the first and the last row
        slope = np.divide(x1 - x0, y1 - y0, out=np.zeros_like(x0), where=y1 > y0)
        start = np.where(y0 < window.row_off, x0 + (window.row_off - y0) * slope, x0)
        stop = np.where(y1 > window.row_stop, x0 + (window.row_stop - y0) * slope, x1)
        is_across = np.minimum(start, stop) <= window.col_stop
        is_across &= np.maximum(start, stop) >= window.col_off
        if is_across.any():
            return True
        # wholly inside or wholly outside, like any of its pixels
        corner = Window(row_off=window.row_off, col_off=window.col_off, height=1, width=1)
        _, cols = _crossings(edges, corner)
        return bool(np.count_nonzero(cols == 0) % 2)


def pixel_areas_m2(header: RasterHeader, row_off: int, row_stop: int) -> NDArray[np.float64] | None:
    """Compute the area of a pixel of each row in square metres.

    Args:
        header: Of the raster.
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
    transform = header.transform
    if header.crs is not None and header.crs.is_projected:
        metres_per_unit = float(header.crs.linear_units_factor[1])
        area = abs(transform.determinant) * metres_per_unit**2
        return np.full(row_stop - row_off, area, dtype=np.float64)
    if header.crs is None or not header.crs.is_geographic:
        return None
    crs = CRS.from_wkt(crs_text(header.crs))
    ellipsoid = crs.ellipsoid
    # coordinates around another pole are no latitudes
    if crs.is_derived or ellipsoid is None or not transform.b == transform.d == 0:
        return None
    radians_per_unit = crs.axis_info[0].unit_conversion_factor
    edges = transform.f + transform.e * np.arange(row_off, row_stop + 1)
    latitudes = np.clip(edges * radians_per_unit, -np.pi / 2, np.pi / 2)
    zones = _area_from_equator(latitudes, ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre)
    return np.abs(np.diff(zones) * transform.a * radians_per_unit)


def pixel_size_m(header: RasterHeader) -> tuple[float, float] | None:
    """Measure the pixel in the middle of a raster on the ground.

    Other than in the plane of projection: in Mercator's, a metre of the map at 60 degrees is half
    a metre on the ground.

    Args:
        header: Of the raster.

    Returns:
        Length along a row and along a column in metres; None without a CRS that tells.
    """
    if header.crs is None:
        return None
    middle = np.array([header.width, header.height]) / 2
    corners = middle + np.array([[-0.5, 0], [0.5, 0], [0, -0.5], [0, 0.5]])
    transform = header.transform
    try:
        to_degrees = Transformer.from_crs(crs_text(header.crs), 'OGC:CRS84', always_xy=True)
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
    # radians or metres per unit
    factor = crs.axis_info[0].unit_conversion_factor
    return float(_LONGEST_EDGE_M / (_EARTH_RADIUS_M if crs.is_geographic else 1) / factor)


def area_factor(header: RasterHeader) -> float | None:
    """Compare the area of the pixel in the middle, as :func:`pixel_areas_m2` has it, with the ground.

    Args:
        header: Of a raster.

    Returns:
        How many times as large it is there; None without a CRS that tells.
    """
    middle = header.height // 2
    areas, sides = pixel_areas_m2(header, middle, middle + 1), pixel_size_m(header)
    if areas is None or sides is None:
        return None
    transform = header.transform
    along = np.hypot(transform.a, transform.d) * np.hypot(transform.b, transform.e)
    # of a sheared grid, less than the product of its sides
    return float(areas[0] / (sides[0] * sides[1] * abs(transform.determinant) / along))


def _area_from_equator(
    latitudes: NDArray[np.float64], semi_major_m: float, semi_minor_m: float
) -> NDArray[np.float64]:
    """Compute the area between the equator and parallels, per radian of longitude, in m2.

    Snyder (1987), Map projections: a working manual, USGS Professional Paper 1395, eq. 3-12.

    Args:
        latitudes: Geodetic, in radians.
        semi_major_m: Of the ellipsoid.
        semi_minor_m: Of the ellipsoid.

    Returns:
        Negative in the south.
    """
    sine = np.sin(latitudes)
    squared = 1 - (semi_minor_m / semi_major_m) ** 2
    if squared == 0:
        # a sphere
        return np.asarray(semi_major_m**2 * sine)
    eccentricity = squared**0.5
    meridional = sine / (1 - squared * sine**2) + np.arctanh(eccentricity * sine) / eccentricity
    return np.asarray(semi_minor_m**2 / 2 * meridional)


@lru_cache(maxsize=4)
def _edges(area: Area, transform: Affine) -> NDArray[np.float64]:
    """List the edges of an area in pixels, shape (4, n): x and y of the upper, then lower end."""
    rings = shapely.get_rings(shapely.get_parts(area.geometry))
    points, ring = shapely.get_coordinates(rings, return_index=True)
    x, y = place_points(~transform, points).T
    is_edge = ring[1:] == ring[:-1]
    start = np.stack([x, y])[:, :-1][:, is_edge]
    stop = np.stack([x, y])[:, 1:][:, is_edge]
    is_downward = start[1] <= stop[1]
    return np.concatenate([np.where(is_downward, start, stop), np.where(is_downward, stop, start)])


# windows come row by row: the edges of a row are looked up once for all of them
@lru_cache(maxsize=16)
def _edges_between(
    area: Area, transform: Affine, row_off: int, row_stop: int
) -> NDArray[np.float64]:
    """List the edges that have a point between two rows, shape (4, n)."""
    edges = _edges(area, transform)
    return edges[:, (edges[1] <= row_stop) & (edges[3] >= row_off)]


def _crossings(
    edges: NDArray[np.float64], window: Window
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find where edges cross the middles of rows.

    Returns:
        Row and first column right of the crossing, counted within the window, that column in
        [0, window.width].
    """
    x0, y0, x1, y1 = edges
    first, stop = (
        np.clip(np.ceil(y - 0.5), window.row_off, window.row_stop).astype(np.int64)
        for y in (y0, y1)
    )
    edge = np.repeat(np.arange(len(x0)), stop - first)
    # counts up from the first row of each edge
    row = np.arange(len(edge)) + np.repeat(stop - np.cumsum(stop - first), stop - first)
    x = x0[edge] + (row + 0.5 - y0[edge]) * ((x1 - x0)[edge] / (y1 - y0)[edge])
    col = np.clip(np.ceil(x - 0.5) - window.col_off, 0, window.width).astype(np.int64)
    return row - window.row_off, col
