"""Cut a raster into overlapping patches of one size: integers only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .records import Patch, Window


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
    """First row of each row of patches, increasing."""

    col_offs: tuple[int, ...]
    """First column of each column of patches, increasing."""

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
                    read=Window(
                        row_off=row_off, col_off=col_off, height=self.size, width=self.size
                    ),
                    keep=Window(
                        row_off=row, col_off=col, height=row_stop - row, width=col_stop - col
                    ),
                )


def plan_tile(height: int, width: int, *, size: int, overlap: int) -> TilePlan:
    """Cut a tile into square patches.

    Patches start every ``size - overlap`` pixels; the last one in each direction is flush with
    the far edge, so that it lies inside. Only where the tile is narrower than a patch does the
    patch hang over the far side. ``keep`` windows meet in the middle of what neighbours share.

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


def _offsets(length: int, *, size: int, overlap: int) -> tuple[int, ...]:
    """List where patches start along one axis."""
    if length <= size:
        return (0,)
    # every start before the last possible one, and that one
    return (*range(0, length - size, size - overlap), length - size)


def _keep_ranges(offsets: Sequence[int], *, size: int, length: int) -> tuple[tuple[int, int], ...]:
    """Cut [0, length) in the middle of what each pair of neighbours shares."""
    middles = ((following + offset + size) // 2 for offset, following in pairwise(offsets))
    cuts = (0, *middles, length)
    return tuple(pairwise(cuts))
