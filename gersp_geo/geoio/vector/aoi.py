"""Areas of interest as pixels."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from ...windows import Window
from ..grids import place_points


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

    @property
    def sha256(self) -> str:
        """Checksum of the polygons, the same from whatever file, folder or archive they come."""
        return hashlib.sha256(shapely.to_wkb(self.geometry)).hexdigest()

    def mask(self, transform: Affine, window: Window) -> NDArray[np.bool_]:
        """Say which pixels of a window belong to the area.

        Args:
            transform: From (column, row) of the raster to coordinates; any affine one.
            window: Pixels of the raster; it may hang over.

        Returns:
            Shape (window.height, window.width), True for pixels of the area.
        """
        rows, cols = _crossings(
            _edges_between(self, transform, window.row_off, window.row_stop), window
        )
        # a pixel with an odd number of edges to its left is inside
        toggles = np.zeros((window.height, window.width + 1), dtype=np.bool_)
        np.logical_xor.at(toggles, (rows, cols), True)
        if not toggles[:, 1:-1].any():
            # most windows of a large area have no edge within
            return np.repeat(toggles[:, :1], window.width, axis=1)
        return np.logical_xor.accumulate(toggles[:, :-1], axis=1)

    def touches(self, transform: Affine, window: Window) -> bool:
        """Say whether a window and the area share a point; where not, no pixel belongs to it."""
        columns = np.array([window.col_off])
        rows = (window.row_off, window.row_stop)
        return bool(self.touched(transform, rows, columns, width=window.width)[0])

    def touched(
        self, transform: Affine, rows: tuple[int, int], columns: NDArray[np.int64], *, width: int
    ) -> NDArray[np.bool_]:
        """Say which windows beside each other share a point with the area, as :meth:`touches`.

        Args:
            transform: Transform of the raster.
            rows: First row of all windows, and one past the last.
            columns: First column of each, increasing.
            width: Columns of each.

        Returns:
            Shape (windows,).
        """
        row_off, row_stop = rows
        edges = _edges_between(self, transform, row_off, row_stop)
        x0, y0, x1, y1 = edges
        # edges are cut to the rows from the first to the last
        slope = np.divide(x1 - x0, y1 - y0, out=np.zeros_like(x0), where=y1 > y0)
        start = np.where(y0 < row_off, x0 + (row_off - y0) * slope, x0)
        stop = np.where(y1 > row_stop, x0 + (row_stop - y0) * slope, x1)
        # an edge is across if it neither begins to the right nor ends to the left
        begun = np.searchsorted(np.sort(np.minimum(start, stop)), columns + width, side='right')
        ended = np.searchsorted(np.sort(np.maximum(start, stop)), columns, side='left')
        # a window without an edge is wholly inside or wholly outside, like any of its pixels
        first, last = int(columns[0]), int(columns[-1])
        corners = Window(row_off=row_off, col_off=first, height=1, width=last - first + 1)
        _, crossed = _crossings(edges, corners)
        left = np.searchsorted(np.sort(crossed), columns - first, side='right')
        found: NDArray[np.bool_] = (begun > ended) | (left % 2 == 1)
        return found


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
    # rows count up from the first one of each edge
    row = np.arange(len(edge)) + np.repeat(stop - np.cumsum(stop - first), stop - first)
    x = x0[edge] + (row + 0.5 - y0[edge]) * ((x1 - x0)[edge] / (y1 - y0)[edge])
    col = np.clip(np.ceil(x - 0.5) - window.col_off, 0, window.width).astype(np.int64)
    return row - window.row_off, col
