"""How a scene is read and cut where results belong to whole patches: objects, classes, vectors."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from os import PathLike, fspath

import numpy as np
from numpy.typing import NDArray

from ..geoio.read import (
    CellReader,
    CellSource,
    Observed,
    RasterHeader,
    Reader,
    Rule,
    check_whole,
    plan_cells,
)
from ..geoio.vector import Area
from ..geoio.warp import describe_place, open_scene
from ..preprocessing import Preprocessing
from ..stitching import Weighting
from ..tiling import TilePlan, cut_panels
from ..windows import Panel
from .estimate import Rows, readable, reading_threads
from .model.device import fitting_batch
from .options import PredictionOptions, describe_observed
from .plan import SceneGrid
from .scene.bands import describe_bands
from .scene.batches import PatchBatch, RowEnd, Supply
from .scene.headers import read_area_of, read_scene
from .scene.prefetch import work_ahead
from .scene.tiling import count_patches, panel_cuts, weigh_patches
from .scene.watch import SourceWatch

# batches that wait for the model
_DEPTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CuttingPlan:
    """How a scene is read and cut into patches."""

    source: str
    """The scene."""

    grid: SceneGrid
    """The grid asked for."""

    header: RasterHeader
    """Header of the scene on that grid."""

    place: str | None
    """Where the results lie, in one line; None for a scene with a CRS and a transform alone."""

    tiles: TilePlan
    """How the scene is cut into patches."""

    weighting: Weighting = field(repr=False)
    """Which pixels are done after which row of patches."""

    panels: tuple[Panel, ...]
    """Columns that are read together, one after the other; each column of patches belongs to one of
    them."""

    bands: tuple[int, ...]
    """1-based bands of the scene, in the model's order."""

    band_names: tuple[str, ...]
    """What the model calls them."""

    nodata: float | None
    """Value that means "no observation" besides what the scene says itself."""

    observed: Observed
    """What was asked for: where a pixel is an observation."""

    rule: Rule
    """What that means for this scene."""

    stored: NDArray[np.bool_] | None = field(repr=False)
    """Per block of the scene: whether the file holds it; None means all, or not known."""

    area: Area | None = field(repr=False)
    """What is of interest; None means all."""

    batch_size: int
    """Patches per forward pass."""

    device: str
    """Where the model runs."""

    threads: int
    """Threads that read."""

    patches: int
    """Patches given to the model if none that is read turns out to be empty."""

    panel_bytes: int
    """Memory for the rows of the widest panel that are read at a time."""

    watch: SourceWatch = field(repr=False)
    """Notices that the scene changes while it is read."""

    def open(self) -> AbstractContextManager[Reader]:
        """Open the scene on the grid of the plan; every thread needs its own."""
        return open_scene(
            self.source, crs=self.grid.crs, res=self.grid.res, nodata=self.nodata, bands=self.bands,
            rule=self.rule,
        )  # fmt: skip

    def open_cells(self, panel: Panel) -> CellReader:
        """Prepare to read the columns of a panel."""
        offsets = [self.tiles.col_offs[col] for col in panel.patches]
        grid = plan_cells(
            self.header,
            col_off=max(min(offsets), 0),
            col_stop=min(max(offsets) + self.tiles.size, self.tiles.width),
        )
        scene = CellSource(
            opener=self.open,
            bands=self.bands,
            nodata=self.nodata,
            rule=self.rule,
            block_shape=self.header.block_shape,
            stored=self.stored,
        )
        return CellReader([scene], grid, dtype=np.dtype(self.header.dtype), threads=self.threads)

    @property
    def values(self) -> str | None:
        """What the scene tags its values with, which is not applied; None where it tags nothing."""
        return self.header.describe_scaling(self.bands)

    def __str__(self) -> str:
        """Lay the plan out for a terminal."""
        tiles, rows, cols = self.tiles, len(self.tiles.row_offs), len(self.tiles.col_offs)
        lines = {
            'scene': f'{self.source}: {tiles.height:,} x {tiles.width:,} px, {self.header.dtype}',
            'bands': describe_bands(self.bands, self.band_names, self.header),
            **({} if self.place is None else {'place': self.place}),
            **describe_observed(self.observed),
            **({} if self.values is None else {'values': self.values}),
            'patches': f'{len(tiles):,} = {rows:,} rows x {cols:,} columns of {tiles.size} px, '
            f'overlap {tiles.overlap}; {self.patches:,} are forwarded at most',
            'panels': f'{len(self.panels)} of up to {max(p.width for p in self.panels):,} columns',
            'batches': f'up to {self.batch_size} patches on {self.device}',
            'memory': f'{readable(self.panel_bytes)} for rows of the scene, beside the model',
        }
        return '\n'.join(f'{name:<10} {text}' for name, text in lines.items())


