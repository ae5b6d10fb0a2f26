"""What points are drawn from: the pixels of a map, counted per class and row.

A row is the unit because all of its pixels have one area, also in degrees. A pixel is named by its
row, its class and its rank among the pixels of that class in that row, so that what is drawn does
not depend on how the map is stored or read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geoio.polygons import read_placed_strips
from ..geoio.read import RasterHeader, Reader, UnreadableFileError
from ..geoio.vector import Area
from ..windows import Window

type Integers = NDArray[np.int64]

WHOLE = 0
"""The stratum of all classes together."""


@dataclass(frozen=True, slots=True, kw_only=True)
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

    def count(self, *, most: int, advance: Callable[[int], None]) -> dict[int, NDArray[np.uint32]]:
        """Count the pixels of each stratum in each row.

        Args:
            most: Strata, of which each takes memory.
            advance: Is told of pixels that were read.

        Returns:
            Value of the class to counts, shape (height,), by ascending values.

        Raises:
            ValueError: If there are more strata.
        """
        counts: dict[int, NDArray[np.uint32]] = {}
        for first, strip in self._strips():
            for row, codes in enumerate(strip, start=first):
                found = np.bincount((codes > 0).view(np.uint8) if self.is_whole else codes)
                for code in (np.flatnonzero(found[1:]) + 1).tolist():
                    if code not in counts:
                        if len(counts) == most:
                            raise ValueError(
                                f'{self.src.name} holds more than {most} classes, too many to draw '
                                'two points from each; draw more (-n), or pass a map of fewer '
                                'classes'
                            )
                        counts[code] = np.zeros(self.header.height, dtype=np.uint32)
                    counts[code][row] = found[code]
            advance(strip.size)
        return {WHOLE if self.is_whole else code - 1: counts[code] for code in sorted(counts)}

    def find(
        self, strata: Integers, rows: Integers, ranks: Integers, *, advance: Callable[[int], None]
    ) -> tuple[Integers, Integers]:
        """Find the columns and classes of pixels.

        Args:
            strata: Value of the stratum of each pixel, shape (n,).
            rows: Row of each.
            ranks: Which it is among the pixels of the stratum in its row, from 0 on.
            advance: Is told of pixels that were read, or need not be.

        Returns:
            Column and class of each.

        Raises:
            UnreadableFileError: If the map has changed since it was counted.
        """
        order = np.argsort(rows, kind='stable')
        sorted_rows = rows[order]
        cols, classes = np.full(len(rows), -1), np.full(len(rows), -1)
        done = 0
        for first, strip in self._strips(sorted_rows):
            stop = first + len(strip)
            for place in order[slice(*sorted_rows.searchsorted([first, stop]))].tolist():
                codes = strip[rows[place] - first]
                is_member = codes > 0 if self.is_whole else codes == strata[place] + 1
                members = np.flatnonzero(is_member)
                if ranks[place] < len(members):
                    cols[place] = members[ranks[place]]
                    classes[place] = codes[cols[place]] - 1
            advance((stop - done) * self.header.width)
            done = stop
        advance((self.header.height - done) * self.header.width)
        if (cols < 0).any():
            raise UnreadableFileError(
                self.src.name,
                f'{self.src.name} changed while it was read; begin anew when nothing writes to it '
                'any more',
            )
        return cols, classes

    def _strips(self, rows: Integers | None = None) -> Iterator[tuple[int, NDArray[np.integer]]]:
        """Read strips of classes plus 1, with 0 where no point may lie."""
        for first, strip in read_placed_strips(self.src, self.header, rows=rows):
            if self.area is not None:
                height, width = strip.shape
                window = Window(row_off=first, col_off=0, height=height, width=width)
                strip[~self.area.mask(self.header.transform, window)] = 0
            yield first, strip
