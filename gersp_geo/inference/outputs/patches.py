"""Patches of a regular grid: a vector or a class of each, as a table and as a map."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...geoio.formats import GEOTIFF_SUFFIXES, TABLE_SUFFIXES
from ...geoio.read import RasterHeader
from ...geoio.vector import Attribute
from ...geoio.warp import advise_place, describe_lack
from ...geoio.write import MapLayout, write_qml
from ...stitching import Weighting
from ...tiling import TilePlan
from ...windows import Panel
from ..model.device import compile_model, place_model
from ..model.embedder import PatchModel, PatchPredictor, load_classifier, load_embedder
from ..model.load import LoadedModel
from ..options import MapKind, PatchOptions
from ..output_paths import FileToMake, check_apart
from ..plan import PredictionPlan
from ..preview import ShownScene, write_patches_preview
from ..resume.journal import Counts, Entry, PartFile
from ..resume.parts import PlannedPart
from ..scene.batches import PatchBatch, RowEnd
from ..scene.tiling import weigh_patches
from .map_values import layout_map
from .output import Finished, Predictor, Result, Settled
from .part_arrays import is_sound, read_arrays, write_arrays
from .patch_files import PatchFiles, PatchRow, new_map, new_table
from .patch_grid import coarse_header, plan_grid
from .patch_summary import PatchSummary

type Described = PatchRow | None
"""What is known of a row of patches of a panel; None where there is no observation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchOutput:
    """A table of patches, a map of them, or both."""

    files: tuple[Path, ...]
    """What is written, the file asked for first."""

    model: PatchModel
    """The model."""

    content: PatchFiles
    """What the files hold."""

    layouts: ClassVar[tuple[MapLayout, ...]] = ()
    channels: ClassVar = 0
    is_blended: ClassVar = False
    joining: ClassVar = ''

    @property
    def table(self) -> Path | None:
        """The table; None without one."""
        return next((path for path in self.files if path.suffix.lower() in TABLE_SUFFIXES), None)

    @property
    def raster(self) -> Path | None:
        """The map; None without one."""
        return next((path for path in self.files if path.suffix.lower() in GEOTIFF_SUFFIXES), None)

    @property
    def lines(self) -> Mapping[str, str]:
        """As in :class:`.output.Output`."""
        lines = {}
        if self.table is not None:
            names = ', '.join(attribute.name for attribute in self.content.attributes)
            lines['table'] = f'{self.table}: {names}'
        if self.raster is not None:
            kinds = {None: 'vectors', 'classes': 'classes', 'labels': 'probabilities of labels'}
            layout = self.content.layout
            lines['map'] = (
                f'{self.raster}: {kinds[self.model.scores]}, {layout.height:,} x '
                f'{layout.width:,} px, {len(layout.descriptions):,} band(s), {layout.dtype}'
            )
        return lines

    @property
    def identity(self) -> Mapping[str, Any]:
        """As in :class:`.output.Output`."""
        kinds = [path.suffix.lower() in TABLE_SUFFIXES for path in self.files]
        return {'output': 'patches', 'scores': self.model.scores, 'tables': kinds}

    @property
    def tags(self) -> Mapping[str, str]:
        """As in :class:`.output.Output`."""
        return {}

    def first_row(self, plan: PredictionPlan, rows: range) -> int:
        """Begin where asked: what is said of a patch depends on that patch alone."""
        return rows.start

    def predictor(self, plan: PredictionPlan) -> Predictor:
        """Prepare the model as a plan says."""
        return PatchPredictor(self.model, plan.views())

    def open_rows(self, plan: PredictionPlan, panel: Panel, *, first_row: int) -> 'OpenPatchRows':
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
        counts = Counts(
            valid_pixels=sum(rows.valid_pixels for rows in settled),
            forwarded=sum(rows.forwarded for rows in settled),
        )
        if not known:
            return (), counts
        path = folder / f'{part.number:06}.npz'
        return (write_arrays(path, _to_arrays(known), panel=part.panel),), counts

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
    ) -> tuple[list[Finished], Counter[int]]:
        """Write the patches of all parts, row by row; count those of each class."""
        counts: Counter[int] = Counter()
        finished = [(folder / f'finished{path.suffix}', path) for path in self.files]
        with ExitStack() as stack:
            writers = []
            for path, final in finished:
                made = (
                    new_table(path, self.content, plan, tags)
                    if final == self.table
                    else new_map(path, self.content, tags)
                )
                writers.append(stack.enter_context(made))
            for patches in _read_rows(parts, folder):
                for write in writers:
                    write(patches)
                if self.content.has_classes:
                    counts.update(patches.best_classes.tolist())
        layout = self.content.layout
        if self.raster is not None and layout.class_colors:
            write_qml(self.raster, layout.class_names, layout.class_colors)
        return finished, counts

    def summarize(self, plan: PredictionPlan, result: Result) -> PatchSummary:
        """As in :class:`.output.Output`."""
        counts: Counter[int] = result.facts or Counter()
        names, tiles = self.content.class_names, plan.tiles
        return PatchSummary(
            destinations=tuple(map(str, self.files)),
            complete=result.is_complete,
            rows=len(tiles.row_offs),
            cols=len(tiles.col_offs),
            forwarded=result.counts.forwarded,
            length=self.model.length,
            pixels=plan.pixels,
            pixels_now=result.pixels_now,
            parts=result.parts,
            parts_before=result.parts_before,
            seconds=result.seconds,
            class_patches={names[index]: counts[index] for index in sorted(counts)},
            values=plan.values,
            place=plan.place,
            dates=None if plan.after is None else plan.after.describe_overlap(plan.source),
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
            path=plan.source, bands=plan.bands, nodata=plan.nodata, observed=plan.observed
        )
        return write_patches_preview(
            scene, self.table, picture, header=plan.header, tiles=plan.tiles,
            names=layout.class_names, colors=layout.class_colors, overwrite=True,
        )  # fmt: skip

    def check_drawing(self) -> None:
        """Refuse to draw without a table."""
        if self.table is None:
            raise ValueError(
                f'a preview is drawn from a table, and {self.files[0]} is none; write a .parquet '
                'file, with the map beside it (--raster)'
            )


