"""Outlines as polygons in a coordinate reference system."""

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from ..grids import place_points
from .outlines import Outlines

type Geometries = NDArray[np.object_]
"""Polygons."""

type Positions = NDArray[np.int64]
"""Integers."""


def to_polygons(outlines: Outlines, transform: Affine) -> Geometries:
    """Turn outlines into polygons.

    Args:
        outlines: In rows and columns.
        transform: From (column, row) to coordinates, any affine one.

    Returns:
        Valid polygons with vertices at corners only, the ring around each counter-clockwise.
    """
    return _build(_corners(outlines), outlines.polygons, transform)


def simplify_polygons(outlines: Outlines, transform: Affine, *, tolerance: float) -> Geometries:
    """Turn outlines into polygons with fewer vertices; neighbours keep their border in common.

    Visvalingam and Whyatt (1993), Line generalisation by repeated elimination of points, over all
    borders at once (GEOS CoverageSimplifier). Where three components meet, points stay.

    Args:
        outlines: All components of a map that may have borders in common.
        transform: From (column, row) to coordinates.
        tolerance: Square root of the area of the triangles that are cut off, in units of the
            coordinates, > 0.

    Returns:
        Valid polygons without gaps or overlaps where there were none.

    Raises:
        ValueError: If *tolerance* is not positive.
    """
    if not 0 < tolerance < np.inf:
        raise ValueError(f'the tolerance of simplification must be > 0, got {tolerance}')
    # neighbours are told by sides that both have from vertex to vertex
    exact = _build(_split_sides(_corners(outlines)), outlines.polygons, transform)
    made: Geometries = shapely.orient_polygons(shapely.coverage_simplify(exact, tolerance))
    return made


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Vertices:
    """Vertices of rings, counted between pixels; the last one of a ring is not its first one."""

    rows: NDArray[np.signedinteger]
    cols: NDArray[np.signedinteger]
    rings: Positions
    """Where each ring begins, and where the last one ends."""


def _corners(outlines: Outlines) -> _Vertices:
    """List both ends of each segment."""
    rows, start, stop = outlines.segments.T
    return _Vertices(
        rows=np.repeat(rows, 2),
        cols=np.stack([start, stop], axis=1).reshape(-1),
        rings=2 * outlines.rings,
    )


def _split_sides(corners: _Vertices) -> _Vertices:
    """Put a vertex wherever a corner of any ring lies on a side."""
    rows, cols = corners.rows.astype(np.int64), corners.cols.astype(np.int64)
    # number of the vertex at which a side ends
    following = np.arange(1, len(rows) + 1)
    following[corners.rings[1:] - 1] = corners.rings[:-1]
    # sides are rows or columns: along both, corners are looked up in order
    size = int(max(rows.max(initial=0), cols.max(initial=0))) + 1
    is_level = rows == rows[following]
    by_row, by_col = rows * size + cols, cols * size + rows
    first, after = np.zeros_like(rows), np.zeros_like(rows)
    known = {True: np.unique(by_row), False: np.unique(by_col)}
    for level, keys in ((True, by_row), (False, by_col)):
        chosen = is_level == level
        start, stop = keys[chosen], keys[following[chosen]]
        first[chosen] = np.searchsorted(known[level], np.minimum(start, stop), side='right')
        after[chosen] = np.searchsorted(known[level], np.maximum(start, stop), side='left')
    counts = 1 + after - first
    ends = np.cumsum(counts)
    side = np.repeat(np.arange(len(rows)), counts)
    along = np.arange(len(side)) - (ends - counts)[side]
    is_forward = (rows + cols <= rows[following] + cols[following])[side]
    place = np.where(is_forward, first[side] + along - 1, after[side] - along)
    key = np.where(is_level[side], by_row[side], by_col[side])
    for level in (True, False):
        between = (along > 0) & (is_level[side] == level)
        key[between] = known[level][place[between]]
    outer, inner = np.divmod(key, size)
    return _Vertices(
        rows=np.where(is_level[side], outer, inner),
        cols=np.where(is_level[side], inner, outer),
        rings=np.concatenate([[0], ends])[corners.rings],
    )


def _build(vertices: _Vertices, polygons: Positions, transform: Affine) -> Geometries:
    """Turn vertices into polygons.

    Args:
        vertices: With the inside on the right, where rows count downwards.
        polygons: Where the rings of each polygon begin, and where the last end.
        transform: From (column, row) to coordinates.
    """
    rings = vertices.rings
    lengths = np.diff(rings)
    # the first vertex of each ring comes once more
    closed = rings + np.arange(len(rings))
    if transform.determinant < 0:
        # north is up: a ring that is clockwise in the picture is so on the map
        vertex = np.repeat(rings[1:] + closed[:-1], lengths + 1)
        vertex -= np.arange(len(vertex))
        vertex[closed[:-1]] = rings[:-1]
    else:
        vertex = np.repeat(rings[:-1] - closed[:-1], lengths + 1)
        vertex += np.arange(len(vertex))
        vertex[closed[1:] - 1] = rings[:-1]
    col, row = vertices.cols[vertex], vertices.rows[vertex]
    points = place_points(transform, np.stack([col, row], axis=1))
    made: Geometries = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON, points, (closed, polygons)
    )
    return made
