"""What is known about the ground of some images: the contract of all kinds of labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..datasets.raster_tiles import RasterTiles
from ..windows import Window

IGNORE = 255
"""Mask value of pixels without a class."""

ANCHORS = 64
"""Things to draw patches around that are remembered per stratum and block.

Each stands for all patches that hold it, so few are enough; all of them would not fit into memory
for large scenes.
"""

type Colors = tuple[tuple[int, int, int], ...]

type Sample = dict[str, Tensor]


class LabelSource(Protocol):
    """Classes of the pixels of some images."""

    class_names: tuple[str, ...]
    """Names of the values 0, 1, ...; empty where nothing tells."""

    class_colors: Colors
    """Red, green and blue of each class; empty where nothing tells."""

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, :data:`IGNORE` where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLabels:
    """What a block of ground holds, and where.

    Labels are drawn from by stratum: a class as a rule, or what else patches are to be balanced by.
    """

    counts: NDArray[np.int64]
    """Labels per stratum, of the same length for all blocks."""

    anchors: dict[int, NDArray[np.int64]]
    """Per stratum with labels: top, left, bottom and right in pixels of the image of up to
    :data:`ANCHORS` things that a patch is drawn around, shape (n, 4); a pixel is 1 x 1."""


class PatchLabels(Protocol):
    """What is known about some images, for one kind of task."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty where nothing tells, or where there are none."""

    @property
    def class_colors(self) -> Colors:
        """Red, green and blue of each class; empty where nothing tells."""

    def scan(self, tile: int, window: Window, *, seed: Sequence[int]) -> BlockLabels:
        """Look what a block inside image *tile* holds; *seed* decides what is remembered."""

    def read(
        self, sample: Sample, tile: int, window: Window, *, valid: NDArray[np.bool_]
    ) -> Sample:
        """Add what a task learns to a patch.

        Args:
            sample: 'image' of shape (C, H, W): values of the file as float32, NaN where there is no
                observation. It may be changed in place.
            tile: Number of the image.
            window: The patch, which may hang over the edges of the image: there it is reflected.
            valid: Which pixels are observations, shape (H, W).
        """

    def holds(self, tile: int, window: Window) -> bool:
        """Say whether a patch shows anything that a model can be validated on."""


@runtime_checkable
class PatchLayout(Protocol):
    """Labels that say themselves which patches a model is validated on."""

    def lay(self, tile: int, block: Window, grid: Sequence[Window]) -> list[Window]:
        """Lay patches on a block of image *tile*; *grid* covers it side by side."""


def observe(
    images: RasterTiles,
    tile: int,
    window: Window,
    *,
    valid: NDArray[np.bool_] | None,
    nodata: float | None,
) -> tuple[Window, tuple[slice, slice], NDArray[np.bool_]]:
    """Say which part of a window lies inside its image, and which of its pixels are observations.

    Args:
        images: The images.
        tile: Number of one.
        window: Pixels of it; the window may hang over its edges.
        valid: Which of these are observations, in the shape of the window, if that is known.
        nodata: Value that means "no observation", beside what the files themselves say.

    Returns:
        The part in pixels of the image; its rows and columns in the window; and its observations.
    """
    header = images.tiles[tile]
    inside = crop(window, height=header.height, width=header.width)
    row, col = inside.row_off - window.row_off, inside.col_off - window.col_off
    place = slice(row, row + inside.height), slice(col, col + inside.width)
    if valid is None:
        return inside, place, images.read_valid(tile, inside, nodata=nodata)
    return inside, place, valid[place]


def crop(window: Window, *, height: int, width: int) -> Window:
    """Cut off what hangs over the edges of an image of *height* x *width* pixels."""
    top, left = max(window.row_off, 0), max(window.col_off, 0)
    return Window(
        row_off=top,
        col_off=left,
        height=min(window.row_stop, height) - top,
        width=min(window.col_stop, width) - left,
    )
