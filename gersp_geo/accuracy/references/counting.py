"""Pixels of a map and of a reference, counted by pairs of their classes in bounded memory."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..codes import Codes, count_codes

MOST_CLASSES = 1024
"""A map with more holds measurements rather than classes, and no matrix of them can be read."""

# Pixels that are counted at once: few enough for the cache of a core.
_PIXELS_COUNTED = 2**19

# Pairs that are numbered without asking which of them occur, and counts that are made at once.
_MOST_PAIRS, _MOST_COUNTS = 2**16, 2**20


class Tally:
    """Pixels of each pair of codes, and their areas."""

    def __init__(self, row_areas: NDArray[np.float64]) -> None:
        """Initialize a new Tally instance.

        Args:
            row_areas: Area of a pixel of each row of the map, shape (height,).
        """
        self.row_areas = row_areas
        self.is_even = bool(np.ptp(row_areas) == 0)
        self.pixels: Counter[tuple[int, int]] = Counter()
        self._areas: defaultdict[tuple[int, int], float] = defaultdict(float)

    @property
    def areas(self) -> dict[tuple[int, int], float]:
        """Area of each pair of codes."""
        if not self.is_even:
            return dict(self._areas)
        # a product is rounded once, a sum at each step
        return {pair: count * float(self.row_areas[0]) for pair, count in self.pixels.items()}

    def add(self, row_off: int, codes: Codes, references: Codes) -> None:
        """Count the pixels of a window.

        Args:
            row_off: Its first row in the map.
            codes: Of the map.
            references: Of the reference, of the same shape.

        Raises:
            ValueError: If one of them has more classes than a matrix is made of.
        """
        (ours, names), (theirs, others) = _number(codes, references)
        pairs = len(names) * len(others)
        step = max(1, _PIXELS_COUNTED // codes.shape[1])
        if not self.is_even:
            step = max(1, min(step, _MOST_COUNTS // pairs))
        total, areas = np.zeros(pairs, dtype=np.int64), np.zeros(pairs)
        for start in range(0, len(codes), step):
            some = slice(start, start + step)
            counts = self._count(ours[some], theirs[some], len(others), pairs)
            total += counts.sum(axis=0)
            if not self.is_even:
                areas += self.row_areas[row_off + start :][: len(counts)] @ counts
        for place in np.flatnonzero(total).tolist():
            pair = names[place // len(others)], others[place % len(others)]
            self.pixels[pair] += int(total[place])
            self._areas[pair] += float(areas[place])

    def _count(self, ours: Codes, theirs: Codes, width: int, pairs: int) -> NDArray[np.int64]:
        """Count pairs: per row where areas differ, else of all rows at once; shape (n, pairs)."""
        rows = 1 if self.is_even else len(ours)
        kind = (
            np.uint8 if rows * pairs <= 2**8 else np.uint16 if rows * pairs <= 2**16 else np.int64
        )
        fused = np.multiply(ours, np.array(width), dtype=kind, casting='unsafe')
        fused += theirs.astype(kind, copy=False)
        if rows > 1:
            fused += (np.arange(rows) * pairs).astype(kind)[:, None]
        return count_codes(fused, size=rows * pairs).reshape(rows, pairs)


def _number(*codes: Codes) -> list[tuple[Codes, Sequence[int]]]:
    """Number the codes that occur, where numbering all up to the largest would make too many."""
    highest = [int(some.max()) + 1 for some in codes]
    if np.prod(highest) <= _MOST_PAIRS:
        return [(some, range(most)) for some, most in zip(codes, highest, strict=True)]
    numbered: list[tuple[Codes, Sequence[int]]] = []
    for some, most in zip(codes, highest, strict=True):
        found = np.flatnonzero(np.bincount(some.ravel(), minlength=most))
        check_number(int(np.count_nonzero(found)))
        ranks = np.zeros(most, dtype=np.int32)
        ranks[found] = np.arange(len(found))
        numbered.append((ranks[some], found.tolist()))
    return numbered


def check_number(classes: int) -> None:
    """Refuse more classes than a matrix is made of.

    Raises:
        ValueError: If there are more than :data:`MOST_CLASSES`.
    """
    if classes > MOST_CLASSES:
        raise ValueError(
            f'a matrix has at most {MOST_CLASSES:,} classes, and there are {classes:,} or more; '
            "kind (--kind) 'values' compares measurements"
        )
