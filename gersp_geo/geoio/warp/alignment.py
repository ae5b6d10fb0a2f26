"""A raster seen on another pixel grid: that of another raster, or of a CRS and a resolution."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import from_origin

from ..crs import name_crs, same_crs, turn_of
from ..grids import SAME_PLACE, Grid, corner_offsets
from ..read.georeference import read_georeference
from ..read.observation_rules import Rule
from ..read.reader import RasterHeader, Reader, describe_reader, open_reader
from .location_text import advise_place
from .rectified import choose_rectified_grid
from .rectifier import POLYNOMIAL_CRS, Rectifier
from .resampling import open_warped
from .target_grids import choose_grid

# Pixels by which a border may miss a multiple of the resolution and still lie on it: 0.1 * 3 does.
_ROUNDING = 1e-6

# Pixels of a file are made finer by this factor at most: more is a slip, as of degrees for metres.
_FINEST = 100


def on_one_grid(one: RasterHeader, other: RasterHeader) -> bool:
    """Say whether pixels of one row and column lie at the same place, to 0.01 of a pixel."""
    if (one.height, one.width) != (other.height, other.width) or not same_crs(one.crs, other.crs):
        return False
    if (one.georeference.is_place or other.georeference.is_place) and not (
        one.georeference == other.georeference and not one.georeference.has_arrays
    ):
        # the values of arrays are not compared
        return False
    # the measure is a pixel, as degrees and metres differ
    return bool(np.abs(corner_offsets(one, _turned(other, one))).max() <= SAME_PLACE)


@contextmanager
def open_aligned(
    path: str | PathLike[str],
    grid: RasterHeader,
    *,
    nodata: float | None = None,
    bands: Sequence[int] | None = None,
    rule: Rule | None = None,
) -> Iterator[Reader]:
    """Open a raster, resampled bilinearly onto the grid of another where theirs differ.

    Args:
        path: A file with a CRS.
        grid: Header of the raster that gives rows, columns, CRS and transform.
        nodata: As in :func:`open_scene`.
        bands: As in :func:`open_scene`.
        rule: As in :func:`open_scene`.

    Yields:
        A reader whose pixels do not depend on the window that is read. What lies outside the file
        has no observation.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If single bands are to be left out, and no value can stand for what is missing.
    """
    with (
        open_reader(path) as src,
        open_warped(src, Grid.of(grid), nodata=nodata, bands=bands, rule=rule) as warped,
    ):
        yield warped


@contextmanager
def open_scene(
    path: str | PathLike[str],
    *,
    crs: CRS | str | int | None = None,
    res: float | tuple[float, float] | None = None,
    nodata: float | None = None,
    bands: Sequence[int] | None = None,
    rule: Rule | None = None,
) -> Iterator[Reader]:
    """Open a raster as it is, or resampled bilinearly to a CRS, a resolution or both.

    Args:
        path: A file, or any name that GDAL understands.
        crs: Coordinate reference system wanted; None keeps that of the file.
        res: Size of a pixel in units of the CRS wanted: of a square one, or (x, y). Borders lie on
            multiples of it, so that scenes of one resolution share a grid. None takes what keeps
            the detail of the file.
        nodata: Value that means "no observation", besides what the file says itself; where pixels
            are resampled, what is missing is not blended with its neighbours.
        bands: 1-based indices of the bands that are read; None means all but alpha bands.
        rule: Where a pixel is an observation, see :func:`.observation_rules.find_rule`; None means
            what the file says.

    Yields:
        A reader, north-up if resampled. What lies outside the file has no observation: it has a
        nodata value, or an alpha band, which is added as the last one where there is none.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If the file names no CRS, *crs* is unknown or the scene lies beyond its reach,
            or *res* is not positive, larger than the scene, or far finer than its pixels; or if
            single bands are to be left out, and no value can stand for what is missing.
    """
    with open_reader(path) as src:
        own = describe_reader(src).crs
        wanted = own if crs is None else _parse_crs(crs)
        if res is None and (crs is None or own == wanted):
            yield src
            return
        grid = _find_grid(src, wanted)
        if res is not None:
            grid = _align_grid(grid, res, name=src.name)
        if grid == Grid.of(src):
            yield src
            return
        with open_warped(src, grid, nodata=nodata, bands=bands, rule=rule) as warped:
            yield warped


def _find_grid(src: Reader, crs: CRS | None) -> Grid:
    """Choose a grid that keeps the detail of a raster, in a CRS or in that in which it lies."""
    georeference = read_georeference(src)
    if not georeference.is_place:
        if src.crs is None or crs is None:
            raise ValueError(
                f'{src.name} names no CRS, which resampling to a CRS or a resolution needs; '
                f'{advise_place(describe_reader(src))}'
            )
        return choose_grid(src, crs)
    crs = crs or georeference.points_crs or POLYNOMIAL_CRS
    rectifier = Rectifier(georeference, crs, name=src.name)
    transform, (height, width) = choose_rectified_grid(
        rectifier, height=src.height, width=src.width
    )
    return Grid(crs=crs, transform=transform, height=height, width=width)


def _turned(other: RasterHeader, one: RasterHeader) -> RasterHeader:
    """Move a grid by whole turns around the Earth next to another: 190 degrees are -170 degrees."""
    turn = turn_of(one.crs)
    turns = 0 if turn is None else round((one.transform.c - other.transform.c) / turn.length)
    if turn is None or not turns:
        return other
    moved = Affine.translation(turns * turn.length, 0) @ other.transform
    return replace(other, transform=moved)


def _parse_crs(crs: CRS | str | int) -> CRS:
    """Look up a coordinate reference system."""
    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        raise ValueError(
            f'crs must be one that PROJ knows, such as EPSG:32633, got {crs!r}'
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
            f'res must be at most the scene, {name} of {ground_x:g} x {ground_y:g} units of '
            f'{name_crs(grid.crs)}, got {res}; degrees and metres differ, and crs (--crs) chooses'
        )
    if min(x_res / transform.a, y_res / -transform.e) * _FINEST < 1:
        raise ValueError(
            f'res must be at least 1 / {_FINEST} of the pixels of {name}, {transform.a:g} x '
            f'{-transform.e:g} units of {name_crs(grid.crs)}, got {res}; degrees and metres '
            'differ, and crs (--crs) chooses'
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
