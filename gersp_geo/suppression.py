"""Greedy suppression of boxes that arrive patch by patch, each settled once nothing can change it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

type Match = Literal['iou', 'ios']
"""Shared area over the area of both boxes together, or over that of the smaller one."""

type Places = NDArray[np.int64]
"""Indices of boxes, shape (n,)."""

type Floats = NDArray[np.float64]

type Flags = NDArray[np.bool_]

type Areas = tuple[Floats, Floats, Floats]
"""Per pair: the area that both share, that of the first and that of the second."""

# pairs of boxes that are compared at once: about 100 MB of indices and coordinates
_PAIRS = 2**20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """What a model found, in pixels of the scene; one row per box."""

    boxes: Floats
    """Left, top, right and bottom, shape (n, 4); each has an extent."""

    labels: Places
    """Class, shape (n,)."""

    scores: Floats
    """Shape (n,)."""

    is_cut: Flags
    """Whether the side of a patch may have cut the object off, shape (n,)."""

    is_wanted: Flags
    """Whether it is to be reported; others suppress all the same, shape (n,)."""

    outlines: NDArray[np.object_]
    """Polygon where a box is not the outline, else None, shape (n,)."""

    def __len__(self) -> int:
        """Count the boxes."""
        return len(self.boxes)

    @classmethod
    def none(cls) -> Self:
        """Make an empty one."""
        return cls(
            boxes=np.empty((0, 4)),
            labels=np.empty(0, dtype=np.int64),
            scores=np.empty(0),
            is_cut=np.empty(0, dtype=np.bool_),
            is_wanted=np.empty(0, dtype=np.bool_),
            outlines=np.empty(0, dtype=np.object_),
        )

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Put several one after the other."""
        if not parts:
            return cls.none()
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    def take(self, chosen: Places | Flags) -> Self:
        """Pick some, by index or by flag."""
        names = [field.name for field in fields(self)]
        return type(self)(**{name: getattr(self, name)[chosen] for name in names})


def box_areas(found: Detections, first: Places, second: Places) -> Areas:
    """Measure pairs of boxes.

    Args:
        found: The boxes.
        first: One of each pair.
        second: The other.

    Returns:
        Areas in square pixels.
    """
    one, other = found.boxes[first], found.boxes[second]
    shared = np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2])
    width, height = np.maximum(shared, 0).T
    area_one, area_other = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (one, other))
    return width * height, area_one, area_other


class Suppressor:
    """Keeps the best of boxes that show the same object, and hands them out as soon as it can.

    The rule is that of greedy non-maximum suppression over the whole scene: from the best box to
    the worst, a box is kept unless it overlaps a kept one of its class by more than a threshold.
    Whole boxes are better than cut ones, and of cut ones the larger, which shows more; then the
    higher score is better, then the box further up, then the one further left. Of a cut box, the
    share of its own area that lies inside the other box counts, if that is more than *match*.

    Whether a box is kept depends on the better ones that it overlaps, and on nothing else. So it is
    settled as soon as no later box can reach it and those are settled; of a connected component
    of overlapping boxes, all are when the component can no longer be reached. Only boxes that are
    not settled stay in memory, and the result is that of all boxes at once.
    """

    def __init__(
        self,
        *,
        threshold: float,
        match: Match = 'iou',
        measure: Callable[[Detections, Places, Places], Areas] = box_areas,
    ) -> None:
        """Set up without boxes.

        Args:
            threshold: Overlap from which on, exclusively, boxes show one object; in [0, 1].
            match: How overlap is measured.
            measure: Areas of pairs of outlines; asked only of pairs whose boxes share an area.

        Raises:
            ValueError: If *threshold* or *match* is out of range.
        """
        if not 0 <= threshold <= 1:
            raise ValueError(f'the threshold of overlap must be in [0, 1], got {threshold}')
        if match not in ('iou', 'ios'):
            raise ValueError(f"match must be 'iou' or 'ios', got {match!r}")
        self.threshold = threshold
        self.match = match
        self.measure = measure
        self._open = Detections.none()
        # places of two boxes that show one object, the better one first
        self._better, self._worse = _no_places(), _no_places()
        self._open_row = self._open_col = -np.inf

    def __len__(self) -> int:
        """Count the boxes that are not settled."""
        return len(self._open)

    def add(self, found: Detections, *, open_row: float, open_col: float = np.inf) -> Detections:
        """Add boxes, in any order, and settle what no later box can reach.

        Args:
            found: Boxes; none lies partly above the open row and left of the open column of the
                call before.
            open_row: All that come later begin at this row of pixels or below it, or else ...
            open_col: ... at this column of pixels or right of it.

        Returns:
            Boxes that are kept and were not handed out before, from top to bottom.

        Raises:
            ValueError: If a box lies where none should come any more.
        """
        left, top = found.boxes[:, 0], found.boxes[:, 1]
        if np.any((top < self._open_row) & (left < self._open_col)):
            raise ValueError(
                f'a box begins above the open row {self._open_row} and left of the open column '
                f'{self._open_col}; boxes above were settled'
            )
        self._open_row, self._open_col = open_row, open_col
        first_new = len(self._open)
        self._open = Detections.join([self._open, found])
        rank = _rank(self._open)
        self._compare(first_new, rank)
        right, bottom = self._open.boxes[:, 2], self._open.boxes[:, 3]
        is_out_of_reach = (bottom <= open_row) & (right <= open_col)
        is_kept, is_suppressed = _decide(self._better, self._worse, rank, is_out_of_reach)
        kept = self._open.take(is_kept)
        self._forget(is_kept | is_suppressed)
        return kept.take(_by_position(kept))

    def finish(self) -> Detections:
        """Settle all that is left."""
        return self.add(Detections.none(), open_row=np.inf)

    def _compare(self, first_new: int, rank: Places) -> None:
        """Find which of the new boxes show one object with others."""
        found = self._open
        better, worse = [self._better], [self._worse]
        for one, other in _touching(found.boxes, found.labels, first_new):
            is_better = rank[one] < rank[other]
            best, rest = np.where(is_better, one, other), np.where(is_better, other, one)
            shared, area, area_of_rest = self.measure(found, best, rest)
            overlap = shared / (
                area + area_of_rest - shared
                if self.match == 'iou'
                else np.minimum(area, area_of_rest)
            )
            cut = found.is_cut[rest]
            overlap[cut] = np.maximum(overlap[cut], shared[cut] / area_of_rest[cut])
            is_same = overlap > self.threshold
            better.append(best[is_same])
            worse.append(rest[is_same])
        self._better, self._worse = np.concatenate(better), np.concatenate(worse)

    def _forget(self, is_settled: Flags) -> None:
        """Leave out what is settled."""
        is_left = ~is_settled
        self._open = self._open.take(is_left)
        place = np.cumsum(is_left) - 1
        still = is_left[self._better] & is_left[self._worse]
        self._better, self._worse = place[self._better[still]], place[self._worse[still]]


