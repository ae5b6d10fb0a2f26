"""Write the sample data: scenes, masks, boxes, two dates of one place and natural images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from scipy import ndimage

from ..geoio.vector import Attribute, Features, new_features
from ..geoio.write import new_folder, write_raster
from .drawing import turn
from .land_labels import add_places, write_chips
from .natural import NATURAL_CLASSES, draw_natural_image
from .rendering import render
from .terrain import BUILDING, CLASS_COLORS, CLASS_NAMES, Terrain, make_terrain

_NORTH, _SOUTH = 'EPSG:32633', 'EPSG:32734'
_RGB = ('red', 'green', 'blue')
_NO_HEIGHT = -9999
_write_mask = partial(write_raster, nodata=255, class_names=CLASS_NAMES, class_colors=CLASS_COLORS)

_README = """\
Sample data of gersp_geo, made by `gersp-geo sample-data` with seed {seed}.
Everything here is synthetic: drawn from random numbers, no photograph, no real place.
Licence: CC0 1.0 (public domain). Equal seeds give equal pixels.

scenes/*.tif         aerial images, red, green, blue, uint8, 1 m per pixel;
                     north_* in EPSG:32633, south_* in EPSG:32734
masks/*.tif          land cover of the scene of the same name, one class per pixel
heights/*.tif        heights of trees and buildings above the ground in the scene of the same
                     name, float32, metres; -9999 = no data (over water)
holdout/             scene.tif, mask.tif and heights.tif of a further place: for testing, not for
                     training
multispectral/       scene.tif: blue, green, red, near infrared as reflectance x 10,000, uint16,
                     0 = no data (a slanted collar); mask.tif: its land cover, 255 = no data
buildings/           north_1.gpkg: a box around every building of scenes/north_1.tif
                     (columns class_name, building_id), for object detection
change/              before.tif, after.tif: two dates of one place; mask.tif: 1 where the land
                     cover changed (new buildings, felled forest), 0 elsewhere
chips/<class>/       pieces of 64 x 64 pixels of the scenes, one folder per class: field, forest,
                     settlement, water
places/labels.csv    longitude, latitude (EPSG:4326) and the land cover around, 'field;road', of
                     squares of 64 x 64 m of the scenes
natural/<class>/     drawn pictures of everyday things, labelled by their folder

Land cover classes (also in the tag CLASS_NAMES, the colour table and the .qml of each mask):
{classes}
"""


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
CHANGE = Place(8, (2 / 3, 2 / 3), _NORTH, (386_000, 5_818_000), 'summer')


def write_sample_data(
    folder: str | PathLike[str],
    *,
    seed: int = 0,
    progress: bool = True,
    size: int = 768,
    images_per_class: int = 40,
) -> list[Path]:
    """Write a folder of synthetic data that every part of this package can be tried on.

    ``README.txt`` in it says what each file is. The folder appears only when it is complete.

    Args:
        folder: The folder to make; it may exist if it is empty.
        seed: Equal seeds give equal pixels; >= 0.
        progress: Show a bar on the terminal.
        size: Side of a training scene in pixels, >= 64; the other rasters follow in proportion.
        images_per_class: Natural images of each class, >= 1.

    Returns:
        The files, sorted.

    Raises:
        FileExistsError: If *folder* is a file, or a folder that is not empty.
        ValueError: If a number is out of range.
    """
    limits = {'seed': (seed, 0), 'size': (size, 64), 'images_per_class': (images_per_class, 1)}
    for name, (value, least) in limits.items():
        if value < least:
            raise ValueError(f'{name} must be >= {least}, got {value}')
    with new_folder(folder) as root:
        land: list[Callable[..., None]] = [
            *(partial(_write_scene, name=name) for name in SCENES),
            _write_multispectral,
            _write_two_dates,
        ]
        steps = [partial(step, root, seed=seed, size=size) for step in land]
        steps += [
            partial(_write_natural, root, name=name, seed=seed, count=images_per_class)
            for name in NATURAL_CLASSES
        ]
        bar = partial(track, console=Console(stderr=True), transient=True, disable=not progress)
        for step in bar(steps, description='sample data'):
            step()
        _write_readme(root / 'README.txt', seed=seed)
    return sorted(path for path in Path(folder).rglob('*') if path.is_file())


def _write_scene(root: Path, *, name: str, seed: int, size: int) -> None:
    """Photograph a place; write its land cover, and the boxes of buildings in the first one."""
    place = SCENES[name]
    terrain = place.terrain(seed=seed, size=size)
    pixels = _as_bytes(place.photograph(terrain, seed=seed))
    names = (f'scenes/{name}.tif', f'masks/{name}.tif')
    scene, mask = ('holdout/scene.tif', 'holdout/mask.tif') if name == 'holdout' else names
    write_raster(root / scene, pixels, crs=place.crs, transform=place.transform, bands=_RGB)
    _write_mask(root / mask, terrain.classes, crs=place.crs, transform=place.transform)
    heights = 'holdout/heights.tif' if name == 'holdout' else f'heights/{name}.tif'
    _write_heights(root / heights, place, terrain)
    if name != 'holdout':
        grid: dict[str, Any] = {'crs': place.crs, 'transform': place.transform}
        write_chips(root, name, pixels, terrain.classes, bands=_RGB, **grid)
        add_places(root / 'places' / 'labels.csv', terrain.classes, **grid)
    if name == 'north_1':
        _write_boxes(root / 'buildings' / 'north_1.gpkg', place, terrain)


def _write_heights(path: Path, place: Place, terrain: Terrain) -> None:
    """Write what a laser measures from above: of water, nothing comes back."""
    heights = np.where(terrain.depth > 0, _NO_HEIGHT, terrain.heights.round(2))
    write_raster(
        path, heights.astype(np.float32), crs=place.crs, transform=place.transform,
        nodata=_NO_HEIGHT, bands=('height',), units=('m',),
    )  # fmt: skip


def _write_boxes(path: Path, place: Place, terrain: Terrain) -> None:
    """Write the envelopes of buildings, along the axes of the CRS."""
    x, y = place.corner
    boxes = [
        shapely.box(x + cols.start, y - rows.stop, x + cols.stop, y - rows.start)
        for rows, cols in ndimage.find_objects(terrain.built)
    ]
    names = np.full(len(boxes), CLASS_NAMES[BUILDING], dtype=object)
    columns = {'class_name': names, 'building_id': np.arange(1, len(boxes) + 1)}
    attributes = [
        Attribute(name='class_name', kind='string'),
        Attribute(name='building_id', kind='int64'),
    ]
    with new_features(path, crs=place.crs, attributes=attributes) as write:
        write(Features(polygons=np.array(boxes, dtype=object), columns=columns))


def _write_multispectral(root: Path, *, seed: int, size: int) -> None:
    """Measure the reflectance of a place from an orbit that crosses it at a slant."""
    place, folder = MULTISPECTRAL, root / 'multispectral'
    terrain = place.terrain(seed=seed, size=size)
    red, green, blue, infrared = place.photograph(terrain, seed=seed)
    # from display brightness back to the light that made it
    reflectance = np.stack([blue**2.2, green**2.2, red**2.2, 1.2 * infrared**1.8]) / 2
    rows, cols = (np.linspace(-0.5, 0.5, side) for side in terrain.depth.shape)
    slant = np.random.default_rng([seed, 4]).uniform(0.12, 0.22)
    # the collar beside what was seen holds no data
    seen = np.maximum(*np.abs(turn(rows[:, None], cols, slant))) < 0.47
    digital = (np.clip(np.rint(reflectance * 10_000), 1, 10_000) * seen).astype(np.uint16)
    classes = np.where(seen, terrain.classes, 255).astype(np.uint8)
    write = partial(write_raster, crs=place.crs, transform=place.transform)
    write(folder / 'scene.tif', digital, nodata=0, bands=('blue', 'green', 'red', 'nir'))
    _write_mask(folder / 'mask.tif', classes, crs=place.crs, transform=place.transform)


def _write_two_dates(root: Path, *, seed: int, size: int) -> None:
    """Photograph a place before and after houses were built and forest was felled.

    Crops, light and season differ too, and are no change of class.
    """
    now = CHANGE.terrain(seed=seed, size=size)
    # the buildings of the streets that were laid last are new
    older = round(0.65 * len(now.buildings))
    built = np.where(now.built <= older, now.built, 0)
    before = replace(now, built=built, buildings=now.buildings[:older])
    # whole stands are felled
    standing = now.stands < np.quantile(np.append(now.stands, 0), 0.75)
    after = replace(now, trees=now.trees[standing])
    # neighbours of a felled tree grow a pixel wider in its place: slivers, not changes
    changed = ndimage.binary_opening(before.classes != after.classes, np.ones((3, 3)))
    first = CHANGE.photograph(before, seed=seed, season='spring', flight=1)
    second = CHANGE.photograph(after, seed=seed, flight=2)
    write = partial(write_raster, crs=CHANGE.crs, transform=CHANGE.transform)
    write(root / 'change' / 'before.tif', _as_bytes(first), bands=_RGB)
    write(root / 'change' / 'after.tif', _as_bytes(second), bands=_RGB)
    write(
        root / 'change' / 'mask.tif',
        changed.astype(np.uint8),
        nodata=255,
        class_names=('unchanged', 'changed'),
        class_colors=((235, 235, 235), (214, 39, 40)),
    )


def _as_bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Keep red, green and blue as 8 bits."""
    return np.rint(image[:3] * 255).astype(np.uint8)


def _write_natural(root: Path, *, name: str, seed: int, count: int) -> None:
    """Write the pictures of one class, of sides between 64 and 96 pixels."""
    folder = root / 'natural' / name
    folder.mkdir(parents=True)
    for number in range(count):
        # 7 and 33 have no common divisor: every side from 64 to 96 occurs before one comes again
        size = 64 + number * 7 % 33
        pixels = draw_natural_image(name, size=size, seed=seed, number=number)
        Image.fromarray(pixels).save(folder / f'{number:03d}.jpg', quality=88)


def _write_readme(destination: Path, *, seed: int) -> None:
    """Write what each file is."""
    colors = ['#{:02x}{:02x}{:02x}'.format(*color) for color in CLASS_COLORS]
    rows = enumerate(zip(CLASS_NAMES, colors, strict=True))
    classes = '\n'.join(f'  {value}  {name:<10} {color}' for value, (name, color) in rows)
    destination.write_text(_README.format(seed=seed, classes=classes), encoding='utf-8')
