"""The grid of a raster in another CRS: what GDAL suggests where that is right, else our own.

GDAL looks at 21 points per side. What lies across 180 degrees, at a pole or beyond the reach of a
CRS makes it suggest grids of a row, of millions of columns, or of half of the raster.
"""

import math
from contextlib import closing
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT

from ...messages import one_line
from ..crs import Turn, name_crs, turn_of
from ..gdal import GDALError
from ..grids import Grid, middle_of_turn, place_points
from ..read.reader import Reader
from .reprojection import BEYOND, Reached, Reprojection, probe, reach

# Share of the pixels that have to arrive on a grid that GDAL suggests, and on one of our own: a
# world map loses its polar caps in Mercator's projection, 6 % of its rows.
_SUGGESTED_SHARE, _OWN_SHARE = 0.99, 0.9

# Pixels may become longer and shorter by these factors in any direction, in the middle of all.
# Detail is lost by the first only; square pixels in degrees are short ones at high latitudes.
_LONGER, _SHORTER = 4.0, 16.0

# Pixels of a grid, in squares as wide as the raster is with its height: a narrow one that is turned
# becomes the diagonal of its grid.
_LARGEST = 4.0

# Points per side, and along the border, by which the extent of a grid of our own is found.
_INSIDE, _BORDER = 129, 1025

# Pixels by which a border may miss a whole number of pixels.
_ROUNDING = 1e-6


def choose_grid(src: Reader, crs: CRS) -> Grid:
    """Choose a grid that shows a raster in a CRS and keeps its detail.

    Args:
        src: An open raster with a CRS.
        crs: Wanted; may be that of the raster.

    Returns:
        North-up. Of a raster across 180 degrees, longitudes go on beyond 180, and so does x in
        cylindrical projections.

    Raises:
        ValueError: If *crs* cannot show at least 90 % of it, or not with pixels of about that size.
    """
    if src.crs == crs:
        return _same_crs_grid(src)
    try:
        with closing(WarpedVRT(src, crs=crs)) as warped:
            suggested, reason = replace(Grid.of(warped), crs=crs), None
    except GDALError as error:
        suggested, reason = None, one_line(error)
    grid = _check_grid(Grid.of(src), crs, suggested)
    if isinstance(grid, Grid):
        return grid
    advice = (
        'choose a CRS that reaches there, or cut the scene to what it shows, for example with '
        'gdal_translate -projwin'
    )
    raise ValueError(
        f'{src.name} cannot be expressed in {name_crs(crs)}: {reason or grid}; '
        f'{BEYOND if _is_beyond(Grid.of(src), crs) else advice}'
    )


# each thread that reads opens the raster anew
@lru_cache(maxsize=64)
def _check_grid(source: Grid, crs: CRS, suggested: Grid | None) -> Grid | str:
    """Check the grid that GDAL suggests, or choose another one; or say why there is none."""
    try:
        reprojection = Reprojection.of(source, crs)
    except ValueError as error:
        return str(error)
    if suggested is not None and _describe_misfit(reprojection, suggested) is not None:
        suggested = None
    share = 0.0 if suggested is None else reprojection.share_found_again(suggested)
    if suggested is not None and share >= _SUGGESTED_SHARE:
        return suggested
    own = _make_grid(reprojection)
    if own is None:
        return 'no pixel arrives there'
    own_share = reprojection.share_found_again(own)
    # no grid shows what is beyond the reach of a CRS
    if suggested is not None and share >= max(_OWN_SHARE, own_share - 0.01):
        return suggested
    if own_share < _OWN_SHARE:
        return f'only {100 * own_share:.0f} % of its pixels arrive there'
    return _describe_misfit(reprojection, own) or own


def _is_beyond(source: Grid, crs: CRS) -> bool:
    """Say whether x of a raster goes on beyond 180 degrees, where GDAL does not look for it."""
    turn = turn_of(source.crs)
    if turn is None or middle_of_turn(source, replace(source, crs=crs)) is not None:
        return False
    left, right = source.x_range()
    return max(turn.middle - left, right - turn.middle) > turn.length / 2 * (1 + 1e-9)


def _same_crs_grid(src: Reader) -> Grid:
    """Choose a north-up grid in the CRS of a raster."""
    if src.transform.a < 0 or src.transform.e > 0:
        # GDAL keeps the sides from which rows and columns are counted
        x_res = math.hypot(src.transform.a, src.transform.d)
        y_res = math.hypot(src.transform.b, src.transform.e)
        return _grid_of(src.crs, Grid.of(src).bounds(), (x_res, y_res))
    with closing(WarpedVRT(src, crs=src.crs)) as suggested:
        return replace(Grid.of(suggested), crs=src.crs)


def _describe_misfit(reprojection: Reprojection, grid: Grid) -> str | None:
    """Say what is wrong with the size of a grid or its pixels; None if nothing is."""
    source = reprojection.source
    if not 0 < abs(grid.transform.a * grid.transform.e) < math.inf:
        # GDAL suggests pixels without a width around a pole
        return 'its pixels would have no area'
    sizes = f'{grid.height:,} x {grid.width:,} px for {source.height:,} x {source.width:,}'
    if grid.width * grid.height > _LARGEST * (source.width + source.height) ** 2:
        return f'the map would have {sizes}'
    reached = reach(reprojection, probe(source.height, source.width))
    if reached is None:
        return 'no pixel arrives there'
    if _is_torn(reprojection, grid, reached):
        return 'the map would fall into two pieces'
    # pixels of the grid per pixel of the raster: where they lie closest, and where farthest
    per_pixel = np.linalg.svd(
        reached.steps / [[grid.transform.a], [grid.transform.e]], compute_uv=False
    )
    most, least = np.median(per_pixel, axis=0).tolist()
    if least < 1 / _LONGER:
        return f'pixels would be {1 / least:.3g} times as long on the ground, in a map of {sizes}'
    if most > _SHORTER:
        return f'pixels would be {most:.3g} times as short on the ground, in a map of {sizes}'
    return None


