"""Join overlapping patches into finished rows, in memory bounded by one row of patches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .windows import Panel

type Encode = Callable[[Tensor], Tensor]
"""From scores (C, rows, cols) to the values of a map (bands, rows, cols), pixel by pixel and in
memory of their own."""

type Weigh = Callable[[Sequence[int], int], NDArray[np.float64]]
"""From the first pixels of the patches of an axis, and its length, to weights (patches, size)."""


def axis_weights(
    offsets: Sequence[int], *, size: int, length: int, margin: int = 0
) -> NDArray[np.float64]:
    """Weigh overlapping patches along one axis so that weights sum to 1 at every pixel.

    Each patch rises and falls with half a Hann window over the pixels it really shares with each
    neighbour, and stays at full weight where it has none, so at the ends of the axis too. The
    weights are then divided by their sum, which is positive by construction: no epsilon, however
    many patches meet. The weight of a pixel in two dimensions is the product of those of its row
    and its column, and sums to 1 as well.

    Args:
        offsets: First pixel of each patch, strictly increasing; together the patches, without
            their margins, cover the axis.
        size: Pixels per patch.
        length: Pixels of the axis; patches may hang over both ends.
        margin: Pixels at either end of a patch that get weight 0.

    Returns:
        Weights in [0, 1], shape (patches, size); 0 outside the axis.

    Raises:
        ValueError: If the patches leave a gap, or *margin* is negative or too large.
    """
    _check_cover(offsets, size=size, length=length, margin=margin)
    pixels = np.arange(size) + np.asarray(offsets)[:, None]
    weights = np.ones((len(offsets), size), dtype=np.float64)
    for before, after in pairwise(range(len(offsets))):
        start = offsets[after] + margin
        stop = offsets[before] + size - margin
        weights[before] *= 1 - _rise(pixels[before], start=start, stop=stop)
        weights[after] *= _rise(pixels[after], start=start, stop=stop)
    inside = (pixels >= 0) & (pixels < length)
    weights[~inside] = 0
    places = np.where(inside, pixels, 0)
    total = np.zeros(length, dtype=np.float64)
    np.add.at(total, places, weights)
    shares: NDArray[np.float64] = weights / np.where(weights > 0, total[places], 1)
    return shares


def crop_weights(
    offsets: Sequence[int], keeps: Sequence[tuple[int, int]], *, size: int
) -> NDArray[np.float64]:
    """Give every pixel of an axis to one patch.

    Args:
        offsets: First pixel of each patch.
        keeps: Per patch: first pixel that it writes, and one past the last.
        size: Pixels per patch.

    Returns:
        Weights, 0 or 1, shape (patches, size).

    Raises:
        ValueError: If there is not one keep range per patch.
    """
    if len(offsets) != len(keeps):
        raise ValueError(f'keeps must have one range per patch ({len(offsets)}), got {len(keeps)}')
    pixels = np.arange(size) + np.asarray(offsets)[:, None]
    first, stop = np.asarray(keeps).T[..., None]
    weights: NDArray[np.float64] = ((pixels >= first) & (pixels < stop)).astype(np.float64)
    return weights


@dataclass(frozen=True, eq=False)
class Axis:
    """How patches add to the pixels of one axis."""

    offsets: tuple[int, ...]
    """First pixel of each patch."""

    kinds: NDArray[np.float64]
    """Weights of :func:`axis_weights` or :func:`crop_weights`, shape (kinds, size): of every patch,
    but of those in the middle of a long axis, which are all alike, only once."""

    length: int
    """Pixels of the axis."""

    repeated: int = 0
    """How many patches have the weights of the one before them, which is the middle of *kinds*."""

    def kind_of(self, patch: int) -> int:
        """Say which of *kinds* are the weights of a patch."""
        middle = len(self.kinds) // 2
        return min(patch, max(middle, patch - self.repeated))

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of every patch, shape (patches, size)."""
        return self.kinds[[self.kind_of(patch) for patch in range(len(self.offsets))]]

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Per patch: first pixel with a weight, and one past the last; without holes between."""
        positive = self.kinds > 0
        first = positive.argmax(axis=1).tolist()
        stop = (positive.shape[1] - positive[:, ::-1].argmax(axis=1)).tolist()
        kinds = map(self.kind_of, range(len(self.offsets)))
        return tuple(
            (offset + first[kind], offset + stop[kind])
            for offset, kind in zip(self.offsets, kinds, strict=True)
        )

    @cached_property
    def settled(self) -> tuple[tuple[int, int], ...]:
        """Per patch: the pixels that no later patch adds to, but earlier ones did not settle."""
        begins = (*(start for start, _ in self.spans[1:]), self.length)
        # a later patch may begin before an earlier one where many patches overlap
        earliest = [*accumulate(reversed(begins), min)]
        return tuple(pairwise((0, *reversed(earliest))))


def weigh_axis(offsets: Sequence[int], *, size: int, length: int, weigh: Weigh) -> Axis:
    """Weigh the patches of one axis, in time and memory for those that differ.

    Away from both ends, weights repeat from patch to patch: they are those of an axis that is
    shorter by some of these patches.

    Args:
        offsets: First pixel of each patch, the last one flush with the end or a stride after the
            one before it.
        size: Pixels per patch.
        length: Pixels of the axis.
        weigh: From the offsets and the length of an axis to the weights of its patches.

    Returns:
        The axis, the same as if every patch had been weighed.
    """
    steps = np.diff(offsets)
    count = len(offsets)
    stride = int(steps[0]) if steps.size else size
    # an end is felt by patches that share pixels with one that shares pixels with the last
    edge = 2 * -(-size // stride) + 2
    repeated = count - (2 * edge + 1)
    if repeated < 1 or (steps[:-1] != stride).any():
        return Axis(tuple(offsets), weigh(offsets, length), length)
    moved = repeated * stride
    shorter = (*offsets[: edge + 1], *(offset - moved for offset in offsets[-edge:]))
    return Axis(tuple(offsets), weigh(shorter, length - moved), length, repeated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighting:
    """How the patches of a plan add to the pixels of its tile, along both axes."""

    rows: Axis
    cols: Axis

    exclusive: bool
    """Whether every pixel has one patch."""


# columns whose open rows are moved up together
_GROUP = 256


class RowStitcher:
    """Joins the patches of a panel row by row, and hands out rows once nothing follows.

    Only the rows that a later patch may still change are kept, at most one patch high: as sums of
    weighted scores; where every pixel has one patch, as finished values. Patches left out
    contribute nothing, so their pixels stay incomplete; leave out only patches none of whose
    pixels matter. Columns to which nothing is added cost nothing.
    """

    def __init__(
        self, weighting: Weighting, panel: Panel, encoders: Sequence[Encode], *, first_row: int = 0
    ) -> None:
        """Set up an empty stitcher.

        Args:
            weighting: Weights of the patches.
            panel: Columns to stitch.
            encoders: Turn finished scores into values, one per map that is made of them.
            first_row: Row of patches to begin with.
        """
        self.encoders = tuple(encoders)
        self.panel = panel
        self.exclusive = weighting.exclusive
        self.row_offs, self.row_spans = weighting.rows.offsets, weighting.rows.spans
        self.col_offs, self.col_spans = weighting.cols.offsets, weighting.cols.spans
        self.settled = weighting.rows.settled
        self.row_kind, self.col_kind = weighting.rows.kind_of, weighting.cols.kind_of
        self.row_weights = torch.from_numpy(weighting.rows.kinds).float()
        self.col_weights = torch.from_numpy(weighting.cols.kinds).float()
        self._row = first_row
        # scores of open rows, from the first row that is not settled; or values of this row
        self._open: list[Tensor] = []
        self._product, self._zero, self._weights = torch.empty(0), torch.empty(0), torch.empty(0)
        self._key: tuple[int, int, slice] | None = None
        # rows that earlier rows of patches have added to; below, columns up to the second number
        # hold what this one has added, and others, where a group is stale, anything
        self._carried, self._reached = 0, 0
        # per group of columns of a panel: one past the last row that a patch has added to
        self._until = np.zeros(-(-panel.width // _GROUP), dtype=np.int64)
        self._stale = np.zeros(len(self._until), dtype=np.bool_)

    @property
    def open_rows(self) -> int:
        """Rows of pixels in memory."""
        return self._open[0].shape[1] if self._open else 0

    def add(self, col: int, scores: Tensor) -> None:
        """Add one patch of the current row of patches.

        Args:
            col: Its column of patches in the plan.
            scores: Class probabilities or values, shape (C, size, size), float32, on any one
                device.
        """
        top, bottom = self.row_spans[self._row]
        left, right = self.col_spans[col]
        left, right = max(left, self.panel.col_off), min(right, self.panel.col_stop)
        row_off, col_off = self.row_offs[self._row], self.col_offs[col]
        rows = slice(top - row_off, bottom - row_off)
        cols = slice(left - col_off, right - col_off)
        # a pixel without weight must not add even where the model returns NaN or infinity there
        part = scores[:, rows, cols]
        place = slice(left - self.panel.col_off, right - self.panel.col_off)
        if self.exclusive:
            self._paste(part, place)
        else:
            self._blend(part, place, top, row_weights=rows, col_weights=(col, cols))

    def finish_row(self, columns: Sequence[tuple[int, int]]) -> list[tuple[Tensor, ...]]:
        """Close the current row of patches and go on to the next.

        Args:
            columns: Where values are wanted: first column of pixels, and one past the last.

        Returns:
            The values of the rows of pixels that are settled now: per range of columns one tensor
            of shape (bands, rows, columns) per encoder. Nothing if no patch has added to any row
            that is open.
        """
        start, stop = self.settled[self._row]
        self._row += 1
        if not self._open:
            return []
        places = [
            slice(left - self.panel.col_off, right - self.panel.col_off) for left, right in columns
        ]
        if self.exclusive:
            finished = [tuple(values[:, :, place] for values in self._open) for place in places]
            self._open = []
            return finished
        self._clear(self._reached, self.panel.width)
        settled = self._open[0][:, : stop - start]
        finished = [tuple(code(settled[:, :, place]) for code in self.encoders) for place in places]
        self._move_up(stop - start, first=start)
        return finished

    def _clear(self, left: int, right: int) -> None:
        """Write 0 below the rows that earlier rows of patches have added to, where that is due."""
        if left >= right or not self._stale.any():
            return
        for group in range(left // _GROUP, -(-right // _GROUP)):
            if self._stale[group]:
                cols = slice(max(left, group * _GROUP), min(right, (group + 1) * _GROUP))
                self._open[0][:, self._carried :, cols] = 0

    def _move_up(self, height: int, *, first: int) -> None:
        """Drop the rows that are settled, where anything was added to them or to later ones."""
        self._stale = self._until > first
        self._carried = max(int(self._until.max()) - first - height, 0)
        self._reached = 0
        moved = slice(height, height + self._carried)
        groups = groupby(range(len(self._stale)), key=lambda group: bool(self._stale[group]))
        for is_stale, members in groups:
            if is_stale:
                run = [*members]
                rows = self._open[0][:, :, run[0] * _GROUP : (run[-1] + 1) * _GROUP]
                rows[:, : self._carried] = rows[:, moved].clone()
        self._until[self._until <= first + height] = 0

    def _paste(self, part: Tensor, place: slice) -> None:
        """Write the values of a patch that has its pixels alone."""
        values = [encode(part) for encode in self.encoders]
        if not self._open:
            rows = self.settled[self._row][1] - self.settled[self._row][0]
            self._open = [v.new_zeros(v.shape[0], rows, self.panel.width) for v in values]
        for rows_of_map, patch in zip(self._open, values, strict=True):
            rows_of_map[:, :, place] = patch

    def _blend(
        self,
        part: Tensor,
        place: slice,
        top: int,
        *,
        row_weights: slice,
        col_weights: tuple[int, slice],
    ) -> None:
        """Add the weighted scores of a patch to the open rows."""
        if not self._open:
            size = self.row_weights.shape[1]
            shape = (part.shape[0], size, self.panel.width)
            self._open = [torch.zeros(shape, dtype=torch.float32, device=part.device)]
            self._product = part.new_empty((part.shape[0], size, size))
            self._zero = part.new_zeros(())
            self.row_weights = self.row_weights.to(part.device)
            self.col_weights = self.col_weights.to(part.device)
        weights = self._weigh(row_weights, col_weights)
        first = top - self.settled[self._row][0]
        place_of_part = self._open[0][:, first : first + part.shape[1], place]
        self._clear(self._reached, place.start)
        # what others have added to: rows above, and columns to the left
        carried = min(max(self._carried - first, 0), part.shape[1])
        reached = min(max(self._reached - place.start, 0), part.shape[2])
        for rows, cols in ((slice(carried), slice(None)), (slice(carried, None), slice(reached))):
            shared = part[:, rows, cols]
            # in memory that all patches share: fresh pages would cost more than the product itself
            product = self._product[:, : shared.shape[1], : shared.shape[2]]
            torch.mul(shared, weights[rows, cols], out=product)
            # two operations, each rounded: fused, a last bit could depend on neighbours
            place_of_part[:, rows, cols] += product
        own = slice(carried, None), slice(reached, None)
        # nothing to add to but 0, which is added as it makes 0 of -0
        torch.addcmul(self._zero, part[:, *own], weights[own], out=place_of_part[:, *own])
        # of rows between patches that others have left out
        self._open[0][:, self._carried : first, place.start + reached : place.stop] = 0
        self._reached = max(self._reached, place.stop)
        groups = self._until[place.start // _GROUP : -(-place.stop // _GROUP)]
        np.maximum(groups, top + part.shape[1], out=groups)

    def _weigh(self, rows: slice, col_weights: tuple[int, slice]) -> Tensor:
        """Multiply the weights of rows and columns; in the middle, all patches of a row share."""
        col, cols = col_weights
        key = self.row_kind(self._row), self.col_kind(col), cols
        if key != self._key:
            self._key = key
            self._weights = self.row_weights[key[0], rows, None] * self.col_weights[key[1], cols]
        return self._weights


def _check_cover(offsets: Sequence[int], *, size: int, length: int, margin: int) -> None:
    """Check that the patches, without their margins, cover the axis.

    Raises:
        ValueError: If they do not.
    """
    if margin < 0:
        raise ValueError(f'margin must be >= 0, got {margin}')
    if not offsets or offsets[0] > -margin or offsets[-1] + size - margin < length:
        raise ValueError(
            f'patches of {size} px at {list(offsets)[:8]} without margins of {margin} px do not '
            f'cover {length} px from 0'
        )
    steps = np.diff(offsets)
    if steps.size and not (steps.min() >= 1 and size - steps.max() >= 2 * margin):
        shared = size - int(steps.max())
        raise ValueError(
            f'margin must be at most half of what neighbours share ({shared} px), got {margin}; '
            'raise overlap or lower margin'
        )


def _rise(pixels: NDArray[np.int64], *, start: int, stop: int) -> NDArray[np.float64]:
    """Rise from 0 before *start* to 1 from *stop* on, as half a Hann window."""
    # sampled at pixel centres, so that no pixel of the ramp itself gets 0
    phase = np.clip((pixels - start + 0.5) / max(stop - start, 1), 0, 1)
    return np.where(
        pixels < start, 0.0, np.where(pixels >= stop, 1.0, np.sin(np.pi / 2 * phase) ** 2)
    )
