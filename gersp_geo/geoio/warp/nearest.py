"""The pixels of a raster under those of another grid: for each, the one that holds its centre."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from ...windows import Window
from ..grids import Grid, place_points
from .reprojection import Reprojection

# Pixels by which a centre is moved on: of pixels that are half as large, it lies on the corner of
# four, and rounding would take one here and another there.
_NUDGE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nearest:
    """Which pixels of a raster lie under those of a window of another grid."""

    window: Window
    """Pixels of the raster that hold all of them."""

    rows: NDArray[np.int64]
    """Row in the window of the raster for each pixel, shape (rows, columns)."""

    cols: NDArray[np.int64]
    """Column in it."""

    inside: NDArray[np.bool_]
    """Where the raster reaches; elsewhere, rows and columns are 0."""


def find_nearest(source: Grid, grid: Grid, window: Window) -> Nearest | None:
    """Find the pixels of a raster that hold the centres of pixels of another grid.

    Args:
        source: Where the pixels of the raster lie; it has a CRS.
        grid: The other grid, with a CRS.
        window: Pixels of the other grid.

    Returns:
        None where the raster does not reach at all. The answer for a pixel does not depend on the
        window.

    Raises:
        ValueError: If there is no way from one CRS to the other.
    """
    assert grid.crs is not None  # checked by the caller
    rows, cols = np.mgrid[
        window.row_off : window.row_stop, window.col_off : window.col_stop
    ].reshape(2, -1)
    places = place_points(grid.transform, np.stack([cols + 0.5, rows + 0.5], axis=1))
    points = _way(source, grid.crs).come_back(places, grid) + _NUDGE
    limits = np.array([source.width, source.height])
    with np.errstate(invalid='ignore'):
        inside = (np.isfinite(points) & (points >= 0) & (points < limits)).all(axis=1)
    if not inside.any():
        return None
    found = np.floor(points[inside]).astype(np.int64)
    (left, top), (right, bottom) = found.min(axis=0).tolist(), found.max(axis=0).tolist()
    taken = np.zeros((2, len(inside)), dtype=np.int64)
    taken[:, inside] = (found - (left, top)).T
    shape = window.height, window.width
    part = Window(row_off=top, col_off=left, height=bottom - top + 1, width=right - left + 1)
    return Nearest(
        window=part,
        rows=taken[1].reshape(shape),
        cols=taken[0].reshape(shape),
        inside=inside.reshape(shape),
    )


@lru_cache(maxsize=256)
def _way(source: Grid, crs: CRS) -> Reprojection:
    """Prepare the way from one raster to a CRS, once for all windows."""
    return Reprojection.of(source, crs)
