"""Write the sample data: scenes, masks, boxes, two dates of one place and natural images."""

from collections.abc import Callable
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
import shapely
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from ..geoio.vector.features import Attribute, Features
from ..geoio.vector.write import new_features
from ..geoio.write.atomic import new_folder
from ..geoio.write.geotiff import write_raster
from .natural import NATURAL_CLASSES, draw_natural_image
from .places import (
    CHANGE,
    HOLDOUT,
    MULTISPECTRAL,
    NO_CLASS,
    SCENES,
    Place,
    building_bounds,
    make_multispectral,
    make_scene,
    make_two_dates,
)
from .terrain import BUILDING, CLASS_COLORS, CLASS_NAMES

CHANGE_NAMES = ('unchanged', 'changed')
"""Names of the values of the change mask."""

CHANGE_COLORS = ((235, 235, 235), (214, 39, 40))
"""Red, green and blue of each of them."""

_RGB = ('red', 'green', 'blue')

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
        steps = _plan_steps(root, seed=seed, size=size, images_per_class=images_per_class)
        console = Console(stderr=True)
        with Progress(console=console, disable=not progress, transient=True) as bar:
            task = bar.add_task('', total=len(steps))
            for name, step in steps.items():
                bar.update(task, description=name)
                step()
                bar.advance(task)
    return sorted(path for path in Path(folder).rglob('*') if path.is_file())


def _plan_steps(
    root: Path, *, seed: int, size: int, images_per_class: int
) -> dict[str, Callable[[], object]]:
    """List what is to be written: a name for the progress bar, and a call."""
    steps: dict[str, Callable[[], object]] = {}
    land = {'seed': seed, 'size': size}
    for name, place in SCENES.items():
        scene, mask = root / 'scenes' / f'{name}.tif', root / 'masks' / f'{name}.tif'
        steps[f'scene {name}'] = partial(_write_scene, place, scene=scene, mask=mask, **land)
    scene, mask = root / 'holdout' / 'scene.tif', root / 'holdout' / 'mask.tif'
    steps['holdout scene'] = partial(_write_scene, HOLDOUT, scene=scene, mask=mask, **land)
    steps['multispectral scene'] = partial(_write_multispectral, root / 'multispectral', **land)
    steps['building boxes'] = partial(
        _write_boxes, SCENES['north_1'], root / 'buildings' / 'north_1.gpkg', **land
    )
    steps['two dates'] = partial(_write_two_dates, root / 'change', **land)
    for name in NATURAL_CLASSES:
        steps[f'natural images: {name}'] = partial(
            _write_natural, root / 'natural' / name, seed=seed, count=images_per_class
        )
    steps['readme'] = partial(_write_readme, root / 'README.txt', seed=seed)
    return steps


def _write_scene(place: Place, *, scene: Path, mask: Path, seed: int, size: int) -> None:
    """Write a scene and its land cover."""
    pixels, classes = make_scene(place, seed=seed, size=size)
    write_raster(scene, pixels, crs=place.crs, transform=place.transform, bands=_RGB)
    write_raster(
        mask,
        classes,
        crs=place.crs,
        transform=place.transform,
        nodata=NO_CLASS,
        class_names=CLASS_NAMES,
        class_colors=CLASS_COLORS,
    )


def _write_multispectral(folder: Path, *, seed: int, size: int) -> None:
    """Write the four-band scene and its land cover."""
    place = MULTISPECTRAL
    pixels, classes = make_multispectral(place, seed=seed, size=size)
    write_raster(
        folder / 'scene.tif',
        pixels,
        crs=place.crs,
        transform=place.transform,
        nodata=0,
        bands=('blue', 'green', 'red', 'nir'),
    )
    write_raster(
        folder / 'mask.tif',
        classes,
        crs=place.crs,
        transform=place.transform,
        nodata=NO_CLASS,
        class_names=CLASS_NAMES,
        class_colors=CLASS_COLORS,
    )


def _write_boxes(place: Place, destination: Path, *, seed: int, size: int) -> None:
    """Write the boxes of the buildings of a scene."""
    bounds = building_bounds(place, seed=seed, size=size)
    count = len(bounds)
    buildings = Features(
        polygons=shapely.box(*bounds.T),
        columns={
            'class_name': np.full(count, CLASS_NAMES[BUILDING], dtype=object),
            'building_id': np.arange(1, count + 1),
        },
    )
    attributes = (
        Attribute(name='class_name', kind='string'),
        Attribute(name='building_id', kind='int64'),
    )
    with new_features(destination, crs=place.crs, attributes=attributes) as write:
        write(buildings)


def _write_two_dates(folder: Path, *, seed: int, size: int) -> None:
    """Write two dates of one place, and where its land cover changed."""
    before, after, changed = make_two_dates(CHANGE, seed=seed, size=size)
    for name, pixels in (('before', before), ('after', after)):
        write_raster(
            folder / f'{name}.tif', pixels, crs=CHANGE.crs, transform=CHANGE.transform, bands=_RGB
        )
    write_raster(
        folder / 'mask.tif',
        changed,
        crs=CHANGE.crs,
        transform=CHANGE.transform,
        nodata=NO_CLASS,
        class_names=CHANGE_NAMES,
        class_colors=CHANGE_COLORS,
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
    rows = [
        f'  {value}  {name:<10} #{red:02x}{green:02x}{blue:02x}'
        for value, (name, (red, green, blue)) in enumerate(
            zip(CLASS_NAMES, CLASS_COLORS, strict=True)
        )
    ]
    text = _README.format(seed=seed, none=NO_CLASS, classes='\n'.join(rows))
    destination.write_text(text, encoding='utf-8')
