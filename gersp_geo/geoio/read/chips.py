"""Read a whole raster as one small image, wherever it lies on the ground."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from os import PathLike, fspath

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioIOError
from rasterio.windows import Window as RasterioWindow

from ...messages import one_line
from ...windows import Window
from .alpha import copied_as_data, is_needed
from .observations import read_valid
from .reader import Reader, UnreadableFileError, common_type, open_reader


def read_chip(
    path: str | PathLike[str],
    *,
    size: int,
    bands: Sequence[int],
    dtype: str,
    check: Callable[[Sequence[str | None], Sequence[str]], None] | None = None,
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Read the largest square in the middle of a raster, resized.

    Args:
        path: A file, with or without a CRS.
        size: Side of the result in pixels.
        bands: 1-based indices in the order wanted.
        dtype: NumPy type that the file must have.
        check: Refuses descriptions and colour interpretations of all bands that do not fit.

    Returns:
        Pixels, shape (bands, *size*, *size*): averaged where it gets smaller, interpolated
        bilinearly where it gets larger, and as stored otherwise; a band tagged as alpha that is
        asked for is data. And which of them are observations, shape (*size*, *size*): those under
        which at least one pixel of the file is, since GDAL leaves the others out.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If it has too few bands or another data type, indices into a table of colours
            would be blended, or *check* says so.
    """
    name = fspath(path)
    with open_reader(path) as src:
        found = str(common_type(src.dtypes))
        if max(bands) > src.count or found != dtype:
            raise ValueError(
                f'{name} has {src.count} bands of {found}, band {max(bands)} and {dtype} are '
                'wanted as in the first file; give images of one sensor'
            )
        if check is not None:
            check(src.descriptions, [meaning.name for meaning in src.colorinterp])
        side = min(src.height, src.width)
        if side != size and any(src.colorinterp[band - 1] == ColorInterp.palette for band in bands):
            raise ValueError(
                f'{name} holds indices into a table of colours (a palette), which resizing from '
                f'{side} to {size} px would blend; expand it first (gdal_translate -expand rgb)'
            )
        row, col = (src.height - side) // 2, (src.width - side) // 2
        middle = Window(row_off=row, col_off=col, height=side, width=side)
        valid = cover(read_valid(src, middle, bands=bands), size=size)
        if side != size and is_needed(src, bands):
            with copied_as_data(src, middle, bands) as copied:
                whole = Window(row_off=0, col_off=0, height=side, width=side)
                return _read_resized(copied, copied.indexes, whole, size=size), valid
        return _read_resized(src, bands, middle, size=size), valid


def cover(valid: NDArray[np.bool_], *, size: int) -> NDArray[np.bool_]:
    """Say under which pixels of a resized square at least one pixel is an observation.

    Args:
        valid: Which pixels of a square are observations, shape (side, side).
        size: Side after resizing.
    """
    if valid.all() or len(valid) == size:
        return valid if len(valid) == size else np.ones((size, size), dtype=np.bool_)
    # with a row and a column more, the sum over any part is a difference of four
    sums = np.pad(valid.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    places = np.arange(size)
    first = places * len(valid) // size
    stop = -(-(places + 1) * len(valid) // size)
    below, above = sums[stop], sums[first]
    counts = below[:, stop] - below[:, first] - above[:, stop] + above[:, first]
    found: NDArray[np.bool_] = counts > 0
    return found


def _read_resized(
    src: Reader, bands: Sequence[int], window: Window, *, size: int
) -> NDArray[np.generic]:
    """Read a square at another size."""
    try:
        pixels: NDArray[np.generic] = src.read(
            list(bands),
            window=RasterioWindow(**asdict(window)),
            out_shape=(len(bands), size, size),
            resampling=Resampling.average if window.width > size else Resampling.bilinear,
        )
    except RasterioIOError as error:
        reason = one_line(error.__cause__ or error)
        raise UnreadableFileError(src.name, f'{src.name} cannot be read: {reason}') from error
    return pixels
