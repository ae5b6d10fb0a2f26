"""Read and forward patches, row of patches by row of patches."""

from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...geoio.gdal import gdal_cache
from ...windows import Panel
from ..cutting import read_patches
from ..estimate import GDAL_CACHE
from ..model.embedder import score_patches
from ..model.predictor import Scorer
from ..progress import progress_bar
from ..scene.batches import PatchBatch
from .preparing import PatchJob


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatchRow:
    """What is known about patches of one row, from left to right."""

    row: int
    """Row of patches."""

    cols: NDArray[np.int64]
    """Their columns, shape (n,)."""

    observed: NDArray[np.float32]
    """Share of the pixels of each that are observations within the scene, shape (n,)."""

    vectors: NDArray[np.float32] | None
    """Shape (n, D)."""

    probabilities: NDArray[np.float32] | None
    """Shape (n, K)."""


def describe_patches(job: PatchJob, *, progress: bool) -> Generator[PatchRow]:
    """Describe the patches of a scene that hold observations of interest.

    Args:
        job: What is to be done.
        progress: Whether to show a progress bar.

    Yields:
        Patches of a row and a panel together; rows without any are left out.
    """
    plan = job.plan
    with ExitStack() as stack:
        stack.enter_context(gdal_cache(GDAL_CACHE))
        stack.enter_context(job.model.evaluating())
        pixels = plan.tiles.height * plan.tiles.width
        advance = stack.enter_context(progress_bar(pixels, shown=progress))
        for panel in plan.panels:
            with closing(_run_panel(job, panel)) as rows:
                for row, described in enumerate(rows):
                    if described is not None:
                        yield described
                    start, stop = plan.weighting.rows.settled[row]
                    advance((stop - start) * panel.width)


def _run_panel(job: PatchJob, panel: Panel) -> Generator[PatchRow | None]:
    """Describe the patches of a panel, one item per row of patches."""
    plan, cutting = job.plan, job.options.cutting
    # the scores of a model that returns what it is given
    normalise = Scorer(
        _unchanged, job.model.preprocessing, scores='values', device=plan.device,
        channels_last=cutting.channels_last,
    )  # fmt: skip
    parts: list[PatchRow] = []
    row = 0
    with closing(read_patches(plan, panel)) as events:
        for event in events:
            if isinstance(event, PatchBatch):
                images = normalise(event.pixels, event.known)
                parts.append(_describe(job, event, images, row))
                continue
            yield _join(parts) if parts else None
            parts, row = [], row + 1


def _describe(job: PatchJob, batch: PatchBatch, images: Tensor, row: int) -> PatchRow:
    """Describe the patches of a batch."""
    vectors, probabilities = score_patches(job.model, images, autocast=_precision(job))
    return PatchRow(
        row=row,
        cols=np.array(batch.cols),
        observed=_share_observed(job, batch, row),
        vectors=None if vectors is None else vectors.numpy(),
        probabilities=None if probabilities is None else probabilities.numpy(),
    )


def _precision(job: PatchJob) -> AbstractContextManager[Any]:
    """Compute in the precision asked for."""
    if job.options.cutting.precision == 'float32':
        return nullcontext()
    return torch.autocast(torch.device(job.plan.device).type, dtype=torch.bfloat16)


def _share_observed(job: PatchJob, batch: PatchBatch, row: int) -> NDArray[np.float32]:
    """Count the observations of patches; what is reflected counts as none."""
    tiles = job.plan.tiles
    height = min(tiles.height - tiles.row_offs[row], tiles.size)
    shares = []
    for place, col in enumerate(batch.cols):
        width = min(tiles.width - tiles.col_offs[col], tiles.size)
        count = height * width
        if batch.valid is not None:
            count = int(batch.valid[place, :height, :width].sum())
        shares.append(count / tiles.size**2)
    return np.array(shares, dtype=np.float32)


def _join(parts: list[PatchRow]) -> PatchRow:
    """Put the batches of a row together."""

    def join(values: list[NDArray[Any] | None]) -> NDArray[Any] | None:
        known = [value for value in values if value is not None]
        return np.concatenate(known) if known else None

    return PatchRow(
        row=parts[0].row,
        cols=np.concatenate([part.cols for part in parts]),
        observed=np.concatenate([part.observed for part in parts]),
        vectors=join([part.vectors for part in parts]),
        probabilities=join([part.probabilities for part in parts]),
    )


def _unchanged(images: Tensor) -> Tensor:
    """Return what is given."""
    return images