def plan_cutting(
    source: str | PathLike[str],
    record: Preprocessing,
    options: PredictionOptions,
    *,
    device: str,
    cut: Callable[[int, int], TilePlan],
) -> CuttingPlan:
    """Read the header of a scene, and plan how it is read and cut.

    Args:
        source: The scene.
        record: How its values are prepared.
        options: What of it is read, and how.
        device: Where the model runs.
        cut: From rows and columns of the scene to patches.

    Returns:
        The plan.

    Raises:
        FileNotFoundError: If there is no such scene.
        UnreadableFileError: If it is cut off, or GDAL cannot read it.
        ValueError: If an option, or the record, does not fit the scene.
    """
    watch = SourceWatch.of([source])
    check_whole(source)
    scene = read_scene(source, record, options)
    header = scene.header
    tiles = cut(header.height, header.width)
    rows = Rows.of(
        header, tiles, maps=(), bands=len(scene.bands), channels=0, blended=False,
        on_host=device == 'cpu', per_band=scene.rule == 'any',
    )  # fmt: skip
    # where patches cut each other, so that each belongs to one panel
    panels = cut_panels(
        tiles.keep_cols,
        panel_cuts(tiles, exclusive=True),
        length=header.width,
        max_width=rows.widest_panel(options.memory_bytes),
    )
    area = read_area_of(options, header, source=fspath(source))
    fitting = fitting_batch(options.size, device=device)
    return CuttingPlan(
        source=fspath(source),
        grid=SceneGrid(crs=options.crs, res=options.res),
        header=header,
        place=describe_place(scene.own, header),
        tiles=tiles,
        weighting=weigh_patches(tiles, blend='crop', margin=0),
        panels=panels,
        bands=scene.bands,
        band_names=record.bands,
        nodata=scene.nodata,
        observed=options.observed,
        rule=scene.rule,
        stored=scene.stored,
        area=area,
        batch_size=fitting if options.batch_size == 'auto' else options.batch_size,
        device=device,
        threads=reading_threads(header, options, source=fspath(source)),
        patches=count_patches(tiles, panels, header, stored=scene.stored, area=area),
        panel_bytes=rows.host_per_column * (max(panel.width for panel in panels) + tiles.size),
        watch=watch,
    )


def read_patches(plan: CuttingPlan, panel: Panel) -> Generator[PatchBatch | RowEnd]:
    """Read the patches of a panel in threads, ahead of whoever takes them.

    Args:
        plan: How the scene is read and cut.
        panel: One of its panels.

    Yields:
        As :meth:`.scene.batches.Supply.rows`, for all rows of patches.

    Raises:
        UnreadableFileError: If the scene is damaged, or has changed since it was planned.
    """
    with plan.open_cells(panel) as reader:
        supply = Supply(
            reader=reader,
            tiles=plan.tiles,
            weighting=plan.weighting,
            panel=panel,
            batch_size=plan.batch_size,
            transform=plan.header.transform,
            area=plan.area,
            pinned=plan.device.startswith('cuda'),
        )
        rows = supply.rows(range(len(plan.tiles.row_offs)))
        with closing(work_ahead(rows, depth=_DEPTH)) as events:
            yield from events
    plan.watch.check()
