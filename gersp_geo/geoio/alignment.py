"""A raster seen on another pixel grid: that of another raster, or of a CRS and a resolution."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from os import PathLike
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT

from .gdal_errors import GDALError
from .grids import SAME_PLACE, corner_offsets, same_crs
from .reading import RasterHeader, Reader, alpha_bands, open_reader
from .warping import Grid, open_warped

# Pixels by which a border may miss a multiple of the resolution and still lie on it: 0.1 * 3 does.
_ROUNDING = 1e-6

# Pixels from which on averaging all of them takes seconds.
_MANY_PIXELS = 2**26

# Pixels of a file are not made finer than by this factor: nobody means it.
_FINEST = 100


def on_one_grid(one: RasterHeader, other: RasterHeader) -> bool:
    """Whether pixels of the same row and column lie at the same place, to a hundredth of a pixel."""
    if (one.height, one.width) != (other.height, other.width) or not same_crs(one.crs, other.crs):
        return False
    # in pixels, as degrees and metres differ
    return bool(np.abs(corner_offsets(one, other)).max() <= SAME_PLACE)


@contextmanager
def open_aligned(
    path: str | PathLike[str], grid: RasterHeader, *, nodata: float | None = None
) -> Iterator[Reader]:
    """Open a raster, resampled bilinearly onto the grid of another where theirs differ.

    Args:
        path: A file with a CRS.
        grid: Header of the raster that gives rows, columns, CRS and transform.
        nodata: As in :func:`open_scene`.

    Yields:
        A reader for :func:`~gersp_geo.geoio.reading.read_window`, whose pixels do not depend on the
        window that is read. What lies outside the file has no observation.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If the file has an alpha band that is not the last one, and a nodata value too.
    """
    with open_reader(path) as src, open_warped(src, Grid.of(grid), nodata=nodata) as warped:
        yield warped


@contextmanager
def open_scene(
    path: str | PathLike[str],
    *,
    crs: CRS | str | int | None = None,
    res: float | tuple[float, float] | None = None,
    nodata: float | None = None,
) -> Iterator[Reader]:
    """Open a raster as it is, or resampled bilinearly to a CRS, a resolution or both.

    Args:
        path: As in :func:`~gersp_geo.geoio.reading.open_reader`.
        crs: Coordinate reference system wanted; None keeps that of the file.
        res: Size of a pixel in units of the CRS wanted: of a square one, or (x, y). Borders lie on
            multiples of it, so that scenes of one resolution share a grid. None takes what keeps
            the detail of the file.
        nodata: Value that means "no observation" if all bands have it, besides what the file says
            itself; where pixels are resampled, none of these is blended with its neighbours.

    Yields:
        A reader, north-up if resampled. What lies outside the file has no observation: where there
        is no nodata value and no alpha band, an alpha band is added as the last one; where there are
        both, the alpha band, which must be the last, gives way to the value.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If the file names no CRS, *crs* is unknown or the scene lies beyond its reach,
            or *res* is not positive, larger than the scene, or far finer than its pixels; or if
            the file has an alpha band that is not the last one, and a nodata value too.
    """
    with open_reader(path) as src:
        if res is None and (crs is None or src.crs == _parse_crs(crs)):
            yield src
            return
        if src.crs is None:
            raise ValueError(
                f'{src.name} names no CRS, which resampling to a CRS or a resolution needs; assign '
                'one, for example with gdal_edit.py -a_srs'
            )
        target = src.crs if crs is None else _parse_crs(crs)
        grid = _suggest_grid(src, target)
        if res is not None:
            grid = _align_grid(grid, res, name=src.name)
        if grid == Grid.of(src):
            yield src
            return
        with open_warped(src, grid, nodata=nodata) as warped:
            yield warped


def read_reduced(
    src: Reader,
    *,
    bands: Sequence[int],
    shape: tuple[int, int],
    resampling: Literal['nearest', 'average'],
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Read the whole of a raster at another size, from overviews where there are some.

    Args:
        src: An open raster.
        bands: 1-based band indices in the order wanted.
        shape: Rows and columns wanted; may be more than there are.
        resampling: 'average' takes the nearest pixel where there are more pixels than can be
            averaged quickly, and no overviews.

    Returns:
        Values, shape (bands, *shape), and where there is an observation, shape *shape*.
    """
    is_slow = src.height * src.width > _MANY_PIXELS and not src.overviews(1)
    chosen = Resampling.nearest if is_slow else Resampling[resampling]
    pixels = src.read(list(bands), out_shape=(len(bands), *shape), resampling=chosen)
    valid = src.dataset_mask(out_shape=shape) > 0
    # GDAL's masks heed an alpha band only as the second of two bands or the fourth of four
    for band in alpha_bands(src):
        valid &= src.read(band, out_shape=shape) > 0
    if pixels.dtype.kind == 'f':
        valid &= np.isfinite(pixels).all(axis=0)
    return pixels, valid


def _parse_crs(crs: CRS | str | int) -> CRS:
    """Look up a coordinate reference system."""
    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        reason = ' '.join(str(error).split())
        raise ValueError(
            f'crs must be one that PROJ knows, such as EPSG:32633, got {crs!r}: {reason}'
        ) from error


def _suggest_grid(src: Reader, crs: CRS) -> Grid:
    """Let GDAL choose a grid that keeps the detail of a raster in another CRS."""
    try:
        with closing(WarpedVRT(src, crs=crs)) as suggested:
            return replace(Grid.of(suggested), crs=crs)
    except GDALError as error:
        reason = ' '.join(str(error).split())
        raise ValueError(
            f'{src.name} cannot be expressed in {crs}: {reason}; choose a CRS that reaches there'
        ) from error


def _align_grid(grid: Grid, res: float | tuple[float, float], *, name: str) -> Grid:
    """Cover the ground of a north-up grid with pixels of another size."""
    transform = grid.transform
    x_res, y_res = res if isinstance(res, tuple) else (res, res)
    if not (0 < x_res < math.inf and 0 < y_res < math.inf):
        raise ValueError(f'res must be > 0, got {res}')
    ground_x, ground_y = grid.width * transform.a, grid.height * -transform.e
    if x_res > ground_x or y_res > ground_y:
        raise ValueError(
            f'res must be at most the scene, {name} of {ground_x:g} x {ground_y:g} units of its '
            f'CRS, got {res}; degrees and metres differ'
        )
    if min(x_res / transform.a, y_res / -transform.e) * _FINEST < 1:
        raise ValueError(
            f'res must be at least 1 / {_FINEST} of the pixels of {name}, {transform.a:g} x '
            f'{-transform.e:g} units of its CRS, got {res}; degrees and metres differ'
        )
    left, right = _outward(transform.c, transform.c + ground_x, x_res)
    bottom, top = _outward(transform.f - ground_y, transform.f, y_res)
    return Grid(
        crs=grid.crs,
        transform=from_origin(left * x_res, top * y_res, x_res, y_res),
        height=top - bottom,
        width=right - left,
    )


def _outward(lower: float, upper: float, step: float) -> tuple[int, int]:
    """Round two borders outward, to multiples of a step."""
    return math.floor(lower / step + _ROUNDING), math.ceil(upper / step - _ROUNDING)
