"""Where tiles lie in space and time: torchgeo's index, and the same as plain arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely
from geopandas import GeoDataFrame, GeoSeries
from numpy.typing import NDArray
from pyproj import CRS

from ..geoio.crs import crs_text, find_turn
from ..geoio.read import RasterHeader
from ..windows import Window
from .raster_files import is_upright

# points per side of a tile when its outline is transformed, as GDAL takes for bounds
OUTLINE_POINTS = 21


class PatchSlice(tuple[slice, slice, slice]):
    """A torchgeo index that also says which whole pixels of which file it means.

    A :class:`~gersp_geo.datasets.GeoTIFFPatches` that holds the file reads these pixels; any other
    torchgeo data set reads the place, as with three plain slices.
    """

    file: str
    """Path of the tile."""

    window: Window
    """Pixels in the grid of the file; it may hang over the far edges of a small tile."""

    @classmethod
    def of(cls, place: tuple[slice, slice, slice], *, file: str, window: Window) -> 'PatchSlice':
        """Attach a file and a window to [xmin:xmax:xres, ymin:ymax:yres, tmin:tmax:tres]."""
        index = cls(place)
        index.file, index.window = file, window
        return index


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexGrid:
    """A torchgeo index as plain arrays, which answer without building tables."""

    index: Any
    """The GeoDataFrame that this was made from."""

    bounds: NDArray[np.float64]
    """Per row of the index, shape (N, 4): left, bottom, right, top in *crs*."""

    tiles: NDArray[np.int64]
    """Per row: the number of its tile."""

    native: NDArray[np.bool_]
    """Per row: whether the tile's pixels are upright in *crs*."""

    extent: tuple[slice, slice, slice]
    """Left to right, bottom to top, first to last time stamp of all tiles."""

    rows: dict[str, int]
    """Row of each file."""


def build_index(
    files: Sequence[str],
    tiles: Sequence[RasterHeader],
    spans: Sequence[tuple[Any, Any]],
    *,
    crs: CRS,
) -> GeoDataFrame:
    """Make the table by which torchgeo finds tiles.

    Args:
        files: Paths.
        tiles: Their headers.
        spans: Their first and last time stamps.
        crs: Of the table.

    Returns:
        'filepath' and 'geometry' (the bounding box in *crs*), indexed by 'datetime'.

    Raises:
        ValueError: If a tile of another CRS lies across or beyond 180 degrees, where it would be
            torn.
    """
    left, bottom, right, top = np.array([tile_bounds(tile) for tile in tiles]).T
    boxes = shapely.box(left, bottom, right, top)
    for source, rows in group_by_crs(tiles):
        if source != crs:
            steps = np.maximum(right - left, top - bottom)[rows] / OUTLINE_POINTS
            outlines = GeoSeries(shapely.segmentize(boxes[rows], steps), crs=source)
            moved = outlines.to_crs(crs)
            _check_turns(outlines, moved, [files[row] for row in rows])
            boxes[rows] = moved.envelope.to_numpy()
    times = pd.IntervalIndex.from_tuples(list(spans), closed='both', name='datetime')
    return GeoDataFrame({'filepath': list(files)}, index=times, geometry=boxes, crs=crs)


def _check_turns(outlines: GeoSeries, moved: GeoSeries, files: Sequence[str]) -> None:
    """Refuse tiles whose ground torchgeo would not find again after they are reprojected."""
    turn = find_turn(outlines.crs)
    beyond = np.zeros(len(files), dtype=np.bool_)
    if turn is not None:
        half = turn.length / 2 * (1 + 1e-9)
        beyond = (
            np.abs(outlines.bounds[['minx', 'maxx']] - turn.middle).max(axis=1).to_numpy() > half
        )
    turn = find_turn(moved.crs)
    if turn is not None:
        points, place = shapely.get_coordinates(moved.to_numpy(), return_index=True)
        is_torn = (np.abs(np.diff(points[:, 0])) > turn.length / 2) & (place[1:] == place[:-1])
        beyond[place[1:][is_torn]] = True
    if beyond.any():
        raise ValueError(
            f'{files[int(beyond.argmax())]} lies across or beyond 180 degrees, and cannot be '
            f'resampled from {outlines.crs.name} to {moved.crs.name} while it is read; pass tiles '
            'of one CRS and leave crs out, or resample it first, for example with gdalwarp -t_srs'
        )


def read_index(
    index: GeoDataFrame, files: Sequence[str], tiles: Sequence[RasterHeader]
) -> IndexGrid:
    """Turn a torchgeo index of *files* and their headers into plain arrays.

    :func:`build_index` made it, and its user may have changed it since.
    """
    numbers = {file: tile for tile, file in enumerate(files)}
    paths = index['filepath'].tolist()
    left, bottom, right, top = index.total_bounds
    native = np.zeros(len(files), dtype=np.bool_)
    for source, rows in group_by_crs(tiles):
        if source == index.crs:
            native[rows] = [is_upright(tiles[row]) for row in rows]
    order = np.array([numbers[path] for path in paths])
    return IndexGrid(
        index=index,
        bounds=index.geometry.bounds.to_numpy(dtype=np.float64),
        tiles=order,
        native=native[order],
        extent=(
            slice(left, right),
            slice(bottom, top),
            slice(index.index.left.min(), index.index.right.max(), 1),
        ),
        rows={path: row for row, path in enumerate(paths)},
    )


def group_by_crs(tiles: Sequence[RasterHeader]) -> list[tuple[CRS, list[int]]]:
    """List the coordinate reference systems of tiles, each with the numbers of its tiles."""
    groups: dict[int, list[int]] = {}
    for number, tile in enumerate(tiles):
        # headers that were read together share one object per CRS; comparing texts takes long
        groups.setdefault(id(tile.crs), []).append(number)
    return [(CRS.from_wkt(crs_text(tiles[rows[0]].crs)), rows) for rows in groups.values()]


def tile_bounds(tile: RasterHeader) -> tuple[float, float, float, float]:
    """Find left, bottom, right and top of a tile without rotation, in its own CRS."""
    transform = tile.transform
    x = transform.c, transform.c + transform.a * tile.width
    y = transform.f, transform.f + transform.e * tile.height
    return min(x), min(y), max(x), max(y)
