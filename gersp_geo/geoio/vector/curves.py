"""Edges that are straight in one coordinate reference system and curved in another."""

import numpy as np
import shapely
from geopandas import GeoSeries
from numpy.typing import NDArray
from pyproj import CRS
from shapely import GeometryType

from ..pixel_area import longest_edge

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
    # of polygons that cross themselves, GEOS would lose parts
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
    # together, two parts that overlap would cancel out
    repaired = shapely.make_valid(shapely.get_parts(geometries))
    # of a polygon that crosses itself, lines may remain
    parts: NDArray[np.object_] = shapely.get_parts(shapely.get_parts(repaired))
    has_extent: NDArray[np.bool_] = shapely.area(parts) > 0
    return parts[has_extent]
