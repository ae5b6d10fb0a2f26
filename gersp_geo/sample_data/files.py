"""Write the sample data: scenes, masks, boxes, two dates of one place and natural images."""

from collections.abc import Callable
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
import shapely
from PIL import Image
from rich.console import Console
from rich.progress import track

from ..geoio.vector import Attribute, Features, new_features
from ..geoio.write import new_folder, write_raster
from .natural import NATURAL_CLASSES, draw_natural_image
from .places import (
    CHANGE,
    MULTISPECTRAL,
    NO_CLASS,
    SCENES,
    make_multispectral,
    make_scene,
    make_two_dates,
)
from .terrain import BUILDING, CLASS_COLORS, CLASS_NAMES

_RGB = ('red', 'green', 'blue')
_write_mask = partial(
    write_raster, nodata=NO_CLASS, class_names=CLASS_NAMES, class_colors=CLASS_COLORS
)

_README = """\
Sample data of gersp_geo, made by `gersp-geo sample-data` with seed {seed}.
Everything here is synthetic: drawn from random numbers, no photograph, no real place.
Licence: CC0 1.0 (public domain). Equal seeds give equal pixels.

scenes/*.tif         aerial images, red, green, blue, uint8, 1 m per pixel;
                     north_* in EPSG:32633, south_* in EPSG:32734
masks/*.tif          land cover of the scene of the same name, one class per pixel
holdout/             scene.tif and mask.tif of a further place: for testing, not for training
multispectral/       scene.tif: blue, green, red, near infrared as reflectance x 10,000, uint16,
                     0 = no data (a slanted collar); mask.tif: its land cover, {none} = no data
buildings/           north_1.gpkg: a box around every building of scenes/north_1.tif
                     (columns class_name, building_id), for object detection
change/              before.tif, after.tif: two dates of one place; mask.tif: 1 where the land
                     cover changed (new buildings, felled forest), 0 elsewhere
natural/<class>/     drawn pictures of everyday things, labelled by their folder

Land cover classes (also in the tag CLASS_NAMES, the colour table and the .qml of each mask):
{classes}
"""


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
        land = [partial(step, root, seed=seed, size=size) for step in _LAND]
        natural = [
            partial(_write_natural, root / 'natural' / name, seed=seed, count=images_per_class)
            for name in NATURAL_CLASSES
        ]
        bar = partial(track, console=Console(stderr=True), transient=True, disable=not progress)
        for step in bar([*land, *natural], description='sample data'):
            step()
        _write_readme(root / 'README.txt', seed=seed)
    return sorted(path for path in Path(folder).rglob('*') if path.is_file())


def _write_scene(root: Path, *, name: str, seed: int, size: int) -> None:
    """Write a scene and its land cover, and the boxes of the buildings in the first one."""
    place = SCENES[name]
    pixels, classes, bounds = make_scene(place, seed=seed, size=size)
    scene, mask = (root / file.format(name) for file in ('scenes/{}.tif', 'masks/{}.tif'))
    if name == 'holdout':
        scene, mask = root / 'holdout' / 'scene.tif', root / 'holdout' / 'mask.tif'
    write_raster(scene, pixels, crs=place.crs, transform=place.transform, bands=_RGB)
    _write_mask(mask, classes, crs=place.crs, transform=place.transform)
    if name == 'north_1':
        names = np.full(len(bounds), CLASS_NAMES[BUILDING], dtype=object)
        columns = {'class_name': names, 'building_id': np.arange(1, len(bounds) + 1)}
        attributes = [
            Attribute(name='class_name', kind='string'),
            Attribute(name='building_id', kind='int64'),
        ]
        path = root / 'buildings' / 'north_1.gpkg'
        with new_features(path, crs=place.crs, attributes=attributes) as write:
            write(Features(polygons=shapely.box(*bounds.T), columns=columns))


def _write_multispectral(root: Path, *, seed: int, size: int) -> None:
    """Write the four-band scene and its land cover."""
    place, folder = MULTISPECTRAL, root / 'multispectral'
    pixels, classes = make_multispectral(place, seed=seed, size=size)
    write = partial(write_raster, crs=place.crs, transform=place.transform)
    write(folder / 'scene.tif', pixels, nodata=0, bands=('blue', 'green', 'red', 'nir'))
    _write_mask(folder / 'mask.tif', classes, crs=place.crs, transform=place.transform)


def _write_two_dates(root: Path, *, seed: int, size: int) -> None:
    """Write two dates of one place, and where its land cover changed."""
    before, after, changed = make_two_dates(CHANGE, seed=seed, size=size)
    write = partial(write_raster, crs=CHANGE.crs, transform=CHANGE.transform)
    write(root / 'change' / 'before.tif', before, bands=_RGB)
    write(root / 'change' / 'after.tif', after, bands=_RGB)
    write(
        root / 'change' / 'mask.tif',
        changed,
        nodata=NO_CLASS,
        class_names=('unchanged', 'changed'),
        class_colors=((235, 235, 235), (214, 39, 40)),
    )


def _write_natural(folder: Path, *, seed: int, count: int) -> None:
    """Write the pictures of one class, of sides between 64 and 96 pixels."""
    folder.mkdir(parents=True)
    for number in range(count):
        # 7 and 33 have no common divisor: every side from 64 to 96 occurs before one comes again
        size = 64 + number * 7 % 33
        pixels = draw_natural_image(folder.name, size=size, seed=seed, number=number)
        Image.fromarray(pixels).save(folder / f'{number:03d}.jpg', quality=88)


def _write_readme(destination: Path, *, seed: int) -> None:
    """Write what each file is."""
    colors = ['#{:02x}{:02x}{:02x}'.format(*color) for color in CLASS_COLORS]
    rows = enumerate(zip(CLASS_NAMES, colors, strict=True))
    classes = '\n'.join(f'  {value}  {name:<10} {color}' for value, (name, color) in rows)
    text = _README.format(seed=seed, none=NO_CLASS, classes=classes)
    destination.write_text(text, encoding='utf-8')


# what is written of the land, in this order
_LAND: list[Callable[..., None]] = [
    *(partial(_write_scene, name=name) for name in SCENES),
    _write_multispectral,
    _write_two_dates,
]