def _no_places() -> Places:
    """Make an empty array of indices."""
    return np.empty(0, dtype=np.int64)


def _rank(found: Detections) -> Places:
    """Number boxes from the best to the worst, whatever order they came in."""
    left, top, right, bottom = found.boxes.T
    smallness = np.where(found.is_cut, -(right - left) * (bottom - top), 0)
    keys = (found.labels, right, bottom, left, top, -found.scores, smallness, found.is_cut)
    rank = np.empty(len(found), dtype=np.int64)
    rank[np.lexsort(keys)] = np.arange(len(found))
    return rank


def _by_position(found: Detections) -> Places:
    """Order boxes from top to bottom, then from left to right."""
    left, top, right, bottom = found.boxes.T
    return np.lexsort((found.labels, -found.scores, right, bottom, left, top))


def _touching(boxes: Floats, labels: Places, first_new: int) -> Iterator[tuple[Places, Places]]:
    """List pairs of boxes of one class that share an area, of which at least one is new.

    Swept from left to right: behind a box in the order of left sides come those that begin before
    it ends. Boxes of a row of patches lie side by side, so that few of these do not touch it.

    Args:
        boxes: Left, top, right and bottom, shape (n, 4).
        labels: Class, shape (n,).
        first_new: Boxes from this one on are new.

    Yields:
        Indices, each pair once.
    """
    new = boxes[first_new:]
    if not len(new):
        return
    is_near = (boxes[:, 3] > new[:, 1].min()) & (boxes[:, 1] < new[:, 3].max())
    near = np.flatnonzero(is_near)
    near = near[np.argsort(boxes[near, 0], kind='stable')]
    left, top, right, bottom = boxes[near].T
    is_new, kind = near >= first_new, labels[near]
    follows = np.arange(1, len(near) + 1)
    counts = np.searchsorted(left, right, side='left') - follows
    before = np.concatenate([[0], np.cumsum(counts)])
    start = 0
    while start < len(near):
        stop = max(
            int(np.searchsorted(before, before[start] + _PAIRS, side='right')) - 1, start + 1
        )
        one = np.repeat(np.arange(start, stop), counts[start:stop])
        # counts up from the box behind it, for each
        other = np.arange(before[start], before[stop]) - np.repeat(
            before[start:stop] - follows[start:stop], counts[start:stop]
        )
        touches = (top[one] < bottom[other]) & (top[other] < bottom[one])
        touches &= (kind[one] == kind[other]) & (is_new[one] | is_new[other])
        yield near[one[touches]], near[other[touches]]
        start = stop


def _decide(
    better: Places, worse: Places, rank: Places, is_out_of_reach: Flags
) -> tuple[Flags, Flags]:
    """Settle what can be settled.

    Args:
        better: Boxes, each of which shows one object with ...
        worse: ... a worse box.
        rank: Per box: place in the order from the best to the worst.
        is_out_of_reach: Per box: whether no later box can touch it.

    Returns:
        Per box: whether it is kept, and whether it is suppressed; neither means not settled.
    """
    is_suppressed = np.zeros(len(rank), dtype=np.bool_)
    # behind a better box that is not settled
    is_waiting = np.zeros(len(rank), dtype=np.bool_)
    order = np.argsort(rank[better], kind='stable')
    better, worse = better[order], worse[order]
    starts = np.flatnonzero(np.diff(better, prepend=-1))
    edges = [*starts.tolist(), len(better)]
    # all that decides about a box comes before it
    for box, (start, stop) in zip(better[starts].tolist(), pairwise(edges), strict=True):
        if is_suppressed[box]:
            continue
        is_certain = is_out_of_reach[box] and not is_waiting[box]
        (is_suppressed if is_certain else is_waiting)[worse[start:stop]] = True
    return is_out_of_reach & ~is_suppressed & ~is_waiting, is_suppressed
