"""Parts of a map: files that hold a rectangle of its pixels each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from zlib import crc32

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import MemoryFile
from rasterio.windows import Window as RasterioWindow

from ...messages import one_line
from ...windows import Window
from .atomic import DiskFullError, describe_room, sync_folder
from .completeness import read_filled
from .geotiff import new_raster, write_window

BLOCK_SIZE = 512
"""Side of the blocks inside parts, overviews and maps in pixels."""

# what becomes of a part that is damaged
_ANEW = 'the same command finds that and makes it anew'

# bytes that are read at a time
_READ_BYTES = 2**20

# A part lies nowhere by itself; any transform but the identity keeps rasterio from warning of that
_TRANSFORM = Affine.scale(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file, and where its pixels lie in the map."""

    path: str
    """File written by :func:`write_part`."""

    row_off: int
    """Row of the map at which it begins."""

    col_off: int
    """Column of the map at which it begins."""

    height: int
    """Its rows."""

    width: int
    """Its columns."""


def write_part(
    path: str | PathLike[str], pixels: NDArray[np.generic], *, nodata: float, threads: int = 1
) -> None:
    """Write a part of a map; a file of that name is always whole, even after a power cut.

    An existing file is replaced. Blocks of nothing but nodata take no room.

    Args:
        path: File to write.
        pixels: Shape (bands, rows, cols).
        nodata: Value that means "no observation".
        threads: Threads that compress.

    Raises:
        OSError: If it cannot be written completely.
    """
    count, height, width = pixels.shape
    profile = part_profile(
        shape=(count, height, width), dtype=pixels.dtype.name, nodata=nodata, threads=threads
    )
    with new_raster(path, overwrite=True) as unfinished:
        with rasterio.open(unfinished, 'w', **profile) as dst:
            write_window(dst, _with_one_nodata(pixels, nodata))
        if not _holds_blocks(unfinished, _filled_blocks(pixels, nodata)):
            raise DiskFullError(f'{path} could not be written completely; {describe_room(path)}')
    sync_folder(Path(path).parent)


def _filled_blocks(pixels: NDArray[np.generic], nodata: float) -> NDArray[np.bool_]:
    """Say which blocks hold more than nodata, in the order of the file: band by band."""
    rows, cols = (range(0, length, BLOCK_SIZE) for length in pixels.shape[1:])
    blocks = (
        band[row : row + BLOCK_SIZE, col : col + BLOCK_SIZE]
        for band in pixels
        for row in rows
        for col in cols
    )
    return np.array(
        [not (np.isnan(b) if np.isnan(nodata) else b == nodata).all() for b in blocks],
        dtype=np.bool_,
    )


def _holds_blocks(path: Path, filled: NDArray[np.bool_]) -> bool:
    """Say whether a file lists the blocks that hold something.

    A block that found no room when the file was closed is listed as one that was never written.
    """
    stored = read_filled(path)
    return stored is not None and len(stored[0]) == len(filled) and bool(stored[0][filled].all())


def checksum(path: str | PathLike[str]) -> int:
    """Compute the CRC-32 of a file, which tells one that was cut off or has changed."""
    found = 0
    with Path(path).open('rb') as stream:
        while content := stream.read(_READ_BYTES):
            found = crc32(content, found)
    return found


def is_sound(part: Part, *, crc: int | None) -> bool:
    """Say whether the file of a part is there, of its size, and as it was written.

    Args:
        part: The part.
        crc: The :func:`checksum` of that time; None where that is not known.
    """
    try:
        if crc is not None and checksum(part.path) != crc:
            return False
        with rasterio.open(part.path) as src:
            return src.shape == (part.height, part.width)  # type: ignore[no-any-return]
    except (OSError, RasterioError):
        return False


