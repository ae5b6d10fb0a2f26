"""Read, forward and stitch a panel, row of patches by row of patches, in bounded memory."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ..stitching import RowStitcher, Weighting
from ..windows import Panel
from .model.load import LoadedModel
from .model.predictor import Scorer
from .outputs.map_values import encoder_for, to_map
from .plan import PredictionPlan
from .scene.batches import PatchBatch, RowEnd, Supply
from .scene.prefetch import work_ahead

# batches that wait for the model
_DEPTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedPiece:
    """Columns of finished rows that are not all nodata."""

    col_off: int
    """First column of pixels."""

    maps: tuple[NDArray[np.generic], ...]
    """Per map: values, shape (bands, rows, columns)."""

    valid_pixels: int
    """Pixels with an observation of interest."""

    @property
    def col_stop(self) -> int:
        """One past the last column."""
        return self.col_off + int(self.maps[0].shape[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRows:
    """Pixels of a panel that no later patch changes."""

    row: int
    """The row of patches that settled them."""

    row_off: int
    """First row of pixels."""

    height: int
    """Rows of pixels, maybe none."""

    pieces: tuple[FinishedPiece, ...]
    """What is not nodata, from left to right."""

    forwarded: int
    """Patches of the row that were given to the model."""


def stitch_panel(
    scorer: Scorer, plan: PredictionPlan, panel: Panel, rows: range
) -> Generator[FinishedRows]:
    """Read, forward and stitch some rows of one panel.

    Earlier rows of patches that add to the same pixels are forwarded once more, so that a panel may
    be begun anywhere, with the same result.

    Args:
        scorer: The model, in evaluation mode.
        plan: The plan.
        panel: One of its panels.
        rows: Rows of patches whose pixels are wanted.

    Yields:
        Rows of pixels from top to bottom, one item per row of patches.
    """
    encoders = [encoder_for(made.output, made.layout) for made in plan.maps]
    needed = range(first_row_needed(plan.weighting, rows), rows.stop)
    stitcher = RowStitcher(plan.weighting, panel, encoders, first_row=needed.start)
    with plan.open_cells(panel) as reader:
        supply = Supply(
            reader=reader,
            tiles=plan.tiles,
            weighting=plan.weighting,
            panel=panel,
            batch_size=plan.batch_size,
            transform=plan.header.transform,
            area=plan.area,
            pinned=plan.device.startswith('cuda'),
        )
        with closing(work_ahead(supply.rows(needed), depth=_DEPTH)) as events:
            for event in events:
                if isinstance(event, PatchBatch):
                    scores = scorer(event.pixels, event.known)
                    for col, patch in zip(event.cols, scores, strict=True):
                        stitcher.add(col, patch)
                else:
                    finished = _finish(stitcher, event, plan)
                    if event.row in rows:
                        yield finished


def first_row_needed(weighting: Weighting, rows: range) -> int:
    """Find the first row of patches that adds to the pixels of some rows of patches."""
    first_pixel = weighting.rows.settled[rows.start][0]
    return next(row for row, (_, stop) in enumerate(weighting.rows.spans) if stop > first_pixel)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Use some threads within an operation of torch, and then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def make_scorer(loaded: LoadedModel, plan: PredictionPlan) -> Scorer:
    """Prepare a model as a plan says."""
    only_classes = [made.output for made in plan.maps] == ['classes']
    return Scorer(
        loaded.score,
        loaded.preprocessing,
        scores='values' if plan.output == 'values' else loaded.scores,
        device=plan.device,
        # the largest logit is the largest probability
        as_logits=only_classes and plan.blend == 'crop' and plan.channels > 1,
        precision=plan.precision,
        channels_last=plan.channels_last,
        averaging=plan.averaging,
        dates=loaded.dates.count,
    )


def _finish(stitcher: RowStitcher, end: RowEnd, plan: PredictionPlan) -> FinishedRows:
    """Close a row of patches."""
    start, stop = plan.weighting.rows.settled[end.row]
    columns = [(piece.col_off, piece.col_stop) for piece in end.pieces]
    pieces = tuple(
        FinishedPiece(
            col_off=piece.col_off,
            maps=tuple(
                to_map(value, piece.valid, made.layout)
                for value, made in zip(values, plan.maps, strict=True)
            ),
            valid_pixels=piece.valid_pixels,
        )
        for piece, values in zip(end.pieces, stitcher.finish_row(columns), strict=True)
    )
    return FinishedRows(
        row=end.row, row_off=start, height=stop - start, pieces=pieces, forwarded=end.forwarded
    )