def _is_torn(reprojection: Reprojection, grid: Grid, reached: Reached) -> bool:
    """Say whether a grid shows ground twice, or goes around the Earth needlessly."""
    turn = reprojection.turn
    if turn is None:
        return False
    left, right = grid.x_range()
    if right - left > turn.length + 2 * grid.transform.a:
        return True
    ordered = np.sort(turn.into(reached.middles[:, 0], turn.middle))
    widest = np.diff(ordered, append=ordered[0] + turn.length).max()
    is_around = any(_poles_inside(reprojection))
    return bool(widest > turn.length / 4 and right - left > turn.length * 0.75 and not is_around)


def _make_grid(reprojection: Reprojection) -> Grid | None:
    """Choose a grid by many points of a raster; None where none of them arrives."""
    source, turn = reprojection.source, reprojection.turn
    inside = probe(source.height, source.width, count=_INSIDE)
    border = _border(source.height, source.width)
    reached = reach(reprojection, np.concatenate([inside, border]))
    if reached is None:
        return None
    pole = _poles_inside(reprojection)
    is_around = turn is not None and (any(pole) or _is_around(source))
    if turn is not None:
        middle = _middle_of(reached.middles[:, 0], turn, is_around=is_around)
        reached.middles[:, 0] = turn.into(reached.middles[:, 0], middle)
    left, bottom = reached.corners().min(axis=0).tolist()
    right, top = reached.corners().max(axis=0).tolist()
    if turn is not None and (is_around or right - left > turn.length):
        is_around = True
        left, right = turn.middle - turn.length / 2, turn.middle + turn.length / 2
    if reprojection.crs.is_geographic and turn is not None:
        quarter = turn.length / 4
        bottom = -quarter if pole[0] else max(bottom, -quarter)
        top = quarter if pole[1] else min(top, quarter)
    bounds = left, bottom, right, top
    square = math.hypot(right - left, top - bottom) / math.hypot(source.width, source.height)
    # there is no ground beyond a pole or a full turn
    grid = _grid_of(reprojection.crs, bounds, (square, square), is_closed=is_around)
    if _describe_misfit(reprojection, grid) is None or not reprojection.crs.is_geographic:
        return grid
    # a degree of longitude is much shorter than one of latitude near a pole
    x_res, y_res = np.median(np.linalg.norm(reached.steps, axis=2), axis=0).tolist()
    return _grid_of(reprojection.crs, bounds, (x_res, y_res), is_closed=is_around)


def _grid_of(
    crs: CRS | None,
    bounds: tuple[float, float, float, float],
    res: tuple[float, float],
    *,
    is_closed: bool = False,
) -> Grid:
    """Cover bounds with pixels.

    Args:
        crs: Coordinate reference system of the bounds.
        bounds: Left, bottom, right and top.
        res: Width and height of a pixel.
        is_closed: Make pixels smaller where they do not fit, instead of reaching beyond.
    """
    left, bottom, right, top = bounds
    width = max(1, math.ceil((right - left) / res[0] - _ROUNDING))
    height = max(1, math.ceil((top - bottom) / res[1] - _ROUNDING))
    if is_closed:
        res = (right - left) / width, (top - bottom) / height
    return Grid(crs=crs, transform=from_origin(left, top, *res), height=height, width=width)


def _border(height: int, width: int) -> NDArray[np.float64]:
    """Choose pixels along the border of a raster, more of them than inside."""
    cols = np.unique(np.linspace(0, width - 1, _BORDER).round()) + 0.5
    rows = np.unique(np.linspace(0, height - 1, _BORDER).round()) + 0.5
    lines = [np.stack([cols, np.full_like(cols, row)], axis=1) for row in (0.5, height - 0.5)] + [
        np.stack([np.full_like(rows, col), rows], axis=1) for col in (0.5, width - 0.5)
    ]
    return np.concatenate(lines)


def _is_around(source: Grid) -> bool:
    """Say whether a raster goes around the Earth."""
    turn = turn_of(source.crs)
    return turn is not None and (source.width + 1) * abs(source.transform.a) >= turn.length


def _poles_inside(reprojection: Reprojection) -> tuple[bool, bool]:
    """Say whether the south pole and the north pole lie inside a raster, not along its border."""
    source = reprojection.source
    if (
        turn_of(source.crs) is not None
        or not reprojection.crs.is_geographic
        or reprojection.turn is None
    ):
        return False, False
    quarter = reprojection.turn.length / 4
    x, y = reprojection.forward.transform([0.0, 0.0], [-quarter, quarter], direction='INVERSE')
    with np.errstate(invalid='ignore'):
        points = place_points(~source.transform, np.stack([x, y], axis=1))
    is_inside = ((points >= 0) & (points <= (source.width, source.height))).all(axis=1)
    south, north = is_inside.tolist()
    return south, north


def _middle_of(x: NDArray[np.float64], turn: Turn, *, is_around: bool) -> float:
    """Find the middle of the shortest part of a turn that holds all coordinates.

    Its beginning lies in the turn that PROJ returns; the end may lie beyond.
    """
    if is_around:
        return turn.middle
    ordered = np.sort(turn.into(x, turn.middle))
    gaps = np.diff(ordered, append=ordered[0] + turn.length)
    widest = int(gaps.argmax())
    begin = ordered[(widest + 1) % len(ordered)]
    return float(begin + (turn.length - gaps[widest]) / 2)
