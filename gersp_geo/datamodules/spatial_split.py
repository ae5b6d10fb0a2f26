"""Cut images into blocks, and share the blocks between training, validation and test."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of one image that belongs to one split as a whole."""

    tile: int
    """Number of the image."""

    window: Window
    """The part; the blocks of an image cover each pixel exactly once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Numbers of the blocks on each side, ascending."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]


def cut_blocks(shapes: Sequence[tuple[int, int]], *, block_size: int, size: int) -> list[Block]:
    """Cut images into blocks of nearly equal sides.

    Args:
        shapes: Rows and columns of each image.
        block_size: Side to come close to, in pixels.
        size: Side of a patch: no block is narrower, unless its image is.

    Returns:
        Blocks in the order of images, rows, columns.

    Raises:
        ValueError: If *size* is not in [1, *block_size*].
    """
    if not 1 <= size <= block_size:
        raise ValueError(f'size must be in [1, block_size={block_size}], got {size}')
    blocks = []
    for tile, (height, width) in enumerate(shapes):
        rows = cut_side(height, block_size=block_size, size=size)
        cols = cut_side(width, block_size=block_size, size=size)
        for top, bottom in rows:
            for left, right in cols:
                window = Window(row_off=top, col_off=left, height=bottom - top, width=right - left)
                blocks.append(Block(tile=tile, window=window))
    return blocks


def cut_side(side: int, *, block_size: int, size: int) -> list[tuple[int, int]]:
    """Cut one side into nearly equal parts; returns first and one past the last of each."""
    count = max(1, min(round(side / block_size), side // size))
    ends = [side * i // count for i in range(count + 1)]
    return list(pairwise(ends))


def split_blocks(
    weights: Sequence[int], *, val_split: float, test_split: float, seed: int
) -> Split:
    """Assign blocks to splits by a seeded permutation, so that the shares are met overall.

    Args:
        weights: Per block: its number of labelled pixels. Blocks without any go nowhere.
        val_split: Share of the labelled pixels for validation, in [0, 1).
        test_split: Share for the test, in [0, 1 - *val_split*).
        seed: Decides the permutation.

    Returns:
        The splits. Each share is met as closely as whole blocks in permuted order can, with at
        least one block for training and for each share above 0.

    Raises:
        ValueError: If a share is out of range, or there are too few labelled blocks.
    """
    if min(val_split, test_split) < 0 or val_split + test_split >= 1:
        raise ValueError(
            'val_split and test_split must be >= 0 and leave a part for training, '
            f'got {val_split} and {test_split}'
        )
    pixels = np.asarray(weights, dtype=np.int64)
    shares = [share for share in (test_split, val_split) if share > 0]
    order = np.random.default_rng(seed).permutation(np.flatnonzero(pixels))
    if len(order) < 1 + len(shares):
        raise ValueError(
            f'{len(order)} blocks with labels are too few for {1 + len(shares)} splits; '
            'pass a smaller block_size (and size), or fewer splits'
        )
    total = int(pixels.sum())
    test, order = take_blocks(order, pixels, test_split * total, leave=1 + (val_split > 0))
    val, train = take_blocks(order, pixels, val_split * total, leave=1)
    ascending = (tuple(sorted(part.tolist())) for part in (train, val, test))
    return Split(**dict(zip(('train', 'val', 'test'), ascending, strict=True)))


def take_blocks(
    order: NDArray[np.int64], pixels: NDArray[np.int64], target: float, *, leave: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut *order* where the *pixels* of the first part come closest to *target*.

    A target of 0 takes none, and any above at least one block. *leave* is the number of blocks that
    must remain.
    """
    if target == 0:
        return order[:0], order
    sums = np.cumsum(pixels[order[: len(order) - leave]])
    count = 1 + int(np.argmin(np.abs(sums - target)))
    return order[:count], order[count:]


def grid_windows(block: Window, *, size: int) -> list[Window]:
    """Cover a block with patches, the last of each row and column flush with its far edge.

    A block narrower than *size* gets one patch that hangs over its far edge.
    """
    rows, cols = (
        [*range(first, first + length - size, size), first + max(length - size, 0)]
        for first, length in ((block.row_off, block.height), (block.col_off, block.width))
    )
    return [
        Window(row_off=row, col_off=col, height=size, width=size) for row in rows for col in cols
    ]
