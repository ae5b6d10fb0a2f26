"""A piece of land as a whole: what lies where, and which class that makes each pixel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .layout import Parcels, Roads, make_lakes, make_parcels, make_river, make_roads
from .noise import Field, Proximity, distance_to, nearest_line, nearest_point, pixel_grid
from .settlement import Building, make_buildings, make_trees, outline

CLASS_NAMES = ('field', 'forest', 'water', 'road', 'building')
"""Names of the values of a class raster."""

CLASS_COLORS = ((216, 201, 90), (38, 107, 52), (44, 110, 184), (128, 128, 128), (201, 62, 47))
"""Red, green and blue of each class."""

FIELD, FOREST, WATER, ROAD, BUILDING = range(len(CLASS_NAMES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Terrain:
    """What lies where; nothing about light, season or colour."""

    parcels: Parcels
    """Fields, also below everything else."""

    depth: Field
    """Pixels inside the shore, negative on land, shape (rows, cols)."""

    roads: Roads
    """The network."""

    road: Proximity
    """How each pixel lies to the network."""

    buildings: tuple[Building, ...]
    """In no order."""

    trees: NDArray[np.float32]
    """(row, col, radius) per tree in pixels, shape (trees, 3)."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        rows, cols = self.depth.shape
        return rows, cols

    @property
    def paved(self) -> Field:
        """Pixels inside the edge of a road, negative beside it, shape (rows, cols)."""
        widths = np.array([*self.roads.half_widths, 0.0], dtype=np.float32)
        return np.asarray(widths[self.road.line] - self.road.distance, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canopy:
    """Trees as seen from above."""

    tree: NDArray[np.int32]
    """Index of the nearest tree, shape (rows, cols)."""

    dome: Field
    """Height within the crown: 1 at a tree's centre, 0 at its rim and outside."""

    inside: NDArray[np.bool_]
    """True where the class is forest, small gaps included, unless something lies on top."""


def make_terrain(shape: tuple[int, int], *, seed: int) -> Terrain:
    """Lay out a piece of land: a river, a village, roads, lakes, fields and woods.

    Args:
        shape: (rows, cols), at least 2 each; a pixel is a metre.
        seed: Equal seeds give equal land.

    Returns:
        The layout.
    """
    rng = np.random.default_rng([seed, 1])
    parcels = make_parcels(rng, shape)
    river = make_river(rng, shape)
    roads = make_roads(rng, shape, river=river)
    road = nearest_line(shape, roads.lines)
    rows, cols = pixel_grid(shape)
    beyond = np.hypot(rows - roads.centre[0], cols - roads.centre[1]) - roads.reach
    near_road = np.minimum(road.distance, np.maximum(beyond, 0))
    depth = np.maximum(river, make_lakes(rng, shape, taken=near_road))
    widths = np.array([*roads.half_widths, 0.0], dtype=np.float32)
    is_road = road.distance < widths[road.line]
    buildings = make_buildings(rng, roads, blocked=(depth > -6) | (road.distance < 5))
    built = building_index(shape, buildings) > 0
    trees = make_trees(
        rng,
        parcels,
        free=distance_to(is_road | built | (depth > 0)),
        wild=distance_to(depth > 0),
        village=distance_to(built),
    )
    return Terrain(
        parcels=parcels, depth=depth, roads=roads, road=road, buildings=buildings, trees=trees
    )


def building_index(shape: tuple[int, int], buildings: tuple[Building, ...]) -> NDArray[np.int32]:
    """Number the pixels of buildings.

    Args:
        shape: (rows, cols).
        buildings: The n-th one gets the value n, from 1.

    Returns:
        Shape (rows, cols), 0 where there is no building.
    """
    index = np.zeros(shape, dtype=np.int32)
    for number, building in enumerate(buildings, start=1):
        shape_of = outline(building, shape)
        index[shape_of.rows, shape_of.cols][shape_of.inside] = number
    return index


def make_canopy(shape: tuple[int, int], trees: NDArray[np.float32]) -> Canopy:
    """Let the crowns of trees grow together.

    Args:
        shape: (rows, cols).
        trees: As in :class:`Terrain`.

    Returns:
        The canopy.
    """
    tree, distance = nearest_point(shape, trees[:, :2].astype(np.float64))
    radius = np.append(trees[:, 2], np.float32(1))[tree]
    dome = np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, None))
    inside = ndimage.binary_closing(np.pad(distance < radius, 4, mode='edge'), np.ones((5, 5)))
    return Canopy(tree=tree, dome=dome.astype(np.float32), inside=inside[4:-4, 4:-4])


def class_map(terrain: Terrain) -> NDArray[np.uint8]:
    """Name what is seen from above.

    Args:
        terrain: The land.

    Returns:
        Indices into CLASS_NAMES, shape (rows, cols).
    """
    shape = terrain.shape
    classes = np.full(shape, FIELD, dtype=np.uint8)
    classes[make_canopy(shape, terrain.trees).inside] = FOREST
    classes[terrain.depth > 0] = WATER
    classes[terrain.paved > 0] = ROAD
    classes[building_index(shape, terrain.buildings) > 0] = BUILDING
    return classes
