"""Objects of rows of patches, and the arrays that parts hold of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ...suppression import Detections, Flags
from ...windows import Window
from ..model.detector import Detector, Found
from ..plan import PredictionPlan
from ..resume.entries import Entry
from ..scene.batches import PatchBatch, RowEnd
from .object_boxes import Frame
from .output import Settled
from .part_arrays import read_arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOfObjects:
    """What the model found in a row of patches."""

    found: Detections
    """Boxes, unwanted ones included."""

    full_patches: int
    """Patches with as many as it returns at most."""


@dataclass(slots=True, kw_only=True)
class OpenObjectRows:
    """What was found in the current row of patches."""

    plan: PredictionPlan
    """The plan."""

    detector: Detector
    """The model."""

    score_threshold: float
    """Lowest score of an object."""

    found: list[Detections] = field(default_factory=list)
    """Boxes, patch by patch."""

    full_patches: int = 0
    """Patches with as many as the model returns at most."""

    def add(self, batch: PatchBatch, found: Sequence[tuple[Found, bool]]) -> None:
        """Place what was found in the patches of a batch."""
        plan = self.plan
        frame = Frame(
            height=plan.tiles.height,
            width=plan.tiles.width,
            score_threshold=self.score_threshold,
            has_background=self.detector.has_background,
        )
        for place, (col, (one, is_full)) in enumerate(zip(batch.cols, found, strict=True)):
            window = plan.tiles.window(plan.tiles.row_offs[batch.row], plan.tiles.col_offs[col])
            valid = None if batch.valid is None else batch.valid[place].numpy()
            self.found.append(frame.locate(one, window, partial(self._wanted, valid=valid)))
            self.full_patches += is_full

    def _wanted(self, window: Window, valid: Flags | None) -> Flags | None:
        """Say which pixels of a patch hold an observation of interest, if anybody asks."""
        if self.plan.area is None:
            return valid
        inside = self.plan.area.mask(self.plan.header.transform, window)
        return inside if valid is None else inside & valid

    def settle(self, end: RowEnd) -> Settled[RowOfObjects]:
        """Close a row of patches."""
        content = RowOfObjects(found=Detections.join(self.found), full_patches=self.full_patches)
        self.found, self.full_patches = [], 0
        return Settled.of(self.plan, end, content)


def to_arrays(found: Detections) -> dict[str, NDArray[Any]]:
    """Turn boxes into arrays of numbers; outlines become bytes, one after the other."""
    outlines = [b'' if one is None else shapely.to_wkb(one) for one in found.outlines]
    return {
        'boxes': found.boxes,
        'labels': found.labels,
        'scores': found.scores,
        'is_cut': found.is_cut,
        'is_wanted': found.is_wanted,
        'outline_bytes': np.frombuffer(b''.join(outlines), dtype=np.uint8),
        'outline_lengths': np.array([len(one) for one in outlines], dtype=np.int64),
    }


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Detections:
    """Turn arrays back into boxes."""
    names = ('boxes', 'labels', 'scores', 'is_cut', 'is_wanted')
    content, stops = arrays['outline_bytes'].tobytes(), np.cumsum(arrays['outline_lengths'])
    outlines = np.full(len(stops), None, dtype=np.object_)
    for place, (stop, length) in enumerate(zip(stops, arrays['outline_lengths'], strict=True)):
        if length:
            outlines[place] = shapely.from_wkb(content[stop - length : stop])
    return Detections(**{name: arrays[name] for name in names}, outlines=outlines)


def read_objects(entry: Entry, folder: Path) -> tuple[NDArray[np.int64], Detections]:
    """Read what was found in a finished part, and in which row of patches each box was."""
    if not entry.files:
        return np.empty(0, dtype=np.int64), Detections.none()
    arrays = read_arrays(folder / entry.files[0].name)
    return arrays['row'], _from_arrays(arrays)
