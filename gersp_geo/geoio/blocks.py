"""Which blocks of a raster hold anything, found without decoding one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..records import Window
from .reading import Reader, read_window


def stored_blocks(src: Reader, bands: Sequence[int]) -> NDArray[np.bool_] | None:
    """Say which blocks of a GeoTIFF are stored in any of some bands.

    GDAL's ``SPARSE_OK`` leaves out blocks that were never written, and those that were written
    with nothing but the nodata value, or 0 where there is none; this was found for every
    compression. Where bands share their blocks, a block is left out only if it holds nothing in
    any band. Without ``SPARSE_OK`` every block is stored. What is not stored reads as nodata, or
    as 0 where there is no nodata value: whether such zeros are observations is not said here.

    It takes 2 microseconds per block and band. Over a network it would take many small requests.

    Args:
        src: An open raster.
        bands: 1-based indices of the bands that count.

    Returns:
        Shape (rows, columns) of blocks, True where one is stored; the blocks have the size
        ``src.block_shapes`` and lie from the upper left corner on. None where the format does not
        tell, or the file is not local.

    Raises:
        UnreadableFileError: If the file was cut off before it says which blocks are stored.
        ValueError: If a band does not exist, or there is none.
    """
    if not bands or min(bands) < 1 or max(bands) > src.count:
        raise ValueError(f'bands must be in [1, {src.count}] for {src.name}, got {list(bands)}')
    if src.driver != 'GTiff' or not _is_local(src.name):
        return None
    height, width = src.block_shapes[bands[0] - 1]
    # rounded up
    stored = np.zeros((-(-src.height // height), -(-src.width // width)), dtype=np.bool_)
    shares_blocks = src.profile.get('interleave') == 'pixel'
    for band in bands[:1] if shares_blocks else dict.fromkeys(bands):
        for row, col in np.argwhere(~stored):
            offset = src.get_tag_item(f'BLOCK_OFFSET_{col}_{row}', 'TIFF', bidx=band)
            stored[row, col] = offset is not None
        _check_unstored(src, stored, band)
    return stored


def _check_unstored(src: Reader, stored: NDArray[np.bool_], band: int) -> None:
    """Read the last block that is not stored: GDAL does not tell it from one that it cannot find.

    Raises:
        UnreadableFileError: If the table that says where blocks lie cannot be read to its end.
    """
    if stored.all():
        return
    row, col = np.argwhere(~stored)[-1].tolist()
    height, width = src.block_shapes[band - 1]
    window = Window(row_off=row * height, col_off=col * width, height=1, width=1)
    read_window(src, window, bands=[band])


def _is_local(name: str) -> bool:
    """Whether reading a few bytes of a file costs next to nothing."""
    in_memory = name.startswith('/vsimem/')
    return in_memory or not (name.startswith('/vsi') or '://' in name)
