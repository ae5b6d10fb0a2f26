"""Whether the pixels of two rasters lie at the same places, and how they miss each other."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS as PyprojCRS
from rasterio.crs import CRS

from ..read.reader import RasterHeader, Reader
from ..wkt import crs_text

# Pixels by which two grids may differ and still be one: nobody locates a pixel better.
SAME_PLACE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where pixels lie."""

    crs: CRS | None
    """Coordinate reference system; None if unknown."""

    transform: Affine
    """From (column, row) to coordinates."""

    height: int
    """Rows."""

    width: int
    """Columns."""

    @classmethod
    def of(cls, raster: Reader | RasterHeader) -> Self:
        """Take that of a raster."""
        return cls(
            crs=raster.crs, transform=raster.transform, height=raster.height, width=raster.width
        )

    def x_range(self) -> tuple[float, float]:
        """Find the lowest and the highest x."""
        corners = [(0, 0), (self.width, 0), (0, self.height), (self.width, self.height)]
        xs = [float((self.transform @ corner)[0]) for corner in corners]
        return min(xs), max(xs)


@lru_cache(maxsize=256)
def same_crs(one: CRS | None, other: CRS | None) -> bool:
    """Whether two coordinate reference systems give a place the same x and y.

    The order of axes does not matter, as a transform of a raster always has x first; neither do
    heights, nor the spelling.
    """
    if one is None or other is None:
        return one is other
    if one == other:
        return True
    first, second = _horizontal(one), _horizontal(other)
    if first.equals(second, ignore_axis_order=True):
        return True
    datum, other_datum = first.geodetic_crs, second.geodetic_crs
    if datum is None or other_datum is None or first.coordinate_operation is None:
        return False
    # PROJ ignores the order of axes of geographic systems only
    return bool(
        datum.equals(other_datum, ignore_axis_order=True)
        and first.coordinate_operation == second.coordinate_operation
        and _units(first) == _units(second)
    )


def name_crs(crs: CRS | None) -> str:
    """Name a coordinate reference system in a message."""
    if crs is None:
        return 'no CRS'
    known = PyprojCRS.from_wkt(crs_text(crs))
    # a lower confidence would name two different ones alike
    authority = known.to_authority(min_confidence=100)
    if authority:
        return ':'.join(authority)
    return crs.to_proj4() if known.name == 'unknown' else str(known.name)


def corner_offsets(one: RasterHeader, other: RasterHeader) -> NDArray[np.float64]:
    """Measure where the corners of a grid lie beside those of another of the same size.

    Args:
        one: Its size and its pixels are what is measured in.
        other: In the same CRS.

    Returns:
        Columns and rows by which the upper left, upper right, lower left and lower right corner of
        *other* lie beyond those of *one*, shape (4, 2). Of two affine maps, the difference is
        largest in a corner.
    """
    # differences first: coordinates may have few digits left below a pixel
    a, b, c, d, e, f = np.subtract(tuple(other.transform)[:6], tuple(one.transform)[:6])
    width, height = one.width, one.height
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)], dtype=np.float64)
    moved = corners @ np.array([(a, d), (b, e)]) + (c, f)
    steps = np.array([(one.transform.a, one.transform.b), (one.transform.d, one.transform.e)])
    return np.asarray(np.linalg.solve(steps, moved.T).T)


def describe_shift(one: RasterHeader, other: RasterHeader, *, name: str) -> str | None:
    """Say how the pixels of a grid miss those of another of the same size, in the same CRS.

    Args:
        one: A grid without rotation, in whose pixels distances are given.
        other: What is compared with it.
        name: Of the former.

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


def _horizontal(crs: CRS) -> PyprojCRS:
    """Leave heights out."""
    whole = PyprojCRS.from_wkt(crs_text(crs))
    return (whole.sub_crs_list[0] if whole.is_compound else whole).to_2d()


def _units(crs: PyprojCRS) -> set[float]:
    """List the sizes of the units of the axes."""
    return {axis.unit_conversion_factor for axis in crs.axis_info}


def _digits(pixels: float) -> str:
    """Write a distance so that it shows from a hundredth of a pixel on."""
    return np.format_float_positional(pixels, precision=3, trim='0')


def _ratio(ratio: float) -> str:
    """Write a ratio with all digits in which it may differ from 1."""
    return np.format_float_positional(ratio, precision=9, trim='0')
