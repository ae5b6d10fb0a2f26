"""What stands on the land: buildings and trees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .layout import MAIN_ROAD, STREET, Parcels, Roads
from .noise import Field, Points, fractal_noise

GABLE, FLAT = 0, 1
"""Kinds of roof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """A rectangle with a roof."""

    row: float
    """Centre, in pixels."""

    col: float
    """Centre, in pixels."""

    angle: float
    """Direction of the ridge in radians, from the column axis towards the rows."""

    length: float
    """Along the ridge, in pixels."""

    width: float
    """Across the ridge, in pixels."""

    height: float
    """Above ground, in pixels."""

    roof: int
    """GABLE or FLAT."""

    tone: float
    """Picks the colour of the roof, in [0, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The pixels of one building, in its own directions."""

    rows: slice
    """Rows of the window around it."""

    cols: slice
    """Columns of the window around it."""

    along: Field
    """Pixels from the centre along the ridge, shape of the window."""

    across: Field
    """Pixels from the centre across the ridge, shape of the window."""

    inside: NDArray[np.bool_]
    """True on the roof, shape of the window."""


def outline(building: Building, shape: tuple[int, int]) -> Outline:
    """Find the pixels of a building; a window outside the raster is empty."""
    radius = int(np.hypot(building.length, building.width) / 2) + 2
    row, col = round(building.row), round(building.col)
    rows = slice(max(row - radius, 0), max(min(row + radius + 1, shape[0]), 0))
    cols = slice(max(col - radius, 0), max(min(col + radius + 1, shape[1]), 0))
    down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(building.row)
    right = np.arange(cols.start, cols.stop, dtype=np.float32)[None] - np.float32(building.col)
    sine, cosine = np.float32(np.sin(building.angle)), np.float32(np.cos(building.angle))
    along, across = right * cosine + down * sine, down * cosine - right * sine
    inside = (np.abs(along) <= building.length / 2) & (np.abs(across) <= building.width / 2)
    return Outline(rows=rows, cols=cols, along=along, across=across, inside=inside)


def make_buildings(
    rng: np.random.Generator, roads: Roads, *, blocked: NDArray[np.bool_]
) -> tuple[Building, ...]:
    """Build along the streets of a settlement, and farms along the roads outside.

    Args:
        rng: Source of randomness.
        roads: The network.
        blocked: True on roads and water, shape (rows, cols).

    Returns:
        Buildings wholly inside the raster that touch neither each other nor anything blocked.
    """
    taken = blocked.copy()
    placed: list[Building] = []
    centre = np.array(roads.centre)
    for line, kind, half_width in zip(roads.lines, roads.kinds, roads.half_widths, strict=True):
        if kind not in (MAIN_ROAD, STREET):
            continue
        for side in (-1, 1):
            at = rng.uniform(4, 16)
            while at * 2 < len(line) - 2:
                near = np.hypot(*(line[int(at * 2)] - centre)) < roads.reach
                candidate = _beside(rng, line, at, side=side, gap=half_width, farm=not near)
                is_built = near or rng.uniform() < 0.09
                if is_built and _claim(taken, candidate):
                    placed.append(candidate)
                at += candidate.length + rng.uniform(2.5, 7) if near else rng.uniform(18, 32)
    for parent in tuple(placed):
        # a shed or a garage behind the house
        if rng.uniform() < 0.35:
            shed = _behind(rng, parent)
            if _claim(taken, shed):
                placed.append(shed)
    return tuple(placed)


def make_trees(
    rng: np.random.Generator, parcels: Parcels, *, free: Field, wild: Field, village: Field
) -> NDArray[np.float32]:
    """Plant woods, hedges, riverside trees and gardens.

    Args:
        rng: Source of randomness.
        parcels: Woods follow field borders, more or less.
        free: Pixels to the nearest road, water or building.
        wild: Pixels to the water.
        village: Pixels to the nearest building.

    Returns:
        One row (row, col, radius) per tree, in pixels, shape (trees, 3).
    """
    shape = free.shape
    lie = fractal_noise(rng, shape, scale=200, steepness=3)
    sums = np.bincount(parcels.index.ravel(), weights=lie.ravel())
    means = sums / np.maximum(np.bincount(parcels.index.ravel()), 1)
    urge = 0.45 * lie + 0.75 * means[parcels.index].astype(np.float32)
    detail = fractal_noise(rng, shape, scale=40, steepness=2)
    open_land = (village > 14) & (free > 4)
    # a share of what is free, so that no scene is all fields
    least = np.quantile(urge[open_land], 0.66) if open_land.any() else np.inf
    woods = (urge + 0.1 * detail > least) & open_land
    riverside = (wild < 14) & (detail > -0.1)
    hedges = (parcels.edge < 2) & (fractal_noise(rng, shape, scale=70) > 0.9)
    gardens = (village < 24) & (rng.uniform(size=shape) < 0.3)
    kinds = (
        (woods, 6.2, (3.6, 5.6)),
        (riverside & ~woods, 6.5, (2.6, 4.4)),
        (hedges & ~woods, 4.0, (2.0, 3.4)),
        (gardens & ~woods, 9.0, (2.2, 4.2)),
    )
    trees = [
        _plant(rng, where & (free > radii[0]), spacing=spacing, radii=radii)
        for where, spacing, radii in kinds
    ]
    return np.concatenate(trees).astype(np.float32)