def part_profile(
    *,
    shape: tuple[int, int, int],
    dtype: str,
    nodata: float,
    threads: int,
    block_size: int = BLOCK_SIZE,
) -> dict[str, object]:
    """Choose how an intermediate raster is laid out: fast to write, empty blocks left out.

    Args:
        shape: Bands, rows and columns.
        dtype: NumPy type.
        nodata: Value that means "no observation".
        threads: Threads that compress.
        block_size: Side of its blocks in pixels.

    Returns:
        Arguments for :func:`rasterio.open`.
    """
    count, height, width = shape
    return {
        'driver': 'GTiff',
        'count': count,
        'height': height,
        'width': width,
        'dtype': dtype,
        'nodata': nodata,
        'transform': _TRANSFORM,
        'tiled': True,
        'blockxsize': block_size,
        'blockysize': block_size,
        'interleave': 'band',
        'sparse_ok': True,
        'bigtiff': 'IF_SAFER',
        'num_threads': threads,
        'predictor': 3 if np.dtype(dtype).kind == 'f' else 1,
        **_fast_compression(),
    }


def read_parts(
    parts: Sequence[Part], window: Window, *, band: int, dtype: str, nodata: float
) -> NDArray[np.generic]:
    """Read a window of one band of a map.

    Args:
        parts: Those that may lie in the window.
        window: In pixels of the map; it may reach beyond the map.
        band: 1-based.
        dtype: NumPy type of the map.
        nodata: Value of pixels under no part.

    Returns:
        Shape (window.height, window.width).

    Raises:
        OSError: If a part is damaged; names it.
    """
    pixels = np.full((window.height, window.width), nodata, dtype=dtype)
    for part in parts:
        top, left = part.row_off - window.row_off, part.col_off - window.col_off
        rows = slice(max(top, 0), min(top + part.height, window.height))
        cols = slice(max(left, 0), min(left + part.width, window.width))
        if rows.start < rows.stop and cols.start < cols.stop:
            inside = RasterioWindow(
                cols.start - left, rows.start - top, cols.stop - cols.start, rows.stop - rows.start
            )
            pixels[rows, cols] = _read_part(part, inside, band=band)
    return pixels


def _read_part(part: Part, inside: RasterioWindow, *, band: int) -> NDArray[np.generic]:
    """Read pixels of one band of a part."""
    try:
        with rasterio.open(part.path) as src:
            if src.shape != (part.height, part.width):
                raise OSError(
                    f'{part.path} must have {part.height} x {part.width} pixels, '
                    f'got {src.height} x {src.width}; {_ANEW}'
                )
            pixels: NDArray[np.generic] = src.read(band, window=inside)
    except RasterioIOError as error:
        reason = one_line(error.__cause__ or error)
        raise OSError(f'{part.path} cannot be read: {reason}; {_ANEW}') from error
    return pixels


def _with_one_nodata(pixels: NDArray[np.generic], nodata: float) -> NDArray[np.generic]:
    """Replace whatever equals nodata by nodata: other kinds of NaN, or -0.0.

    A block of nothing but nodata is left out, and read back as the one nodata value; that of a
    block with other pixels must not differ.
    """
    if pixels.dtype.kind != 'f':
        return pixels
    is_nodata = np.isnan(pixels) if np.isnan(nodata) else pixels == nodata
    return np.where(is_nodata, pixels.dtype.type(nodata), pixels)


@cache
def _fast_compression() -> dict[str, object]:
    """Choose the fastest lossless compression that this GDAL can write."""
    profile = {'driver': 'GTiff', 'count': 1, 'height': 16, 'width': 16, 'dtype': 'uint8'}
    zstd: dict[str, object] = {'compress': 'zstd', 'zstd_level': 1}
    try:
        with MemoryFile() as memory:
            with memory.open(**profile, **zstd, transform=_TRANSFORM) as dst:
                dst.write(np.zeros((1, 16, 16), dtype='uint8'))
            with memory.open() as src:
                is_known = src.profile.get('compress') == 'zstd'
    except RasterioError:
        is_known = False
    return zstd if is_known else {'compress': 'deflate', 'zlevel': 1}
