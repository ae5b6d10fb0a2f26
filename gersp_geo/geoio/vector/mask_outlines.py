"""Polygons around the pixels of masks."""

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes


def outline_mask(mask: NDArray[np.bool_]) -> shapely.Polygon | None:
    """Draw the outline of the largest part of a mask, along the sides of its pixels.

    Pixels belong together that share a side; a corner is not enough. Holes stay.

    Args:
        mask: Shape (rows, cols).

    Returns:
        A valid polygon in (column, row), whose area is the number of its pixels; None where the
        mask is empty.
    """
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(cols[0])
    part = mask[top : rows[-1] + 1, left : cols[-1] + 1]
    drawn = shapes(part.astype(np.uint8), mask=part, connectivity=4)
    polygons = [shapely.geometry.shape(outline) for outline, _ in drawn]
    largest = max(polygons, key=lambda polygon: polygon.area)
    moved: shapely.Polygon = shapely.transform(
        largest, lambda points: points + np.array([left, top])
    )
    return moved
