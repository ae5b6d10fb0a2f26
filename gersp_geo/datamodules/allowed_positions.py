"""Where a patch may lie: on any blocks of one split, also across the borders between them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..windows import Window

type Range = tuple[int, int]
"""First and last number, both included."""


def holds_patch(block: Window, *, size: int, shape: tuple[int, int]) -> bool:
    """Say whether a patch of *size* pixels fits into a block, or hangs over the image alone."""
    return block.height >= min(size, shape[0]) and block.width >= min(size, shape[1])


class Territory:
    """The blocks of one split in one image."""

    def __init__(self, windows: Sequence[Window], *, shape: tuple[int, int], size: int) -> None:
        """Initialize a new Territory instance.

        Args:
            windows: The blocks, which do not overlap.
            shape: Rows and columns of the image.
            size: Side of a patch. Of an image that is smaller, a patch hangs over the far edge.
        """
        self.shape, self.size = shape, size
        self.rows = np.unique([0, shape[0], *(r for w in windows for r in (w.row_off, w.row_stop))])
        self.cols = np.unique([0, shape[1], *(c for w in windows for c in (w.col_off, w.col_stop))])
        self.covered = np.zeros((len(self.rows) - 1, len(self.cols) - 1), dtype=np.bool_)
        for window in windows:
            top, bottom = np.searchsorted(self.rows, (window.row_off, window.row_stop))
            left, right = np.searchsorted(self.cols, (window.col_off, window.col_stop))
            self.covered[top:bottom, left:right] = True

    def positions(self, anchor: NDArray[np.int64]) -> list[tuple[Range, Range]]:
        """List where the upper left corner of a patch around an anchor may lie.

        Args:
            anchor: Top, left, bottom and right. A patch holds it whole; of one that is larger, it
                shows a part from side to side.

        Returns:
            Rectangles of rows and columns that do not overlap.
        """
        top, left, bottom, right = anchor.tolist()
        rows = self._stretches(self.rows, top, bottom, self.shape[0])
        cols = self._stretches(self.cols, left, right, self.shape[1])
        return [
            (row_range, col_range)
            for row_range, touched_rows in rows
            for col_range, touched_cols in cols
            if self.covered[touched_rows, touched_cols].all()
        ]

    def _stretches(
        self, cuts: NDArray[np.int64], first: int, stop: int, side: int
    ) -> list[tuple[Range, slice]]:
        """Cut the positions along one side so that within each, a patch meets the same blocks."""
        low, high = sorted((stop - self.size, first))
        last = max(side - self.size, 0)
        low, high = min(max(low, 0), last), min(max(high, 0), last)
        # the block behind is left at a cut; the one ahead is entered a patch before it
        changes = np.concatenate([cuts, cuts - self.size + 1])
        begins = np.unique([low, *changes[(changes > low) & (changes <= high)]]).tolist()
        found = []
        for begin, end in zip(begins, [*begins[1:], high + 1], strict=True):
            # of a small image, the patch ends with it
            touched = slice(
                int(np.searchsorted(cuts, begin, side='right')) - 1,
                int(np.searchsorted(cuts, min(begin + self.size, side), side='left')),
            )
            found.append(((begin, end - 1), touched))
        return found

    def reachable(self, anchors: NDArray[np.int64], block: Window) -> NDArray[np.int64]:
        """Keep the anchors that some patch holds, shape (n, 4); *block* is that which has them."""
        kept = np.zeros(len(anchors), dtype=np.bool_)
        if holds_patch(block, size=self.size, shape=self.shape):
            # in a block that holds a patch, so does whatever lies inside: most anchors, at once
            corner, end = (block.row_off, block.col_off), (block.row_stop, block.col_stop)
            kept = ((anchors[:, :2] >= corner) & (anchors[:, 2:] <= end)).all(axis=1)
        for i in np.flatnonzero(~kept).tolist():
            kept[i] = bool(self.positions(anchors[i]))
        return anchors[kept]

    def draw(self, anchor: NDArray[np.int64], generator: np.random.Generator) -> tuple[int, int]:
        """Draw row and column of a patch around an anchor, all positions being equally likely."""
        ranges = self.positions(anchor)
        heights = [rows[1] - rows[0] + 1 for rows, _ in ranges]
        widths = [cols[1] - cols[0] + 1 for _, cols in ranges]
        areas = [height * width for height, width in zip(heights, widths, strict=True)]
        place = int(generator.integers(sum(areas)))
        for (rows, cols), width, area in zip(ranges, widths, areas, strict=True):
            if place < area:
                return rows[0] + place // width, cols[0] + place % width
            place -= area
        raise AssertionError('a position was drawn beyond the last')
