"""What a prediction will do: a record that everything else carries out."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geoio.read import (
    CellGrid,
    CellReader,
    CellSource,
    Georeference,
    Observed,
    RasterHeader,
    Reader,
    Rule,
    plan_cells,
)
from ..geoio.vector import Area
from ..geoio.warp import open_scene
from ..stitching import Weighting
from ..tiling import TilePlan
from ..windows import Panel
from .costs import Costs
from .model.load import LoadedModel
from .model.onnx import OnnxGraph
from .model.predictor import Views
from .model.runtimes.choice import Choice
from .options import MapOptions, PredictionOptions
from .outputs.output import Output
from .resume.journal import work_folder
from .scene.bands import describe_bands
from .scene.second_date import AfterScene
from .scene.watch import SourceWatch


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionPlan:
    """What a prediction will do, and what it will cost."""

    options: PredictionOptions = field(repr=False)
    """What was asked for."""

    loaded: LoadedModel = field(repr=False)
    """The model, on its device."""

    output: Output[Any] = field(repr=False)
    """What is made of what the model says."""

    source: str
    """The scene."""

    header: RasterHeader
    """Header of the scene on the grid asked for."""

    georeference: Georeference = field(repr=False)
    """What the scene itself says about its place besides a CRS and a transform."""

    place: str | None
    """Where the result lies, in one line; None for a scene with a CRS and a transform alone."""

    tiles: TilePlan
    """How the scene is cut into patches."""

    weighting: Weighting = field(repr=False)
    """How patches are joined."""

    panels: tuple[Panel, ...]
    """Columns that are finished together, one after the other."""

    rows_per_part: int
    """Rows of patches that are finished together on the way to the result."""

    bands: tuple[int, ...]
    """1-based bands of the scene, in the model's order."""

    band_names: tuple[str, ...]
    """What the model calls them."""

    nodata: float | None
    """Value that means "no observation" besides what the scene says itself."""

    rule: Rule
    """Where a pixel is an observation."""

    stored: NDArray[np.bool_] | None = field(repr=False)
    """Per block of the scene: whether the file holds it; None means all, or not known."""

    after: AfterScene | None
    """The scene after, which is compared with this one; None means one date."""

    area: Area | None = field(repr=False)
    """What is of interest; None means all."""

    area_sha256: str | None
    """Checksum of its polygons."""

    batch_size: int
    """Patches per forward pass."""

    device: str
    """Where the model runs."""

    threads: int
    """Threads that read, and that compress."""

    runtime: Choice | None
    """The form in which the model runs; None before it is chosen."""

    torch_threads: int
    """Threads within one operation of the model, which can decide the last bit."""

    costs: Costs
    """What it will cost."""

    shard: tuple[int, int] | None
    """Share of the parts that is predicted: number from 0, and number of all; None means all."""

    reach: str | None = None
    """How far the model was found to look, in a few words; None where that was not measured."""

    variations: tuple['PredictionPlan', ...] = field(default=(), repr=False)
    """Further maps of the scene that this one is compared with; they lie among its parts."""

    watch: SourceWatch = field(repr=False)
    """Notices that the scenes change while they are read."""

    @property
    def trained(self) -> str | None:
        """Says that a map is made of much larger patches than the model knows; None if it is not."""
        side = self.loaded.preprocessing.size
        if side is None or self.tiles.size < 2 * side or not isinstance(self.options, MapOptions):
            return None
        return (
            f'on patches of {side} px, where these have {self.tiles.size}: the map may be worse than '
            f'validation said; compare with --size {side}'
        )

    @property
    def destination(self) -> str:
        """The file asked for."""
        return str(self.output.files[0])

    @property
    def folder(self) -> Path:
        """The hidden folder of its parts."""
        return work_folder(self.destination, self.options.work)

    @property
    def pixels(self) -> int:
        """Pixels of the scene."""
        return self.tiles.height * self.tiles.width

    @property
    def values(self) -> str | None:
        """What scenes tag their values with, which is not applied; None where they tag nothing."""
        values = self.header.describe_scaling(self.bands)
        if self.after is None:
            return values
        after = self.after.header.describe_scaling(self.after.bands)
        return (
            values if after == values else f'{values or "as stored"}; after: {after or "as stored"}'
        )

    @property
    def host_bytes(self) -> int:
        """Most memory that the process will occupy beyond what it does when planning."""
        return self.costs.host_bytes

    def open(self) -> AbstractContextManager[Reader]:
        """Open the scene on the grid of the plan; every thread needs its own."""
        return open_scene(
            self.source, crs=self.options.crs, res=self.options.res, nodata=self.nodata,
            bands=self.bands, rule=self.rule,
        )  # fmt: skip

    def cells(self, panel: Panel) -> CellGrid:
        """Cut what a panel reads into cells."""
        offsets = [self.tiles.col_offs[col] for col in panel.patches]
        return plan_cells(
            self.header,
            col_off=max(min(offsets), 0),
            col_stop=min(max(offsets) + self.tiles.size, self.tiles.width),
        )

    @property
    def sources(self) -> tuple[CellSource, ...]:
        """What is read: the scene, and the one after if there is one."""
        scene = CellSource(
            opener=self.open,
            bands=self.bands,
            nodata=self.nodata,
            rule=self.rule,
            block_shape=self.header.block_shape,
            stored=self.stored,
        )
        return (scene,) if self.after is None else (scene, self.after.cells)

    def open_cells(self, panel: Panel) -> CellReader:
        """Prepare to read the columns of a panel, of both dates if there are two."""
        return CellReader(
            self.sources, self.cells(panel), dtype=np.dtype(self.header.dtype), threads=self.threads
        )

    def views(self) -> Views:
        """Prepare images as the model wants them."""
        return Views(
            self.loaded.preprocessing,
            device=self.device,
            precision=self.options.precision,
            channels_last=self.loaded.is_channels_last,
            averaging=self.options.averaging,
            turn=self.output.turn,
            dates=self.loaded.dates.count,
        )

    def __str__(self) -> str:
        """Lay the plan out for a terminal."""
        tiles, rows, cols = self.tiles, len(self.tiles.row_offs), len(self.tiles.col_offs)
        lines = self._scene_lines() | dict(self.output.lines)
        reach = '' if self.reach is None else f' ({self.reach})'
        if isinstance(self.loaded.forward, OnnxGraph) and (
            said := self.loaded.forward.form.describe()
        ):
            lines['graph'] = said
        trained = {} if self.trained is None else {'trained': self.trained}
        lines |= {
            'patches': f'{len(tiles):,} = {rows:,} rows x {cols:,} columns of {tiles.size} px, '
            f'overlap {tiles.overlap}{self.output.joining}{reach}',
            **trained,
            'panels': f'{len(self.panels)} of up to {max(p.width for p in self.panels):,} columns',
            'batches': f'up to {self.batch_size} patches on {self.device}, '
            f'{self.options.precision}',
            'runtime': f'{self.runtime or self.options.form}'.replace('; ', f'\n{"":<11}'),
        }
        lines |= self.costs.lines()
        if self.variations:
            lines['compared'] = self._compared()
        if self.options.is_shared:
            lines['workers'] = (
                'several; memory is that of each, all other costs are those of one alone'
            )
        if self.shard is not None:
            lines['shard'] = (
                f'number {self.shard[0]} of {self.shard[1]}; all costs are those of the whole'
            )
        return '\n'.join(f'{name:<10} {text}' for name, text in lines.items())

    def _compared(self) -> str:
        """Say what the further maps cost."""
        costs = [variation.costs for variation in self.variations]
        patches, seconds = sum(each.patches for each in costs), self.costs.patch_seconds
        time = '' if seconds is None else f', about {patches * seconds:,.0f} s more'
        return (
            f'with {len(costs)} further maps, of patches that begin elsewhere and are turned: '
            f'{patches:,} patches more{time}'
        )

    def _scene_lines(self) -> dict[str, str]:
        """Say what is read, name to text."""
        tiles = self.tiles
        scene = f'{self.source}: {tiles.height:,} x {tiles.width:,} px, {self.header.dtype}'
        bands = describe_bands(self.bands, self.band_names, self.header)
        values = {} if self.place is None else {'place': self.place}
        values |= {} if self.values is None else {'values': self.values}
        if self.after is None:
            return {
                'scene': scene,
                'bands': bands,
                **_describe_observed(self.options.observed),
                **values,
            }
        after = describe_bands(self.after.bands, self.band_names, self.after.header)
        return {
            'before': scene,
            'after': self.after.describe(),
            'overlap': self.after.describe_overlap(self.source),
            'bands': bands if after == bands else f'{bands}; after: {after}',
            **_describe_observed(self.options.observed),
            **values,
        }


def _describe_observed(observed: Observed) -> dict[str, str]:
    """Say where a pixel is an observation; nothing where that is left to the file."""
    where = {'any': 'where any band is there', 'all': 'where all bands are there'}
    return {'observed': where[observed]} if observed in where else {}
