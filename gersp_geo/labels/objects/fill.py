"""Pixels inside outlines, many small ones at the speed at which patches are read."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray


def fill_outlines(
    outlines: NDArray[np.object_], parts: NDArray[np.int64]
) -> Iterator[NDArray[np.bool_]]:
    """Say which pixels have their centre in outlines.

    It is what GDAL rasterizes, but a call of that takes a millisecond for each. In a row, pixels
    between the first and the second crossing with an outline are inside, and so on.

    Args:
        outlines: Valid polygons or multipolygons in (column, row), shape (n,).
        parts: First column and row, and one past the last ones, of the pixels that are asked for,
            shape (n, 4).

    Yields:
        Per outline: shape (rows, columns).
    """
    begin, end, owner = list_sides(outlines)
    # a side crosses the rows whose middle is at its upper end or below, and above its lower end
    edges = np.ceil(np.sort([begin[:, 1], end[:, 1]], axis=0) - 0.5)
    first, stop = np.clip(edges, parts[owner, 1], parts[owner, 3]).astype(np.int64)
    counts = stop - first
    side = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(side)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    owner, begin, end = owner[side], begin[side], end[side]
    along = (rows + 0.5 - begin[:, 1]) / (end[:, 1] - begin[:, 1])
    cols = np.floor(begin[:, 0] + along * (end[:, 0] - begin[:, 0]) + 0.5)
    left, top, right, bottom = parts.T
    cols = np.clip(cols, left[owner], right[owner]).astype(np.int64) - left[owner]
    heights, widths = bottom - top, right - left + 1
    places = (rows - top[owner]) * widths[owner] + cols
    limits = np.searchsorted(owner, np.arange(len(outlines) + 1)).tolist()
    for (begun, done), height, width in zip(pairwise(limits), heights, widths, strict=True):
        crossings = np.bincount(places[begun:done], minlength=height * width)
        yield np.cumsum(crossings.reshape(height, width)[:, :-1], axis=1) % 2 == 1


def list_sides(
    outlines: NDArray[np.object_],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """List the ends of the sides of outlines, and which outline each side is of, ascending."""
    polygons, outline = shapely.get_parts(outlines, return_index=True)
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    is_side = np.flatnonzero(ring[1:] == ring[:-1])
    return points[is_side], points[is_side + 1], outline[polygon[ring[is_side]]]
