"""Outlines of several files in one CRS, and in one turn around the Earth."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from ...geoio.crs import Turn, find_turn
from ...geoio.vector import bring_near, repair, reproject, unroll
from .references import ObjectFile

type Outlines = NDArray[np.object_]


def place_objects(files: Sequence[ObjectFile]) -> list[Outlines]:
    """Bring the outlines of several files to the CRS of the first, to one turn around the Earth.

    Raises:
        ValueError: If an object lies where that CRS has no numbers.
    """
    crs = files[0].frame.crs
    turn = find_turn(crs)
    placed = []
    for file in files:
        geometries = file.frame.geometry
        outlines = np.array(reproject(geometries, crs).to_numpy(), dtype=np.object_)
        if geometries.crs != crs and turn is not None:
            outlines = unroll(outlines, turn)
        outlines = repair(outlines)
        beyond = ~(np.isfinite(shapely.bounds(outlines)).all(axis=1) & (shapely.area(outlines) > 0))
        if beyond.any():
            raise ValueError(
                f'{int(beyond.sum())} of {len(outlines)} features of {file.path} lie where the CRS '
                f'of {files[0].path}, {crs.name}, has no numbers; reproject the latter'
            )
        placed.append(outlines)
    return placed if turn is None else _gather(placed, turn)


def _gather(placed: Sequence[Outlines], turn: Turn) -> list[Outlines]:
    """Move outlines by whole turns, so that no object lies where the turn ends."""
    bounds = np.concatenate([shapely.bounds(outlines) for outlines in placed])
    if not len(bounds):
        return list(placed)
    # wide ones are parts on both sides of where the turn ends
    is_near = bounds[:, 2] - bounds[:, 0] < turn.length / 2
    middles = np.sort(turn.into((bounds[:, 0] + bounds[:, 2])[is_near] / 2, turn.middle))
    middle = turn.middle
    if len(middles):
        gaps = np.diff(middles, append=middles[0] + turn.length)
        widest = int(gaps.argmax())
        opposite = middles[widest] + (gaps[widest] + turn.length) / 2
        middle = float(turn.into(np.array([opposite]), turn.middle)[0])
    return [_bring(outlines, turn, middle) for outlines in placed]


def _bring(outlines: Outlines, turn: Turn, middle: float) -> Outlines:
    """Move outlines to where they lie closest to a middle, and join those that were cut."""
    left, _, right, _ = shapely.bounds(outlines).T if len(outlines) else np.zeros((4, 0))
    moved = outlines.copy()
    is_cut = (right - left > turn.length / 2) & (shapely.get_num_geometries(outlines) > 1)
    for number in np.flatnonzero(is_cut):
        parts = bring_near(shapely.get_parts(outlines[number]), turn, (middle, middle))
        moved[number] = shapely.union_all(parts)
    moved[~is_cut] = bring_near(outlines[~is_cut], turn, (middle, middle))
    return moved
