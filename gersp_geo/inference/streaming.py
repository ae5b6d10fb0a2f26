"""Read, forward and blend a scene row by row, in memory bounded by one row of patches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import batched

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geoio.reading import Reader, read_valid, read_window
from ..records import Patch
from ..stitching import RowStitcher, axis_weights, crop_weights
from .loading import LoadedModel
from .plan import PredictionPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRows:
    """Rows of pixels that no later patch changes."""

    row_off: int
    """First row."""

    scores: Tensor | None
    """Blended scores, shape (C, rows, width); None where no patch has been forwarded yet."""

    valid: NDArray[np.bool_]
    """Where there is an observation, shape (rows, width)."""

    patches: int
    """Patches that this row of patches consists of."""

    forwarded: int
    """Those of them that were given to the model."""


def stitch_rows(src: Reader, loaded: LoadedModel, plan: PredictionPlan) -> Iterator[FinishedRows]:
    """Read, forward and blend a scene, one row of patches after the other.

    Args:
        src: The scene.
        loaded: The model, on the plan's device and in evaluation mode.
        plan: The plan.

    Yields:
        Rows of pixels from top to bottom; together they cover the scene once.
    """
    tiles = plan.tiles
    stitcher = _stitcher(plan)
    rows_of_patches = batched(tiles.patches, len(tiles.col_offs))
    for row_off, row_stop, patches in zip(
        tiles.row_offs, stitcher.row_stops, rows_of_patches, strict=True
    ):
        # wide enough for a patch that hangs over
        valid = np.zeros((tiles.size, max(tiles.width, tiles.size)), dtype=np.bool_)
        forwarded = 0
        for group in batched(enumerate(patches), plan.batch_size):
            masks = {
                col: read_valid(src, patch.read, nodata=plan.nodata, bands=plan.bands)
                for col, patch in group
            }
            for col, mask in masks.items():
                valid[:, tiles.col_offs[col] : tiles.col_offs[col] + tiles.size] = mask
            observed = [(col, patch) for col, patch in group if masks[col].any()]
            if observed:
                scores = _forward(src, observed, masks, loaded=loaded, plan=plan)
                for (col, _), patch_scores in zip(observed, scores, strict=True):
                    stitcher.add(col, patch_scores)
                forwarded += len(observed)
        yield FinishedRows(
            row_off=row_off,
            scores=stitcher.finish_row(),
            valid=valid[: row_stop - row_off, : tiles.width],
            patches=len(patches),
            forwarded=forwarded,
        )


def _stitcher(plan: PredictionPlan) -> RowStitcher:
    """Weigh patches as the plan says."""
    tiles = plan.tiles
    if plan.blend == 'crop':
        row_weights = crop_weights(tiles.row_offs, tiles.keep_rows, size=tiles.size)
        col_weights = crop_weights(tiles.col_offs, tiles.keep_cols, size=tiles.size)
    else:
        row_weights = axis_weights(
            tiles.row_offs, size=tiles.size, length=tiles.height, margin=plan.margin
        )
        col_weights = axis_weights(
            tiles.col_offs, size=tiles.size, length=tiles.width, margin=plan.margin
        )
    return RowStitcher(
        row_offs=tiles.row_offs,
        row_weights=row_weights,
        col_offs=tiles.col_offs,
        col_weights=col_weights,
        height=tiles.height,
        width=tiles.width,
    )


def _forward(
    src: Reader,
    observed: list[tuple[int, Patch]],
    masks: Mapping[int, NDArray[np.bool_]],
    *,
    loaded: LoadedModel,
    plan: PredictionPlan,
) -> Tensor:
    """Read patches, normalise them on the device, and forward them as one batch."""
    record = loaded.preprocessing
    pixels = np.stack([read_window(src, patch.read, bands=plan.bands) for _, patch in observed])
    valid = np.stack([masks[col] for col, _ in observed])
    scale, mean, std = (
        torch.tensor(values, dtype=torch.float32, device=plan.device)[:, None, None]
        for values in (record.scale, record.mean, record.std)
    )
    # moved in the file's type, then changed in place: temporaries would multiply a batch's memory
    images = torch.from_numpy(pixels).to(plan.device).to(torch.float32, copy=True)
    images.mul_(scale).sub_(mean).div_(std)
    # nodata may be NaN or as large as floats go, and would spoil every pixel that sees it
    images.masked_fill_(~torch.from_numpy(valid).to(plan.device)[:, None], 0)
    scores = loaded.forward(images).float()
    if plan.output == 'values':
        return scores
    if plan.channels == 1 or loaded.scores == 'labels':
        return scores.sigmoid()
    return scores.softmax(dim=1)
