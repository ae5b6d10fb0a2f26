"""Regions of tiles in which patches may lie, as positions of whole pixels."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Literal

import numpy as np
import pandas as pd
import shapely
import shapely.affinity
from affine import Affine
from geopandas import GeoSeries
from pyproj import CRS
from shapely import Polygon
from torchgeo.datasets import GeoDataset

from ..geoio.crs import crs_text
from ..geoio.grids import Grid
from ..windows import Window
from .geotiff_patches import GeoTIFFPatches

# an edge this close to the grid, in pixels, is on it
SLACK = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where the first pixel of a patch may lie in one tile."""

    first_row: int
    """Smallest row."""

    first_col: int
    """Smallest column."""

    rows: int
    """Number of rows."""

    cols: int
    """Number of columns."""

    area: float
    """Pixels of the tile that are in the region of interest."""

    inside: Any = None
    """The region of interest in pixels of the tile; None where no position leaves it."""

    def holds(self, window: Window, grid: Grid) -> bool:
        """Whether a patch lies in the region of interest, as far as it lies in its tile."""
        if self.inside is None:
            return True
        right, bottom = min(window.col_stop, grid.width), min(window.row_stop, grid.height)
        patch = shapely.box(window.col_off, window.row_off, right, bottom)
        return bool(self.inside.covers(patch))


def tile_grids(dataset: GeoDataset) -> Sequence[Grid]:
    """Give the pixels of each tile: its own for GeoTIFFs, else those of each row of the index.

    The latter have no CRS of their own: theirs is that of *dataset*.
    """
    if isinstance(dataset, GeoTIFFPatches):
        return dataset.tiles
    x_res, y_res = dataset.res
    return [
        Grid(
            height=round((top - bottom) / y_res),
            width=round((right - left) / x_res),
            transform=Affine(x_res, 0, left, 0, -y_res, top),
            crs=None,
        )
        for left, bottom, right, top in dataset.index.geometry.bounds.to_numpy().tolist()
    ]


def tile_names(dataset: GeoDataset) -> list[str]:
    """Name each tile in messages."""
    if isinstance(dataset, GeoTIFFPatches):
        return dataset.files
    return [f'number {row} of the index' for row in range(len(dataset))]


def find_regions(
    dataset: GeoDataset,
    grids: Sequence[Grid],
    *,
    size: int,
    roi: Polygon | None = None,
    toi: pd.Interval | None = None,
) -> list[Region | None]:
    """Find where patches may lie in each tile; None where no patch may.

    Args:
        dataset: The data set that is sampled.
        grids: Its tiles.
        size: Side of the patches in pixels.
        roi: Region of interest in the CRS of *dataset*; None is everywhere.
        toi: Time of interest; None is always.
    """
    regions: list[Region | None]
    if roi is None:
        regions = [whole_tile(grid, size=size) for grid in grids]
    else:
        regions = cut_regions(grids, size=size, roi=roi, crs=dataset.crs)
    times = dataset.index.index
    kept = np.ones(len(times), dtype=bool) if toi is None else times.overlaps(toi)
    if not isinstance(dataset, GeoTIFFPatches):
        return [region if keep else None for region, keep in zip(regions, kept, strict=True)]
    # the index may have been cut since the files were opened
    rows = dataset.index_grid().rows
    return [
        region if file in rows and kept[rows[file]] else None
        for region, file in zip(regions, dataset.files, strict=True)
    ]


def settle_small(
    grids: Sequence[Grid],
    regions: Sequence[Region | None],
    *,
    names: Sequence[str],
    size: int,
    small_tiles: Literal['pad', 'skip'],
) -> list[Region | None]:
    """Leave out tiles that are smaller than a patch, or keep them to be padded; warn once."""
    if small_tiles not in ('pad', 'skip'):
        raise ValueError(f"small_tiles must be 'pad' or 'skip', got {small_tiles!r}")
    is_small = [min(grid.height, grid.width) < size for grid in grids]
    if not any(is_small):
        return list(regions)
    done = 'padded' if small_tiles == 'pad' else 'left out'
    first = names[is_small.index(True)]
    warnings.warn(
        f'{sum(is_small)} of {len(grids)} tiles are smaller than a patch of {size} px and are '
        f'{done}, the first is {first}',
        stacklevel=3,
    )
    if small_tiles == 'pad':
        return list(regions)
    return [None if small else r for small, r in zip(is_small, regions, strict=True)]


def whole_tile(grid: Grid, *, size: int) -> Region:
    """Allow every position in a tile; one, where the tile is smaller than a patch."""
    rows, cols = max(grid.height - size, 0) + 1, max(grid.width - size, 0) + 1
    area = grid.height * grid.width
    return Region(first_row=0, first_col=0, rows=rows, cols=cols, area=area)


def cut_regions(grids: Sequence[Grid], *, size: int, roi: Polygon, crs: CRS) -> list[Region | None]:
    """Find the positions from which patches lie within a region of interest, or None, per tile."""
    local: dict[int, Polygon] = {}
    regions: list[Region | None] = []
    for grid in grids:
        if id(grid.crs) not in local:
            own = crs if grid.crs is None else CRS.from_wkt(crs_text(grid.crs))
            local[id(grid.crs)] = roi if own == crs else GeoSeries([roi], crs=crs).to_crs(own)[0]
        regions.append(_cut_region(grid, local[id(grid.crs)], size=size))
    return regions


def _cut_region(grid: Grid, roi: Polygon, *, size: int) -> Region | None:
    """Find the positions in one tile; *roi* is in its coordinates."""
    inverse = ~grid.transform
    numbers = (inverse.a, inverse.b, inverse.d, inverse.e, inverse.c, inverse.f)
    part = shapely.affinity.affine_transform(roi, numbers)
    part = part & shapely.box(0, 0, grid.width, grid.height)
    if part.is_empty:
        return None
    left, top, right, bottom = part.bounds
    height, width = min(size, grid.height), min(size, grid.width)
    first_row, first_col = ceil(top - SLACK), ceil(left - SLACK)
    rows = floor(bottom + SLACK) - height - first_row + 1
    cols = floor(right + SLACK) - width - first_col + 1
    if min(rows, cols) < 1:
        return None
    rectangle = shapely.box(left, top, right, bottom)
    is_rectangle = part.area > rectangle.area * (1 - SLACK)
    # grown by the slack, so that a patch flush with an edge is inside
    inside = None if is_rectangle else part.buffer(SLACK)
    if inside is not None:
        shapely.prepare(inside)
    return Region(
        first_row=first_row,
        first_col=first_col,
        rows=rows,
        cols=cols,
        area=part.area,
        inside=inside,
    )
