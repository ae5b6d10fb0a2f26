"""What points are drawn from: the pixels of a map, counted per class and cell.

A cell is a rectangle of pixels of one area: a block of the map, or in degrees one row. A pixel is
named by its cell, its class and its rank among the pixels of that class in that cell, row by row, so
that what is drawn does not depend on how the map is stored or read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...geoio.pixel_area import pixel_areas_m2
from ...geoio.read import BlockDecoder, RasterHeader, Reader, UnreadableFileError
from ...geoio.vector import Area
from ...windows import Window
from ..codes import Codes, count_codes, to_codes
from ..reading import lay_windows, read_ahead, read_pixels

type Integers = NDArray[np.int64]

WHOLE = 0
"""The stratum of all classes together."""

# Side of a cell: few are read again to find the pixels that were drawn, and their counts are small.
_SIDE = 512


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """Pixels of a class map that may be drawn."""

    src: Reader
    """The open map."""

    header: RasterHeader
    """Its header."""

    area: Area | None
    """Where points may lie; None means everywhere."""

    is_whole: bool
    """Whether all classes are one stratum, :data:`WHOLE`."""

    decoder: BlockDecoder | None = None
    """What decodes blocks of the map in less time."""

    @cached_property
    def row_areas(self) -> NDArray[np.float64] | None:
        """Area of a pixel of each row in m2; None where the CRS does not tell."""
        return pixel_areas_m2(self.header, 0, self.header.height)

    @cached_property
    def cell_shape(self) -> tuple[int, int]:
        """Rows and columns of a cell; those on the far sides are smaller."""
        if self.row_areas is None or np.ptp(self.row_areas) == 0:
            return _SIDE, _SIDE
        return 1, self.header.width

    @cached_property
    def cell_areas(self) -> NDArray[np.float64]:
        """Area of a pixel of each cell, row by row; 1 where the CRS does not tell."""
        rows, columns = self._cells
        if self.row_areas is None:
            return np.ones(rows * columns)
        return np.repeat(self.row_areas[:: self.cell_shape[0]], columns)

    @property
    def _cells(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        height, width = self.cell_shape
        return -(-self.header.height // height), -(-self.header.width // width)

    def count(self, *, most: int, advance: Callable[[int], None]) -> dict[int, NDArray[np.uint32]]:
        """Count the pixels of each stratum in each cell.

        Args:
            most: Strata, of which each takes memory.
            advance: Is told of pixels that were read.

        Returns:
            Value of the class to counts, shape (cells,), by ascending values.

        Raises:
            ValueError: If there are more strata.
        """
        counts: dict[int, NDArray[np.uint32]] = {}
        for cell, codes in self._pieces(advance):
            found = count_codes(codes, size=int(codes.max()) + 1)
            for code in (np.flatnonzero(found[1:]) + 1).tolist():
                if code not in counts:
                    if len(counts) == most:
                        raise ValueError(
                            f'{self.src.name} holds more than {most} classes, too many to draw two '
                            'points from each; draw more (-n), or pass a map of fewer classes'
                        )
                    counts[code] = np.zeros(len(self.cell_areas), dtype=np.uint32)
                counts[code][cell] += found[code]
        for own in counts.values():
            # beyond the poles there is nothing to be drawn
            own[self.cell_areas == 0] = 0
        return {
            WHOLE if self.is_whole else code - 1: own
            for code, own in sorted(counts.items())
            if own.any()
        }

    def find(
        self, strata: Integers, cells: Integers, ranks: Integers
    ) -> tuple[Integers, Integers, Integers]:
        """Find the rows, columns and classes of pixels.

        Args:
            strata: Value of the stratum of each pixel, shape (n,).
            cells: Cell of each.
            ranks: Which it is among the pixels of the stratum in its cell, from 0 on.

        Returns:
            Row, column and class of each.

        Raises:
            UnreadableFileError: If the map has changed since it was counted.
        """
        found = np.full((3, len(cells)), -1)
        order = np.argsort(cells, kind='stable')
        known, firsts = np.unique(cells[order], return_index=True)
        reading = read_ahead([self._read], map(self._window, known.tolist()))
        for places, (window, (codes,)) in zip(np.split(order, firsts[1:]), reading, strict=True):
            self._leave_out(window, codes)
            for value in np.unique(strata[places]).tolist():
                own = places[strata[places] == value]
                members = np.flatnonzero(codes > 0 if self.is_whole else codes == value + 1)
                own = own[ranks[own] < len(members)]
                rows, cols = np.divmod(members[ranks[own]], window.width)
                found[:, own] = window.row_off + rows, window.col_off + cols, codes[rows, cols]
        if (found[0] < 0).any():
            raise UnreadableFileError(
                self.src.name,
                f'{self.src.name} changed while it was read; begin anew when nothing writes to it '
                'any more',
            )
        return found[0], found[1], found[2] - 1

    def _pieces(self, advance: Callable[[int], None]) -> Iterator[tuple[int, Codes]]:
        """Read the map from top to bottom, in parts of cells."""
        height, width = self.cell_shape
        windows = lay_windows(self.header, is_wide=width == self.header.width)
        for window, (codes,) in read_ahead([self._read], windows):
            self._leave_out(window, codes)
            shown = (codes > 0).view(np.uint8) if self.is_whole else codes
            for rows in _cut(window.row_off, window.row_stop, height):
                for cols in _cut(window.col_off, window.col_stop, width):
                    cell = rows.start // height * self._cells[1] + cols.start // width
                    yield (
                        cell,
                        shown[
                            rows.start - window.row_off : rows.stop - window.row_off,
                            cols.start - window.col_off : cols.stop - window.col_off,
                        ],
                    )
            advance(codes.size)

    def _read(self, window: Window) -> Codes:
        """Read codes of a window; those beyond the area too."""
        (pixels,), valid = read_pixels(
            self.src, window, bands=[1], header=self.header, decoder=self.decoder
        )
        return to_codes(pixels, valid, name=self.src.name)

    def _window(self, cell: int) -> Window:
        """Say which pixels a cell has."""
        height, width = self.cell_shape
        row, col = divmod(cell, self._cells[1])
        return Window(
            row_off=row * height,
            col_off=col * width,
            height=min(height, self.header.height - row * height),
            width=min(width, self.header.width - col * width),
        )

    def _leave_out(self, window: Window, codes: Codes) -> None:
        """Turn codes of a window into 0 beyond the area."""
        if self.area is not None:
            codes[~self.area.mask(self.header.transform, window)] = 0


def _cut(start: int, stop: int, size: int) -> Iterator[slice]:
    """Cut a range where multiples of a size lie in it."""
    while start < stop:
        end = min((start // size + 1) * size, stop)
        yield slice(start, end)
        start = end
