"""Polygons that are drawn over an image."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from .sheet import Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

type Geometries = NDArray[np.object_]
"""Polygons."""

# Vertices nearer to each other than this are one: nobody sees more of them.
_FINEST_PX = 0.25

# Lines in pixels of a picture that is not enlarged: those of shapes of this side and more, and of none.
_LARGE_PX = 30.0
_LINES_PX = (1.3, 2.6)

# what the dark line below a coloured one has on each side
_RIM_PX = 0.7
_RIM_COLOR = (0.05, 0.05, 0.05, 0.8)

_BORDER_PX = 0.8
_FILL_ALPHA = 0.5

_POINTS_PER_INCH = 72


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes:
    """Polygons over an image, in the order in which they are drawn."""

    polygons: Geometries
    """In (column, row) from the upper left corner of the image; without parts."""

    colors: NDArray[np.float64]
    """Red, green and blue of each in [0, 1], shape (n, 3)."""

    is_filled: bool
    """Half transparent in their colour, rather than outlines alone."""


def place_polygons(polygons: Geometries, sheet: Sheet) -> tuple[Geometries, NDArray[np.int64]]:
    """Bring polygons to the image of a sheet, without what is too small to be seen.

    Args:
        polygons: In the CRS of the sheet, maybe of several parts.
        sheet: How its grid is shown.

    Returns:
        Polygons in (column, row) of the image, and which of those given each is, ascending.
    """
    parts, origin = shapely.get_parts(polygons, return_index=True)
    if not len(parts):
        return parts, origin.astype(np.int64)
    _, points, (rings, owners) = shapely.to_ragged_array(parts)
    grid = np.round(sheet.place(points[:, :2]) / _FINEST_PX)
    ring = np.repeat(np.arange(len(rings) - 1), np.diff(rings))
    is_kept = np.ones(len(grid), dtype=np.bool_)
    is_kept[1:] = (grid[1:] != grid[:-1]).any(axis=1) | (ring[1:] != ring[:-1])
    # a ring comes back to its first vertex, and has two more at least
    is_ring = np.bincount(ring[is_kept], minlength=len(rings) - 1) >= 4
    is_kept &= is_ring[ring]
    is_visible = is_ring[owners[:-1]]
    owner = np.repeat(np.arange(len(parts)), np.diff(owners))
    is_ring &= is_visible[owner]
    is_kept &= is_ring[ring]
    lengths = np.bincount(ring[is_kept], minlength=len(rings) - 1)[is_ring]
    counts = np.bincount(owner[is_ring], minlength=len(parts))[is_visible]
    placed: Geometries = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON,
        grid[is_kept] * _FINEST_PX,
        (np.concatenate([[0], np.cumsum(lengths)]), np.concatenate([[0], np.cumsum(counts)])),
    )
    return placed, origin[is_visible].astype(np.int64)


def draw_shapes(axes: 'Axes', shapes: Shapes, *, unit: float) -> None:
    """Draw shapes over an image, in the coordinates of its pixels.

    Outlines are coloured above a wider dark line, so that they show on bright and on dark ground;
    they are thinner where most shapes are small.

    Args:
        axes: With the image.
        shapes: What is drawn.
        unit: Pixels of a length of 1.
    """
    from matplotlib.collections import PathCollection

    if not len(shapes.polygons):
        return
    paths = _paths(shapes.polygons)
    layers: list[tuple[object, object, float]]
    opaque = np.column_stack([shapes.colors, np.ones(len(paths))])
    if shapes.is_filled:
        translucent = np.column_stack([shapes.colors, np.full(len(paths), _FILL_ALPHA)])
        layers = [(translucent, opaque, _BORDER_PX)]
    else:
        width = _line_width(shapes.polygons, unit=unit)
        layers = [('none', _RIM_COLOR, width + 2 * _RIM_PX), ('none', opaque, width)]
    for faces, edges, width in layers:
        points = width * unit * _POINTS_PER_INCH / axes.figure.dpi
        drawn = PathCollection(
            paths, facecolors=faces, edgecolors=edges, linewidths=points, joinstyle='miter'
        )
        axes.add_collection(drawn, autolim=False)


def _line_width(polygons: Geometries, *, unit: float) -> float:
    """Choose how wide outlines are, from how large the shapes are."""
    bounds = shapely.bounds(polygons)
    side = float(np.median((bounds[:, 2:] - bounds[:, :2]).max(axis=1))) / unit
    return float(np.interp(side, (0, _LARGE_PX), _LINES_PX))


def _paths(polygons: Geometries) -> list['Path']:
    """Turn polygons into paths; what is inside a hole stays outside."""
    from matplotlib.path import Path

    # a hole runs the other way round
    _, points, (rings, owners) = shapely.to_ragged_array(shapely.orient_polygons(polygons))
    codes = np.full(len(points), Path.LINETO, dtype=Path.code_type)
    codes[rings[:-1]] = Path.MOVETO
    codes[rings[1:] - 1] = Path.CLOSEPOLY
    bounds = rings[owners]
    return [
        Path(points[start:stop], codes[start:stop]) for start, stop in pairwise(bounds.tolist())
    ]
