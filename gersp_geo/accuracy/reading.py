"""Rasters read window by window, ahead of what is done with them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geoio.gdal import enter_gdal
from ..geoio.read import BlockDecoder, RasterHeader, Reader, Shown, read_observed
from ..geoio.vector import Area
from ..windows import Window

# Pixels that are read at once: enough to make the cost per window small, and few enough for the
# cache of a core.
_PIXELS_READ = 2**20

# Pixels of a window that is cut from larger blocks.
_MOST_PIXELS = 2**25

# Side of the windows of a reference that is read pixel by pixel, whose memory per pixel is large.
_SIDE = 1024

# Windows that are read ahead.
_AHEAD = 3


def read_pixels(
    src: Reader,
    window: Window,
    *,
    bands: Sequence[int],
    header: RasterHeader,
    decoder: BlockDecoder | None,
) -> tuple[NDArray[np.generic], Shown]:
    """Read pixels as :func:`.read_observed` does, whole blocks by what takes less time.

    Args:
        src: An open raster.
        window: Pixels inside of it.
        bands: 1-based band indices.
        header: Of the raster.
        decoder: What decodes its blocks; None leaves them to GDAL's usual way, which keeps blocks
            that are needed again.

    Returns:
        Pixels, shape (bands, rows, cols); and where they are observations, shape (rows, cols), None
        where that is everywhere.

    Raises:
        UnreadableFileError: If a block is damaged.
    """
    pixels = None
    if decoder is not None and _has_whole_blocks(window, header):
        pixels = decoder.read(window, bands=bands)
    return read_observed(src, window, bands=bands, pixels=pixels)


def _has_whole_blocks(window: Window, header: RasterHeader) -> bool:
    """Say whether a window cuts no block."""
    rows, cols = header.block_shape
    return (
        window.row_off % rows == 0
        and window.col_off % cols == 0
        and (window.row_stop % rows == 0 or window.row_stop == header.height)
        and (window.col_stop % cols == 0 or window.col_stop == header.width)
    )


def lay_windows(
    header: RasterHeader,
    *,
    block_rows: int = 1,
    is_small: bool = False,
    is_wide: bool = False,
    area: Area | None = None,
) -> Iterator[Window]:
    """Lay windows over a raster, from top to bottom.

    Args:
        header: The raster.
        block_rows: Rows of the blocks of another raster on its grid.
        is_small: Whether windows are squares rather than whole blocks.
        is_wide: Whether windows have all columns.
        area: Where pixels count; windows that do not touch it are left out.
    """
    rows, cols = max(header.block_shape[0], block_rows), header.block_shape[1]
    width = header.width if is_wide else cols * max(1, _PIXELS_READ // (rows * cols))
    width = min(_SIDE if is_small else width, header.width)
    rows *= max(1, _PIXELS_READ // (rows * (header.width if is_small else width)))
    # a block may be the whole image
    rows = min(rows, _SIDE if is_small else max(1, _MOST_PIXELS // width))
    for row in range(0, header.height, rows):
        for col in range(0, header.width, width):
            window = Window(
                row_off=row,
                col_off=col,
                height=min(rows, header.height - row),
                width=min(width, header.width - col),
            )
            if area is None or area.touches(header.transform, window):
                yield window


def read_ahead(
    reads: Sequence[Callable[[Window], Any]], windows: Iterator[Window]
) -> Iterator[tuple[Window, list[Any]]]:
    """Read windows of several rasters at once, each in a thread of its own, some windows ahead.

    Args:
        reads: What reads a window of each; none is called twice at a time.
        windows: What is read.

    Yields:
        Each window, and what was read of it.
    """
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1, initializer=enter_gdal)) for _ in reads]
        pending: deque[tuple[Window, list[Any]]] = deque()
        for window in windows:
            jobs = [pool.submit(read, window) for pool, read in zip(pools, reads, strict=True)]
            pending.append((window, jobs))
            if len(pending) > _AHEAD:
                first, done = pending.popleft()
                yield first, [job.result() for job in done]
        for last, done in pending:
            yield last, [job.result() for job in done]
