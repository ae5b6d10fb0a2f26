"""A raster resampled to a pixel grid, the same whatever window of it is read."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as to_crs

from .gdal_errors import GDALError
from .hiding import hide_unobserved
from .reading import RasterHeader, Reader, alpha_bands


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


@contextmanager
def open_warped(src: Reader, grid: Grid, *, nodata: float | None = None) -> Iterator[Reader]:
    """See a raster on a grid, resampled bilinearly.

    Args:
        src: An open raster.
        grid: Where its pixels are wanted.
        nodata: Value that means "no observation" if all bands have it, besides what the raster says
            itself; none of these pixels is blended with its neighbours.

    Yields:
        A reader whose pixels do not depend on the window that is read. What lies outside *src* has
        no observation: where there is no nodata value and no alpha band, an alpha band is added as
        the last one.

    Raises:
        ValueError: If *src* has an alpha band that is not the last one, and a nodata value too.
    """
    with hide_unobserved(src, nodata) as (seen, empty):
        warped = WarpedVRT(
            seen,
            crs=grid.crs,
            transform=grid.transform,
            height=grid.height,
            width=grid.width,
            resampling=Resampling.bilinear,
            src_nodata=empty,
            nodata=empty,
            # without it, outside would be 0 like dark ground
            add_alpha=empty is None and not alpha_bands(seen),
            **_exactly(*_scales(src, grid)),
        )
        # not `with warped`: as in open_reader
        with closing(warped):
            yield warped


def _exactly(x_scale: float, y_scale: float) -> dict[str, object]:
    """Make resampled pixels independent of the window that is read.

    GDAL would else derive the size of its kernel from each chunk, and interpolate positions within
    it: https://gdal.org/en/stable/api/gdalwarp_cpp.html (XSCALE, YSCALE).

    Args:
        x_scale: Pixels wanted per pixel of the file, along its rows.
        y_scale: The same along its columns.

    Returns:
        Options of a WarpedVRT.
    """
    return {
        'XSCALE': repr(x_scale),
        'YSCALE': repr(y_scale),
        # pixels of the file; rasterio takes no 0
        'tolerance': 1e-9,
    }


def _scales(src: Reader, grid: Grid) -> tuple[float, float]:
    """Measure how many pixels of a grid a pixel of a raster makes.

    Args:
        src: The raster.
        grid: It may be turned against the raster.

    Returns:
        Along the rows of *src* and along its columns, in the middle of the grid, or in that of *src*
        where the former lies beyond the reach of its CRS; 1 where both do: they do not meet then.
    """
    steps_in_file = _steps(grid, src)
    steps_in_grid = _steps(src, grid) if steps_in_file is None else np.linalg.inv(steps_in_file)
    if steps_in_grid is None:
        return 1.0, 1.0
    x_scale, y_scale = np.linalg.norm(steps_in_grid, axis=0).tolist()
    return x_scale, y_scale


def _steps(one: Reader | Grid, other: Reader | Grid) -> NDArray[np.float64] | None:
    """Measure the steps to the next column and row in the middle of a grid, in another's pixels.

    Returns:
        Shape (2, 2), one step per column: pixels of *other* along its rows and along its columns. None
        where that is not known.
    """
    col, row = one.width / 2, one.height / 2
    places = [one.transform @ place for place in ((col, row), (col + 1, row), (col, row + 1))]
    # without a CRS, a file is taken to be in that of the grid
    if None not in (one.crs, other.crs) and one.crs != other.crs:
        xs, ys = zip(*places, strict=True)
        try:
            places = list(zip(*to_crs(one.crs, other.crs, xs, ys), strict=True))
        except GDALError:
            return None
    middle, right, below = np.array([~other.transform @ place for place in places])
    steps = np.stack([right - middle, below - middle], axis=1)
    return steps if np.isfinite(steps).all() and np.linalg.det(steps) else None