@dataclass(slots=True, kw_only=True)
class OpenPatchRows:
    """What is known of the current row of patches."""

    plan: PredictionPlan
    """The plan."""

    described: list[PatchRow] = field(default_factory=list)
    """Batch by batch."""

    def add(self, batch: PatchBatch, found: tuple[Tensor | None, Tensor | None]) -> None:
        """Take what the model says about the patches of a batch."""
        vectors, probabilities = found
        self.described.append(
            PatchRow(
                row=batch.row,
                cols=np.array(batch.cols),
                observed=_share_observed(self.plan.tiles, batch),
                vectors=None if vectors is None else vectors.numpy(),
                probabilities=None if probabilities is None else probabilities.numpy(),
            )
        )

    def settle(self, end: RowEnd) -> Settled[Described]:
        """Close a row of patches."""
        described, self.described = self.described, []
        content = _from_arrays(_to_arrays(described), end.row) if described else None
        return Settled.of(self.plan, end, content)


def _share_observed(tiles: TilePlan, batch: PatchBatch) -> NDArray[np.float32]:
    """Count the observations of patches; what is reflected counts as none."""
    height = min(tiles.height - tiles.row_offs[batch.row], tiles.size)
    shares = []
    for place, col in enumerate(batch.cols):
        width = min(tiles.width - tiles.col_offs[col], tiles.size)
        count = height * width
        if batch.valid is not None:
            count = int(batch.valid[place, :height, :width].sum())
        shares.append(count / tiles.size**2)
    return np.array(shares, dtype=np.float32)


