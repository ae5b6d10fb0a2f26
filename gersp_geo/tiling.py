"""Cut a raster into overlapping patches of one size: integers only."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from .windows import Panel, Patch, Window

MOST_PATCHES = 2**18
"""Patches beside or below each other, at most: what is known of each takes some 500 bytes."""

# Trials of panels times their number: a second, for the widest of scenes.
_TRIALS = 2**19


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePlan:
    """How one tile is cut into patches, rows of patches from top to bottom."""

    height: int
    """Rows of the tile."""

    width: int
    """Columns of the tile."""

    size: int
    """Side of a patch."""

    overlap: int
    """Rows or columns that neighbouring patches share, more at the far edges; size - stride."""

    row_offs: tuple[int, ...]
    """First row of each row of patches, increasing; the first is negative where patches overlap."""

    col_offs: tuple[int, ...]
    """First column of each column of patches, increasing; the first is negative alike."""

    def __len__(self) -> int:
        """Count the patches."""
        return len(self.row_offs) * len(self.col_offs)

    @property
    def keep_rows(self) -> tuple[tuple[int, int], ...]:
        """Per row of patches: first row that it alone writes, and one past the last."""
        return keep_ranges(self.row_offs, size=self.size, length=self.height)

    @property
    def keep_cols(self) -> tuple[tuple[int, int], ...]:
        """Per column of patches: first column that it alone writes, and one past the last."""
        return keep_ranges(self.col_offs, size=self.size, length=self.width)

    @property
    def patches(self) -> Iterator[Patch]:
        """Every patch, left to right within top to bottom."""
        keep_cols = self.keep_cols
        for row_off, (row, row_stop) in zip(self.row_offs, self.keep_rows, strict=True):
            for col_off, (col, col_stop) in zip(self.col_offs, keep_cols, strict=True):
                yield Patch(
                    read=self.window(row_off, col_off),
                    keep=Window(
                        row_off=row, col_off=col, height=row_stop - row, width=col_stop - col
                    ),
                )

    def window(self, row_off: int, col_off: int) -> Window:
        """Place a patch."""
        return Window(row_off=row_off, col_off=col_off, height=self.size, width=self.size)


def plan_tile(
    height: int,
    width: int,
    *,
    size: int,
    overlap: int,
    step: int = 1,
    shift: tuple[int, int] = (0, 0),
) -> TilePlan:
    """Cut a tile into square patches.

    Patches start every ``size - overlap`` pixels. The first one in each direction begins half an
    overlap before the tile and the last one ends half an overlap behind it, so that pixels at the
    border see as much of their surroundings as all others: callers reflect what lies outside.
    ``keep`` windows meet in the middle of what neighbours share. So every kept pixel is at least
    ``overlap // 2`` pixels from the sides of its patch.

    A network that halves its images several times looks at the pixels of a patch in groups: two
    cuts of one tile give the same only where patches begin at multiples of a step, so that groups
    are the same. The first and the last patch hang over up to a step further for that.

    Args:
        height: Rows of the tile, >= 1.
        width: Columns of the tile, >= 1.
        size: Side of a patch in pixels, >= 1.
        overlap: Pixels that neighbours share, in [0, size).
        step: Patches begin at multiples of it where ``size - overlap`` is one.
        shift: Rows and columns, each in [0, size - overlap), by which all patches begin earlier.

    Returns:
        The plan.

    Raises:
        ValueError: If an argument is out of its range, or there are more patches than can be
            planned.
    """
    for name, value in (('height', height), ('width', width), ('size', size), ('step', step)):
        if value < 1:
            raise ValueError(f'{name} must be >= 1, got {value}')
    if not 0 <= overlap < size:
        raise ValueError(f'overlap must be in [0, size={size}), got {overlap}')
    if not all(0 <= each < size - overlap for each in shift):
        raise ValueError(f'shift must be in [0, size - overlap={size - overlap}), got {shift}')
    check_count(height, width, size=size, overlap=overlap)
    return TilePlan(
        height=height,
        width=width,
        size=size,
        overlap=overlap,
        row_offs=_offsets(height, size=size, overlap=overlap, step=step, shift=shift[0]),
        col_offs=_offsets(width, size=size, overlap=overlap, step=step, shift=shift[1]),
    )


def check_count(height: int, width: int, *, size: int, overlap: int) -> None:
    """Refuse a tile with more patches in a row or a column than can be planned in little memory.

    Raises:
        ValueError: If it has.
    """
    for side, length in (('rows', height), ('columns', width)):
        count = -(-length // (size - overlap))
        if count > MOST_PATCHES:
            raise ValueError(
                f'{length:,} {side} of pixels are {count:,} {side} of patches of {size} px that '
                f'start every {size - overlap} px, and at most {MOST_PATCHES:,} can be planned; '
                'pass larger patches (--size), a smaller overlap, or a part of the scene, for '
                'example of gdal_translate -srcwin'
            )


def cut_panels(
    spans: Sequence[tuple[int, int]], cuts: Sequence[int], *, length: int, max_width: int
) -> tuple[Panel, ...]:
    """Cut the columns of a tile into panels of about the same width.

    Args:
        spans: Per column of patches: first column of pixels that it adds to, and one past the last.
        cuts: Columns of pixels at which the tile may be cut, increasing, in (0, *length*).
        length: Columns of the tile.
        max_width: Columns of pixels in a panel, at most if the cuts allow it.

    Returns:
        Panels from left to right; they cover the tile once.

    Raises:
        ValueError: If *max_width* is not positive.
    """
    if max_width < 1:
        raise ValueError(f'max_width must be >= 1, got {max_width}')
    edges = _find_edges(cuts, length=length, max_width=max_width)
    return tuple(_panels(spans, edges))


def _find_edges(cuts: Sequence[int], *, length: int, max_width: int) -> list[int]:
    """Choose as few of the cuts as possible, at about the same distance from each other."""
    fewest = -(-length // max_width)
    most = min(len(cuts) + 2, fewest + _TRIALS // fewest)
    for count in range(fewest, most):
        chosen = (
            {_nearest(cuts, place * length / count) for place in range(1, count)} if cuts else set()
        )
        edges = [0, *sorted(chosen), length]
        if all(stop - start <= max_width for start, stop in pairwise(edges)):
            return edges
    if len(cuts) + 2 > most:
        return _fill(cuts, length=length, max_width=max_width)
    return [0, *cuts, length]


def _nearest(cuts: Sequence[int], aim: float) -> int:
    """Find the cut that is nearest to a place, of two the first."""
    place = bisect_left(cuts, aim)
    return min(cuts[max(place - 1, 0) : place + 1], key=lambda cut: abs(cut - aim))


def _fill(cuts: Sequence[int], *, length: int, max_width: int) -> list[int]:
    """Cut as late as possible each time."""
    edges = [0]
    for cut, following in pairwise((*cuts, length)):
        if following - edges[-1] > max_width:
            edges.append(cut)
    return [*edges, length]


def _panels(spans: Sequence[tuple[int, int]], edges: Sequence[int]) -> Iterator[Panel]:
    """Find the patches that add to each range of columns between some edges."""
    # so that both can be searched: a later patch may begin, or end, before an earlier one
    stops = [*accumulate((stop for _, stop in spans), max)]
    starts = [*accumulate((start for start, _ in reversed(spans)), min)][::-1]
    for left, right in pairwise(edges):
        first = bisect_right(stops, left)
        while spans[first][0] >= right:
            first += 1
        last = bisect_left(starts, right) - 1
        while spans[last][1] <= left:
            last -= 1
        yield Panel(col_off=left, col_stop=right, patches=range(first, last + 1))


def _offsets(length: int, *, size: int, overlap: int, step: int, shift: int) -> tuple[int, ...]:
    """List where patches start along one axis."""
    is_stepped = (size - overlap) % step == 0
    # outwards to multiples of the step, so that no pixel sees less
    first = -(overlap // 2)
    last = length + overlap // 2 - size
    if shift:
        # from where they would begin, but no patch further out than one reaches; the last one too
        stride = size - overlap
        first -= (shift + (first % step if is_stepped else 0)) % stride
        last += (first - last) % stride
    elif is_stepped:
        first -= first % step
        last += -last % step
    if last <= first:
        return (first,)
    # every start before the last possible one, and that one
    return (*range(first, last, size - overlap), last)


def keep_ranges(offsets: Sequence[int], *, size: int, length: int) -> tuple[tuple[int, int], ...]:
    """Cut [0, length) in the middle of what each pair of neighbours shares.

    Args:
        offsets: First pixel of each patch along an axis.
        size: Pixels per patch.
        length: Pixels of the axis.

    Returns:
        Per patch: first pixel that it alone writes, and one past the last.
    """
    middles = ((following + offset + size) // 2 for offset, following in pairwise(offsets))
    cuts = (0, *middles, length)
    return tuple(pairwise(cuts))
