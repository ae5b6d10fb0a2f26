"""From geometries to the pixels under them, and from pixels to the polygons around them."""

from collections.abc import Sequence

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes


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


def burn(
    geometries: NDArray[np.object_],
    values: Sequence[int] | NDArray[np.uint8],
    *,
    transform: Affine,
    height: int,
    width: int,
    fill: int,
) -> NDArray[np.uint8]:
    """Give the pixels of geometries their values, later ones over earlier ones.

    Args:
        geometries: In the CRS of the raster; missing and empty ones mark nothing.
        values: One per geometry, in [0, 255].
        transform: From (column, row) to coordinates.
        height: Rows of the raster.
        width: Columns of the raster.
        fill: Value of all other pixels.

    Returns:
        Shape (height, width).
    """
    drawn = [
        (geometry, int(value))
        for geometry, value in zip(geometries, values, strict=True)
        if geometry is not None and not geometry.is_empty
    ]
    if not drawn:
        return np.full((height, width), fill, dtype=np.uint8)
    burnt: NDArray[np.uint8] = rasterize(
        drawn, out_shape=(height, width), fill=fill, transform=transform, dtype=np.uint8
    )
    return burnt
