"""Outlines of several files in one CRS, and in one turn around the Earth."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from ...geoio.crs import Turn, find_turn
from ...geoio.vector import bring_near, repair, reproject, unroll
from .references import ObjectFile

type Outlines = NDArray[np.object_]


def place_objects(files: Sequence[ObjectFile]) -> list[Outlines]:
    """Bring the outlines of several files to the CRS of the first, to one turn around the Earth.

    Raises:
        ValueError: If an object lies where that CRS has no numbers, or nothing leads there.
    """
    turn = find_turn(files[0].frame.crs)
    placed = [_reproject(file, files[0]) for file in files]
    return placed if turn is None else _gather(placed, turn)


def _reproject(file: ObjectFile, onto: ObjectFile) -> Outlines:
    """Bring outlines to the CRS of another file."""
    crs = onto.frame.crs
    try:
        outlines = np.array(reproject(file.frame.geometry, crs).to_numpy(), dtype=np.object_)
    except ProjError as error:
        raise ValueError(
            f'nothing leads from the CRS of {file.path}, {file.frame.crs.name}, to that of '
            f'{onto.path}, {crs.name}; give both files a CRS on the Earth'
        ) from error
    _check(np.isfinite(shapely.bounds(outlines)).all(axis=1), file, onto)
    turn = find_turn(crs)
    if file.frame.crs != crs and turn is not None:
        outlines = unroll(outlines, turn)
    outlines = repair(outlines)
    # of what lies around a pole, nothing is left
    _check(shapely.area(outlines) > 0, file, onto)
    return outlines


def _check(has_place: NDArray[np.bool_], file: ObjectFile, onto: ObjectFile) -> None:
    """Refuse features without a place in the CRS of another file."""
    if not has_place.all():
        raise ValueError(
            f'{int((~has_place).sum())} of {len(has_place)} features of {file.path} lie where the '
            f'CRS of {onto.path}, {onto.frame.crs.name}, has no numbers; reproject the latter'
        )


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