def _to_arrays(rows: Sequence[PatchRow]) -> dict[str, NDArray[Any]]:
    """Put rows one after the other; what a model does not give is no array."""
    arrays: dict[str, list[NDArray[Any] | None]] = {
        'row': [np.full(len(some.cols), some.row) for some in rows],
        'cols': [some.cols for some in rows],
        'observed': [some.observed for some in rows],
        'vectors': [some.vectors for some in rows],
        'probabilities': [some.probabilities for some in rows],
    }
    known = {name: [v for v in values if v is not None] for name, values in arrays.items()}
    return {name: np.concatenate(values) for name, values in known.items() if values}


def _from_arrays(arrays: Mapping[str, NDArray[Any]], row: int) -> PatchRow:
    """Take one row out again."""
    chosen = arrays['row'] == row
    return PatchRow(
        row=row,
        cols=arrays['cols'][chosen],
        observed=arrays['observed'][chosen],
        vectors=arrays['vectors'][chosen] if 'vectors' in arrays else None,
        probabilities=arrays['probabilities'][chosen] if 'probabilities' in arrays else None,
    )


def _read_rows(parts: Sequence[tuple[PlannedPart, Entry]], folder: Path) -> Iterator[PatchRow]:
    """Read the rows of all parts, one part after the other."""
    for _, entry in parts:
        for file in entry.files:
            arrays = read_arrays(folder / file.name)
            for row in np.unique(arrays['row']).tolist():
                yield _from_arrays(arrays, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchMaker:
    """Describes the patches of scenes, by one model."""

    made: ClassVar = 'patches'
    result: ClassVar = 'table'
    suffix: ClassVar = '.parquet'

    model: PatchModel
    """The model."""

    @property
    def loaded(self) -> LoadedModel:
        """The model itself, with its record."""
        return self.model.loaded

    @classmethod
    def load(cls, model: Any, options: PatchOptions) -> Self:
        """Load a classifier."""
        return cls(
            model=load_classifier(
                model,
                preprocessing=options.preprocessing,
                task_class=options.task_class,
                dates=options.dates,
            )
        )

    @staticmethod
    def list_files(destination: str | PathLike[str], options: PatchOptions) -> list[FileToMake]:
        """As in :meth:`.output.Maker.list_files`."""
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

    def cut(self, height: int, width: int, options: PatchOptions) -> TilePlan:
        """As in :meth:`.output.Maker.cut`."""
        return plan_grid(height, width, size=options.size, overlap=options.shared)

    def weigh(self, tiles: TilePlan, options: PatchOptions) -> Weighting:
        """As in :meth:`.output.Maker.weigh`."""
        return weigh_patches(tiles, blend='crop', margin=0)

    def placed(self, device: str, options: PatchOptions) -> 'PatchMaker':
        """Move the model to its device, and learn how long its vectors are."""
        place_model(self.loaded, device=device, channels_last=options.channels_last)
        model = self.model
        if options.compile:
            compiled = compile_model(self.loaded)
            is_whole = compiled is self.loaded
            model = model if is_whole else replace(model, describe=torch.compile(model.describe))
        return replace(self, model=model.probed(size=options.size, device=device))

    def plan(
        self,
        header: RasterHeader,
        tiles: TilePlan,
        files: Sequence[FileToMake],
        options: PatchOptions,
    ) -> PatchOutput:
        """Decide what is written."""
        layout = _lay_out(self.model, coarse_header(header, tiles))
        # as the map names them
        names = () if self.model.scores is None else layout.class_names or layout.descriptions
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
        return cls(
            model=load_embedder(
                model, preprocessing=options.preprocessing, size=options.size, dates=options.dates
            )
        )


def _lay_out(model: PatchModel, header: RasterHeader) -> MapLayout:
    """Decide what the map of patches holds: classes, probabilities of labels, or vectors."""
    record = model.loaded.preprocessing
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
    if model.length is not None:
        columns.append(Attribute(name='embedding', kind='float32', length=model.length))
    return tuple(columns)
