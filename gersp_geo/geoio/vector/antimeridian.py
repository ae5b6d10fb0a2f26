"""Polygons across the place where longitudes end, in one piece, and wherever a raster has them."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity

from ..crs import Turn


def unroll(polygons: NDArray[np.object_], turn: Turn) -> NDArray[np.object_]:
    """Put polygons together again whose vertices were torn apart where a turn ends.

    Args:
        polygons: Reprojected, with vertices less than half a turn apart on the ground. Other
            geometries stay as they are.
        turn: Of their CRS.

    Returns:
        As many polygons; empty ones for those around a pole, which is no point in such a CRS.
    """
    points, place = shapely.get_coordinates(polygons, return_index=True)
    is_torn = (np.abs(np.diff(points[:, 0])) > turn.length / 2) & (place[1:] == place[:-1])
    whole = polygons.copy()
    for number in np.unique(place[1:][is_torn]):
        if polygons[number].geom_type in ('Polygon', 'MultiPolygon'):
            parts = shapely.get_parts(polygons[number])
            pieces = [_unroll_one(part, turn) for part in parts]
            whole[number] = pieces[0] if len(pieces) == 1 else shapely.MultiPolygon(pieces)
    return whole


def repeat(
    polygons: NDArray[np.object_], turn: Turn, within: tuple[float, float]
) -> NDArray[np.object_]:
    """Move polygons by whole turns to wherever they reach into an interval.

    Args:
        polygons: Any number.
        turn: Of their CRS.
        within: Lowest and highest x of a raster.

    Returns:
        Those that do so, as often as they do; all of them where none does.
    """
    bounds = shapely.bounds(polygons)
    moved = [
        affinity.translate(polygon, move * turn.length) if move else polygon
        for polygon, (left, _, right, _) in zip(polygons, bounds.tolist(), strict=True)
        for move in turn.repeats(left, right, within=within)
    ]
    return np.array(moved, dtype=np.object_) if moved else polygons


def turn_onto(
    geometries: NDArray[np.object_], turn: Turn, within: tuple[float, float]
) -> NDArray[np.object_]:
    """Move geometries by whole turns to wherever they reach into an interval; others stay.

    Args:
        geometries: Of any kind; some may be missing or empty.
        turn: Of their CRS.
        within: Lowest and highest x of rasters.

    Returns:
        As many geometries: one that reaches into it more than once is the union of both.
    """
    left, _, right, _ = shapely.bounds(geometries).T
    half = turn.length / 2
    is_far = (left < turn.middle - half) | (right > turn.middle + half)
    if not is_far.any() and turn.middle - half <= within[0] <= within[1] <= turn.middle + half:
        return geometries
    turned = geometries.copy()
    for number in np.flatnonzero(np.isfinite(left)):
        moves = turn.repeats(float(left[number]), float(right[number]), within=within)
        if moves and moves != [0]:
            copies = [affinity.translate(geometries[number], move * turn.length) for move in moves]
            turned[number] = copies[0] if len(copies) == 1 else shapely.union_all(copies)
    return turned


def bring_near(
    polygons: NDArray[np.object_], turn: Turn, within: tuple[float, float]
) -> NDArray[np.object_]:
    """Move each polygon by whole turns to where it lies closest to the middle of an interval.

    Args:
        polygons: Any number; some may be empty.
        turn: Of their CRS.
        within: Lowest and highest x of a raster.
    """
    bounds = shapely.bounds(polygons)
    middles = (bounds[:, 0] + bounds[:, 2]) / 2
    shifts = np.nan_to_num(turn.into(middles, sum(within) / 2) - middles)
    moved = [
        affinity.translate(polygon, shift) if shift else polygon
        for polygon, shift in zip(polygons, shifts.tolist(), strict=True)
    ]
    return np.array(moved, dtype=np.object_)


def _unroll_one(polygon: shapely.Polygon, turn: Turn) -> shapely.Polygon:
    """Unroll the rings of a polygon, holes to where its outline is."""
    shell = _unroll_ring(polygon.exterior, turn)
    if shell is None:
        return shapely.Polygon()
    middle = float(shell[:, 0].min() + shell[:, 0].max()) / 2
    holes = []
    for ring in polygon.interiors:
        hole = _unroll_ring(ring, turn)
        if hole is None:
            return shapely.Polygon()
        # all its vertices move by as many whole turns
        own = np.array([hole[:, 0].mean()])
        hole[:, 0] += turn.into(own, middle) - own
        holes.append(hole)
    return shapely.Polygon(shell, holes)


def _unroll_ring(ring: shapely.LinearRing, turn: Turn) -> NDArray[np.float64] | None:
    """Unroll a ring, shape (n, 2); None if it goes around a pole."""
    points = shapely.get_coordinates(ring)
    points[:, 0] = turn.unroll(points[:, 0])
    return points if abs(points[-1, 0] - points[0, 0]) < turn.length / 2 else None
