"""How much of the ground of one raster another shows."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from shapely import affinity

from ..crs import Turn, crs_text, turn_of
from ..grids import place_points
from ..read.reader import RasterHeader
from .rectifier import Rectifier

# Points per side of an outline: sides that are straight in one CRS are curved in another.
_POINTS_PER_SIDE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How two rasters lie on each other."""

    of_first: float
    """Share of the first one's ground that the second shows, in [0, 1]."""

    of_second: float
    """Share of the second one's ground that the first shows, in [0, 1]."""

    first_bounds: tuple[float, float, float, float]
    """Left, bottom, right and top of the first one, in *crs*."""

    second_bounds: tuple[float, float, float, float]
    """Those of the second one."""

    crs: CRS
    """Coordinate reference system in which they were compared: that of one of them."""


def measure_overlap(
    first: RasterHeader, second: RasterHeader, *, crs: CRS | None = None
) -> Overlap:
    """Compare the ground of two rasters by their outlines.

    Areas are those in the plane of one of their CRSs, a projected one first: degrees of longitude
    are shorter near the poles. Longitudes of 190 and of -170 degrees are the same ground.

    Args:
        first: Header of a raster with a CRS, or of an image that lies by ground control points or
            the like.
        second: Header of another.
        crs: The CRS in which they are compared if neither has one.

    Returns:
        Shares that are 0 where they have no area in common.

    Raises:
        ValueError: If a raster names no CRS, or neither reaches the ground of the other.
    """
    found = [known for known in (first.crs, second.crs) if known is not None]
    if not found and crs is not None:
        found = [crs]
    if not found or any(h.crs is None and not h.georeference.is_place for h in (first, second)):
        raise ValueError('two rasters can be compared only if both name a CRS')
    for chosen in sorted(found, key=lambda known: not known.is_projected):
        outlines = [_outline(header, chosen) for header in (first, second)]
        one, drawn = outlines
        if one is None or drawn is None:
            continue
        other = _nearest(drawn, one, turn_of(chosen))
        common = shapely.intersection(one, other).area
        return Overlap(
            of_first=min(common / one.area, 1.0),
            of_second=min(common / drawn.area, 1.0),
            first_bounds=one.bounds,
            second_bounds=other.bounds,
            crs=chosen,
        )
    raise ValueError(
        f'rasters in {first.crs} and {second.crs} cannot be compared, as neither CRS reaches the '
        'ground of the other; resample one of them first, for example with gdalwarp -t_srs'
    )


def _outline(header: RasterHeader, crs: CRS) -> shapely.Geometry | None:
    """Draw the border of a raster in a CRS; None where some of it lies beyond the reach of that."""
    cols, rows = _border(header.height, header.width)
    if header.georeference.is_place:
        xs, ys = Rectifier(header.georeference, crs, name='an image').to_ground(cols, rows)
    else:
        xs, ys = place_points(header.transform, np.stack([cols, rows], axis=1)).T
    if header.crs not in (crs, None):
        assert header.crs is not None  # checked by the caller
        try:
            to_crs = Transformer.from_crs(crs_text(header.crs), crs_text(crs), always_xy=True)
            xs, ys = to_crs.transform(xs, ys)
        except ProjError:
            return None
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        return None
    turn = turn_of(crs)
    if turn is not None and header.crs != crs:
        closed = turn.unroll(np.append(xs, xs[0]))
        if abs(closed[-1] - closed[0]) > turn.length / 2:
            # it goes around a pole, which is no point in this CRS
            return None
        xs = closed[:-1]
    # a border that a projection folds over itself still has an inside
    outline = shapely.make_valid(shapely.polygons(np.stack([xs, ys], axis=1)))
    return outline if outline.area > 0 else None


def _nearest(
    outline: shapely.Geometry, other: shapely.Geometry, turn: Turn | None
) -> shapely.Geometry:
    """Move an outline by whole turns onto another one, to where they have most in common.

    One that goes around the Earth may meet the other with both its ends: both are moved there.
    """
    if turn is None:
        return outline
    left, _, right, _ = outline.bounds
    begin, _, end, _ = other.bounds
    moves = turn.repeats(left, right, within=(begin, end)) or [
        round((begin + end - left - right) / 2 / turn.length)
    ]
    copies = [affinity.translate(outline, move * turn.length) for move in moves]
    return shapely.union_all(copies)


def _border(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """List columns and rows of points along the border of a raster, from corner to corner."""
    steps = np.arange(_POINTS_PER_SIDE) / _POINTS_PER_SIDE
    zeros = np.zeros_like(steps)
    cols = np.concatenate([steps, zeros + 1, 1 - steps, zeros]) * width
    rows = np.concatenate([zeros, steps, zeros + 1, 1 - steps]) * height
    return cols, rows
