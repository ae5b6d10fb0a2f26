"""Bring features to the CRS of rasters: long edges as curves, and only what lies around them."""

from collections.abc import Sequence

import numpy as np
import shapely
from geopandas import GeoSeries
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely import GeometryType

from ..crs import find_turn
from ..grids import Bounds, Grid
from ..pixel_area import longest_edge
from .antimeridian import turn_onto, unroll

# Points per side of bounds that are reprojected, as GDAL takes.
_POINTS = 21

# Share of their width and height by which rasters' bounds are widened: an edge that is cut there,
# and whatever reprojection does to it, lies outside.
_MARGIN = 0.1


def place_around(geometries: GeoSeries, grids: Sequence[Grid], *, crs: CRS) -> NDArray[np.object_]:
    """Reproject geometries to the CRS of rasters, and leave out what lies elsewhere.

    A feature may reach farther than the CRS of the rasters: only what lies around these is
    reprojected, with long edges as the curves that they are.

    Args:
        geometries: With a CRS.
        grids: Where the pixels of rasters in one CRS lie.
        crs: The CRS of the rasters.

    Returns:
        One geometry per feature, in two dimensions; None where there is none, or it lies elsewhere.
    """
    flat = np.array(shapely.force_2d(geometries.to_numpy()), dtype=np.object_)
    bounds, turn = rasters_bounds(grids), find_turn(crs)
    west, _, east, _ = bounds
    if geometries.crs == crs:
        return flat if turn is None else turn_onto(flat, turn, (west, east))
    boxes = surrounding_boxes(bounds, crs, geometries.crs)
    near = flat if boxes is None else _cut(flat, boxes)
    placed = reproject(GeoSeries(near, crs=geometries.crs), crs).to_numpy()
    if turn is not None:
        placed = turn_onto(unroll(placed, turn), turn, (west, east))
    # there are no numbers beyond the reach of the CRS
    known = np.isfinite(shapely.bounds(placed)).all(axis=1)
    placed[~known] = None
    return np.asarray(placed, dtype=np.object_)


def rasters_bounds(grids: Sequence[Grid]) -> Bounds:
    """Find the bounds of rasters in one CRS."""
    left, bottom, right, top = zip(*(grid.bounds() for grid in grids), strict=True)
    return min(left), min(bottom), max(right), max(top)


def surrounding_boxes(bounds: Bounds, source: CRS, target: CRS) -> list[shapely.Polygon] | None:
    """Find the ground around bounds in another CRS.

    Args:
        bounds: In *source*.
        source: Their CRS.
        target: CRS wanted.

    Returns:
        One box, or two where the antimeridian lies between; None where *target* cannot express it.
    """
    found = reproject_bounds(widen(bounds), source, target)
    back = None if found is None else reproject_bounds(found, target, source)
    # an outline around a pole or half the world says nothing about what lies within
    if found is None or back is None or not _covers(back, bounds):
        return None
    left, bottom, right, top = found
    if left <= right:
        return [shapely.box(left, bottom, right, top)]
    turn = find_turn(target)
    assert turn is not None  # nothing else has bounds from right to left
    half = turn.length / 2
    return [shapely.box(left, bottom, half, top), shapely.box(-half, bottom, right, top)]


def reproject_bounds(bounds: Bounds, source: CRS, target: CRS) -> Bounds | None:
    """Reproject bounds; left lies beyond right where the antimeridian lies between.

    Returns:
        In *target*; None where it cannot express them.
    """
    transformer = Transformer.from_crs(source, target, always_xy=True)
    try:
        found = transformer.transform_bounds(*bounds, densify_pts=_POINTS)
    except ProjError:
        return None
    return found if np.isfinite(found).all() else None


def widen(bounds: Bounds) -> Bounds:
    """Add a margin."""
    left, bottom, right, top = bounds
    x, y = _MARGIN * (right - left), _MARGIN * (top - bottom)
    return left - x, bottom - y, right + x, top + y


def _covers(outer: Bounds, inner: Bounds) -> bool:
    """Say whether bounds lie within others."""
    return bool(shapely.box(*inner).within(shapely.box(*outer)))


def _cut(geometries: NDArray[np.object_], boxes: Sequence[shapely.Polygon]) -> NDArray[np.object_]:
    """Keep what lies in boxes: geometries within as they are, parts of those that reach farther."""
    near = np.full(len(geometries), None, dtype=np.object_)
    around = shapely.union_all(list(boxes))
    tree = shapely.STRtree(geometries)
    meets = np.unique(tree.query(boxes)[1])
    bounds = shapely.bounds(geometries[meets])
    inside = np.array([shapely.box(*b).within(around) for b in bounds], dtype=np.bool_)
    within, beyond = meets[inside], meets[~inside]
    near[within] = geometries[within]
    near[beyond] = shapely.intersection(repair(geometries[beyond]), around)
    return near


# vertices that shorter edges may cost; edges stay longer where there is more circumference
_MAX_NEW_VERTICES = 1_000_000


def reproject(geometries: GeoSeries, crs: CRS) -> GeoSeries:
    """Reproject geometries, long edges as the curves that they are.

    Args:
        geometries: With a CRS; some may be missing. Polygons that cross themselves are repaired.
        crs: CRS wanted.

    Returns:
        As many geometries, in *crs*.
    """
    if geometries.crs == crs:
        return geometries
    # GEOS would lose parts of polygons that cross themselves
    whole = GeoSeries(repair(geometries.to_numpy()), index=geometries.index, crs=geometries.crs)
    circumference = float(np.nansum(shapely.length(whole.to_numpy())))
    edge = max(longest_edge(geometries.crs), circumference / _MAX_NEW_VERTICES)
    return whole.segmentize(edge).to_crs(crs)


def repair(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    """Repair polygons that cross themselves; what has no extent of these is left out.

    Args:
        geometries: Of any kind; some may be missing.

    Returns:
        As many geometries; all others as they are.
    """
    repaired = np.array(geometries, dtype=np.object_)
    is_polygon = np.isin(
        shapely.get_type_id(repaired), (GeometryType.POLYGON, GeometryType.MULTIPOLYGON)
    )
    for place in np.flatnonzero(is_polygon & ~shapely.is_valid(repaired)):
        repaired[place] = shapely.union_all(valid_parts(repaired[[place]]))
    return repaired


def valid_parts(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    """Split polygons into valid ones with an extent, which overlap where parts of one did."""
    # two parts that overlap would cancel out if they were repaired together
    repaired = shapely.make_valid(shapely.get_parts(geometries))
    # lines may remain of a polygon that crosses itself
    parts: NDArray[np.object_] = shapely.get_parts(shapely.get_parts(repaired))
    has_extent: NDArray[np.bool_] = shapely.area(parts) > 0
    return parts[has_extent]
