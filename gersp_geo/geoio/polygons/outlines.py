"""Outlines of the components of a class map that comes in strips."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .rings import (
    ROW,
    START,
    STOP,
    TOUCHES_START,
    TOUCHES_STOP,
    Chain,
    Rings,
    Table,
    close_rings,
    join_walk,
    split_at_touches,
    walk,
)
from .segments import (
    Frontier,
    Runs,
    Segments,
    connect_runs,
    find_runs,
    find_segments,
    link_segments,
)

_NOWHERE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlines:
    """Components that are complete."""

    values: NDArray[np.int64]
    """Per component: its value in the map."""

    polygons: NDArray[np.int64]
    """Where the rings of each component begin, and where the last end, shape (components + 1,). The
    first ring of a component surrounds it, the others its holes."""

    rings: NDArray[np.int64]
    """Where the segments of each ring begin, and where the last end, shape (rings + 1,)."""

    segments: NDArray[np.int32]
    """Horizontal sides: row, column of the beginning and of the end, counted between pixels, with
    the component on the right; shape (segments, 3). What joins them is vertical."""

    def __len__(self) -> int:
        """Count components."""
        return len(self.values)

    def select(self, chosen: NDArray[np.bool_]) -> Self:
        """Keep some components.

        Args:
            chosen: Per component: whether it is kept.

        Returns:
            These, in the same order.
        """
        is_ring = np.repeat(chosen, np.diff(self.polygons))
        is_segment = np.repeat(is_ring, np.diff(self.rings))
        return replace(
            self,
            values=self.values[chosen],
            polygons=offsets(np.diff(self.polygons)[chosen]),
            rings=offsets(np.diff(self.rings)[is_ring]),
            segments=self.segments[is_segment],
        )

    def sum_up(self, above: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum up what the pixels of each component count, where that depends on their row alone.

        Args:
            above: What all pixels of one column count that lie above each line between rows, from
                the line above the first row to the one below the last.

        Returns:
            Per component.
        """
        rows, start, stop = self.segments.T
        if not len(self):
            return np.zeros(0)
        # bottoms lead to the left
        return np.add.reduceat(above[rows] * (start - stop), self.rings[self.polygons[:-1]])


def trace_outlines(strips: Iterable[NDArray[np.integer]]) -> Iterator[Outlines]:
    """Trace the components of a map that comes in strips from top to bottom.

    What is held is one strip, and the outlines of components that the next strip may go on with.

    Args:
        strips: Each of shape (rows, cols), of the same columns; 0 belongs to no component, other
            values are classes.

    Yields:
        Per strip, and once more after the last one: components that are complete. Over all, every
        component comes once, and has the same rings whatever the strips.
    """
    tracer: _Tracer | None = None
    for strip in strips:
        if tracer is None:
            tracer = _Tracer(strip.shape[1])
        yield tracer.add(strip)
    if tracer is not None:
        yield tracer.add(np.zeros((1, tracer.width), dtype=np.uint8))


def join_outlines(parts: Sequence[Outlines]) -> Outlines:
    """Put several together.

    Args:
        parts: At least one.

    Returns:
        Their components, in order.
    """
    return Outlines(
        values=np.concatenate([part.values for part in parts]),
        polygons=offsets(np.concatenate([np.diff(part.polygons) for part in parts])),
        rings=offsets(np.concatenate([np.diff(part.rings) for part in parts])),
        segments=np.concatenate([part.segments for part in parts]),
    )


def offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Turn numbers of things into where they begin, and where the last end."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


_NONE = Outlines(
    values=_NOWHERE,
    polygons=offsets(_NOWHERE),
    rings=offsets(_NOWHERE),
    segments=np.zeros((0, 3), dtype=np.int32),
)