def _plant(
    rng: np.random.Generator,
    where: NDArray[np.bool_],
    *,
    spacing: float,
    radii: tuple[float, float],
) -> Points:
    """Put trees on a jittered grid, where allowed."""
    axes = [np.arange(0, length, spacing) for length in where.shape]
    grid = np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 2)
    # every other row is shifted, as in a tree nursery, so that no lattice shows
    grid[:, 1] += (np.rint(grid[:, 0] / spacing) % 2) * spacing / 2
    grid += rng.uniform(-0.42, 0.42, grid.shape) * spacing
    radius = rng.uniform(*radii, len(grid))
    cells = np.rint(grid).astype(np.int64)
    inside = ((cells >= 0) & (cells < where.shape)).all(axis=1)
    kept = np.flatnonzero(inside)
    kept = kept[where[cells[kept, 0], cells[kept, 1]]]
    return np.column_stack([grid[kept], radius[kept]])


def _beside(
    rng: np.random.Generator, line: Points, at: float, *, side: int, gap: float, farm: bool
) -> Building:
    """Draw a building next to a road, parallel to it or gable first."""
    here, ahead = line[int(at * 2)], line[int(at * 2) + 1]
    tangent = (ahead - here) / max(float(np.hypot(*(ahead - here))), 1e-9)
    if farm or rng.uniform() < 0.06:
        length, width, height, flat = rng.uniform(22, 42), rng.uniform(13, 20), 8.0, 0.5
    else:
        length, width, height, flat = rng.uniform(11, 19), rng.uniform(8.5, 12), 6.0, 0.1
    turned = rng.uniform() < 0.3
    depth = length if turned else width
    distance = gap + depth / 2 + rng.uniform(3.5, 9)
    row, col = here + side * distance * np.array([tangent[1], -tangent[0]])
    angle = np.arctan2(tangent[0], tangent[1]) + turned * np.pi / 2 + rng.normal(0, 0.05)
    return Building(
        row=float(row),
        col=float(col),
        angle=float(angle),
        length=float(length),
        width=float(width),
        height=float(height * rng.uniform(0.8, 1.3)),
        roof=FLAT if rng.uniform() < flat else GABLE,
        tone=float(rng.uniform()),
    )


def _behind(rng: np.random.Generator, parent: Building) -> Building:
    """Draw a small building near a larger one."""
    angle = parent.angle + rng.choice([-1, 1]) * np.pi / 2
    distance = parent.width / 2 + rng.uniform(7, 14)
    return Building(
        row=float(parent.row + distance * np.sin(angle) + rng.uniform(-4, 4)),
        col=float(parent.col + distance * np.cos(angle) + rng.uniform(-4, 4)),
        angle=parent.angle,
        length=float(rng.uniform(5, 9)),
        width=float(rng.uniform(4, 6)),
        height=3.0,
        roof=FLAT if rng.uniform() < 0.6 else GABLE,
        tone=float(rng.uniform()),
    )


def _claim(taken: NDArray[np.bool_], building: Building) -> bool:
    """Mark the ground of a building as taken, unless it is not free or outside."""
    reach = np.hypot(building.length, building.width) / 2 + 2
    lowest = min(building.row, building.col) - reach
    if lowest < 0 or building.row + reach >= taken.shape[0]:
        return False
    if building.col + reach >= taken.shape[1]:
        return False
    shape = outline(building, taken.shape)
    beside = (np.abs(shape.along) <= building.length / 2 + 2) & (
        np.abs(shape.across) <= building.width / 2 + 2
    )
    window = taken[shape.rows, shape.cols]
    if (window & beside).any():
        return False
    window |= shape.inside
    return True
