"""Patches of a regular grid: a vector or a class of each, as a table and as a map."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, override

from ...geoio.formats import GEOTIFF_SUFFIXES, TABLE_SUFFIXES
from ...geoio.read import RasterHeader
from ...geoio.vector import Attribute
from ...geoio.warp import advise_place, describe_lack
from ...geoio.write import MapLayout, write_qml
from ...tiling import TilePlan
from ...windows import Panel
from ..model.device import place_model
from ..model.embedder import PatchModel, PatchPredictor, load_classifier, load_embedder
from ..model.load import LoadedModel
from ..options import MapKind, PatchOptions, RuntimeName
from ..output_paths import FileToMake, check_apart
from ..plan import PredictionPlan
from ..preview import ShownScene, write_patches_preview
from ..resume.entries import Counts, Entry, PartFile
from ..resume.parts import PlannedPart
from .map_values import layout_map
from .output import Finished, Maker, Output, Predictor, Result, Settled, count
from .part_arrays import write_arrays
from .patch_files import PatchFiles, new_map, new_table
from .patch_grid import coarse_header, plan_grid
from .patch_rows import Described, OpenPatchRows, read_patches, to_arrays
from .patch_summary import PatchSummary
from .summary import facts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchOutput(Output[Described]):
    """A table of patches, a map of them, or both."""

    model: PatchModel
    """The model."""

    content: PatchFiles
    """What the files hold."""

    @property
    def table(self) -> Path | None:
        """The table; None without one."""
        return next((path for path in self.files if path.suffix.lower() in TABLE_SUFFIXES), None)

    @property
    def raster(self) -> Path | None:
        """The map; None without one."""
        return next((path for path in self.files if path.suffix.lower() in GEOTIFF_SUFFIXES), None)

    @property
    @override
    def lines(self) -> Mapping[str, str]:
        lines = {}
        if self.table is not None:
            names = ', '.join(attribute.name for attribute in self.content.attributes)
            lines['table'] = f'{self.table}: {names}'
        if self.raster is not None:
            kinds = {
                None: 'vectors', 'classes': 'classes', 'labels': 'probabilities of labels',
                'values': 'values',
            }  # fmt: skip
            layout = self.content.layout
            lines['map'] = (
                f'{self.raster}: {kinds[self.model.scores]}, {layout.height:,} x '
                f'{layout.width:,} px, {len(layout.descriptions):,} band(s), {layout.dtype}'
            )
        return lines

    @property
    @override
    def identity(self) -> Mapping[str, Any]:
        kinds = [path.suffix.lower() in TABLE_SUFFIXES for path in self.files]
        return {'output': 'patches', 'scores': self.model.scores, 'tables': kinds}

    def predictor(self, plan: PredictionPlan) -> Predictor:
        """Prepare the model as a plan says."""
        return PatchPredictor(self.model, plan.views())

    def open_rows(self, plan: PredictionPlan, panel: Panel, *, first_row: int) -> OpenPatchRows:
        """Begin a panel."""
        return OpenPatchRows(plan=plan)

    def write(
        self,
        plan: PredictionPlan,
        part: PlannedPart,
        settled: Sequence[Settled[Described]],
        folder: Path,
    ) -> tuple[tuple[PartFile, ...], Counts]:
        """Write what is known of the patches of a part."""
        known = [rows.content for rows in settled if rows.content is not None]
        files = (write_arrays(part, to_arrays(known), folder),) if known else ()
        return files, count(settled)

    def finish(
        self,
        plan: PredictionPlan,
        parts: Sequence[tuple[PlannedPart, Entry]],
        folder: Path,
        tags: Mapping[str, str],
        *,
        place: Path,
    ) -> tuple[list[Finished], Counter[int]]:
        """Write the patches of all parts, row by row; count those of each class."""
        counts: Counter[int] = Counter()
        finished = [(place / f'finished{path.suffix}', path) for path in self.files]
        with ExitStack() as stack:
            writers = []
            for path, final in finished:
                made = (
                    new_table(path, self.content, plan, tags)
                    if final == self.table
                    else new_map(path, self.content, tags)
                )
                writers.append(stack.enter_context(made))
            for patches in read_patches(parts, folder):
                for write in writers:
                    write(patches)
                if self.content.has_classes:
                    counts.update(patches.best_classes.tolist())
        layout = self.content.layout
        if self.raster is not None and layout.class_colors:
            write_qml(self.raster, layout.class_names, layout.class_colors)
        return finished, counts

    @property
    @override
    def forms(self) -> tuple[RuntimeName, ...]:
        return self.model.forms

    @override
    def run_by(self, form: LoadedModel) -> Self:
        return replace(self, model=replace(self.model, loaded=form))

    @override
    def summarize(self, plan: PredictionPlan, result: Result) -> PatchSummary:
        counts: Counter[int] = result.facts or Counter()
        names, tiles = self.content.class_names, plan.tiles
        return PatchSummary(
            **facts_of(plan, result),
            destinations=tuple(map(str, self.files)),
            rows=len(tiles.row_offs),
            cols=len(tiles.col_offs),
            length=None if self.model.scores == 'values' else self.model.length,
            class_patches={names[index]: counts[index] for index in sorted(counts)},
        )

    def draw(self, plan: PredictionPlan, summary: PatchSummary | None, picture: Path) -> Path:
        """Draw the scene beside its patches.

        Raises:
            ValueError: If there is no table.
        """
        self.check_drawing()
        assert self.table is not None
        layout = self.content.layout
        scene = ShownScene(
            path=plan.source, bands=plan.bands, nodata=plan.nodata, observed=plan.options.observed
        )
        return write_patches_preview(
            scene, self.table, picture, header=plan.header, tiles=plan.tiles,
            names=layout.class_names, colors=layout.class_colors,
            value=layout.descriptions[0] if self.model.scores == 'values' else None,
            overwrite=True,
        )  # fmt: skip

    def check_drawing(self) -> None:
        """Refuse to draw without a table."""
        if self.table is None:
            raise ValueError(
                f'a preview is drawn from a table, and {self.files[0]} is none; write a .parquet '
                'file, with the map beside it (--raster)'
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMaker(Maker):
    """Describes the patches of scenes, by one model."""

    made: ClassVar = 'patches'
    result: ClassVar = 'table'
    suffix: ClassVar = '.parquet'

    model: PatchModel
    """What it says of patches."""

    @classmethod
    def load(cls, model: Any, options: PatchOptions) -> Self:
        """Load a classifier."""
        found = load_classifier(
            model,
            preprocessing=options.preprocessing,
            task_class=options.task_class,
            dates=options.dates,
        )
        return cls(loaded=found.loaded, model=found)

    @staticmethod
    @override
    def list_files(destination: str | PathLike[str], options: PatchOptions) -> list[FileToMake]:
        final = Path(destination)
        suffixes = (*TABLE_SUFFIXES, *GEOTIFF_SUFFIXES)
        files = [FileToMake(path=final, suffixes=suffixes, holds='a table or map of patches')]
        if options.raster is not None:
            if final.suffix.lower() in GEOTIFF_SUFFIXES:
                raise ValueError(f'{final} is a map of patches already; leave out {options.raster}')
            check_apart(final, options.raster, holds='patches')
            raster = Path(options.raster)
            files.append(
                FileToMake(path=raster, suffixes=GEOTIFF_SUFFIXES, holds='a map of patches')
            )
        return files

    def check_header(self, header: RasterHeader, files: Sequence[FileToMake], source: str) -> None:
        """Refuse a scene without a CRS, if a table is made."""
        if header.crs is None and files[0].path.suffix.lower() in TABLE_SUFFIXES:
            raise ValueError(
                f'{source} {describe_lack(header)}, and polygons without a CRS lie nowhere; '
                f'{advise_place(header)}; or write a map of patches (.tif) only'
            )

    @override
    def cut(self, height: int, width: int, options: PatchOptions) -> TilePlan:
        return plan_grid(height, width, size=options.side, overlap=options.shared)

    def placed(self, device: str, options: PatchOptions) -> 'PatchMaker':
        """Move the model to its device, and learn how long its vectors are."""
        place_model(self.loaded, device=device)
        return replace(self, model=self.model.probed(size=options.side, device=device))

    @override
    def plan(
        self,
        header: RasterHeader,
        tiles: TilePlan,
        files: Sequence[FileToMake],
        options: PatchOptions,
    ) -> PatchOutput:
        layout = _lay_out(self.model, coarse_header(header, tiles))
        # as the map names them
        has_logits = self.model.channels is not None
        names = layout.class_names or layout.descriptions if has_logits else ()
        content = PatchFiles(
            layout=layout,
            attributes=_list_attributes(self.model, len(names)),
            class_names=names,
            has_classes=self.model.scores == 'classes',
        )
        return PatchOutput(
            files=tuple(file.path for file in files), model=self.model, content=content
        )


class EmbeddingMaker(PatchMaker):
    """Describes patches by the vectors of a backbone."""

    @classmethod
    def load(cls, model: Any, options: PatchOptions) -> Self:
        """Load a backbone."""
        if options.task_class is not None:
            raise ValueError(
                f'task_class is for classifiers, and embeddings need a backbone only; got '
                f'{options.task_class!r}, leave it out'
            )
        found = load_embedder(
            model, preprocessing=options.preprocessing, size=options.side, dates=options.dates
        )
        return cls(loaded=found.loaded, model=found)


def _lay_out(model: PatchModel, header: RasterHeader) -> MapLayout:
    """Decide what the map of patches holds: classes, probabilities of labels, values or vectors."""
    record = model.loaded.preprocessing
    if model.scores == 'values':
        assert model.length is not None
        return layout_map(header, record, output='values', channels=model.length)
    if model.scores is not None:
        assert model.channels is not None
        kind: MapKind = 'classes' if model.scores == 'classes' else 'probabilities'
        return layout_map(header, record, output=kind, channels=model.channels)
    assert model.length is not None
    return MapLayout(
        height=header.height, width=header.width, crs=header.crs, transform=header.transform,
        dtype='float32', nodata=float('nan'),
        descriptions=tuple(f'feature {index}' for index in range(model.length)),
        georeference=header.georeference.carried(),
    )  # fmt: skip


def many(length: int | None) -> int | None:
    """Give the length of a list; a single number is none."""
    return None if length == 1 else length


def _list_attributes(model: PatchModel, classes: int) -> tuple[Attribute, ...]:
    """List the columns of the table."""
    columns = [
        Attribute(name='row', kind='int32'),
        Attribute(name='col', kind='int32'),
        Attribute(name='observed', kind='float32'),
    ]
    if model.scores == 'classes':
        columns += [
            Attribute(name='class', kind='int32'),
            Attribute(name='class_name', kind='string'),
            Attribute(name='score', kind='float32'),
        ]
    if classes:
        columns.append(Attribute(name='probabilities', kind='float32', length=classes))
    if model.scores == 'values':
        columns.append(Attribute(name='value', kind='float32', length=many(model.length)))
    elif model.length is not None:
        columns.append(Attribute(name='embedding', kind='float32', length=model.length))
    return tuple(columns)
