"""What a detection will do: a record that everything else carries out."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...geoio.alignment import open_scene
from ...geoio.areas import Area
from ...geoio.cells import CellReader, plan_cells
from ...geoio.reading import RasterHeader, Reader
from ...records import Panel
from ...stitching import Weighting
from ...tiling import TilePlan
from ..costs import readable
from ..plan import SceneGrid


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionPlan:
    """How a scene is read, cut and searched."""

    source: str
    """The scene."""

    grid: SceneGrid
    """The grid asked for."""

    header: RasterHeader
    """Header of the scene on that grid; it has a CRS."""

    tiles: TilePlan
    """How the scene is cut into patches."""

    weighting: Weighting = field(repr=False)
    """Which pixels are done after which row of patches."""

    panels: tuple[Panel, ...]
    """Columns that are searched together, one after the other; each column of patches belongs to
    one of them."""

    bands: tuple[int, ...]
    """1-based bands of the scene, in the model's order."""

    nodata: float | None
    """Value that means "no observation" besides what the scene says itself."""

    stored: NDArray[np.bool_] | None = field(repr=False)
    """Per block of the scene: whether the file holds it; None means all, or that it is not known."""

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

    def open(self) -> AbstractContextManager[Reader]:
        """Open the scene on the grid of the plan; every thread needs its own."""
        return open_scene(self.source, crs=self.grid.crs, res=self.grid.res, nodata=self.nodata)

    def open_cells(self, panel: Panel) -> CellReader:
        """Prepare to read the columns of a panel."""
        offsets = [self.tiles.col_offs[col] for col in panel.patches]
        grid = plan_cells(
            self.header,
            col_off=max(min(offsets), 0),
            col_stop=min(max(offsets) + self.tiles.size, self.tiles.width),
        )
        return CellReader(
            self.open,
            grid,
            bands=self.bands,
            dtype=np.dtype(self.header.dtype),
            width=self.tiles.width,
            nodata=self.nodata,
            threads=self.threads,
            stored=self.stored,
        )

    def __str__(self) -> str:
        """Lay the plan out for a terminal."""
        tiles, rows, cols = self.tiles, len(self.tiles.row_offs), len(self.tiles.col_offs)
        lines = {
            'scene': f'{self.source}: {tiles.height:,} x {tiles.width:,} px, {self.header.dtype}',
            'bands': ', '.join(map(str, self.bands)),
            'patches': f'{len(tiles):,} = {rows:,} rows x {cols:,} columns of {tiles.size} px, '
            f'overlap {tiles.overlap}; {self.patches:,} are forwarded at most',
            'panels': f'{len(self.panels)} of up to {max(p.width for p in self.panels):,} columns',
            'batches': f'up to {self.batch_size} patches on {self.device}',
            'memory': f'{readable(self.panel_bytes)} for rows of the scene, beside model and boxes',
        }
        return '\n'.join(f'{name:<10} {text}' for name, text in lines.items())
