"""Follow outlines around, across strips, and make rings of them that do not touch themselves."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

# columns of a table of segments: row of the line between pixels, column of its beginning and of its
# end, and at which of them an outline may touch itself
ROW, START, STOP, TOUCHES = range(4)
TOUCHES_START, TOUCHES_STOP = 1, 2

type Table = NDArray[np.int32]
"""Segments one after the other along outlines, shape (segments, 4)."""

type Chain = deque[bytes]
"""Rows of a table in pieces, whose ends go on in the next strip."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rings:
    """Closed outlines."""

    table: Table
    """Segments, ring by ring."""

    lengths: NDArray[np.int64]
    """Segments of each ring."""

    owners: NDArray[np.int64]
    """What each ring belongs to."""

    def __len__(self) -> int:
        """Count rings."""
        return len(self.lengths)

    def take(self, rings: NDArray[np.int64]) -> 'Rings':
        """Pick rings by their numbers, in the order given."""
        lengths = self.lengths[rings]
        begin = np.cumsum(self.lengths) - self.lengths
        # rows of the table count up from where each ring begins
        chosen = np.repeat(begin[rings] - (np.cumsum(lengths) - lengths), lengths)
        chosen += np.arange(len(chosen))
        return Rings(table=self.table[chosen], lengths=lengths, owners=self.owners[rings])


@dataclass(frozen=True, slots=True, kw_only=True)
class Walks:
    """Pieces of outlines, one after the other."""

    closed: list[int]
    """Pieces of closed ones."""

    closed_stops: list[int]
    """Where each ends within these."""

    open: list[int]
    """Pieces of open ones, of which one begins wherever an outline goes up from below the strip."""

    open_stops: list[int]
    """Where each ends within these."""

    tails: list[int]
    """Per open one: number of the place where it comes down below the strip."""


def walk(following: NDArray[np.int64], *, segments: int, open_from: int) -> Walks:
    """Walk along all outlines.

    A step of the loop takes 0.1 microseconds, less than a share in any array operation that finds
    the order along all outlines at once.

    Args:
        following: Per piece: the next one, as of :func:`.segments.link_segments`.
        segments: Pieces that are segments; every closed outline has one of them.
        open_from: First of the pieces that go on below the strip.

    Returns:
        Every other piece once. A closed outline begins with a segment.
    """
    to_do = following.tolist()
    walked: list[int] = []
    open_stops, tails = [], []
    for beginning in range(open_from, len(to_do)):
        piece = to_do[beginning]
        while piece < open_from:
            walked.append(piece)
            # -1 marks what is done
            to_do[piece], piece = -1, to_do[piece]
        open_stops.append(len(walked))
        tails.append(piece - open_from)
    closed: list[int] = []
    closed_stops = []
    for beginning in range(segments):
        piece = to_do[beginning]
        if piece < 0:
            continue
        closed.append(beginning)
        while piece != beginning:
            closed.append(piece)
            to_do[piece], piece = -1, to_do[piece]
        closed_stops.append(len(closed))
    return Walks(
        closed=closed, closed_stops=closed_stops, open=walked, open_stops=open_stops, tails=tails
    )


