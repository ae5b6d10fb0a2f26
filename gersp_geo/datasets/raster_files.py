"""What the paths and headers of raster files alone tell."""

import os
import re
from collections.abc import Callable, Sequence
from math import cos, degrees, hypot, pi, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..geoio.grids import Grid
from ..geoio.read import RasterHeader, UnreadableFileError, read_headers
from ..geoio.warp import advise_place, describe_lack
from ..windows import Window
from .bad_files import Unreadable
from .named_bands import BandNames, check_bands

# mean radius of the Earth in metres (https://doi.org/10.1007/s001900050278)
EARTH_RADIUS = 6371008.8

# A query this close to the pixel grid, in pixels, is on it: float64 coordinates of 1e7 m at 0.1 m
# per pixel are exact to 1e-8 pixels.
ALIGNED = 1e-6

# a tile of up to so many pixels is read whole to see what it misses
WHOLE_PIXELS = 2**20

# Windows per side of a larger tile that are read instead, and their side in pixels
PROBES, PROBE_SIDE = 8, 64


def match_names(files: Sequence[str], regex: str) -> list[str]:
    """Keep the files whose name matches a pattern in Python's verbose syntax, as torchgeo does.

    Raises:
        ValueError: If none does, or the pattern is none.
    """
    if regex == '.*':
        return list(files)
    try:
        pattern = re.compile(regex, re.VERBOSE)
    except re.error as error:
        raise ValueError(f'filename_regex {regex!r} is no regular expression: {error}') from error
    kept = [file for file in files if pattern.match(os.path.basename(file))]
    if not kept:
        raise ValueError(
            f'none of {len(files)} files matches filename_regex {regex!r}, the first is {files[0]}'
        )
    return kept


def open_headers(
    files: Sequence[str], *, on_error: Literal['raise', 'skip']
) -> tuple[list[str], list[RasterHeader]]:
    """Read headers, and leave out files that cannot be read if that is wanted.

    Returns:
        The files that were read, and their headers.

    Raises:
        UnreadableFileError: If a file cannot be read, with 'skip' only if they are more than 1 %.

    Warns:
        UserWarning: Names files that were left out.
    """
    found = list(zip(files, read_headers(files), strict=True))
    failed = [header for _, header in found if isinstance(header, UnreadableFileError)]
    if failed and on_error == 'raise':
        raise failed[0]
    unreadable = Unreadable(len(files))
    unreadable.add([error.file for error in failed])
    unreadable.report()
    kept = [(file, header) for file, header in found if isinstance(header, RasterHeader)]
    return [file for file, _ in kept], [header for _, header in kept]


def check_tiles(
    files: Sequence[str],
    tiles: Sequence[RasterHeader],
    chosen: Sequence[int],
    *,
    one_dtype: bool = False,
) -> None:
    """Refuse tiles that have no place on an upright grid, or do not fit the first one.

    They need the *chosen* 1-based bands, and with *one_dtype* one data type.
    """
    known: list[BandNames] = []
    for file, tile in zip(files, tiles, strict=True):
        check_tile(file, tile)
        check_bands(file, tile, chosen, known)
        if one_dtype and tile.dtype != tiles[0].dtype:
            raise ValueError(
                f'raw=True needs one data type, got {tiles[0].dtype} and {tile.dtype} in {file}; '
                'pass raw=False'
            )


def check_tile(file: str, header: RasterHeader) -> None:
    """Refuse a tile without CRS, with a rotated or sheared grid, or with no place on Earth."""
    if header.crs is None:
        advice = advise_place(header, has_option=False)
        raise ValueError(
            f'{file} {describe_lack(header)}; {advice}, or read GeoTIFFs as plain images '
            "(kind='chips')"
        )
    if header.transform.b != 0 or header.transform.d != 0:
        raise ValueError(f'{file} has a rotated grid; warp it first, for example with rio warp')
    check_place(file, header)


def check_place(file: str, header: RasterHeader) -> None:
    """Refuse a tile in degrees that lies beyond a pole, or lies by control points or the like."""
    if header.crs is None and header.georeference.is_place:
        raise ValueError(
            f'{file} {describe_lack(header)}; {advise_place(header, has_option=False)}'
        )
    if (
        header.crs is not None
        and header.crs.is_geographic
        and abs(middle_latitude(header)) > pi / 2
    ):
        raise ValueError(
            f'{file} lies at latitude {degrees(middle_latitude(header)):g}, beyond 90: its '
            'coordinates are not those of its CRS, which is geographic; assign the right one, for '
            'example with rio edit-info --crs'
        )


