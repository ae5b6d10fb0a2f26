"""Objects: boxes or outlines in a vector file, each object of the scene once.

Parts hold what the model found in their patches. Suppression runs over all of them when they are
there, in their order, so that a part does not depend on its neighbours, and the file is that of one
run, whoever made the parts. Only boxes that are not settled are in memory.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, override

import numpy as np
import torch

from ...geoio.formats import FEATURE_SUFFIXES
from ...geoio.read import RasterHeader
from ...geoio.vector import TooManyPolygonsError, Write, check_format, new_features, read_features
from ...geoio.warp import advise_place, describe_lack
from ...suppression import Detections, Suppressor, box_areas
from ...tiling import TilePlan
from ...windows import Panel
from ..model.detector import Detector, ObjectPredictor
from ..model.device import place_model
from ..model.load import LoadedModel, evaluating
from ..model.runtimes.availability import MODULE_FORMS
from ..options import ObjectOptions, RuntimeName
from ..output_paths import FileToMake
from ..plan import PredictionPlan
from ..preview import write_objects_preview
from ..resume.entries import Counts, Entry, PartFile
from ..resume.journal import work_folder
from ..resume.parts import PlannedPart
from .object_boxes import polygon_areas
from .object_features import OBJECT_ATTRIBUTES, to_features
from .object_rows import OpenObjectRows, RowOfObjects, read_objects, to_arrays
from .object_summary import DetectionSummary
from .output import Finished, Maker, Output, Predictor, Result, Settled, count
from .part_arrays import write_arrays
from .summary import facts_of

# objects that are made features of at a time
_COLLECTED = 2**16


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
class ObjectOutput(Output[RowOfObjects]):
    """A file of objects."""

    detector: Detector
    """The model, checking its output."""

    options: ObjectOptions
    """Thresholds."""

    @property
    @override
    def lines(self) -> Mapping[str, str]:
        return {'objects': str(self.files[0])}

    @property
    @override
    def identity(self) -> Mapping[str, Any]:
        return {
            'output': 'objects',
            'score_threshold': self.options.score_threshold,
            'iou_threshold': self.options.iou_threshold,
            'match': self.options.match,
        }

    def predictor(self, plan: PredictionPlan) -> Predictor:
        """Prepare the model as a plan says."""
        return ObjectPredictor(
            self.detector, plan.views(), score_threshold=self.options.score_threshold
        )

    def open_rows(self, plan: PredictionPlan, panel: Panel, *, first_row: int) -> OpenObjectRows:
        """Begin a panel."""
        return OpenObjectRows(
            plan=plan, detector=self.detector, score_threshold=self.options.score_threshold
        )

    def write(
        self,
        plan: PredictionPlan,
        part: PlannedPart,
        settled: Sequence[Settled[RowOfObjects]],
        folder: Path,
    ) -> tuple[tuple[PartFile, ...], Counts]:
        """Write what was found in a part, row of patches by row of patches."""
        found = Detections.join([rows.content.found for rows in settled])
        full_patches = sum(rows.content.full_patches for rows in settled)
        counts = replace(count(settled), boxes=len(found), full_patches=full_patches)
        if not len(found):
            return (), counts
        lengths = [len(rows.content.found) for rows in settled]
        rows = np.repeat([rows.row for rows in settled], lengths)
        return (write_arrays(part, {'row': rows, **to_arrays(found)}, folder),), counts

    def finish(
        self,
        plan: PredictionPlan,
        parts: Sequence[tuple[PlannedPart, Entry]],
        folder: Path,
        tags: Mapping[str, str],
        *,
        place: Path,
    ) -> tuple[list[Finished], Tally]:
        """Suppress what several patches found, and write the objects."""
        final = self.files[0]
        path, tally = place / final.name, Tally()
        crs = plan.header.crs
        assert crs is not None  # planning refuses scenes without
        with (
            _keeping_parts(plan),
            new_features(
                path, crs=crs, attributes=OBJECT_ATTRIBUTES, overwrite=True, metadata=tags
            ) as write,
        ):
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
            row_of, found = read_objects(entry, folder)
            for row in part.rows:
                kept = suppressor.add(
                    found.take(row_of == row),
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

    @property
    @override
    def forms(self) -> tuple[RuntimeName, ...]:
        # a graph returns tensors, and detectors return what they found in each image
        return MODULE_FORMS

    @override
    def run_by(self, form: LoadedModel) -> Self:
        return replace(self, detector=self.detector.run_by(form))

    @override
    def summarize(self, plan: PredictionPlan, result: Result) -> DetectionSummary:
        tally: Tally = result.facts or Tally()
        names = self.detector.names or {}
        return DetectionSummary(
            **facts_of(plan, result),
            destination=plan.destination,
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
        )

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
            observed=plan.options.observed,
            colors=dict(zip(names, colors, strict=False)),
            overwrite=True,
        )


@contextmanager
def _keeping_parts(plan: PredictionPlan) -> Iterator[None]:
    """Say how another format goes on with what was found, if GeoJSON cannot hold it."""
    try:
        yield
    except TooManyPolygonsError as error:
        other = Path(plan.destination).with_suffix('.gpkg')
        folder = work_folder(other, plan.options.work)
        raise ValueError(
            f'{error}; for {other}, nothing is predicted again once {plan.folder} is renamed '
            f'to {folder}'
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectMaker(Maker):
    """Finds the objects in scenes, by one detector."""

    made: ClassVar = 'objects'
    result: ClassVar = 'objects'
    suffix: ClassVar = '.gpkg'

    detector: Detector | None = None
    """The model, checking its output; None before :meth:`placed`."""

    @staticmethod
    @override
    def list_files(destination: str | PathLike[str], options: ObjectOptions) -> list[FileToMake]:
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

    def placed(self, device: str, options: ObjectOptions) -> 'ObjectMaker':
        """Move the model to its device, and learn from a patch of zeros what boxes are."""
        loaded = place_model(self.loaded, device=device)
        detector = Detector.of(loaded)
        shape = (1, loaded.in_channels, options.side, options.side)
        with evaluating(loaded.forward):
            found = detector(torch.zeros(shape, device=device))
        columns = int(found[0]['boxes'].shape[1])
        return ObjectMaker(loaded=loaded, detector=replace(detector, columns=columns))

    @override
    def plan(
        self,
        header: RasterHeader,
        tiles: TilePlan,
        files: Sequence[FileToMake],
        options: ObjectOptions,
    ) -> ObjectOutput:
        assert self.detector is not None
        paths = tuple(file.path for file in files)
        return ObjectOutput(files=paths, detector=self.detector, options=options)
