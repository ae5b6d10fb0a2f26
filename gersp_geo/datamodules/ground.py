"""Lay blocks on the ground of images, and share them between training, validation and test."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..geoio.grids import Grid
from ..windows import Window
from .overlaps import ParcelView, cut_ground, group_overlapping

WHOLE_IMAGES = -1
"""Size of blocks that stands for one block per image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of one image that belongs to one split as a whole."""

    tile: int
    """Number of the image."""

    window: Window
    """The part; no pixel of an image is in two blocks."""

    parcel: int
    """Number of the ground that it shows: blocks of other images that show the same have it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Numbers of the blocks on each side, ascending."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]


def lay_blocks(grids: Sequence[Grid], *, block_size: int, size: int) -> list[Block]:
    """Lay blocks on the ground of images.

    An image that overlaps no other is cut into blocks of nearly equal sides that cover it. Images
    that overlap get parcels of common ground, those of the coarsest one, and each image a block per
    parcel that it shows; pixels across a border of parcels belong to none. So blocks of two parcels share
    no ground, also where images are of two dates, two resolutions or two reference systems.

    Args:
        grids: Where the pixels of each image lie; those without a CRS overlap nothing.
        block_size: Side to come close to, in pixels; :data:`WHOLE_IMAGES` cuts none, and all images
            of a group that overlaps are one parcel.
        size: Side of a patch: no block is narrower, unless its image is, or shows less of a parcel.

    Returns:
        Blocks in the order of images, rows, columns.

    Raises:
        ValueError: If *size* is not in [1, *block_size*].
    """
    if block_size == WHOLE_IMAGES:
        return take_whole(grids)
    if not 1 <= size <= block_size:
        raise ValueError(f'size must be in [1, block_size={block_size}], got {size}')
    found: list[ParcelView] = []
    parcels = 0
    for group in group_overlapping(grids):
        if len(group) == 1:
            windows = cut_image(grids[group[0]], block_size=block_size, size=size)
            laid = [ParcelView(group[0], i, window) for i, window in enumerate(windows)]
        else:
            laid = cut_ground(
                grids, group, cut=lambda side: cut_side(side, block_size=block_size, size=size)
            )
        found += [parcel._replace(number=parcels + parcel.number) for parcel in laid]
        parcels += 1 + max(parcel.number for parcel in laid)
    found.sort(key=lambda parcel: (parcel.tile, parcel.window.row_off, parcel.window.col_off))
    return [Block(tile=c.tile, window=c.window, parcel=c.number) for c in found]


def take_whole(grids: Sequence[Grid]) -> list[Block]:
    """Make a block of each image; those that overlap, directly or by way of others, are one parcel."""
    parcels = {
        tile: parcel for parcel, group in enumerate(group_overlapping(grids)) for tile in group
    }
    return [
        Block(
            tile=tile,
            window=Window(row_off=0, col_off=0, height=grid.height, width=grid.width),
            parcel=parcels[tile],
        )
        for tile, grid in enumerate(grids)
    ]


def cut_image(grid: Grid, *, block_size: int, size: int) -> list[Window]:
    """Cut one image into blocks, row by row, that cover each pixel once."""
    rows = cut_side(grid.height, block_size=block_size, size=size)
    cols = cut_side(grid.width, block_size=block_size, size=size)
    return [
        Window(row_off=top, col_off=left, height=bottom - top, width=right - left)
        for top, bottom in rows
        for left, right in cols
    ]


def cut_side(side: int, *, block_size: int, size: int) -> list[tuple[int, int]]:
    """Cut one side into nearly equal parts; returns first and one past the last of each."""
    count = max(1, min(round(side / block_size), side // size))
    ends = [side * i // count for i in range(count + 1)]
    return list(pairwise(ends))


def split_blocks(
    weights: Sequence[int],
    *,
    val_split: float,
    test_split: float,
    seed: int,
    parcels: Sequence[int] | None = None,
) -> Split:
    """Assign ground to splits by a seeded permutation, so that the shares are met overall.

    Args:
        weights: Per block: its number of labels. Blocks without any go nowhere.
        val_split: Share of the labels for validation, in [0, 1).
        test_split: Share for the test, in [0, 1 - *val_split*).
        seed: Decides the permutation.
        parcels: Per block: number of the ground that it shows, which goes into one split with all
            its blocks. Defaults to another for each block.

    Returns:
        The splits. Each share is met as closely as whole parcels in permuted order can, with at
        least one parcel for training and for each share above 0.

    Raises:
        ValueError: If a share is out of range, or there are too few labelled parcels.
    """
    check_shares(val_split, test_split)
    labels = np.asarray(weights, dtype=np.int64)
    places = np.arange(len(labels)) if parcels is None else np.asarray(parcels)
    labels_per_parcel = np.zeros(places.max(initial=-1) + 1, dtype=np.int64)
    np.add.at(labels_per_parcel, places, labels)
    shares = [share for share in (test_split, val_split) if share > 0]
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels_per_parcel))
    blocks = np.count_nonzero(labels)
    if len(order) < 1 + len(shares):
        raise ValueError(
            f'{len(order)} blocks with labels are too few for {1 + len(shares)} splits'
            f'{" (images that show the same ground share them)" if len(order) < blocks else ""}; '
            'pass a smaller block_size (and size), or fewer splits'
        )
    total = int(labels.sum())
    leave = 1 + (val_split > 0)
    test, order = take_blocks(order, labels_per_parcel, test_split * total, leave=leave)
    val, train = take_blocks(order, labels_per_parcel, val_split * total, leave=1)
    chosen = (np.flatnonzero(np.isin(places, part) & (labels > 0)) for part in (train, val, test))
    return Split(
        **{n: tuple(b.tolist()) for n, b in zip(('train', 'val', 'test'), chosen, strict=True)}
    )


def check_shares(val_split: float, test_split: float) -> None:
    """Refuse shares that leave nothing for training."""
    if min(val_split, test_split) < 0 or val_split + test_split >= 1:
        raise ValueError(
            'val_split and test_split must be >= 0 and leave a part for training, '
            f'got {val_split} and {test_split}'
        )


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
