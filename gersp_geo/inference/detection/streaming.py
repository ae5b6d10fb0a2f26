"""Read, forward and suppress, row of patches by row of patches."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ...geoio.gdal import gdal_cache
from ...suppression import Detections, Flags, Suppressor, box_areas
from ...windows import Panel, Window
from ..cutting import read_patches
from ..estimate import GDAL_CACHE
from ..model.load import evaluating
from ..model.predictor import Scorer
from ..progress import progress_bar
from ..scene.batches import PatchBatch, RowEnd
from .objects import Frame, polygon_areas
from .preparing import Detection


@dataclass(slots=True)
class Tally:
    """Counts while a detection runs."""

    boxes: int = 0
    """Boxes that the model found."""

    full_patches: int = 0
    """Patches with as many as it returns at most."""

    valid_pixels: int = 0
    """Pixels with an observation of interest."""

    forwarded: int = 0
    """Patches given to the model."""

    parts: list[Detections] = field(default_factory=list)
    """Boxes of the current row of patches."""


def find_objects(detection: Detection, tally: Tally, *, progress: bool) -> Generator[Detections]:
    """Find the objects of a scene, unwanted ones included.

    Args:
        detection: What is to be done.
        tally: Counts up.
        progress: Whether to show a progress bar.

    Yields:
        Objects that are settled, each once.
    """
    plan, options = detection.plan, detection.options
    suppressor = Suppressor(
        threshold=options.iou_threshold,
        match=options.match,
        measure=polygon_areas if detection.detector.columns == 5 else box_areas,
    )
    firsts = [plan.tiles.col_offs[panel.patches.start] for panel in plan.panels]
    with ExitStack() as stack:
        stack.enter_context(gdal_cache(GDAL_CACHE))
        stack.enter_context(evaluating(detection.loaded.forward))
        advance = stack.enter_context(
            progress_bar(plan.tiles.height * plan.tiles.width, shown=progress)
        )
        for panel, open_col in zip(plan.panels, (*firsts[1:], np.inf), strict=True):
            yield from _run_panel(detection, panel, suppressor, tally, advance, open_col=open_col)
    assert len(suppressor) == 0, 'nothing can be open after the last row of the last panel'


def _run_panel(
    detection: Detection,
    panel: Panel,
    suppressor: Suppressor,
    tally: Tally,
    advance: Callable[[int], None],
    *,
    open_col: float,
) -> Generator[Detections]:
    """Find the objects of a panel; those that reach the next one stay in the suppressor."""
    plan = detection.plan
    # the scores of a model that returns what it is given
    normalise = Scorer(
        _unchanged, detection.loaded.preprocessing, scores='values', device=plan.device
    )
    offsets = (*plan.tiles.row_offs[1:], np.inf)
    settled = plan.weighting.rows.settled
    row = 0
    with closing(read_patches(plan, panel)) as events:
        for event in events:
            if isinstance(event, PatchBatch):
                images = normalise(event.pixels, event.known)
                tally.parts += _detect(detection, event, images, row, tally)
                continue
            found = Detections.join(tally.parts)
            tally.parts.clear()
            _count_row(event, tally)
            yield suppressor.add(found, open_row=offsets[row], open_col=open_col)
            start, stop = settled[row]
            advance((stop - start) * panel.width)
            row += 1


def _detect(
    detection: Detection, batch: PatchBatch, images: Tensor, row: int, tally: Tally
) -> list[Detections]:
    """Detect in the patches of a batch."""
    plan, detector, threshold = (
        detection.plan,
        detection.detector,
        detection.options.score_threshold,
    )
    frame = Frame(
        height=plan.tiles.height,
        width=plan.tiles.width,
        score_threshold=threshold,
        has_background=detector.has_background,
    )
    located = []
    for place, (col, found) in enumerate(zip(batch.cols, detector(images), strict=True)):
        window = plan.tiles.window(plan.tiles.row_offs[row], plan.tiles.col_offs[col])
        valid = None if batch.valid is None else batch.valid[place].numpy()
        located.append(frame.locate(found, window, _wanted(detection, valid)))
        tally.boxes += len(located[-1])
        count = int((found['scores'] >= threshold).sum())
        tally.full_patches += detector.most is not None and count >= detector.most
    return located


def _wanted(detection: Detection, valid: Flags | None) -> Callable[[Window], Flags | None]:
    """Say which pixels of a patch hold an observation of interest, if anybody asks."""
    area, transform = detection.plan.area, detection.plan.header.transform

    def look(window: Window) -> Flags | None:
        if area is None:
            return valid
        inside = area.mask(transform, window)
        return inside if valid is None else inside & valid

    return look


def _count_row(end: RowEnd, tally: Tally) -> None:
    """Count what a row of patches held."""
    tally.valid_pixels += sum(piece.valid_pixels for piece in end.pieces)
    tally.forwarded += end.forwarded


def _unchanged(images: Tensor) -> Tensor:
    """Return what is given."""
    return images
