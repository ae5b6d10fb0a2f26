"""Which blocks of a raster hold anything, found without decoding one."""

from collections.abc import Sequence
from io import SEEK_END
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...windows import Window
from .reader import Reader, read_window
from .tiff_directories import COUNTS, TruncatedTableError, read_directories


def stored_blocks(
    src: Reader, bands: Sequence[int], *, in_all: bool = False
) -> NDArray[np.bool_] | None:
    """Say which blocks of a GeoTIFF are stored in any of some bands, or in all of them.

    GDAL's ``SPARSE_OK`` leaves out blocks that were never written, and those that were written
    with nothing but the nodata value, or 0 where there is none; this was found for every
    compression. Where bands share their blocks, a block is left out only if it holds nothing in
    any band. Without ``SPARSE_OK`` every block is stored. What is not stored reads as nodata, or
    as 0 where there is no nodata value: whether such zeros are observations is not said here.

    Of a file on a local disk, its own table is read, a few bytes per block; elsewhere GDAL is
    asked, which takes 2 microseconds per block and band. Over a network it would take many small
    requests.

    Args:
        src: An open raster.
        bands: 1-based indices of the bands that count.
        in_all: Whether a block has to be stored in each of them, rather than in any.

    Returns:
        Shape (rows, columns) of blocks, True where one is stored; the blocks have the size
        ``src.block_shapes`` and lie from the upper left corner on. None where the format does not
        tell, or the file is not local.

    Raises:
        UnreadableFileError: If the file was cut off before it says which blocks are stored.
        ValueError: If a band does not exist, there is none, or there are too many blocks to ask
            for.
    """
    if not bands or min(bands) < 1 or max(bands) > src.count:
        raise ValueError(f'bands must be in [1, {src.count}] for {src.name}, got {list(bands)}')
    if src.driver != 'GTiff' or not _is_local(src.name):
        return None
    height, width = src.block_shapes[bands[0] - 1]
    # rounded up
    shape = -(-src.height // height), -(-src.width // width)
    shares_blocks = src.profile.get('interleave') == 'pixel'
    chosen = [*dict.fromkeys(bands[:1] if shares_blocks else bands)]
    listed = _read_table(src, shape, images=1 if shares_blocks else src.count)
    total, found = shape[0] * shape[1], []
    if listed is None and len(chosen) * total > MOST_ASKED:
        raise ValueError(
            f'{src.name} has {total:,} blocks of {height} x {width} px, and at most {MOST_ASKED:,} '
            'can be looked up; copy it with larger blocks, for example with gdal_translate -co '
            'TILED=YES'
        )
    for band in chosen:
        place = 0 if shares_blocks else band - 1
        stored = _ask(src, shape, band) if listed is None else listed[place]
        _check_unstored(src, stored, band)
        found.append(stored)
    joined: NDArray[np.bool_] = (np.logical_and if in_all else np.logical_or).reduce(found)
    return joined


MOST_ASKED = 2**21
"""Blocks that GDAL is asked about, at most: some seconds."""


def _ask(src: Reader, shape: tuple[int, int], band: int) -> NDArray[np.bool_]:
    """Ask GDAL for each block."""
    stored = np.zeros(shape, dtype=np.bool_)
    for row, col in np.ndindex(shape):
        offset = src.get_tag_item(f'BLOCK_OFFSET_{col}_{row}', 'TIFF', bidx=band)
        stored[row, col] = offset is not None
    return stored


def _read_table(src: Reader, shape: tuple[int, int], *, images: int) -> NDArray[np.bool_] | None:
    """Read from a file itself which blocks have any bytes, shape (images, rows, columns).

    Each of the *images*, one or as many as bands, has blocks of *shape*. Nothing is said where the
    file is none on a disk, or lists other blocks than GDAL does: a large strip is read as several.
    """
    path = Path(src.name)
    if not path.is_file():
        return None
    with path.open('rb') as stream:
        size = stream.seek(0, SEEK_END)
        try:
            first = next(read_directories(stream, size))
        except (KeyError, TruncatedTableError):
            return None
        table, count = first.table(COUNTS), images * shape[0] * shape[1]
        if table is None or table.count != count:
            return None
        sizes = table.read(stream, 0, count)
    return (sizes > 0).reshape(images, *shape) if len(sizes) == count else None


def _check_unstored(src: Reader, stored: NDArray[np.bool_], band: int) -> None:
    """Read the last block that is not stored: GDAL does not tell it from one that it cannot find.

    Raises:
        UnreadableFileError: If the table that says where blocks lie cannot be read to its end.
    """
    if stored.all():
        return
    # argmin finds the last one without a list of all
    row, col = divmod(stored.size - 1 - int(stored.ravel()[::-1].argmin()), stored.shape[1])
    height, width = src.block_shapes[band - 1]
    window = Window(row_off=row * height, col_off=col * width, height=1, width=1)
    read_window(src, window, bands=[band])


def _is_local(name: str) -> bool:
    """Say whether reading a few bytes of a file costs next to nothing."""
    in_memory = name.startswith('/vsimem/')
    return in_memory or not (name.startswith('/vsi') or '://' in name)
