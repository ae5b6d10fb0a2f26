"""The places of the sample data, as arrays."""

from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

from .ground import Image
from .noise import fractal_noise, pixel_grid
from .rendering import Look, render
from .terrain import Terrain, building_index, class_map, make_terrain

NO_CLASS = 255
"""Value of mask pixels without a class."""

_NORTH, _SOUTH = 'EPSG:32633', 'EPSG:32734'


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One piece of land, and where it is said to be."""

    number: int
    """Makes its land differ from that of other places with the same seed."""

    sides: tuple[float, float]
    """Rows and columns as shares of the size of a training scene."""

    crs: str
    """UTM zone."""

    corner: tuple[float, float]
    """x and y of the upper left corner in metres."""

    season: str
    """As in :class:`Look`."""

    @property
    def transform(self) -> Affine:
        """From (column, row) to coordinates; a pixel is a metre."""
        return Affine(1, 0, self.corner[0], 0, -1, self.corner[1])

    def terrain(self, *, seed: int, size: int) -> Terrain:
        """Lay out the land; equal seeds and sizes give equal land."""
        rows, cols = (round(side * size) for side in self.sides)
        return make_terrain((rows, cols), seed=_land_seed(self, seed))

    def look(self, *, seed: int, season: str | None = None, flight: int = 0) -> Look:
        """Choose season, light and camera; another *flight* sees other weather and crops."""
        return Look(
            seed=_land_seed(self, seed) + 50 * flight,
            season=season or self.season,
            southern=self.crs == _SOUTH,
        )


SCENES = {
    'north_1': Place(
        number=1, sides=(1, 1), crs=_NORTH, corner=(392_000, 5_812_000), season='summer'
    ),
    'north_2': Place(
        number=2, sides=(1, 1), crs=_NORTH, corner=(395_000, 5_814_000), season='spring'
    ),
    'north_3': Place(
        number=3, sides=(1, 1), crs=_NORTH, corner=(398_000, 5_811_000), season='autumn'
    ),
    'south_1': Place(
        number=4, sides=(5 / 6, 7 / 6), crs=_SOUTH, corner=(331_000, 6_245_000), season='summer'
    ),
    'south_2': Place(
        number=5, sides=(5 / 6, 7 / 6), crs=_SOUTH, corner=(334_000, 6_243_000), season='spring'
    ),
}
"""The training scenes."""

HOLDOUT = Place(
    number=6, sides=(4 / 3, 4 / 3), crs=_NORTH, corner=(402_000, 5_816_000), season='summer'
)
"""Never to be trained on."""

MULTISPECTRAL = Place(
    number=7, sides=(5 / 6, 5 / 6), crs=_NORTH, corner=(389_000, 5_809_000), season='summer'
)
"""Four bands, with a collar that holds no data."""

CHANGE = Place(
    number=8, sides=(2 / 3, 2 / 3), crs=_NORTH, corner=(386_000, 5_818_000), season='summer'
)
"""Seen on two dates."""


def make_scene(
    place: Place, *, seed: int, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Photograph a place.

    Args:
        place: One of the above.
        seed: Equal seeds give equal pixels.
        size: Side of a training scene in pixels.

    Returns:
        Red, green and blue, shape (3, rows, cols), and the classes, shape (rows, cols).
    """
    terrain = place.terrain(seed=seed, size=size)
    return _as_bytes(render(terrain, place.look(seed=seed))), class_map(terrain)


def make_multispectral(
    place: Place, *, seed: int, size: int
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Measure the reflectance of a place from an orbit that crosses it at a slant.

    Args:
        place: One of the above.
        seed: Equal seeds give equal pixels.
        size: Side of a training scene in pixels.

    Returns:
        Blue, green, red and near infrared as reflectance x 10,000, 0 where there is no data, shape
        (4, rows, cols), and the classes, NO_CLASS where there is no data, shape (rows, cols).
    """
    terrain = place.terrain(seed=seed, size=size)
    image = render(terrain, place.look(seed=seed))
    # from display brightness back to the light that made it
    reflectance = np.stack(
        [0.5 * image[2] ** 2.2, 0.5 * image[1] ** 2.2, 0.5 * image[0] ** 2.2, 0.6 * image[3] ** 1.8]
    )
    rows, cols = pixel_grid(terrain.shape)
    down = rows / terrain.shape[0] - 0.5
    right = cols / terrain.shape[1] - 0.5
    slant = np.random.default_rng([_land_seed(place, seed), 4]).uniform(0.12, 0.22)
    seen = np.maximum(np.abs(down + slant * right), np.abs(right - slant * down)) < 0.47
    digital = np.clip(np.rint(reflectance * 10_000), 1, 10_000) * seen
    return digital.astype(np.uint16), np.where(seen, class_map(terrain), NO_CLASS).astype(np.uint8)


def make_two_dates(
    place: Place, *, seed: int, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Photograph a place before and after houses were built and forest was felled.

    Crops, light and season differ too, and are no change of class.

    Args:
        place: One of the above.
        seed: Equal seeds give equal pixels.
        size: Side of a training scene in pixels.

    Returns:
        Both dates, shape (3, rows, cols) each, and 1 where the class differs, shape (rows, cols).
    """
    rng = np.random.default_rng([_land_seed(place, seed), 5])
    now = place.terrain(seed=seed, size=size)
    # everything beyond a line through the village is new
    direction = rng.uniform(0, 2 * np.pi)
    sites = np.array([[b.row, b.col] for b in now.buildings]).reshape(-1, 2)
    beyond = sites @ np.array([np.sin(direction), np.cos(direction)])
    limit = np.quantile(beyond, 0.65) if len(beyond) else 0.0
    older = tuple(b for b, at in zip(now.buildings, beyond, strict=True) if at <= limit)
    before = replace(now, buildings=older)
    cells = np.clip(np.rint(now.trees[:, :2]).astype(np.int64), 0, np.array(now.shape) - 1)
    stands = fractal_noise(rng, now.shape, scale=90, steepness=3)[cells[:, 0], cells[:, 1]]
    standing = stands < (np.quantile(stands, 0.75) if len(stands) else 0)
    after = replace(now, trees=now.trees[standing])
    images = (
        render(before, place.look(seed=seed, season='spring', flight=1)),
        render(after, place.look(seed=seed, flight=2)),
    )
    differs = class_map(before) != class_map(after)
    # neighbours of a felled tree grow a pixel wider in its place: slivers, not changes
    changed = ndimage.binary_opening(differs, np.ones((3, 3))).astype(np.uint8)
    return _as_bytes(images[0]), _as_bytes(images[1]), changed


def building_bounds(place: Place, *, seed: int, size: int) -> NDArray[np.float64]:
    """Find the envelopes of the buildings of a place, along the axes of its CRS.

    Args:
        place: One of the above.
        seed: As in :func:`make_scene`.
        size: As in :func:`make_scene`.

    Returns:
        Left, bottom, right and top in metres, shape (buildings, 4).
    """
    terrain = place.terrain(seed=seed, size=size)
    windows = ndimage.find_objects(building_index(terrain.shape, terrain.buildings))
    x, y = place.corner
    bounds = [
        (x + cols.start, y - rows.stop, x + cols.stop, y - rows.start) for rows, cols in windows
    ]
    return np.array(bounds, dtype=np.float64).reshape(-1, 4)


def _land_seed(place: Place, seed: int) -> int:
    """Give every place and every seed another number."""
    return 1000 * seed + place.number


def _as_bytes(image: Image) -> NDArray[np.uint8]:
    """Keep red, green and blue as 8 bits."""
    return np.rint(image[:3] * 255).astype(np.uint8)
