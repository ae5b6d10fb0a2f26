"""Blend overlapping patches into a scene, in memory bounded by one row of patches."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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
        offsets: First pixel of each patch, strictly increasing, the first 0; together the patches
            cover the axis.
        size: Pixels per patch.
        length: Pixels of the axis. A single patch may hang over its end.
        margin: Pixels at either end of a patch that get weight 0, except at the ends of the axis;
            neighbours must share at least ``2 * margin``.

    Returns:
        Weights in [0, 1], shape (patches, size); 0 past the end of the axis.

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
    weights[pixels >= length] = 0
    total = np.zeros(max(length, size), dtype=np.float64)
    np.add.at(total, pixels, weights)
    shares: NDArray[np.float64] = weights / np.where(weights > 0, total[pixels], 1)
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


class RowStitcher:
    """Sums weighted patches row by row, and hands out rows of pixels once nothing follows.

    Only the rows that a later patch may still change are kept: at most one patch high. Patches
    left out contribute nothing, so their pixels stay incomplete; leave out only patches none of
    whose pixels matter.
    """

    def __init__(
        self,
        *,
        row_offs: Sequence[int],
        row_weights: NDArray[np.float64],
        col_offs: Sequence[int],
        col_weights: NDArray[np.float64],
        height: int,
        width: int,
    ) -> None:
        """Set up an empty stitcher.

        Args:
            row_offs: First row of each row of patches.
            row_weights: Weights along rows, shape (rows of patches, size).
            col_offs: First column of each column of patches.
            col_weights: Weights along columns, shape (columns of patches, size).
            height: Rows of the scene.
            width: Columns of the scene.
        """
        self.row_stops = (*row_offs[1:], height)
        self.row_spans = [_span(weights) for weights in row_weights]
        self.col_spans = [_span(weights) for weights in col_weights]
        self.row_offs = tuple(row_offs)
        self.col_offs = tuple(col_offs)
        self.row_weights = torch.from_numpy(row_weights).float()
        self.col_weights = torch.from_numpy(col_weights).float()
        self.size = row_weights.shape[1]
        self.width = width
        self._row = 0
        self._open: Tensor | None = None

    @property
    def open_rows(self) -> int:
        """Rows of pixels in memory: 0 before the first patch, one patch high afterwards."""
        return 0 if self._open is None else self._open.shape[1]

    def add(self, col: int, scores: Tensor) -> None:
        """Add one patch of the current row of patches.

        Args:
            col: Its column of patches, from 0.
            scores: Class probabilities or values, shape (C, size, size), float32, on any one device.
        """
        if self._open is None:
            # a scene narrower than a patch still needs room for what hangs over
            shape = (scores.shape[0], self.size, max(self.width, self.size))
            self._open = torch.zeros(shape, dtype=torch.float32, device=scores.device)
            self.row_weights = self.row_weights.to(scores.device)
            self.col_weights = self.col_weights.to(scores.device)
        # a pixel without weight must not add even where the model returns NaN or infinity there
        rows, cols = self.row_spans[self._row], self.col_spans[col]
        weights = self.row_weights[self._row, rows, None] * self.col_weights[col, cols]
        col_off = self.col_offs[col]
        under_patch = self._open[:, :, col_off : col_off + self.size]
        under_patch[:, rows, cols].addcmul_(scores[:, rows, cols], weights)

    def finish_row(self) -> Tensor | None:
        """Close the current row of patches and go on to the next.

        Returns:
            The rows of pixels from the offset of this row of patches to that of the next (to the
            end of the scene in the last), shape (C, rows, width), float32; None if no patch has
            been added yet.
        """
        finished = self.row_stops[self._row] - self.row_offs[self._row]
        self._row += 1
        if self._open is None:
            return None
        rows = self._open[:, :finished, : self.width].clone()
        rest = self._open[:, finished:].clone()
        self._open[:, : rest.shape[1]] = rest
        self._open[:, rest.shape[1] :] = 0
        return rows


def _span(weights: NDArray[np.float64]) -> slice:
    """Find the range of positive weights, which has no holes."""
    positive = np.flatnonzero(weights)
    return slice(int(positive[0]), int(positive[-1]) + 1)


def _check_cover(offsets: Sequence[int], *, size: int, length: int, margin: int) -> None:
    """Check that the patches, without their margins, cover the axis.

    Raises:
        ValueError: If they do not.
    """
    if not offsets or offsets[0] != 0 or offsets[-1] + size < length:
        raise ValueError(
            f'patches of {size} px at {list(offsets)[:8]} do not cover {length} px from 0'
        )
    steps = np.diff(offsets)
    if margin < 0:
        raise ValueError(f'margin must be >= 0, got {margin}')
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
