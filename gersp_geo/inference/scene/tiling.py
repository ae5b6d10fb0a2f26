"""What a cut into patches means: their weights, where panels may meet, and how many are read."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...geoio.read import RasterHeader, padded_window
from ...geoio.vector import Area
from ...stitching import Weighting, axis_weights, crop_weights, weigh_axis
from ...tiling import TilePlan, keep_ranges
from ...windows import Panel, Window


def weigh_patches(plan: TilePlan, *, blend: str, margin: int) -> Weighting:
    """Weigh the patches of a plan.

    Args:
        plan: The plan.
        blend: 'hann', see :func:`axis_weights`, or 'crop', see :func:`crop_weights`.
        margin: For 'hann': pixels at the sides of patches without weight.

    Returns:
        The weights.
    """

    def weigh(offsets: Sequence[int], length: int) -> NDArray[np.float64]:
        if blend == 'crop':
            keeps = keep_ranges(offsets, size=plan.size, length=length)
            return crop_weights(offsets, keeps, size=plan.size)
        return axis_weights(offsets, size=plan.size, length=length, margin=margin)

    axes = [
        weigh_axis(offsets, size=plan.size, length=length, weigh=weigh)
        for offsets, length in ((plan.row_offs, plan.height), (plan.col_offs, plan.width))
    ]
    return Weighting(rows=axes[0], cols=axes[1], exclusive=blend == 'crop')


def panel_cuts(tiles: TilePlan, *, exclusive: bool) -> list[int]:
    """List the columns of pixels at which panels may meet with the least forwarded twice."""
    starts = [start for start, _ in tiles.keep_cols] if exclusive else tiles.col_offs
    return [start for start in starts if 0 < start < tiles.width]


def count_patches(
    tiles: TilePlan,
    panels: Sequence[Panel],
    header: RasterHeader,
    *,
    stored: NDArray[np.bool_] | None,
    area: Area | None,
) -> int:
    """Count the patches that may hold something of interest; those of two panels count twice."""
    times = np.zeros(len(tiles.col_offs), dtype=np.int64)
    for panel in panels:
        times[panel.patches.start : panel.patches.stop] += 1
    if stored is None and area is None:
        return len(tiles.row_offs) * int(times.sum())
    col_offs = np.asarray(tiles.col_offs)
    height, width = header.block_shape
    # columns of blocks that each column of patches reads, mirrored at the sides
    firsts, stops = _touched(tiles.col_offs, size=tiles.size, length=tiles.width, block=width)
    tops, bottoms = _touched(tiles.row_offs, size=tiles.size, length=tiles.height, block=height)
    total = 0
    for row_off, top, bottom in zip(tiles.row_offs, tops, bottoms, strict=True):
        wanted = np.ones(len(col_offs), dtype=np.bool_)
        if stored is not None:
            until = np.concatenate([[0], np.cumsum(stored[top:bottom].any(axis=0))])
            wanted = until[stops] > until[firsts]
        if area is not None and wanted.any():
            rows = (row_off, row_off + tiles.size)
            wanted &= area.touched(header.transform, rows, col_offs, width=tiles.size)
        total += int(times[wanted].sum())
    return total


def _touched(
    offsets: Sequence[int], *, size: int, length: int, block: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List the first block that each patch along an axis touches, and one past the last."""
    firsts, stops = np.empty((2, len(offsets)), dtype=np.int64)
    for place, offset in enumerate(offsets):
        start, stop = offset, offset + size
        if start < 0 or stop > length:
            window = Window(row_off=0, col_off=offset, height=1, width=size)
            _, _, inside = padded_window(window, height=1, width=length)
            start, stop = inside.col_off, inside.col_stop
        firsts[place], stops[place] = start // block, -(-stop // block)
    return firsts, stops
