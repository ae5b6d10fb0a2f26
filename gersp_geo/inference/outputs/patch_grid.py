"""Where the patches of a regular grid lie: integers, and the transform of a pixel per patch."""

from dataclasses import replace

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from ...geoio.grids import place_points
from ...geoio.read import RasterHeader
from ...tiling import TilePlan, check_count


def plan_grid(height: int, width: int, *, size: int, overlap: int) -> TilePlan:
    """Cut a scene into patches that start every ``size - overlap`` pixels, from its first pixel on.

    Unlike in :func:`..tiling.plan_tile`, nothing is moved to be flush with a border, so that each
    patch is a pixel of a regular map. The last row and column may hang over; callers reflect there.

    Args:
        height: Rows of the scene, >= 1.
        width: Columns of the scene, >= 1.
        size: Side of a patch in pixels, >= 1.
        overlap: Pixels that neighbours share, in [0, size).

    Returns:
        The plan.

    Raises:
        ValueError: If there are more patches than can be planned.
    """
    check_count(height, width, size=size, overlap=overlap)
    return TilePlan(
        height=height,
        width=width,
        size=size,
        overlap=overlap,
        row_offs=_offsets(height, size=size, overlap=overlap),
        col_offs=_offsets(width, size=size, overlap=overlap),
    )


def _offsets(length: int, *, size: int, overlap: int) -> tuple[int, ...]:
    """List where patches start along one axis."""
    # one that began later would show nothing that the one before does not
    return tuple(range(0, max(length - overlap, 1), size - overlap))


def coarse_header(header: RasterHeader, tiles: TilePlan) -> RasterHeader:
    """Describe the raster with one pixel per patch.

    Args:
        header: Of the scene.
        tiles: Of :func:`plan_grid`.

    Returns:
        Its header. A pixel covers the middle of its patch, as far as it is not its neighbours': the
        whole patch without overlap.
    """
    stride, rim = tiles.size - tiles.overlap, tiles.overlap / 2
    transform = header.transform @ Affine.translation(rim, rim) @ Affine.scale(stride)
    return replace(
        header, height=len(tiles.row_offs), width=len(tiles.col_offs), transform=transform,
        georeference=header.georeference.scaled(offset=rim, stride=stride),
    )  # fmt: skip


def draw_patches(
    header: RasterHeader, tiles: TilePlan, *, row: int, cols: NDArray[np.int64]
) -> NDArray[np.object_]:
    """Draw patches of one row on the ground.

    Args:
        header: Of the scene.
        tiles: Of :func:`plan_grid`.
        row: Row of patches.
        cols: Columns of patches.

    Returns:
        Polygons in the CRS of the scene, cut off at its borders.
    """
    top, left = tiles.row_offs[row], np.asarray(tiles.col_offs)[cols]
    right = np.minimum(left + tiles.size, tiles.width)
    boxes = shapely.box(left, top, right, min(top + tiles.size, tiles.height))
    moved = shapely.transform(boxes, lambda points: place_points(header.transform, points))
    placed: NDArray[np.object_] = shapely.orient_polygons(moved)
    return placed
