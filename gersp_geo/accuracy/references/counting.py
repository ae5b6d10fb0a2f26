"""Pixels of a map and of a reference, counted by pairs of their classes in bounded memory."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...geoio.gdal import enter_gdal
from ...geoio.polygons import encode_classes
from ...geoio.read import RasterHeader, Shown
from ...geoio.vector import Area
from ...windows import Window

type Codes = NDArray[np.integer]
"""Classes plus 1, and 0 where there is none, shape (rows, cols)."""

MOST_CLASSES = 1024
"""A map with more holds measurements rather than classes, and no matrix of them can be read."""

# Pixels that are read at once: enough to make the cost per window small.
_PIXELS_READ = 2**22

# Side of the windows of a reference that is read pixel by pixel, whose memory per pixel is large.
_SIDE = 1024

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
        if fused.dtype == np.uint8:
            counts = _count_bytes(fused.ravel())[: rows * pairs]
        else:
            counts = np.bincount(fused.ravel(), minlength=rows * pairs)
        return np.asarray(counts.reshape(rows, pairs))


def _count_bytes(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count each value of some bytes, shape (256,): two at a time, which takes half as long."""
    even = len(values) // 2 * 2
    counts = np.bincount(values[:even].view(np.uint16), minlength=2**16).reshape(2**8, 2**8)
    found = counts.sum(axis=0) + counts.sum(axis=1)
    found[values[even:]] += 1
    return np.asarray(found)


def to_codes(pixels: NDArray[np.generic], valid: Shown, *, name: str) -> Codes:
    """Turn the values of a map into codes.

    Args:
        pixels: Shape (rows, cols); may be changed.
        valid: Where there is an observation, of the same shape; None means everywhere.
        name: The file, for messages.

    Raises:
        ValueError: If a value is no class.
    """
    if pixels.dtype.kind == 'f':
        pixels = _whole(pixels, valid, name=name)
    if pixels.dtype == np.uint8:
        # bytes are counted several times as fast; 255 has no place among them, and becomes 0
        codes: Codes
        if valid is None and int(pixels.max()) < 255:
            codes = np.add(pixels, 1, out=pixels)
            return codes
        if valid is not None:
            codes = np.add(pixels, 1, dtype=np.uint8)
            codes *= valid
            if np.count_nonzero(codes) == np.count_nonzero(valid):
                return codes
    return encode_classes(pixels, valid, name=name)


def _whole(pixels: NDArray[np.generic], valid: Shown, *, name: str) -> NDArray[np.int64]:
    """Turn floats into whole numbers.

    Raises:
        ValueError: If they hold a fraction.
    """
    known = np.isfinite(pixels) if valid is None else valid
    values = np.where(known, pixels, 0)
    whole = np.round(values)
    if (values != whole).any():
        raise ValueError(
            f'classes are whole numbers, {name} holds {values[values != whole][0]:g}; kind (--kind) '
            "'values' compares measurements"
        )
    return np.asarray(whole, dtype=np.int64)


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


def lay_windows(
    header: RasterHeader, *, block_rows: int = 1, is_small: bool = False, area: Area | None = None
) -> Iterator[Window]:
    """Lay windows over a raster, from top to bottom.

    Args:
        header: The raster.
        block_rows: Rows of the blocks of another raster on its grid.
        is_small: Whether windows are squares rather than all columns of some rows.
        area: Where pixels count; windows that do not touch it are left out.
    """
    rows = max(header.block_shape[0], block_rows)
    width = min(_SIDE, header.width) if is_small else header.width
    rows *= max(1, _PIXELS_READ // (rows * header.width))
    # a block may be the whole image
    rows = min(rows, _SIDE if is_small else max(1, 8 * _PIXELS_READ // header.width))
    for row in range(0, header.height, rows):
        for col in range(0, header.width, width):
            window = Window(
                row_off=row,
                col_off=col,
                height=min(rows, header.height - row),
                width=min(width, header.width - col),
            )
            if area is None or area.touches(header.transform, window):
                yield window


def read_ahead(
    reads: Sequence[Callable[[Window], Any]], windows: Iterator[Window]
) -> Iterator[tuple[Window, list[Any]]]:
    """Read windows of several rasters at once, each in a thread of its own, one window ahead.

    Args:
        reads: What reads a window of each; none is called twice at a time.
        windows: What is read.

    Yields:
        Each window, and what was read of it.
    """
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1, initializer=enter_gdal)) for _ in reads]
        pending: deque[tuple[Window, list[Any]]] = deque()
        for window in windows:
            jobs = [pool.submit(read, window) for pool, read in zip(pools, reads, strict=True)]
            pending.append((window, jobs))
            if len(pending) > 1:
                first, done = pending.popleft()
                yield first, [job.result() for job in done]
        for last, done in pending:
            yield last, [job.result() for job in done]
