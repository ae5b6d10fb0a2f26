"""Sides of the components in a strip of a class map, and which pixels belong together.

A component is a set of pixels of one value that are connected over their sides. It lies to the
right of its outline: tops of pixels are walked from left to right, bottoms from right to left,
right sides down and left sides up. Only horizontal sides are listed, as *segments*; vertical ones
join them.

A strip is given as one array: the row above it and its own rows, with a column of nothing (0) on
both sides. A *position* is an index into all of it, row by row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

type Positions = NDArray[np.int64]
"""Integers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segments:
    """Horizontal sides of components, as long as they are straight and have one value."""

    line: Positions
    """Line between rows, from 0 for the one above the strip."""

    start: Positions
    """Column where a segment begins, counted between pixels, nothing on the left included."""

    stop: Positions
    """Column where it ends."""

    comes_down: NDArray[np.bool_]
    """Whether the outline comes down to its beginning, rather than up."""

    goes_down: NDArray[np.bool_]
    """Whether the outline goes down from its end, rather than up."""

    touches_start: NDArray[np.bool_]
    """Whether a pixel of the same value lies diagonally across its start, and none beside it."""

    touches_stop: NDArray[np.bool_]
    """The same of its end."""

    pixel: Positions
    """Position of its leftmost pixel."""

    def __len__(self) -> int:
        """Count segments."""
        return len(self.line)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """Pixels of one value side by side within a row; nothing (0) has none."""

    start: Positions
    """Position of the first pixel, ascending."""

    stop: Positions
    """Position after the last one."""

    value: NDArray[np.integer]
    """Value of its pixels."""

    def find(self, pixels: Positions) -> Positions:
        """Find the runs of pixels that are not nothing."""
        return np.searchsorted(self.start, pixels, side='right') - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frontier:
    """Where outlines cross a line between rows, once per run of the row above it, from the left."""

    heads: Positions
    """Columns where they go up."""

    tails: Positions
    """Columns where they come down."""


def find_segments(grid: NDArray[np.integer]) -> Segments:
    """List the horizontal sides of all components between the rows of a strip.

    Args:
        grid: Shape (1 + rows, 1 + cols + 1); the line below its last row belongs to the next strip.

    Returns:
        Tops, then bottoms, each row by row.
    """
    stride = grid.shape[1]
    flat = grid.ravel()
    # positions of the pixel above
    sides = np.flatnonzero(grid[:-1] != grid[1:])
    tops = _straight(flat, sides, own=stride, other=0)
    bottoms = _straight(flat, sides, own=0, other=stride)
    count = len(tops.first)
    left = np.concatenate([tops.first, bottoms.first]) % stride
    right = np.concatenate([tops.last, bottoms.last]) % stride + 1
    is_top = np.arange(len(left)) < count
    return Segments(
        line=np.concatenate([tops.first, bottoms.first]) // stride,
        start=np.where(is_top, left, right),
        stop=np.where(is_top, right, left),
        # an outline turns towards its pixel beyond its end, unless the next pixel bars the way
        comes_down=np.concatenate([tops.left_own, ~bottoms.right_own]),
        goes_down=np.concatenate([~tops.right_own, bottoms.left_own]),
        touches_start=np.concatenate([tops.left_touches, bottoms.right_touches]),
        touches_stop=np.concatenate([tops.right_touches, bottoms.left_touches]),
        pixel=np.concatenate([tops.first + stride, bottoms.first]),
    )


def find_runs(grid: NDArray[np.integer]) -> Runs:
    """List the runs of all rows, the one above the strip included."""
    flat = grid.ravel()
    # rows are divided by columns of nothing
    bounds = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    value = flat[bounds]
    something = np.flatnonzero(value)
    # behind the last pixel of something there is always a bound
    return Runs(start=bounds[something], stop=bounds[something + 1], value=value[something])


