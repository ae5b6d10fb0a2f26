"""Maps: scores per pixel, blended where patches meet, as Cloud Optimized GeoTIFFs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, override

from ...geoio.pixel_area import area_factor
from ...geoio.write import MapLayout, Part, checksum, finish_map, is_sound, write_part, write_qml
from ...stitching import RowStitcher
from ...windows import Panel
from ..model.predictor import PixelPredictor, View
from ..options import LayerKind, MapOptions
from ..plan import PredictionPlan
from ..preview import ShownScene, write_preview
from ..resume.entries import Counts, Entry, PartFile
from ..resume.parts import PlannedPart
from .agreement import Consistency, compare_maps, turn_of
from .map_counts import count_pixels
from .map_rows import OpenMapRows, Pieces, PlannedMap, join_pieces, merge_columns, place_file
from .map_summary import PredictionSummary
from .map_values import encoder_for
from .output import Finished, Output, Predictor, Result, Settled
from .summary import facts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOutput(Output[Pieces]):
    """One map, or a map of classes and others of what stands behind it."""

    maps: tuple[PlannedMap, ...]
    """What is written, the map asked for first."""

    options: MapOptions
    """How patches are joined."""

    agreement: PlannedMap | None = None
    """How many further maps have the class of the first, if any are made."""

    @property
    def kind(self) -> LayerKind:
        """What the map asked for holds."""
        return self.maps[0].kind

    @property
    def layout(self) -> MapLayout:
        """Type and legend of the map asked for."""
        return self.maps[0].layout

    @property
    def classes(self) -> int:
        """Classes that are counted: those of a map of classes."""
        return len(self.layout.class_names) if self.kind == 'classes' else 0

    @property
    @override
    def layouts(self) -> tuple[MapLayout, ...]:
        return tuple(made.layout for made in self.maps)

    @property
    @override
    def is_blended(self) -> bool:
        return self.options.blend == 'hann'

    @property
    @override
    def lines(self) -> Mapping[str, str]:
        first, *others = [
            f'{made.destination}: {made.kind}, {len(made.layout.descriptions)} band(s), '
            f'{made.layout.dtype}'
            for made in (*self.maps, *self._compared)
        ]
        # further lines are indented as what stands behind a name
        return {'map': first, **({'and map': f'\n{"":<11}'.join(others)} if others else {})}

    @property
    def _compared(self) -> tuple[PlannedMap, ...]:
        """What is made of the finished map."""
        return () if self.agreement is None else (self.agreement,)

    @property
    @override
    def turn(self) -> View:
        return turn_of(self.options.variation)

    @property
    @override
    def joining(self) -> str:
        return f', {self.options.blend}, margin {self.options.margin}'

    @property
    @override
    def identity(self) -> Mapping[str, Any]:
        return {
            'blend': self.options.blend,
            'margin': self.options.margin,
            'maps': [
                [made.kind, made.layout.dtype, made.overviews]
                for made in (*self.maps, *self._compared)
            ],
            # only where they are given, so that what was made without them is known again
            **({'consistency': self.options.consistency} if self.options.consistency else {}),
            **({'variation': self.options.variation} if self.options.variation else {}),
        }

    @property
    @override
    def tags(self) -> Mapping[str, str]:
        return {'PATCH_MARGIN': str(self.options.margin), 'BLEND': self.options.blend}

    def first_row(self, plan: PredictionPlan, rows: range) -> int:
        """Find the first row of patches that adds to the pixels of some rows of patches."""
        first_pixel = plan.weighting.rows.settled[rows.start][0]
        spans = plan.weighting.rows.spans
        return next(row for row, (_, stop) in enumerate(spans) if stop > first_pixel)

    def predictor(self, plan: PredictionPlan) -> Predictor:
        """Prepare the model as a plan says."""
        only_classes = [made.kind for made in self.maps] == ['classes']
        return PixelPredictor(
            plan.loaded.score,
            plan.views(),
            scores='values' if self.kind == 'values' else plan.loaded.scores,
            # the largest logit is the largest probability
            as_logits=only_classes and self.options.blend == 'crop' and self.channels > 1,
        )

    def open_rows(self, plan: PredictionPlan, panel: Panel, *, first_row: int) -> OpenMapRows:
        """Begin a panel at a row of patches."""
        encoders = [encoder_for(made.kind, made.layout) for made in self.maps]
        stitcher = RowStitcher(plan.weighting, panel, encoders, first_row=first_row)
        return OpenMapRows(plan=plan, maps=self.maps, stitcher=stitcher)

    def write(
        self,
        plan: PredictionPlan,
        part: PlannedPart,
        settled: Sequence[Settled[Pieces]],
        folder: Path,
    ) -> tuple[tuple[PartFile, ...], Counts]:
        """Write one file per map and range of columns that is not all nodata."""
        files = []
        for left, right in merge_columns(settled):
            for number, made in enumerate(self.maps):
                pixels = join_pieces(settled, number, made, left=left, right=right)
                path = folder / f'{part.stem}-{left:08}-{made.kind}.tif'
                write_part(path, pixels, nodata=made.layout.nodata, threads=plan.threads)
                files.append(
                    PartFile(
                        name=path.name, map=number, col_off=left, width=right - left,
                        crc32=checksum(path),
                    )
                )  # fmt: skip
        return tuple(files), count_pixels(plan.header, settled, classes=self.classes)

    def fits(self, entry: Entry) -> bool:
        """Say whether an entry counts these classes and names these maps."""
        counts = entry.counts
        return (
            len(counts.class_pixels) == self.classes
            and len(counts.class_areas_m2) in (0, self.classes)
            and all(file.map < len(self.maps) for file in entry.files)
        )

    def is_sound(self, part: PlannedPart, file: PartFile, folder: Path) -> bool:
        """Say whether a file is there, of its size, and as it was written."""
        return is_sound(place_file(part, file, folder), crc=file.crc32)

    def finish(
        self,
        plan: PredictionPlan,
        parts: Sequence[tuple[PlannedPart, Entry]],
        folder: Path,
        tags: Mapping[str, str],
        *,
        place: Path,
    ) -> tuple[list[Finished], Consistency | None]:
        """Turn parts into maps."""
        finished: list[Finished] = []
        for number, made in enumerate(self.maps):
            path = place / f'map-{number}.tif'
            pieces = [
                place_file(part, file, folder)
                for part, entry in parts
                for file in entry.files
                if file.map == number
            ]
            _finish(pieces, path, made, tags, plan.threads)
            finished.append((path, made.destination))
        found = None
        if self.agreement is not None:
            pieces, found = compare_maps(
                finished[0][0],
                [Path(each.destination) for each in plan.variations],
                layout=self.agreement.layout,
                classes=self.classes,
                folder=place,
                threads=plan.threads,
            )
            path = place / 'agreement.tif'
            _finish(pieces, path, self.agreement, tags, plan.threads)
            finished.append((path, self.agreement.destination))
        for made in self.maps:
            if made.kind == 'classes':
                write_qml(made.destination, made.layout.class_names, made.layout.class_colors)
        return finished, found

    @override
    def summarize(self, plan: PredictionPlan, result: Result) -> PredictionSummary:
        counts = result.counts
        return PredictionSummary(
            **facts_of(plan, result),
            destination=plan.destination,
            seconds_finishing=result.seconds_finishing,
            class_names=self.layout.class_names,
            class_pixels=counts.class_pixels or (0,) * self.classes,
            class_areas_m2=counts.class_areas_m2 or None,
            area_factor=area_factor(plan.header),
            consistency=result.facts,
        )

    def draw(self, plan: PredictionPlan, summary: PredictionSummary | None, picture: Path) -> Path:
        """Draw the scene beside its map."""
        after = plan.after
        return write_preview(
            plan.source,
            plan.destination,
            picture,
            bands=plan.bands,
            nodata=plan.nodata,
            observed=plan.options.observed,
            after=None
            if after is None
            else ShownScene(
                path=after.path,
                bands=after.bands,
                nodata=after.nodata,
                observed=plan.options.observed,
            ),
            class_pixels=None if summary is None else summary.class_pixels or None,
            overwrite=True,
        )


def _finish(
    pieces: Sequence[Part], path: Path, made: PlannedMap, tags: Mapping[str, str], threads: int
) -> None:
    """Join the parts of a map beside its file."""
    finish_map(
        pieces,
        path,
        made.layout,
        dict(tags),
        overview_resampling=made.overviews,
        work=path.parent,
        overwrite=True,
        threads=threads,
    )
