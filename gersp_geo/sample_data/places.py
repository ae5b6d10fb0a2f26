"""The places of the sample data, and what was recorded of them, as arrays."""

from dataclasses import dataclass, replace

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

from .drawing import turn
from .rendering import render
from .terrain import Terrain, make_terrain

type Pixels = NDArray[np.uint8]

NO_CLASS = 255
"""Value of mask pixels without a class."""

_NORTH, _SOUTH = 'EPSG:32633', 'EPSG:32734'


@dataclass(frozen=True, slots=True)
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
    """As in :func:`render`."""

    @property
    def transform(self) -> Affine:
        """From (column, row) to coordinates; a pixel is a metre."""
        return Affine(1, 0, self.corner[0], 0, -1, self.corner[1])

    def terrain(self, *, seed: int, size: int) -> Terrain:
        """Lay out the land; equal seeds and sizes give equal land."""
        rows, cols = (round(side * size) for side in self.sides)
        return make_terrain((rows, cols), seed=1000 * seed + self.number)

    def photograph(
        self, terrain: Terrain, *, seed: int, season: str = '', flight: int = 0
    ) -> NDArray[np.float32]:
        """See the land as in :func:`render`; another flight meets other weather and crops."""
        return render(
            terrain,
            seed=1000 * seed + self.number + 50 * flight,
            season=season or self.season,
            southern=self.crs == _SOUTH,
        )


SCENES = {
    'north_1': Place(1, (1, 1), _NORTH, (392_000, 5_812_000), 'summer'),
    'north_2': Place(2, (1, 1), _NORTH, (395_000, 5_814_000), 'spring'),
    'north_3': Place(3, (1, 1), _NORTH, (398_000, 5_811_000), 'autumn'),
    'south_1': Place(4, (5 / 6, 7 / 6), _SOUTH, (331_000, 6_245_000), 'summer'),
    'south_2': Place(5, (5 / 6, 7 / 6), _SOUTH, (334_000, 6_243_000), 'spring'),
    'holdout': Place(6, (4 / 3, 4 / 3), _NORTH, (402_000, 5_816_000), 'summer'),
}
"""The training scenes, and one that is never to be trained on."""

MULTISPECTRAL = Place(7, (5 / 6, 5 / 6), _NORTH, (389_000, 5_809_000), 'summer')
"""Four bands, with a collar that holds no data."""

CHANGE = Place(8, (2 / 3, 2 / 3), _NORTH, (386_000, 5_818_000), 'summer')
"""Seen on two dates."""


def make_scene(place: Place, *, seed: int, size: int) -> tuple[Pixels, Pixels, NDArray[np.float64]]:
    """Photograph a place.

    Returns:
        Red, green and blue, shape (3, rows, cols); the classes, shape (rows, cols); and left,
        bottom, right and top of every building in metres, shape (buildings, 4).
    """
    terrain = place.terrain(seed=seed, size=size)
    x, y = place.corner
    windows = ndimage.find_objects(terrain.built)
    bounds = [
        (x + cols.start, y - rows.stop, x + cols.stop, y - rows.start) for rows, cols in windows
    ]
    pixels = _as_bytes(place.photograph(terrain, seed=seed))
    return pixels, terrain.classes, np.array(bounds, dtype=np.float64).reshape(-1, 4)


def make_multispectral(place: Place, *, seed: int, size: int) -> tuple[NDArray[np.uint16], Pixels]:
    """Measure the reflectance of a place from an orbit that crosses it at a slant.

    Returns:
        Blue, green, red and near infrared as reflectance x 10,000, 0 where there is no data, shape
        (4, rows, cols), and the classes, NO_CLASS where there is no data, shape (rows, cols).
    """
    terrain = place.terrain(seed=seed, size=size)
    red, green, blue, infrared = place.photograph(terrain, seed=seed)
    # from display brightness back to the light that made it
    reflectance = np.stack([blue**2.2, green**2.2, red**2.2, 1.2 * infrared**1.8]) / 2
    rows, cols = (np.linspace(-0.5, 0.5, side) for side in terrain.depth.shape)
    slant = np.random.default_rng([seed, 4]).uniform(0.12, 0.22)
    seen = np.maximum(*np.abs(turn(rows[:, None], cols, slant))) < 0.47
    digital = np.clip(np.rint(reflectance * 10_000), 1, 10_000) * seen
    return digital.astype(np.uint16), np.where(seen, terrain.classes, NO_CLASS).astype(np.uint8)


def make_two_dates(place: Place, *, seed: int, size: int) -> tuple[Pixels, Pixels, Pixels]:
    """Photograph a place before and after houses were built and forest was felled.

    Crops, light and season differ too, and are no change of class.

    Returns:
        Both dates, shape (3, rows, cols) each, and 1 where the class differs, shape (rows, cols).
    """
    now = place.terrain(seed=seed, size=size)
    # the buildings of the streets that were laid last are new
    older = round(0.65 * len(now.buildings))
    built = np.where(now.built <= older, now.built, 0)
    before = replace(now, built=built, buildings=now.buildings[:older])
    # whole stands are felled
    standing = now.stands < np.quantile(np.append(now.stands, 0), 0.75)
    after = replace(now, trees=now.trees[standing])
    first = place.photograph(before, seed=seed, season='spring', flight=1)
    second = place.photograph(after, seed=seed, flight=2)
    # neighbours of a felled tree grow a pixel wider in its place: slivers, not changes
    changed = ndimage.binary_opening(before.classes != after.classes, np.ones((3, 3)))
    return _as_bytes(first), _as_bytes(second), changed.astype(np.uint8)


def _as_bytes(image: NDArray[np.float32]) -> Pixels:
    """Keep red, green and blue as 8 bits."""
    return np.rint(image[:3] * 255).astype(np.uint8)
