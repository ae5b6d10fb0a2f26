"""Objects: boxes or outlines in a vector file, each object of the scene once.

Parts hold what the model found in their patches. Suppression runs over all of them when they are
there, in their order, so that a part does not depend on its neighbours, and the file is that of one
run, whoever made the parts. Only boxes that are not settled are in memory.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from ...geoio.formats import FEATURE_SUFFIXES
from ...geoio.read import RasterHeader
from ...geoio.vector import Write, check_format, new_features, read_features
from ...geoio.warp import advise_place, describe_lack
from ...geoio.write import MapLayout
from ...stitching import Weighting
from ...suppression import Detections, Flags, Suppressor, box_areas
from ...tiling import TilePlan, plan_tile
from ...windows import Panel, Window
from ..model.detector import Detector, Found, ObjectPredictor
from ..model.device import compile_model, place_model
from ..model.load import Forward, LoadedModel, evaluating, load_model
from ..options import ObjectOptions
from ..output_paths import FileToMake
from ..plan import PredictionPlan
from ..preview import write_objects_preview
from ..resume.journal import Counts, Entry, PartFile
from ..resume.parts import PlannedPart
from ..scene.batches import PatchBatch, RowEnd
from ..scene.tiling import weigh_patches
from .object_boxes import Frame, polygon_areas
from .object_features import OBJECT_ATTRIBUTES, to_features
from .object_summary import DetectionSummary
from .output import Finished, Predictor, Result, Settled
from .part_arrays import is_sound, read_arrays, write_arrays

# objects that are made features of at a time
_COLLECTED = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOfObjects:
    """What the model found in a row of patches."""

    found: Detections
    """Boxes, unwanted ones included."""

    full_patches: int
    """Patches with as many as it returns at most."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts objects while they are written."""

    labels: Counter[int] = field(default_factory=Counter)
    """Per label: objects."""

    cut: int = 0
    """Objects that may be cut off."""

    largest_px: float = 0.0
    """Longest side of a box in pixels."""

    left_out: int = 0
    """Objects that the format cannot express."""

    def add(self, objects: Detections) -> None:
        """Count some more."""
        self.labels.update(objects.labels.tolist())
        self.cut += int(np.count_nonzero(objects.is_cut))
        sides = objects.boxes[:, 2:] - objects.boxes[:, :2]
        self.largest_px = max(self.largest_px, float(sides.max(initial=0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOutput:
    """A file of objects."""

    files: tuple[Path, ...]
    """The file."""

    detector: Detector
    """The model, checking its output."""

    options: ObjectOptions
    """Thresholds."""

    layouts: ClassVar[tuple[MapLayout, ...]] = ()
    channels: ClassVar = 0
    is_blended: ClassVar = False
    joining: ClassVar = ''

    @property
    def lines(self) -> Mapping[str, str]:
        """As in :class:`.output.Output`."""
        return {'objects': str(self.files[0])}

    @property
    def identity(self) -> Mapping[str, Any]:
        """As in :class:`.output.Output`."""
        return {
            'output': 'objects',
            'score_threshold': self.options.score_threshold,
            'iou_threshold': self.options.iou_threshold,
            'match': self.options.match,
        }

    @property
    def tags(self) -> Mapping[str, str]:
        """As in :class:`.output.Output`."""
        return {}

    def first_row(self, plan: PredictionPlan, rows: range) -> int:
        """Begin where asked: what is found in a patch depends on that patch alone."""
        return rows.start

    def predictor(self, plan: PredictionPlan) -> Predictor:
        """Prepare the model as a plan says."""
        return ObjectPredictor(
            self.detector, plan.views(), score_threshold=self.options.score_threshold
        )

    def open_rows(self, plan: PredictionPlan, panel: Panel, *, first_row: int) -> 'OpenObjectRows':
        """Begin a panel."""
        return OpenObjectRows(plan=plan, output=self)

    def write(
        self,
        plan: PredictionPlan,
        part: PlannedPart,
        settled: Sequence[Settled[RowOfObjects]],
        folder: Path,
    ) -> tuple[tuple[PartFile, ...], Counts]:
        """Write what was found in a part, row of patches by row of patches."""
        found = Detections.join([rows.content.found for rows in settled])
        counts = Counts(
            valid_pixels=sum(rows.valid_pixels for rows in settled),
            forwarded=sum(rows.forwarded for rows in settled),
            boxes=len(found),
            full_patches=sum(rows.content.full_patches for rows in settled),
        )
        if not len(found):
            return (), counts
        lengths = [len(rows.content.found) for rows in settled]
        rows = np.repeat([rows.row for rows in settled], lengths)
        arrays = {'row': rows, **_to_arrays(found)}
        return (write_arrays(folder / f'{part.number:06}.npz', arrays, panel=part.panel),), counts

    def fits(self, entry: Entry) -> bool:
        """Say whether an entry names one file, or none."""
        return len(entry.files) <= 1 and not entry.counts.class_pixels

    def is_sound(self, part: PlannedPart, file: PartFile, folder: Path) -> bool:
        """As in :class:`.output.Output`."""
        return is_sound(file, folder)

    def finish(
        self,
        plan: PredictionPlan,
        parts: Sequence[tuple[PlannedPart, Entry]],
        folder: Path,
        tags: Mapping[str, str],
    ) -> tuple[list[Finished], Tally]:
        """Suppress what several patches found, and write the objects."""
        final = self.files[0]
        path, tally = folder / final.name, Tally()
        crs = plan.header.crs
        assert crs is not None  # planning refuses scenes without
        with new_features(
            path, crs=crs, attributes=OBJECT_ATTRIBUTES, overwrite=True, metadata=tags
        ) as write:
            held: list[Detections] = []
            for objects in self._suppress(plan, parts, folder):
                held.append(objects)
                if sum(map(len, held)) >= _COLLECTED:
                    self._write_features(plan, held, write, tally)
            self._write_features(plan, held, write, tally)
        return [(path, final)], tally

    def _suppress(
        self, plan: PredictionPlan, parts: Sequence[tuple[PlannedPart, Entry]], folder: Path
    ) -> Iterator[Detections]:
        """Keep each wanted object once, as soon as no later box can change that."""
        suppressor = Suppressor(
            threshold=self.options.iou_threshold,
            match=self.options.match,
            measure=polygon_areas if self.detector.columns == 5 else box_areas,
        )
        firsts = [plan.tiles.col_offs[panel.patches.start] for panel in plan.panels]
        open_cols = dict(zip(plan.panels, (*firsts[1:], np.inf), strict=True))
        open_rows = (*plan.tiles.row_offs[1:], np.inf)
        for part, entry in parts:
            arrays = read_arrays(folder / entry.files[0].name) if entry.files else {'row': _NONE}
            found = _from_arrays(arrays) if entry.files else Detections.none()
            for row in part.rows:
                kept = suppressor.add(
                    found.take(arrays['row'] == row),
                    open_row=open_rows[row],
                    open_col=open_cols[part.panel],
                )
                yield kept.take(kept.is_wanted)
        assert len(suppressor) == 0, 'nothing can be open after the last row of the last panel'

    def _write_features(
        self, plan: PredictionPlan, held: list[Detections], write: Write, tally: Tally
    ) -> None:
        """Write what is held, and hold nothing any more."""
        objects = Detections.join(held)
        held.clear()
        tally.add(objects)
        tally.left_out += write(to_features(objects, plan.header, names=self.detector.names))

    def summarize(self, plan: PredictionPlan, result: Result) -> DetectionSummary:
        """As in :class:`.output.Output`."""
        tally: Tally = result.facts or Tally()
        names = self.detector.names or {}
        return DetectionSummary(
            destination=plan.destination,
            complete=result.is_complete,
            objects=tally.labels.total(),
            left_out=tally.left_out,
            class_objects={
                names.get(label, str(label)): tally.labels[label] for label in sorted(tally.labels)
            },
            cut=tally.cut,
            largest_px=tally.largest_px,
            boxes=result.counts.boxes,
            full_patches=result.counts.full_patches,
            overlap=plan.tiles.overlap,
            pixels=plan.pixels,
            pixels_now=result.pixels_now,
            valid_pixels=result.counts.valid_pixels,
            patches=plan.costs.patches,
            forwarded=result.counts.forwarded,
            parts=result.parts,
            parts_before=result.parts_before,
            seconds=result.seconds,
            values=plan.values,
            place=plan.place,
            dates=None if plan.after is None else plan.after.describe_overlap(plan.source),
        )

    def check_drawing(self) -> None:
        """Draw any."""

    def draw(self, plan: PredictionPlan, summary: DetectionSummary, picture: Path) -> Path:
        """Draw the objects over the scene."""
        names, colors = self.detector.names or {}, plan.loaded.preprocessing.class_colors
        return write_objects_preview(
            plan.source,
            read_features(self.files[0]),
            picture,
            bands=plan.bands,
            name=self.files[0].name,
            grid=plan.header,
            nodata=plan.nodata,
            observed=plan.observed,
            colors=dict(zip(names, colors, strict=False)),
            overwrite=True,
        )


@dataclass(slots=True, kw_only=True)
class OpenObjectRows:
    """What was found in the current row of patches."""

    plan: PredictionPlan
    """The plan."""

    output: ObjectOutput
    """What is made."""

    found: list[Detections] = field(default_factory=list)
    """Boxes, patch by patch."""

    full_patches: int = 0
    """Patches with as many as the model returns at most."""

    def add(self, batch: PatchBatch, found: Sequence[tuple[Found, bool]]) -> None:
        """Place what was found in the patches of a batch."""
        plan, detector = self.plan, self.output.detector
        frame = Frame(
            height=plan.tiles.height,
            width=plan.tiles.width,
            score_threshold=self.output.options.score_threshold,
            has_background=detector.has_background,
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


_NONE = np.empty(0, dtype=np.int64)


def _to_arrays(found: Detections) -> dict[str, NDArray[Any]]:
    """Turn boxes into arrays of numbers; outlines become bytes, those of all one after the other."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMaker:
    """Finds the objects in scenes, by one detector."""

    made: ClassVar = 'objects'
    result: ClassVar = 'objects'
    suffix: ClassVar = '.gpkg'

    loaded: LoadedModel
    """The detector."""

    detector: Detector | None = None
    """The same, checking its output; None before :meth:`placed`."""

    @classmethod
    def load(cls, model: str | PathLike[str] | Forward, options: ObjectOptions) -> Self:
        """As in :meth:`.output.Maker.load`."""
        return cls(
            loaded=load_model(
                model,
                preprocessing=options.preprocessing,
                task_class=options.task_class,
                dates=options.dates,
            )
        )

    @staticmethod
    def list_files(destination: str | PathLike[str], options: ObjectOptions) -> list[FileToMake]:
        """As in :meth:`.output.Maker.list_files`."""
        path = Path(destination)
        return [FileToMake(path=path, suffixes=FEATURE_SUFFIXES, holds='a file of objects')]

    def check_header(self, header: RasterHeader, files: Sequence[FileToMake], source: str) -> None:
        """Refuse a scene without a CRS."""
        if header.crs is None:
            raise ValueError(
                f'{source} {describe_lack(header)}, and objects without a CRS lie nowhere; '
                f'{advise_place(header)}'
            )
        check_format(files[0].path, crs=header.crs)

    def cut(self, height: int, width: int, options: ObjectOptions) -> TilePlan:
        """As in :meth:`.output.Maker.cut`."""
        return plan_tile(height, width, size=options.size, overlap=options.shared)

    def weigh(self, tiles: TilePlan, options: ObjectOptions) -> Weighting:
        """As in :meth:`.output.Maker.weigh`."""
        return weigh_patches(tiles, blend='crop', margin=0)

    def placed(self, device: str, options: ObjectOptions) -> 'ObjectMaker':
        """Move the model to its device, and learn by a patch of zeros whether boxes are oriented."""
        loaded = place_model(self.loaded, device=device, channels_last=options.channels_last)
        detector = Detector.of(loaded)
        if options.compile:
            loaded = compile_model(loaded)
            detector = detector.compiled(loaded)
        shape = (1, loaded.in_channels, options.size, options.size)
        with evaluating(loaded.forward):
            found = detector(torch.zeros(shape, device=device))
        columns = int(found[0]['boxes'].shape[1])
        return ObjectMaker(loaded=loaded, detector=replace(detector, columns=columns))

    def plan(
        self,
        header: RasterHeader,
        tiles: TilePlan,
        files: Sequence[FileToMake],
        options: ObjectOptions,
    ) -> ObjectOutput:
        """Decide what is written."""
        assert self.detector is not None
        paths = tuple(file.path for file in files)
        return ObjectOutput(files=paths, detector=self.detector, options=options)
