"""Where the pixels of rasters lie, and how those of two rasters miss each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from .crs import turn_of

# Pixels by which two grids may differ and still be one: no pixel is located more exactly.
SAME_PLACE = 0.01

# Degrees of a full turn.
_CIRCLE = 360.0

type Bounds = tuple[float, float, float, float]
"""Left, bottom, right and top in a coordinate reference system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where the pixels of a raster lie."""

    height: int
    """Rows."""

    width: int
    """Columns."""

    crs: CRS | None
    """Coordinate reference system of the transform; None if there is none, or it is unknown."""

    transform: Affine
    """From (column, row) to coordinates, float64."""

    @staticmethod
    def of(raster: Any) -> 'Grid':
        """Take that of an open raster, or of anything else that has one."""
        return Grid(
            height=raster.height, width=raster.width, crs=raster.crs, transform=raster.transform
        )

    def bounds(self) -> Bounds:
        """Find the smallest rectangle in the CRS that holds all pixels, also rotated ones."""
        corners = [(0, 0), (self.width, 0), (0, self.height), (self.width, self.height)]
        xs, ys = zip(*(self.transform @ corner for corner in corners), strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def x_range(self) -> tuple[float, float]:
        """Find the lowest and the highest x."""
        left, _, right, _ = self.bounds()
        return left, right


def place_points(transform: Affine, points: NDArray[Any]) -> NDArray[np.float64]:
    """Apply a transform to many points, shape (n, 2)."""
    return np.stack(transform @ points.T, axis=1)


def middle_of_turn(source: Grid, grid: Grid) -> float | None:
    """Say around which longitude those of a raster must be looked up to be found.

    Args:
        source: The raster.
        grid: On which it is seen.

    Returns:
        In degrees. None where GDAL finds them by itself, and where x is no longitude.
    """
    turn = turn_of(source.crs)
    # GDAL counts in degrees
    if source.crs is None or not source.crs.is_geographic or turn is None or turn.length != _CIRCLE:
        return None
    left, right = source.x_range()
    # the slack is for borders that were rounded
    half = turn.length / 2 * (1 + 1e-9)
    is_beyond = not -half <= left <= right <= half
    is_moved = is_beyond and grid.crs is not None and source.crs != grid.crs
    if not is_moved and grid.crs is not None and grid.crs.is_geographic:
        begin, end = grid.x_range()
        # a world that is widened to whole pixels reaches into itself by less than one of them
        is_moved = any(
            min(right + move * turn.length, end) - max(left + move * turn.length, begin)
            > (end - begin) / grid.width
            for move in turn.repeats(left, right, within=(begin, end))
            if move
        )
    return (left + right) / 2 if is_moved else None


def corner_offsets(one: Grid, other: Grid) -> NDArray[np.float64]:
    """Measure where the corners of a grid lie beside those of another of the same size.

    Args:
        one: Its size and its pixels are what is measured in.
        other: In the same CRS.

    Returns:
        Columns and rows by which the upper left, upper right, lower left and lower right corner of
        *other* lie beyond those of *one*, shape (4, 2). Of two affine maps, the difference is
        largest in a corner.
    """
    # transforms are subtracted first, as coordinates may have few digits left below a pixel
    a, b, c, d, e, f = np.subtract(tuple(other.transform)[:6], tuple(one.transform)[:6])
    width, height = one.width, one.height
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)], dtype=np.float64)
    moved = corners @ np.array([(a, d), (b, e)]) + (c, f)
    steps = np.array([(one.transform.a, one.transform.b), (one.transform.d, one.transform.e)])
    return np.asarray(np.linalg.solve(steps, moved.T).T)


def describe_shift(one: Grid, other: Grid, *, name: str) -> str | None:
    """Say how the pixels of a grid miss those of another of the same size, in the same CRS.

    Args:
        one: A grid without rotation, in whose pixels distances are given.
        other: The grid that is compared with it.
        name: What *one* is called.

    Returns:
        What *other* does, to go behind its name; None where all corners lie within
        :data:`SAME_PLACE`.
    """
    offsets = corner_offsets(one, other)
    farthest = float(np.abs(offsets).max())
    if farthest <= SAME_PLACE:
        return None
    here, there = one.transform, other.transform
    if np.abs(offsets - offsets[0]).max() <= SAME_PLACE:
        east, north = there.c - here.c, there.f - here.f
        across, along = np.abs(offsets[0]).tolist()
        return (
            f'lies {_digits(across)} pixels {"west" if east < 0 else "east"} and '
            f'{_digits(along)} {"north" if north > 0 else "south"} of {name}'
        )
    if there.b or there.d:
        return f'is rotated against {name}, with a corner {_digits(farthest)} pixels off'
    wide, high = there.a / here.a, there.e / here.e
    if wide < 0 or high < 0:
        return f'counts its {"rows" if high < 0 else "columns"} from the other side than {name}'
    sizes = f'{_ratio(wide)} times as wide and {_ratio(high)} times as high'
    return f'has pixels {sizes} as {name}, with a corner {_digits(farthest)} pixels off'


def _digits(pixels: float) -> str:
    """Write a distance so that it shows from a hundredth of a pixel on."""
    return np.format_float_positional(pixels, precision=3, trim='0')


def _ratio(ratio: float) -> str:
    """Write a ratio with all digits in which it may differ from 1."""
    return np.format_float_positional(ratio, precision=9, trim='0')
