"""Cut a raster into overlapping patches of one size: integers only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .records import Panel, Patch, Window


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
        return _keep_ranges(self.row_offs, size=self.size, length=self.height)

    @property
    def keep_cols(self) -> tuple[tuple[int, int], ...]:
        """Per column of patches: first column that it alone writes, and one past the last."""
        return _keep_ranges(self.col_offs, size=self.size, length=self.width)

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


def plan_tile(height: int, width: int, *, size: int, overlap: int) -> TilePlan:
    """Cut a tile into square patches.

    Patches start every ``size - overlap`` pixels. The first one in each direction begins half an
    overlap before the tile and the last one ends half an overlap behind it, so that pixels at the
    border see as much of their surroundings as all others: callers reflect what lies outside.
    ``keep`` windows meet in the middle of what neighbours share. So every kept pixel is at least
    ``overlap // 2`` pixels from the sides of its patch.

    Args:
        height: Rows of the tile, >= 1.
        width: Columns of the tile, >= 1.
        size: Side of a patch in pixels, >= 1.
        overlap: Pixels that neighbours share, in [0, size).

    Returns:
        The plan.

    Raises:
        ValueError: If an argument is out of its range.
    """
    for name, value in (('height', height), ('width', width), ('size', size)):
        if value < 1:
            raise ValueError(f'{name} must be >= 1, got {value}')
    if not 0 <= overlap < size:
        raise ValueError(f'overlap must be in [0, size={size}), got {overlap}')
    return TilePlan(
        height=height,
        width=width,
        size=size,
        overlap=overlap,
        row_offs=_offsets(height, size=size, overlap=overlap),
        col_offs=_offsets(width, size=size, overlap=overlap),
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
    edges: list[int] = []
    for count in range(-(-length // max_width), len(cuts) + 2):
        ideal = (place * length / count for place in range(1, count))
        chosen = {min(cuts, key=lambda cut: abs(cut - aim)) for aim in ideal} if cuts else set()
        edges = [0, *sorted(chosen), length]
        if all(stop - start <= max_width for start, stop in pairwise(edges)):
            break
    else:
        edges = [0, *cuts, length]
    return tuple(_panel(spans, start, stop) for start, stop in pairwise(edges))


def _panel(spans: Sequence[tuple[int, int]], start: int, stop: int) -> Panel:
    """Find the patches that add to a range of columns."""
    needed = [col for col, (first, last) in enumerate(spans) if first < stop and last > start]
    return Panel(col_off=start, col_stop=stop, patches=range(needed[0], needed[-1] + 1))


def _offsets(length: int, *, size: int, overlap: int) -> tuple[int, ...]:
    """List where patches start along one axis."""
    first = -(overlap // 2)
    last = length + overlap // 2 - size
    if last <= first:
        return (first,)
    # every start before the last possible one, and that one
    return (*range(first, last, size - overlap), last)


def _keep_ranges(offsets: Sequence[int], *, size: int, length: int) -> tuple[tuple[int, int], ...]:
    """Cut [0, length) in the middle of what each pair of neighbours shares."""
    middles = ((following + offset + size) // 2 for offset, following in pairwise(offsets))
    cuts = (0, *middles, length)
    return tuple(pairwise(cuts))
