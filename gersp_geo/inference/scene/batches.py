"""Read a panel, one row of patches after the other, and make batches of what holds observations."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...geoio.read import CellReader, Shown
from ...windows import Panel, Window
from .prefetch import work_ahead

if TYPE_CHECKING:
    from ..plan import PredictionPlan

# batches that wait for the model
_DEPTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchBatch:
    """Patches of one row of patches, as stored."""

    row: int
    """The row of patches."""

    cols: tuple[int, ...]
    """Their columns of patches."""

    pixels: Tensor
    """Shape (B, bands, size, size)."""

    valid: Tensor | None
    """Where there is an observation, shape (B, size, size); None means everywhere."""

    present: Tensor | None = None
    """Which bands are there, shape (B, bands, size, size); None means all, of observations."""

    @property
    def known(self) -> Tensor | None:
        """What of the pixels is known, shape (B, size, size) or (B, bands, size, size)."""
        return self.valid if self.present is None else self.present


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Columns of rows that are settled, in which there are observations of interest."""

    col_off: int
    """First column of pixels."""

    col_stop: int
    """One past the last."""

    valid: NDArray[np.bool_] | None
    """Where the observations are, shape (rows, columns); None means everywhere."""

    valid_pixels: int
    """How many there are, > 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEnd:
    """Comes after the batches of a row of patches."""

    row: int
    """The row of patches."""

    pieces: tuple[Piece, ...]
    """What of the pixels that are settled now is not nodata, from left to right."""

    forwarded: int
    """Patches of the row that were given out."""


def read_rows(
    plan: 'PredictionPlan', panel: Panel, rows: Iterable[int]
) -> Generator[PatchBatch | RowEnd]:
    """Read some rows of patches of a panel in threads, ahead of whoever takes them.

    Args:
        plan: How the scene is read and cut.
        panel: One of its panels.
        rows: Rows of patches, one after the other; each is asked for while its predecessor is read.

    Yields:
        As :meth:`PatchReader.rows`.

    Raises:
        UnreadableFileError: If the scene is damaged.
    """
    with plan.open_cells(panel) as reader:
        events = PatchReader(plan=plan, panel=panel, reader=reader).rows(rows)
        with closing(work_ahead(events, depth=_DEPTH)) as ahead:
            yield from ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchReader:
    """Reads the patches of a panel in batches."""

    plan: 'PredictionPlan'
    """How the scene is cut, and which rows are settled when."""

    panel: Panel
    """The columns to read."""

    reader: CellReader
    """Of the scene, for these columns."""

    def rows(self, rows: Iterable[int]) -> Iterator[PatchBatch | RowEnd]:
        """Read some rows of patches.

        Args:
            rows: Which, one after the other.

        Yields:
            Per row of patches: batches that never hold patches of another row, then its end.
        """
        coming = iter(rows)
        row = next(coming, None)
        wanted = [] if row is None else self._request(row)
        while row is not None:
            after = next(coming, None)
            # read while this row is forwarded
            following = [] if after is None else self._request(after)
            forwarded = 0
            for cols in batched(wanted, self.plan.batch_size):
                batch = self._batch(row, cols)
                if batch is not None:
                    forwarded += len(batch.cols)
                    yield batch
            pieces = tuple(self._pieces(row, wanted))
            yield RowEnd(row=row, pieces=pieces, forwarded=forwarded)
            if after is not None:
                self.reader.release(max(self.plan.tiles.row_offs[after], 0))
            row, wanted = after, following

    def _request(self, row: int) -> list[int]:
        """Choose the columns of patches where there may be something, and begin to read them."""
        offsets = np.asarray(
            self.plan.tiles.col_offs[self.panel.patches.start : self.panel.patches.stop]
        )
        top, size = self.plan.tiles.row_offs[row], self.plan.tiles.size
        width = int(offsets[-1] - offsets[0]) + size
        together = Window(row_off=top, col_off=int(offsets[0]), height=size, width=width)
        if not self.reader.may_hold(together):
            # in a sparse scene, most rows
            return []
        touched = np.ones(len(offsets), dtype=np.bool_)
        if self.plan.area is not None:
            touched = self.plan.area.touched(
                self.plan.header.transform, (top, top + size), offsets, width=size
            )
        near = [col for col, near in zip(self.panel.patches, touched.tolist(), strict=True) if near]
        windows = {col: self._window(row, col) for col in near}
        wanted = [col for col, window in windows.items() if self.reader.may_hold(window)]
        for col in wanted:
            self.reader.request(windows[col])
        return wanted

    def _window(self, row: int, col: int) -> Window:
        """Place a patch."""
        return self.plan.tiles.window(self.plan.tiles.row_offs[row], self.plan.tiles.col_offs[col])

    def _batch(self, row: int, cols: Sequence[int]) -> PatchBatch | None:
        """Cut patches out of what was read, without those that hold no observation."""
        size, reader = self.plan.tiles.size, self.reader
        pixels = np.empty((len(cols), len(reader.bands), size, size), dtype=reader.dtype)
        masks: list[Shown] = []
        kept: list[int] = []
        for col in cols:
            window = self._window(row, col)
            valid = reader.take(window, pixels[len(kept)])
            if valid is None or self._in_scene(valid, window).any():
                kept.append(col)
                masks.append(valid)
        if not kept:
            return None
        stacked = self._stack(masks)
        is_per_band = stacked is not None and reader.per_band
        return PatchBatch(
            row=row,
            cols=tuple(kept),
            pixels=self._pin(torch.from_numpy(pixels[: len(kept)])),
            valid=stacked.any(dim=1) if stacked is not None and is_per_band else stacked,
            present=stacked if is_per_band else None,
        )

    def _in_scene(self, valid: NDArray[np.bool_], window: Window) -> NDArray[np.bool_]:
        """Leave out what is reflected: it observes nothing that is in the scene."""
        top, left = max(-window.row_off, 0), max(-window.col_off, 0)
        bottom, right = (
            self.plan.tiles.height - window.row_off,
            self.plan.tiles.width - window.col_off,
        )
        return valid[..., top:bottom, left:right]

    def _stack(self, masks: Sequence[Shown]) -> Tensor | None:
        """Put what is said of patches together; None where all is there."""
        if all(mask is None for mask in masks):
            return None
        size, reader = self.plan.tiles.size, self.reader
        layers = (len(reader.bands),) if reader.per_band else ()
        stacked = torch.ones((len(masks), *layers, size, size), dtype=torch.bool)
        for place, mask in enumerate(masks):
            if mask is not None:
                stacked[place] = torch.from_numpy(mask)
        return self._pin(stacked)

    def _pin(self, tensor: Tensor) -> Tensor:
        """Put a tensor where an accelerator can fetch it by itself."""
        return tensor.pin_memory() if self.plan.device.startswith('cuda') else tensor

    def _pieces(self, row: int, wanted: Sequence[int]) -> Iterator[Piece]:
        """Find observations of interest among the pixels that are settled after a row."""
        start, stop = self.plan.weighting.rows.settled[row]
        if start == stop:
            return
        for left, right in self._ranges(wanted):
            window = Window(row_off=start, col_off=left, height=stop - start, width=right - left)
            valid = self.reader.valid(window)
            if self.plan.area is not None:
                inside = self.plan.area.mask(self.plan.header.transform, window)
                valid = inside if valid is None else inside & valid
            count = window.height * window.width if valid is None else int(valid.sum())
            if count:
                yield Piece(col_off=left, col_stop=right, valid=valid, valid_pixels=count)

    def _ranges(self, wanted: Sequence[int]) -> list[tuple[int, int]]:
        """Join the columns of pixels under neighbouring patches, within the panel."""
        ranges: list[tuple[int, int]] = []
        for col in wanted:
            left = max(self.plan.tiles.col_offs[col], self.panel.col_off)
            right = min(self.plan.tiles.col_offs[col] + self.plan.tiles.size, self.panel.col_stop)
            if ranges and left <= ranges[-1][1]:
                ranges[-1] = (ranges[-1][0], max(right, ranges[-1][1]))
            elif left < right:
                ranges.append((left, right))
        return ranges