def connect_runs(grid: NDArray[np.integer], runs: Runs, known: Positions) -> Positions:
    """Say which runs belong to one component, as far as it has been seen.

    Args:
        grid: As in :func:`find_segments`.
        runs: All of its runs.
        known: Per run of the row above the strip: number of its component.

    Returns:
        Per run: number of its component, from 0.
    """
    flat, stride = grid.ravel(), grid.shape[1]
    first = len(known)
    last = int(np.searchsorted(runs.start, flat.size - stride))
    # two runs that meet do so where one of them begins
    upper, lower = runs.start[first:] - stride, runs.start[:last] + stride
    joins_upper = flat[upper] == runs.value[first:]
    joins_lower = flat[lower] == runs.value[:last]
    # runs of the row above may be one component without meeting here
    order = np.argsort(known, kind='stable')
    is_same = known[order][1:] == known[order][:-1]
    one = [np.flatnonzero(joins_upper) + first, np.flatnonzero(joins_lower), order[1:][is_same]]
    other = [runs.find(upper[joins_upper]), runs.find(lower[joins_lower]), order[:-1][is_same]]
    rows, cols = np.concatenate(one), np.concatenate(other)
    joined = coo_array(
        (np.ones(len(rows), dtype=np.bool_), (rows, cols)), shape=(len(runs.start),) * 2
    )
    _, labels = connected_components(joined, directed=False)
    return np.asarray(labels, dtype=np.int64)


def link_segments(segments: Segments, *, rows: int, above: Frontier, below: Frontier) -> Positions:
    """Say what follows upon each piece of an outline.

    Pieces are the segments, then what hangs down into the strip (chains: each goes up at a head and
    comes down at a tail), then what will go on below it (as if the runs of the last row ended
    there: each comes down at a tail and goes up at a head).

    Args:
        segments: Of the strip.
        rows: Its number of rows.
        above: Where the chains cross the line above the strip.
        below: Where outlines cross the line below it.

    Returns:
        Per piece: number of the next one, every piece once.
    """
    count, chains, runs = len(segments), len(above.heads), len(below.heads)
    height = rows + 2

    def keys(cols: Positions, lines: Positions | int) -> Positions:
        return cols * height + lines

    begins = keys(segments.start, segments.line + 1)
    ends = keys(segments.stop, segments.line + 1)
    hanging = np.arange(count, count + chains)
    going_on = np.arange(count + chains, count + chains + runs)
    following = np.empty(count + chains + runs, dtype=np.int64)
    # vertical sides of one direction begin and end in turn down a column
    for down in (True, False):
        here = np.flatnonzero(segments.goes_down == down)
        there = np.flatnonzero(segments.comes_down == down)
        from_keys, from_pieces = [ends[here]], [here]
        to_keys, to_pieces = [begins[there]], [there]
        if down:
            from_keys.append(keys(above.tails, 0))
            from_pieces.append(hanging)
            to_keys.append(keys(below.tails, rows + 1))
            to_pieces.append(going_on)
        else:
            from_keys.append(keys(below.heads, rows + 1))
            from_pieces.append(going_on)
            to_keys.append(keys(above.heads, 0))
            to_pieces.append(hanging)
        order = np.argsort(np.concatenate(from_keys)), np.argsort(np.concatenate(to_keys))
        following[np.concatenate(from_pieces)[order[0]]] = np.concatenate(to_pieces)[order[1]]
    return following


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Straight:
    """Sides of pixels in a row, taken together where an outline goes straight on."""

    first: Positions
    last: Positions
    left_own: NDArray[np.bool_]
    """Whether the next pixel on the left is of the same value."""

    right_own: NDArray[np.bool_]
    left_touches: NDArray[np.bool_]
    """Whether it is not, but the one diagonally across is."""

    right_touches: NDArray[np.bool_]


def _straight(flat: NDArray[np.integer], sides: Positions, *, own: int, other: int) -> _Straight:
    """Take sides together.

    Args:
        flat: All pixels.
        sides: Positions of the pixels above the sides.
        own: Step from there to the pixel whose sides are wanted.
        other: Step from there to the pixel across.

    Returns:
        Positions of the pixels above the first and the last side of each.
    """
    value = flat[sides + own]
    something = value != 0
    sides, value = sides[something], value[something]
    is_first = np.ones(len(sides), dtype=np.bool_)
    is_first[1:] = (sides[1:] != sides[:-1] + 1) | (value[1:] != value[:-1])
    is_last = np.ones(len(sides), dtype=np.bool_)
    is_last[:-1] = is_first[1:]
    first, last, value = sides[is_first], sides[is_last], value[is_first]
    left_own, right_own = flat[first - 1 + own] == value, flat[last + 1 + own] == value
    return _Straight(
        first=first,
        last=last,
        left_own=left_own,
        right_own=right_own,
        left_touches=~left_own & (flat[first - 1 + other] == value),
        right_touches=~right_own & (flat[last + 1 + other] == value),
    )
