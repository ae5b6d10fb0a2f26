"""Overlapping windows of a raster, or of several on one grid, with each block decoded once."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from threading import local
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...windows import Window
from ..gdal import enter_gdal
from .cells import Cell, CellFile, CellGrid, CellSource
from .observations import Shown
from .padding import middle_of, mirror_around


class CellReader:
    """Reads a raster cell by cell in threads, and hands out windows of what it has read.

    Cells are read when they are first asked for and kept until they are released, so that
    overlapping windows do not decode a block twice. Of several rasters, bands follow each other,
    and a pixel is an observation where it is one in all of them. Where single bands of one may be
    missing (rule 'any'), validity is that of each band, and all are missing where there is no
    observation.
    """

    def __init__(
        self,
        sources: Sequence[CellSource],
        grid: CellGrid,
        *,
        dtype: np.dtype[np.generic],
        threads: int = 1,
    ) -> None:
        """Set up; nothing is read yet.

        Args:
            sources: Rasters of the same rows and columns, whose bands follow each other.
            grid: Cells of the first.
            dtype: Type of the pixels handed out.
            threads: Threads that read, >= 1.
        """
        self.grid, self.sources, self.dtype = grid, tuple(sources), dtype
        self.bands = tuple(band for source in sources for band in source.bands)
        self.per_band = any(source.rule == 'any' for source in sources)
        self._thread = local()
        self._open = ExitStack()
        self._pool = ThreadPoolExecutor(
            threads, thread_name_prefix='reader', initializer=enter_gdal
        )
        self._cells: dict[tuple[int, int], Future[Cell]] = {}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop the threads and close what they have opened."""
        self._pool.shutdown(cancel_futures=True)
        self._cells.clear()
        self._open.close()

    def may_hold(self, window: Window) -> bool:
        """Say whether any block of a window holds anything, as far as is known without reading."""
        if all(source.stored is None for source in self.sources):
            return True
        _, _, inside = self.grid.inside(window)
        return self._is_stored(inside)

    def request(self, window: Window) -> None:
        """Begin to read what a window needs, if that has not begun.

        Args:
            window: Pixels that :meth:`take` will be asked for; may hang over any side.
        """
        _, _, inside = self.grid.inside(window)
        for place in self._places(inside):
            cell = self.grid.window(*place)
            if place not in self._cells and self._is_stored(cell):
                self._cells[place] = self._pool.submit(self._read, cell)

    def take(self, window: Window, out: NDArray[np.generic]) -> Shown:
        """Copy a window that was requested; what lies outside the raster is reflected.

        Args:
            window: Pixels wanted; may hang over any side.
            out: Shape (bands, window.height, window.width); filled.

        Returns:
            Where there is an observation, shape (window.height, window.width), or where single
            bands may be missing, (bands, window.height, window.width); None if there is one
            everywhere.

        Raises:
            OSError: If the file is damaged there.
        """
        rows, cols, inside = self.grid.inside(window)
        if inside == window:
            return self._fill(inside, out)
        if (middle := middle_of(out, window, inside)) is not None:
            valid = self._fill(inside, middle)
            mirror_around(out, window, inside, rows=rows, cols=cols)
        else:
            pixels = np.empty((len(self.bands), inside.height, inside.width), dtype=self.dtype)
            valid = self._fill(inside, pixels)
            out[...] = pixels[:, rows[:, None], cols]
        return None if valid is None else valid[..., rows[:, None], cols]

    def valid(self, window: Window) -> NDArray[np.bool_] | None:
        """Say where a window has observations; what was not requested has none.

        Args:
            window: Pixels inside the raster.

        Returns:
            Shape (window.height, window.width); None if there is one everywhere.
        """
        valid = self._fill(window, None)
        if valid is None or valid.ndim == 2:
            return valid
        some: NDArray[np.bool_] = valid.any(axis=0)
        return None if some.all() else some

    def release(self, row: int) -> None:
        """Forget the cells that lie wholly above a row of pixels."""
        first = row // self.grid.cell_height
        for place in [place for place in self._cells if place[0] < first]:
            del self._cells[place]

    def _places(self, inside: Window) -> Iterator[tuple[int, int]]:
        """List the cells that a window touches."""
        for row in self.grid.rows(inside.row_off, inside.row_stop):
            for col in self.grid.cols(inside.col_off, inside.col_stop):
                yield row, col

    def _is_stored(self, inside: Window) -> bool:
        """Say whether every raster stores any block of a window."""
        return all(source.may_hold(inside) for source in self.sources)

    def _read(self, window: Window) -> Cell:
        """Read one cell, in a thread."""
        if not hasattr(self._thread, 'files'):
            self._thread.files = [
                self._open.enter_context(source.open(self.grid)) for source in self.sources
            ]
        files: list[CellFile] = self._thread.files
        if len(self.sources) == 1:
            return self.sources[0].read(files[0], window)
        return self._read_together(files, window)

    def _read_together(self, files: Sequence[CellFile], window: Window) -> Cell:
        """Read one cell of several rasters; what no pixel needs any more is left at 0."""
        pixels = np.zeros((len(self.bands), window.height, window.width), dtype=self.dtype)
        valid, bands = None, np.ones(pixels.shape, dtype=np.bool_) if self.per_band else None
        stop = len(self.bands)
        # the last is read first, as it may end within the first, which is the grid
        for source, file in zip(reversed(self.sources), reversed(files), strict=True):
            start = stop - len(source.bands)
            pixels[start:stop], observed = source.read(file, window)
            if bands is not None and observed is not None:
                bands[start:stop] = observed
            stop = start
            if observed is not None:
                observed = observed if observed.ndim == 2 else observed.any(axis=0)
                valid = observed if valid is None else valid & observed
                if not valid.any():
                    break
        # what one raster lacks is left out of all, as it would look like a change
        return pixels, valid if bands is None or valid is None else bands & valid

    def _fill(self, inside: Window, out: NDArray[np.generic] | None) -> Shown:
        """Copy pixels out of cells, and say which are observations."""
        valid: Shown = None
        layers = (len(self.bands),) if self.per_band else ()
        for place in self._places(inside):
            held = self.grid.window(*place)
            top, left = max(held.row_off, inside.row_off), max(held.col_off, inside.col_off)
            bottom = min(held.row_stop, inside.row_stop)
            right = min(held.col_stop, inside.col_stop)
            there = (
                slice(top - inside.row_off, bottom - inside.row_off),
                slice(left - inside.col_off, right - inside.col_off),
            )
            here = (
                slice(top - held.row_off, bottom - held.row_off),
                slice(left - held.col_off, right - held.col_off),
            )
            pixels, mask = self._cells[place].result() if place in self._cells else (None, None)
            if out is not None:
                out[:, *there] = 0 if pixels is None else pixels[:, *here]
            if pixels is None or mask is not None:
                if valid is None:
                    valid = np.ones((*layers, inside.height, inside.width), dtype=np.bool_)
                valid[..., *there] = False if mask is None else mask[..., *here]
        return None if valid is None or valid.all() else valid
