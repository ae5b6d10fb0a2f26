"""Images that are of one class, or have some labels, as a whole."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...windows import Window
from ..sources import BlockLabels
from .target import PatchClasses


class ImageClasses(PatchClasses):
    """Every patch of an image has the labels of the image; ``marks`` has one row per image."""

    def find(self, tile: int, window: Window) -> NDArray[np.bool_] | None:
        """Say which classes a patch has, shape (classes,); None where nobody said."""
        row: NDArray[np.bool_] = self.flags[tile]
        return row if self.known[tile] else None

    def scan(self, tile: int, window: Window, *, seed: Sequence[int]) -> BlockLabels:
        """Count a block once per label; patches may lie anywhere on it."""
        rows = [tile] if self.known[tile] else []
        anchor = [window.row_off, window.col_off, window.row_stop, window.col_stop]
        anchors = np.array([anchor] * len(rows), dtype=np.int64).reshape(-1, 4)
        return self.collect(self.flags[rows], anchors, np.random.default_rng(seed))

    def lay(self, tile: int, block: Window, grid: Sequence[Window]) -> list[Window]:
        """Lay as many patches into the middle of an image as fit beside each other, at least one.

        So images a little larger than a patch are judged by their middle alone.
        """
        rows, cols = (
            [first + max(length - count * self.size, 0) // 2 + i * self.size for i in range(count)]
            for first, length, count in (
                (block.row_off, block.height, max(block.height // self.size, 1)),
                (block.col_off, block.width, max(block.width // self.size, 1)),
            )
        )
        size = self.size
        return [Window(row_off=r, col_off=c, height=size, width=size) for r in rows for c in cols]
