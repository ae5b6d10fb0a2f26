"""A piece of land: what lies where, and which class that makes each pixel."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from .drawing import (
    Field,
    Index,
    Points,
    Shape,
    cells,
    distance_to,
    distance_to_border,
    fractal_noise,
    nearest_line,
    nearest_point,
    pixel_grid,
    turn,
)

CLASS_NAMES = ('field', 'forest', 'water', 'road', 'building')
"""Names of the values of a class raster."""

CLASS_COLORS = ((216, 201, 90), (38, 107, 52), (44, 110, 184), (128, 128, 128), (201, 62, 47))
"""Red, green and blue of each class."""

FIELD, FOREST, WATER, ROAD, BUILDING = range(len(CLASS_NAMES))

MAIN_ROAD, STREET, TRACK = 0, 1, 2
"""Kinds of road: asphalt with markings, plain asphalt, trodden earth."""

# points of a road that belong to one lot: 20 pixels
_LOT = 40
_HALF_WIDTHS = np.array([4.0, 2.8, 1.8], dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class Terrain:
    """What lies where; nothing about light, season or colour. Lengths are in pixels."""

    noise: tuple[Field, Field, Field]
    """Broad, patchy and grainy unevenness of the ground."""

    parcel: Index
    """Number of the field, also below everything else."""

    angle: Field
    """Direction of its rows in radians."""

    depth: Field
    """How far it is to the shore, negative on land."""

    road: Field
    """How far it is to the middle of the nearest road, negative on its left."""

    along: Field
    """How far one has travelled on that road."""

    kind: Index
    """MAIN_ROAD, STREET or TRACK: what that road is."""

    built: Index
    """Number of the building from 1, 0 where there is none."""

    buildings: NDArray[np.float64]
    """Angle of the ridge in radians, length along it, width and height: shape (buildings, 4)."""

    trees: NDArray[np.float64]
    """Row, column and radius: shape (trees, 3)."""

    @property
    def paved(self) -> Field:
        """How far it is to the edge of a road, negative beside it."""
        return np.asarray(_HALF_WIDTHS[self.kind] - np.abs(self.road))

    @property
    def stands(self) -> NDArray[np.float32]:
        """Broad unevenness below every tree: those of one stand are alike."""
        return self.noise[0][cells(self.trees[:, :2], self.depth.shape)]

    @cached_property
    def crowns(self) -> tuple[Index, Field]:
        """Index of the nearest tree, and its height: 1 at the stem, 0 at the rim and outside."""
        tree, distance = nearest_point(self.depth.shape, self.trees[:, :2])
        radius = np.append(self.trees[:, 2], 1).astype(np.float32)[tree]
        return tree, np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, None))

    @cached_property
    def classes(self) -> NDArray[np.uint8]:
        """What is seen from above: indices into CLASS_NAMES."""
        # small gaps between crowns are forest too
        crowns = np.pad(self.crowns[1] > 0, 4, mode='edge')
        forest = ndimage.binary_closing(crowns, np.ones((5, 5)))[4:-4, 4:-4]
        layers = [self.built > 0, self.paved > 0, self.depth > 0, forest]
        return np.select(layers, [BUILDING, ROAD, WATER, FOREST], FIELD).astype(np.uint8)

    @cached_property
    def heights(self) -> NDArray[np.float32]:
        """How high buildings and trees stand above the ground."""
        roofs = np.append(0, self.buildings[:, 3])[self.built]
        crowns = (4 + 5 * self.crowns[1]) * (self.classes == FOREST)
        heights: NDArray[np.float32] = np.maximum(roofs, crowns).astype(np.float32)
        return heights


def make_terrain(shape: Shape, *, seed: int) -> Terrain:
    """Lay out a river, a village, roads, lakes, fields and woods; a pixel is a metre."""
    rng = np.random.default_rng([seed, 1])
    scales = {150: 3.0, 25: 2.2, 3: 1.0}
    broad, patches, grain = (
        fractal_noise(rng, shape, scale=scale, steepness=steepness)
        for scale, steepness in scales.items()
    )
    parcel, angle = _divide(rng, shape, bend=6 * broad)
    river = _dig_river(rng, shape) + patches
    # the village keeps away from the river
    tries = (rng.uniform(0.3, 0.7, (16, 2)) * shape).astype(np.int64)
    centre = tries[np.argmin(river[tuple(tries.T)])].astype(np.float64)
    reach = 0.27 * min(shape)
    kinds, lines = _lay_roads(rng, shape, centre=centre, reach=reach)
    points = np.concatenate(lines)
    kind_at = np.repeat(kinds, [len(line) for line in lines]).astype(np.int32)
    index, along, road = nearest_line(shape, lines)
    rows, cols = pixel_grid(shape)
    room = np.minimum(np.abs(road), np.hypot(rows - centre[0], cols - centre[1]) - reach)
    lakes = fractal_noise(rng, shape, scale=130, steepness=4.5)
    lakes -= np.float32(np.quantile(np.where(room > 20, lakes, -9), 0.97))
    depth = np.maximum(river, np.minimum(40 * lakes, room - 10)).astype(np.float32)
    rural = np.hypot(*(points - centre).T) > reach
    kind = kind_at[index]
    blocked = (depth > -6) | (kind == TRACK)
    built, buildings = _build(rng, points, index, along, road, rural=rural, blocked=blocked)
    trees = _plant(rng, parcel, (broad, patches), -depth, np.abs(road) - 4, distance_to(built > 0))
    return Terrain(
        noise=(broad, patches, grain),
        parcel=parcel,
        angle=angle,
        depth=depth,
        road=road,
        along=along,
        kind=kind,
        built=built,
        buildings=buildings,
        trees=trees,
    )


def _divide(rng: Generator, shape: Shape, *, bend: Field) -> tuple[Index, Field]:
    """Divide the land into districts of one direction, these into strips, these into parcels."""
    count = max(2, round(shape[0] * shape[1] / 290**2))
    district, _ = nearest_point(shape, rng.uniform(0, 0.99, (count, 2)) * shape)
    heading = rng.uniform(0, np.pi, count).astype(np.float32)[district]
    zoom = rng.choice(np.array([0.75, 1, 1.8], dtype=np.float32), count)[district]
    along, across = turn(*pixel_grid(shape), heading)
    # the first strip is beyond every pixel
    farthest = 2 * sum(shape)
    strips = farthest // 30 + 10
    strip_at = np.repeat(np.arange(strips), rng.integers(60, 130, strips))
    parcel_at = np.repeat(np.arange(strips), rng.integers(90, 240, strips))
    strip = district * strips + strip_at[(zoom * (across + bend) + farthest).astype(np.int32)]
    shift = rng.integers(0, 500, count * strips)[strip]
    within = parcel_at[(zoom * (along + bend) + farthest).astype(np.int32) + shift]
    found, parcel = np.unique(strip * strips + within, return_inverse=True)
    # most farmers work along the strip
    turned = rng.uniform(size=len(found)) < 0.25
    angle = heading + np.float32(np.pi / 2) * turned[parcel]
    return parcel.astype(np.int32), angle.astype(np.float32)


def _winding(
    rng: Generator, start: Points, heading: float, ends: tuple[float, float], *, swing: float
) -> Points:
    """Draw a line through *start* that winds about a straight one, a point every half pixel."""
    t = np.arange(*ends, 0.5)
    aside = np.zeros_like(t)
    for height, length in ((swing, 460), (swing / 2, 210)):
        phase = rng.uniform(0, 2 * np.pi)
        aside += height * (np.sin(2 * np.pi * t / length + phase) - np.sin(phase))
    sine, cosine = np.sin(heading), np.cos(heading)
    return np.asarray(start + np.outer(t, (sine, cosine)) + np.outer(aside, (cosine, -sine)))


def _dig_river(rng: Generator, shape: Shape) -> Field:
    """Let a river meander beside the middle: pixels inside the shore, negative on land."""
    side, far = min(shape), 0.8 * sum(shape)
    heading = rng.uniform(0, np.pi)
    push = rng.choice([-1, 1]) * rng.uniform(0.18, 0.3) * side
    start = np.array(shape) / 2 + push * np.array([np.cos(heading), -np.sin(heading)])
    line = _winding(rng, start, heading, (-far, far), swing=0.06 * side)
    _, along, distance = nearest_line(shape, [line])
    width = rng.uniform(9, 14) + 2.5 * np.sin(along / 45)
    return np.asarray(width - np.abs(distance), dtype=np.float32)


def _lay_roads(
    rng: Generator, shape: Shape, *, centre: Points, reach: float
) -> tuple[list[int], list[Points]]:
    """Lay two roads through the village, streets beside them, and tracks into the fields.

    Returns:
        Kind and points of each line.
    """
    far, heading = 1.5 * max(shape) + 20, rng.uniform(0, np.pi)
    lines: list[tuple[int, Points]] = []
    for angle, offsets in ((heading, (-64, 64)), (heading + np.pi / 2, (-145, -64, 64, 145))):
        road = _winding(rng, centre, angle, (-far, far), swing=14)
        village = road[np.hypot(*(road - centre).T) < reach]
        lines.append((MAIN_ROAD, road))
        for offset in offsets + rng.uniform(-9, 9, len(offsets)):
            first, last = (rng.uniform((0, 0.6), (0.4, 1)) * len(village)).astype(np.int64)
            aside = offset * np.array([np.cos(angle), -np.sin(angle)])
            lines.append((STREET, village[first:last] + aside))
    from_centre = np.hypot(*(road - centre).T)
    starts = road[(from_centre > reach) & (from_centre < 2.2 * reach)]
    for start in rng.permutation(starts)[: max(1, round(min(shape) / 250))]:
        away = np.arctan2(*(start - centre)) + rng.choice([-1, 1]) * rng.uniform(0.6, 1.2)
        lines.append((TRACK, _winding(rng, start, away, (0, far), swing=14)))
    # whole lots, so that none belongs to two roads
    whole = [(kind, line[: len(line) // _LOT * _LOT]) for kind, line in lines if len(line) >= _LOT]
    return [kind for kind, _ in whole], [line for _, line in whole]


def _build(
    rng: Generator,
    points: Points,
    index: Index,
    along: Field,
    road: Field,
    *,
    rural: NDArray[np.bool_],
    blocked: NDArray[np.bool_],
) -> tuple[Index, NDArray[np.float64]]:
    """Put houses on both sides of roads, and fewer but larger ones where these are rural.

    None is cut by anything that is blocked, by another road or by the rim of the raster.
    """
    # each lot lies on one side of the road
    middles = np.arange(_LOT // 2, len(points), _LOT).repeat(2)
    lot = 2 * (index // _LOT) + (road > 0)
    sizes = rng.uniform((11, 8.5, 7, 5), (16.5, 12.5, 11, 8), (len(middles), 4))
    sizes[rural[middles]] *= (1.15, 2, 1.4, 1.2)
    length, width, gap, height = sizes.T
    is_built = rng.uniform(size=len(middles)) < np.where(rural[middles], 0.1, 0.9)
    inside = is_built[lot] & (np.abs(along - middles[lot] / 2) <= length[lot] / 2)
    inside &= np.abs(np.abs(road) - (gap + width / 2)[lot]) <= width[lot] / 2
    area = np.bincount(lot[inside], minlength=len(middles))
    whole = np.abs(area - length * width) < 0.15 * length * width
    whole[lot[inside & blocked]] = False
    built = np.where(inside & whole[lot], np.cumsum(whole)[lot], 0)
    # the ridge runs along the longer side
    angle = np.arctan2(*np.gradient(points, axis=0)[middles].T) + np.pi / 2 * (width > length)
    longer, shorter = np.maximum(length, width), np.minimum(length, width)
    return built.astype(np.int32), np.stack([angle, longer, shorter, height], axis=1)[whole]


def _plant(
    rng: Generator,
    parcel: Index,
    noise: tuple[Field, Field],
    water: Field,
    road: Field,
    home: Field,
) -> NDArray[np.float64]:
    """Plant woods, riverside trees, hedges and gardens, given how far other things are."""
    broad, patches = noise
    free = np.minimum(np.minimum(water, road), home)
    land = (home > 14) & (free > 4)
    # woods follow the borders of fields, more or less
    counts = np.bincount(parcel.ravel()).clip(1)
    means = np.bincount(parcel.ravel(), weights=broad.ravel()) / counts
    urge = 0.45 * broad + 0.75 * means.astype(np.float32)[parcel] + 0.06 * patches
    # a share of what is free, so that no scene is all fields
    wood = land & (urge > (np.quantile(urge[land], 0.66) if land.any() else np.inf))
    hedge = (distance_to_border(parcel) < 3) & (patches > 0.9)
    kinds = [wood, (water < 14) & (patches > -0.1), hedge, home < 24]
    chance = np.select(kinds, [1, 0.9, 1, 0.13], 0) * (free > 2.5)
    # every other row of a grid is shifted, as in a tree nursery, so that no lattice shows
    grid = np.moveaxis(np.mgrid[: free.shape[0] : 6, : free.shape[1] : 6], 0, -1).astype(np.float64)
    grid[1::2, :, 1] += 3
    points = (grid + rng.uniform(-2.5, 2.5, grid.shape)).reshape(-1, 2)
    at = cells(points, free.shape)
    radius = rng.uniform(2.2, 4.0, len(points)) + 1.5 * wood[at]
    grown = rng.uniform(size=len(points)) < chance[at]
    return np.column_stack([points, radius])[grown]
