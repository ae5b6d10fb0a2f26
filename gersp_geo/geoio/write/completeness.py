"""Whether a TIFF holds all blocks that it should: on a full disk, GDAL may lose some silently.

Of a sparse file, a block that found no room is listed as one that was never written, and reads as
nodata.
"""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from ...windows import Window
from ..read.tiff_directories import COUNTS, TruncatedTableError, read_directories

# blocks of a row that are looked at together
_RUN = 16


def read_filled(path: str | PathLike[str]) -> list[NDArray[np.bool_]] | None:
    """Say which blocks a TIFF stores: of the image, then of each overview.

    Returns:
        Shape (blocks,) each, in the order of the file; None if it cannot be read.
    """
    found = []
    with Path(path).open('rb') as stream:
        try:
            for directory in read_directories(stream, Path(path).stat().st_size):
                counts = directory.table(COUNTS)
                if counts is None:
                    return None
                found.append(counts.read(stream, 0, counts.count) > 0)
        except (KeyError, TruncatedTableError):
            return None
    return found or None


def lacks_blocks(
    path: str | PathLike[str], source: DatasetReader, *, block_size: int, resampling: str
) -> bool:
    """Say whether a copy of a raster lacks blocks in which the raster has more than nodata.

    Only blocks that the copy does not store are looked at.

    Args:
        path: Copy of *source* as a tiled TIFF, with overviews or without.
        source: The raster.
        block_size: Side of the blocks of the copy in pixels.
        resampling: How overviews were made.
    """
    stored = read_filled(path)
    if stored is None:
        return True
    height, width, factor = source.height, source.width, 1
    below: NDArray[np.bool_] | None = None
    for level in stored:
        shape = -(-height // block_size), -(-width // block_size)
        if level.size % (shape[0] * shape[1]):
            return True
        # of bands that are stored one by one, any
        filled = level.reshape(-1, *shape).any(axis=0)
        doubtful = ~filled if below is None else ~filled & shrink(below, shape)
        for window in runs(doubtful, block_size, height=height, width=width):
            if shows_any(source, window, factor=factor, resampling=resampling):
                return True
        below, factor = filled, 2 * factor
        height, width = -(-height // 2), -(-width // 2)
    return False


def shrink(blocks: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Say which blocks of an overview lie over any of those of the level below."""
    padded = np.zeros((2 * shape[0], 2 * shape[1]), dtype=np.bool_)
    rows, cols = (min(have, most) for have, most in zip(blocks.shape, padded.shape, strict=True))
    padded[:rows, :cols] = blocks[:rows, :cols]
    merged: NDArray[np.bool_] = padded.reshape(shape[0], 2, shape[1], 2).any(axis=(1, 3))
    return merged


def runs(
    blocks: NDArray[np.bool_], block_size: int, *, height: int, width: int
) -> Iterator[Window]:
    """Yield the pixels of blocks, some of a row together."""
    for row, flags in enumerate(blocks):
        top = row * block_size
        for places in np.split(
            np.flatnonzero(flags), np.flatnonzero(np.diff(np.flatnonzero(flags)) > 1) + 1
        ):
            for first in range(0, len(places), _RUN):
                some = places[first : first + _RUN]
                left, right = some[0] * block_size, min((some[-1] + 1) * block_size, width)
                yield Window(
                    row_off=top,
                    col_off=int(left),
                    height=min(block_size, height - top),
                    width=int(right - left),
                )


def shows_any(source: DatasetReader, window: Window, *, factor: int, resampling: str) -> bool:
    """Say whether a part of a raster, or of its overview by *factor*, has more than nodata."""
    whole = RasterioWindow(
        window.col_off * factor,
        window.row_off * factor,
        min(window.width * factor, source.width - window.col_off * factor),
        min(window.height * factor, source.height - window.row_off * factor),
    )
    shape = (source.count, window.height, window.width)
    pixels = source.read(window=whole, out_shape=shape, resampling=Resampling[resampling])
    # what is not stored reads as 0 where there is no nodata value
    nodata = 0 if source.nodata is None else source.nodata
    return not bool((np.isnan(pixels) if np.isnan(nodata) else pixels == nodata).all())
