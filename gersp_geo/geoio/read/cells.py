"""Cells of whole blocks, by which rasters on one grid are read."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...windows import Window
from .block_decoder import BlockDecoder, open_decoder
from .observation_rules import Rule
from .observations import Shown, read_observed
from .padding import padded_window
from .reader import RasterHeader, Reader, describe_reader

# Smallest side of a cell in pixels: smaller blocks are read several at a time, since every read has
# a cost of its own.
SMALLEST = 256

# Rows of a cell where a block has more than can be held, as in an image stored in one piece: such
# a block is decoded again for every cell that GDAL's cache is too small to keep it for.
ROWS_OF_HUGE_BLOCKS = 512
HUGE = 8192

type Cell = tuple[NDArray[np.generic], Shown]
"""Pixels (bands, rows, cols), and where there is an observation: (rows, cols), or of each band."""

type CellFile = tuple[Reader, BlockDecoder]
"""An open raster, and what reads its pixels where that takes less time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellGrid:
    """How part of a raster is cut into cells of whole blocks."""

    height: int
    """Rows of the raster."""

    width: int
    """Columns of the raster."""

    col_off: int
    """First column that is read."""

    col_stop: int
    """One past the last."""

    block_shape: tuple[int, int]
    """Rows and columns of a block."""

    cell_height: int
    """Rows of a cell, whole blocks."""

    cell_width: int
    """Columns of a cell, whole blocks."""

    def rows(self, start: int, stop: int) -> range:
        """List the rows of cells that hold some rows of pixels."""
        return range(start // self.cell_height, -(-stop // self.cell_height))

    def cols(self, start: int, stop: int) -> range:
        """List the columns of cells that hold some columns of pixels."""
        return range(start // self.cell_width, -(-stop // self.cell_width))

    def window(self, row: int, col: int) -> Window:
        """Place a cell; cells at the sides are cut."""
        row_off = row * self.cell_height
        left = max(col * self.cell_width, self.col_off)
        return Window(
            row_off=row_off,
            col_off=left,
            height=min(self.cell_height, self.height - row_off),
            width=min((col + 1) * self.cell_width, self.col_stop) - left,
        )

    def blocks(self, window: Window) -> tuple[slice, slice]:
        """Say which rows and columns of blocks a window inside the raster touches."""
        return _touched(window, self.block_shape)

    def holds_whole(self, block_shape: tuple[int, int]) -> bool:
        """Say whether no block of a raster on the same grid lies in several cells."""
        height, width = block_shape
        across = self.cell_width % width == 0 or self.cell_width >= self.width
        return across and self.cell_height % height == 0

    def inside(self, window: Window) -> tuple[NDArray[np.int64], NDArray[np.int64], Window]:
        """Find the pixels inside the raster that a window is made of, see :func:`padded_window`."""
        return padded_window(window, height=self.height, width=self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellSource:
    """One of the rasters that cells are read from; all lie on one grid."""

    opener: Callable[[], AbstractContextManager[Reader]]
    """Opens it; every thread opens its own."""

    bands: tuple[int, ...]
    """1-based band indices in the order wanted."""

    nodata: float | None = None
    """A further value that means "no observation"."""

    rule: Rule | None = None
    """Where a pixel is an observation; None means what the file and *bands* say."""

    block_shape: tuple[int, int]
    """Rows and columns of a block."""

    stored: NDArray[np.bool_] | None = field(default=None, repr=False)
    """Per block: whether the file holds it, shape (rows of blocks, columns of blocks); others are
    not read, and hold no observation. None means all."""

    def may_hold(self, window: Window) -> bool:
        """Say whether any block of a window inside the raster is stored."""
        return self.stored is None or bool(self.stored[_touched(window, self.block_shape)].any())

    @contextmanager
    def open(self, grid: CellGrid) -> Iterator[CellFile]:
        """Open the raster to read cells of a grid, in one thread."""
        with self.opener() as reader:
            header = describe_reader(reader)
            # GDAL keeps blocks that lie in several cells
            if reader.driver != 'GTiff' or not grid.holds_whole(header.block_shape):
                yield reader, BlockDecoder(None)
                return
            with open_decoder(reader.name, header) as decoder:
                yield reader, decoder

    def read(self, file: CellFile, window: Window) -> Cell:
        """Read a window inside the raster.

        Args:
            file: What :meth:`open` opened.
            window: Pixels to read.

        Returns:
            Pixels, and where there is an observation.

        Raises:
            OSError: If the file is damaged there.
        """
        reader, decoder = file
        pixels, valid = read_observed(
            reader,
            window,
            bands=self.bands,
            nodata=self.nodata,
            rule=self.rule,
            pixels=decoder.read(window, bands=self.bands),
        )
        if self.stored is None or self.stored[_touched(window, self.block_shape)].all():
            return pixels, valid
        height, width = self.block_shape
        rows = np.arange(window.row_off, window.row_stop) // height
        cols = np.arange(window.col_off, window.col_stop) // width
        stored = self.stored[rows[:, None], cols]
        return pixels, stored if valid is None else stored & valid


def _touched(window: Window, block_shape: tuple[int, int]) -> tuple[slice, slice]:
    """Say which rows and columns of blocks a window touches."""
    height, width = block_shape
    return (
        slice(window.row_off // height, -(-window.row_stop // height)),
        slice(window.col_off // width, -(-window.col_stop // width)),
    )


def plan_cells(header: RasterHeader, *, col_off: int = 0, col_stop: int | None = None) -> CellGrid:
    """Choose cells for a raster, or for some of its columns.

    Args:
        header: Header of the raster.
        col_off: First column to be read.
        col_stop: One past the last; None means all.

    Returns:
        The grid.
    """
    block_height, block_width = header.block_shape
    return CellGrid(
        height=header.height,
        width=header.width,
        block_shape=header.block_shape,
        col_off=col_off,
        col_stop=header.width if col_stop is None else col_stop,
        cell_height=ROWS_OF_HUGE_BLOCKS if block_height > HUGE else _side(block_height),
        # strips go over the whole width
        cell_width=_side(block_width),
    )


def _side(block: int) -> int:
    """Put enough blocks together."""
    return block * -(-SMALLEST // block)