def check_reals(files: Sequence[str], tiles: Sequence[RasterHeader]) -> None:
    """Refuse complex numbers: models take real ones, and the imaginary part would be dropped."""
    for file, tile in zip(files, tiles, strict=True):
        if tile.dtype.startswith('complex'):
            raise ValueError(
                f'{file} holds complex numbers ({tile.dtype}); make bands of real ones first, such '
                'as their magnitude'
            )


def is_upright(header: RasterHeader) -> bool:
    """Whether columns go east; rows may go south, or north (bottom-up files)."""
    return bool(header.transform.a > 0)


def ground_resolution(header: Grid) -> float:
    """Measure the side of a pixel on the ground, in metres, for a tile with a CRS.

    It is the geometric mean of both sides, for degrees at the tile's centre. A local CRS, which
    nothing ties to the Earth, counts in its own unit.
    """
    grid = header.transform
    width, height = hypot(grid.a, grid.d), hypot(grid.b, grid.e)
    # metres, or radians; a local CRS has a unit too
    unit = 1.0 if header.crs is None else float(header.crs.units_factor[1])
    if header.crs is not None and header.crs.is_geographic:
        return sqrt(width * height * cos(middle_latitude(header))) * unit * EARTH_RADIUS
    return sqrt(width * height) * unit


def middle_latitude(header: Grid) -> float:
    """Find the latitude of the middle of a tile in a geographic CRS, in radians."""
    _, middle = header.transform @ (header.width / 2, header.height / 2)
    # degrees, or grads
    unit: float = header.crs.units_factor[1]  # type: ignore[union-attr]  # there is one
    return float(middle * unit)


def whole_pixels(header: RasterHeader, x: slice, y: slice) -> Window | None:
    """Find the window that a query means, if it lies on the grid and inside an upright tile.

    *x* holds left, right and pixel width, *y* bottom, top and pixel height, in the CRS of the tile.
    """
    transform = header.transform
    sides = x.step / transform.a - 1, y.step / abs(transform.e) - 1
    if max(map(abs, sides)) > ALIGNED / max(header.width, header.height):
        return None
    edges = (
        (x.start - transform.c) / transform.a,
        (x.stop - transform.c) / transform.a,
        (y.stop - transform.f) / transform.e,
        (y.start - transform.f) / transform.e,
    )
    left, right, first, last = whole = tuple(map(round, edges))
    if max(abs(edge - number) for edge, number in zip(edges, whole, strict=True)) > ALIGNED:
        return None
    # in a bottom-up file the first row is the southern one
    top, bottom = min(first, last), max(first, last)
    if not (0 <= left < right <= header.width and 0 <= top < bottom <= header.height):
        return None
    return Window(row_off=top, col_off=left, height=bottom - top, width=right - left)


def measure_valid(header: RasterHeader, read_valid: Callable[[Window], NDArray[np.bool_]]) -> float:
    """Estimate which share of a tile's pixels are observations.

    Args:
        header: Of the tile.
        read_valid: Says which pixels of a window are observations.

    Returns:
        In [0, 1]; exact for tiles of up to 1 Mi pixels. Of larger tiles a part is read, so that
        these never get 0.
    """
    if header.height * header.width <= WHOLE_PIXELS:
        whole = Window(row_off=0, col_off=0, height=header.height, width=header.width)
        return float(read_valid(whole).mean())
    height, width = min(header.height, PROBE_SIDE), min(header.width, PROBE_SIDE)
    shares = [
        read_valid(Window(row_off=row, col_off=col, height=height, width=width)).mean()
        for row in np.linspace(0, header.height - height, PROBES).astype(int).tolist()
        for col in np.linspace(0, header.width - width, PROBES).astype(int).tolist()
    ]
    return max(float(np.mean(shares)), 1 / (PROBES * PROBE_SIDE) ** 2)


def fill_slice(given: slice, whole: slice) -> slice:
    """Replace what *given* leaves open by *whole*."""
    return slice(
        whole.start if given.start is None else given.start,
        whole.stop if given.stop is None else given.stop,
        whole.step if given.step is None else given.step,
    )