def close_rings(walks: Walks, table: Table, chains: Sequence[Chain]) -> tuple[Rings, list[int]]:
    """Turn closed walks into rings.

    Args:
        walks: Along the segments of *table*, then *chains*.
        table: Segments of a strip.
        chains: Pieces that hang down into it; those that are used up are changed.

    Returns:
        Rings, each the owner of itself; and the first segment of each, a number within *table*.
    """
    closed = np.array(walks.closed, dtype=np.int64)
    stops = np.array(walks.closed_stops, dtype=np.int64)
    lengths = np.diff(stops, prepend=0)
    begins = stops - lengths
    is_chain = closed >= len(table)
    mixed = np.unique(np.searchsorted(stops, np.flatnonzero(is_chain), side='right'))
    is_mixed = np.zeros(len(stops), dtype=np.bool_)
    is_mixed[mixed] = True
    plain = table[closed[~np.repeat(is_mixed, lengths)]]
    joined = [
        b''.join(join_walk(closed[begins[ring] : stops[ring]], table, chains)) for ring in mixed
    ]
    rows = [len(data) // (table.shape[1] * table.itemsize) for data in joined]
    rest = np.frombuffer(b''.join(joined), dtype=table.dtype).reshape(-1, table.shape[1])
    order = np.concatenate([np.flatnonzero(~is_mixed), mixed])
    rings = Rings(
        table=np.concatenate([plain, rest]),
        lengths=np.concatenate([lengths[~is_mixed], np.array(rows, dtype=np.int64)]),
        owners=np.arange(len(order)),
    )
    return rings, closed[begins[order]]


def join_walk(pieces: NDArray[np.int64], table: Table, chains: Sequence[Chain]) -> Chain:
    """Join the pieces of a walk.

    Args:
        pieces: Numbers of segments, from ``len(table)`` on of chains.
        table: Segments.
        chains: Those that are used are changed.

    Returns:
        All of it.
    """
    at = np.flatnonzero(pieces >= len(table)).tolist()
    if not at:
        return deque([table[pieces].tobytes()])
    parts: list[Chain] = []
    for before, place in pairwise([-1, *at]):
        if place > before + 1:
            parts.append(deque([table[pieces[before + 1 : place]].tobytes()]))
        parts.append(chains[pieces[place] - len(table)])
    if at[-1] + 1 < len(pieces):
        parts.append(deque([table[pieces[at[-1] + 1 :]].tobytes()]))
    # the longest part grows at both ends, so that it is not copied in every strip
    middle = max(range(len(parts)), key=lambda place: len(parts[place]))
    whole = parts[middle]
    for part in reversed(parts[:middle]):
        whole.extendleft(reversed(part))
    for part in parts[middle + 1 :]:
        whole.extend(part)
    return whole


def split_at_touches(rings: Rings) -> Rings:
    """Cut rings where they touch themselves, into rings that do not.

    Where two pixels of one component lie diagonally across a corner, a ring may pass this corner
    twice, which no valid polygon does. Walks do not cross, so that the cuts do not depend on their
    order.

    Args:
        rings: As they were walked.

    Returns:
        Rings that pass a corner once; each part of a ring has its owner.
    """
    ring_of = np.repeat(np.arange(len(rings)), rings.lengths)
    places, keys = _touching(rings.table, ring_of)
    if not len(places):
        return rings
    touched = ring_of[places // 2]
    ends = np.cumsum(rings.lengths)
    picked: list[NDArray[np.int64]] = []
    lengths, sources = [], []
    visits = zip(touched.tolist(), ((places + 1) // 2).tolist(), keys.tolist(), strict=True)
    for ring, group in groupby(visits, key=itemgetter(0)):
        stop = int(ends[ring])
        start = stop - int(rings.lengths[ring])
        for loop in _loops([(cut, key) for _, cut, key in group], start=start, stop=stop):
            picked += [np.arange(*part) for part in loop]
            lengths.append(sum(after - before for before, after in loop))
            sources.append(ring)
    is_whole = np.ones(len(rings), dtype=np.bool_)
    is_whole[touched] = False
    chosen = np.concatenate([np.flatnonzero(is_whole[ring_of]), *picked])
    return Rings(
        table=rings.table[chosen],
        lengths=np.concatenate([rings.lengths[is_whole], np.array(lengths, dtype=np.int64)]),
        owners=np.concatenate([rings.owners[is_whole], rings.owners[sources]]),
    )


def _touching(
    table: Table, ring_of: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find where rings pass a corner twice.

    Returns:
        Places along the rings, twice the number of a segment, plus one for its end, ascending; and
        for each a number that it shares with the other one at this corner.
    """
    at_start = np.flatnonzero(table[:, TOUCHES] & TOUCHES_START)
    at_stop = np.flatnonzero(table[:, TOUCHES] & TOUCHES_STOP)
    places = np.concatenate([2 * at_start, 2 * at_stop + 1])
    segment = places // 2
    corner = np.stack(
        [
            ring_of[segment],
            table[segment, ROW],
            np.concatenate([table[at_start, START], table[at_stop, STOP]]),
        ]
    )
    order = np.lexsort(corner)
    same = np.flatnonzero((corner[:, order[1:]] == corner[:, order[:-1]]).all(axis=0))
    pairs = np.concatenate([places[order[same]], places[order[same + 1]]])
    keys = np.tile(np.arange(len(same)), 2)
    along = np.argsort(pairs)
    return pairs[along], keys[along]


def _loops(
    visits: Sequence[tuple[int, int]], *, start: int, stop: int
) -> list[list[tuple[int, int]]]:
    """Cut one ring.

    Args:
        visits: Corners that are passed twice, along the ring: the segment before which to cut, and
            the corner.
        start: First segment of the ring.
        stop: One past the last.

    Returns:
        Per loop: the parts of the ring that it is made of, each from a segment up to another one.
    """
    loops = []
    cuts = [cut for cut, _ in visits]
    parts = [[part] for part in pairwise(cuts)] + [[(cuts[-1], stop), (start, cuts[0])]]
    path: list[tuple[int, list[tuple[int, int]]]] = []
    places: dict[int, int] = {}
    for (_, corner), part in zip(visits, parts, strict=True):
        if corner in places:
            place = places[corner]
            loops.append([piece for _, pieces in path[place:] for piece in pieces])
            del path[place:]
        places[corner] = len(path)
        path.append((corner, part))
    return [*loops, [piece for _, pieces in path for piece in pieces]]