class _Tracer:
    """What is open between two strips."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.row = 0
        self.above: NDArray[np.integer] = np.zeros(width, dtype=np.uint8)
        # per run of the row above: its component, and the chain that comes down on its right
        self.components = _NOWHERE
        self.chains: list[Chain] = []
        self.frontier = Frontier(heads=_NOWHERE, tails=_NOWHERE)
        # per open component: segments of its closed rings, and how many each has
        self.rings: dict[int, list[tuple[bytes, bytes]]] = {}

    def add(self, strip: NDArray[np.integer]) -> Outlines:
        """Trace a strip, and return what is complete."""
        if not self.chains and not strip.any():
            # such are most strips of a map that is filled in a few places
            self.row += len(strip)
            return _NONE
        grid = np.zeros((len(strip) + 1, self.width + 2), dtype=np.result_type(strip, self.above))
        grid[0, 1:-1] = self.above
        grid[1:, 1:-1] = strip
        runs = find_runs(grid)
        components = connect_runs(grid, runs, self.components)
        rings = self._walk(grid, runs)
        # rings are owned by segments so far
        rings = replace(rings, owners=components[runs.find(rings.owners)])
        is_last = runs.start >= len(strip) * grid.shape[1]
        complete = self._sort_out(rings, components, runs.value, is_last)
        self.components = components[is_last]
        self.above = grid[-1, 1:-1].copy()
        self.row += len(strip)
        return complete

    def _walk(self, grid: NDArray[np.integer], runs: Runs) -> Rings:
        """Follow the outlines of a strip; what stays open becomes the chains of the next one.

        Returns:
            What was closed; the owner of a ring is the position of a pixel of its component.
        """
        rows, stride = len(grid) - 1, grid.shape[1]
        is_last = runs.start >= rows * stride
        below = Frontier(heads=runs.start[is_last] % stride, tails=runs.stop[is_last] % stride)
        segments = find_segments(grid)
        following = link_segments(segments, rows=rows, above=self.frontier, below=below)
        table = _tabulate(segments, self.row)
        open_from = len(segments) + len(self.chains)
        walks = walk(following, segments=len(segments), open_from=open_from)
        rings, first = close_rings(walks, table, self.chains)
        rings = split_at_touches(replace(rings, owners=segments.pixel[first]))
        walked = np.array(walks.open, dtype=np.int64)
        chains = [
            join_walk(walked[start:stop], table, self.chains)
            for start, stop in zip([0, *walks.open_stops], walks.open_stops, strict=False)
        ]
        tails = np.array(walks.tails, dtype=np.int64)
        self.chains = chains
        self.frontier = Frontier(heads=below.heads, tails=below.tails[tails])
        return rings

    def _sort_out(
        self,
        rings: Rings,
        components: NDArray[np.int64],
        values: NDArray[np.integer],
        is_last: NDArray[np.bool_],
    ) -> Outlines:
        """Keep the rings of open components, and return complete components.

        Args:
            rings: Owned by components.
            components: Per run of the strip.
            values: The same.
            is_last: Whether it lies in the last row.
        """
        count = int(components.max(initial=-1)) + 1
        is_open = np.zeros(count, dtype=np.bool_)
        is_open[components[is_last]] = True
        value = np.zeros(count, dtype=np.int64)
        value[components] = values
        known = dict(zip(self.components.tolist(), components.tolist(), strict=False))
        kept: dict[int, list[tuple[bytes, bytes]]] = {}
        released = [rings.take(np.flatnonzero(~is_open[rings.owners]))]
        for old, stored in self.rings.items():
            new = known[old]
            if is_open[new]:
                longer, shorter = sorted((kept.get(new, []), stored), key=len, reverse=True)
                longer += shorter
                kept[new] = longer
            else:
                released += [_unpack(*packed, owner=new) for packed in stored]
        for owner, packed in _pack(rings.take(np.flatnonzero(is_open[rings.owners]))):
            kept.setdefault(owner, []).append(packed)
        self.rings = kept
        return _assemble(released, value)


def _tabulate(segments: Segments, row: int) -> Table:
    """Put segments in a table, with rows and columns of the map."""
    touches = TOUCHES_START * segments.touches_start + TOUCHES_STOP * segments.touches_stop
    columns = [segments.line + row, segments.start - 1, segments.stop - 1, touches]
    return np.stack(columns, axis=1).astype(np.int32)


def _pack(rings: Rings) -> Iterator[tuple[int, tuple[bytes, bytes]]]:
    """Pack the rings of each owner."""
    rings = rings.take(np.argsort(rings.owners, kind='stable'))
    owners, counts = np.unique(rings.owners, return_counts=True)
    begin = offsets(rings.lengths)
    for owner, (start, stop) in zip(owners.tolist(), pairwise(offsets(counts)), strict=True):
        segments = rings.table[begin[start] : begin[stop]]
        yield owner, (segments.tobytes(), rings.lengths[start:stop].tobytes())


def _unpack(segments: bytes, lengths: bytes, *, owner: int) -> Rings:
    """Undo :func:`_pack`."""
    counts = np.frombuffer(lengths, dtype=np.int64)
    table = np.frombuffer(segments, dtype=np.int32).reshape(-1, 4)
    return Rings(table=table, lengths=counts, owners=np.full(len(counts), owner))


def _assemble(parts: Sequence[Rings], value: NDArray[np.int64]) -> Outlines:
    """Group rings by component, the one around it first."""
    table = np.concatenate([part.table for part in parts])
    lengths = np.concatenate([part.lengths for part in parts])
    owners = np.concatenate([part.owners for part in parts])
    begin = offsets(lengths)[:-1]
    strips = np.multiply(table[:, ROW], table[:, START] - table[:, STOP], dtype=np.int64)
    signed = np.add.reduceat(strips, begin) if len(begin) else begin
    # tops lead to the right around a component, and to the left around a hole
    is_around = signed > 0
    order = np.lexsort((~is_around, owners))
    rings = Rings(table=table, lengths=lengths, owners=owners).take(order)
    assert is_around.sum() == len(np.unique(owners)), 'a component has one ring around it'
    polygons = np.flatnonzero(is_around[order])
    return Outlines(
        values=value[rings.owners[polygons]],
        polygons=np.append(polygons, len(rings)),
        rings=offsets(rings.lengths),
        segments=np.ascontiguousarray(rings.table[:, [ROW, START, STOP]]),
    )
