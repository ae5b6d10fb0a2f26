"""The public sets of ``own_data.py``: what a user types for each, and which figure counts."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from .change import write_vrt

type Words = tuple[list[str], list[str]]
"""Options of training and test, and what is predicted."""

SMALL = ['--model.backbone', 'resnet18']


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSet:
    """A set of images with labels."""

    title: str
    """Name of the set."""

    task: str
    """Configuration in configs/finetune."""

    folder: str
    """Folder of the unpacked set."""

    given: str
    """What the labels are."""

    words: Callable[[Path, Path], Words]
    """Options, from the folder of the set and one to write in."""

    figure: str = 'mean IoU'
    """Which figure counts."""

    counted: str | None = None
    """Class of which the figure is; None for all."""

    prediction: str = 'map.tif'
    """File that prediction writes."""

    fit: tuple[str, ...] = ()
    """Options of training alone."""

    def value(self, report: dict[str, Any]) -> float:
        """Take the figure from a report."""
        key = {'mean IoU': 'IoU', 'accuracy': 'Accuracy'}.get(self.figure, self.figure)
        key = key.split()[0]
        of = report['overall'] if self.counted is None else report['classes'][self.counted]
        return float(of[key])


def airbus(data: Path, folder: Path) -> Words:
    """Oil tanks of four SPOT scenes."""
    words = ['--data.images', f'{data}/images', '--data.labels', f'{data}/annotations.csv', *SMALL]
    words += ['--data.size', '128', '--data.val_split', '0.05', '--data.test_split', '0.05']
    words += ['--data.batch_size', '2', '--data.length', '32', '--data.attribute', 'class']
    scene = place_picture(min((data / 'images').glob('*.jpg')), folder / 'part.tif')
    return words, [scene, '--size', '128', '--overlap', '48']


def place_picture(picture: Path, destination: Path, *, side: int = 640) -> str:
    """Give the middle of a picture a place, in pixels: files of objects and tables need one."""
    with rasterio.open(picture) as src:
        window = Window((src.width - side) // 2, (src.height - side) // 2, side, side)
        pixels = src.read(window=window)
    with rasterio.open(
        destination, 'w', driver='GTiff', count=len(pixels), height=side, width=side,
        dtype=pixels.dtype, crs='EPSG:3857', transform=from_origin(0, side, 1, 1),
        photometric='RGB',
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return str(destination)


def trees(data: Path, _: Path) -> Words:
    """Trees of three NEON images."""
    images = [f'{data}/OSBS_029.tif', *map(str, sorted(data.glob('*.png')))]
    words = ['--data.images', f'[{", ".join(images)}]', '--data.labels', str(data), *SMALL]
    # alive, dead and undecided trees
    words += ['--data.format', 'voc', '--data.attribute', 'null', '--model.num_classes', '4']
    words += ['--data.size', '128', '--data.test_split', '0.2', '--data.batch_size', '2']
    words += ['--data.block_size', '200', '--data.length', '32']
    return words, [f'{data}/OSBS_029.tif', '--size', '128', '--overlap', '64']


def eurosat(data: Path, _: Path) -> Words:
    """Images of 13 bands in a folder per class."""
    words = ['--data.images', str(data), '--model.in_channels', '13', '--model.num_classes', '10']
    words += ['--data.test_split', '0.25', '--data.val_split', '0.25']
    return words, [str(min(data.glob('River/*.tif'))), '--size', '64']


def ucmerced(data: Path, folder: Path) -> Words:
    """Aerial images in a folder per class."""
    words = ['--data.images', str(data), '--model.num_classes', '21', '--data.size', '256']
    words += ['--data.length', '160', '--data.test_split', '0.2']
    scene = place_picture(min(data.glob('harbor/*.jpg')), folder / 'part.tif', side=256)
    return words, [scene, '--size', '256']


def beirut(data: Path, folder: Path) -> Words:
    """Two dates of Sentinel-2, a file per band."""
    before, after = (
        str(
            write_vrt(
                sorted((data / f'images/beirut/{name}').glob('*.tif')), folder / f'{date}.vrt'
            )
        )
        for name, date in (('imgs_1', 'before'), ('imgs_2', 'after'))
    )
    words = ['--data.before', before, '--data.after', after, '--data.scale', '1e-4']
    words += ['--data.masks', place_mask(data / 'labels/beirut/cm/beirut-cm.tif', before, folder)]
    words += ['--data.classes', '{no change: 1, change: 2}', '--data.test_split', '0.2']
    words += ['--model.in_channels', '4', '--model.rgb_bands', '[2, 1, 0]', *SMALL]
    words += ['--model.model', 'fcsiamdiff', '--data.size', '64', '--data.length', '160']
    return words, [before, '--after', after, '--size', '128']


def place_mask(mask: Path, scene: str, folder: Path) -> str:
    """Give a copy of a mask the place of its scene, as the refusal of one without says."""
    placed = folder / mask.name
    shutil.copyfile(mask, placed)
    rio = str(Path(sys.executable).with_name('rio'))
    like = ['--like', scene, '--crs', 'like', '--transform', 'like']
    subprocess.run([rio, 'edit-info', str(placed), *like], check=True)
    return str(placed)


def levir(data: Path, _: Path) -> Words:
    """Eight pairs of 256 px with masks, PNG."""
    words = ['--data.before', f'{data}/A', '--data.after', f'{data}/B', *SMALL]
    words += ['--data.masks', f'{data}/label', '--data.mask_values', '[0, 255]']
    words += ['--model.model', 'fcsiamdiff', '--data.test_split', '0.2']
    first = min((data / 'A').glob('*.png'))
    return words, [str(first), '--after', f'{data}/B/{first.name}', '--size', '128']


def dubai(data: Path, _: Path) -> Words:
    """Seven images with masks in colours."""
    colors = (
        '{building: "#3C1098", land: "#8429F6", road: "#6EC1E4", vegetation: "#FEDD3A", '
        'water: "#E2A929"}'
    )
    words = ['--data.images', f'{data}/images', *SMALL, '--data.size', '128']
    words += ['--data.masks', '{/images/: /masks/, .jpg: .png}', '--data.classes', colors]
    words += ['--data.ignore', '["#9B9B9B"]', '--data.test_split', '0.2']
    return words, [f'{data}/images/image_part_001.jpg', '--size', '128']


def epfl(data: Path, _: Path) -> Words:
    """Twelve images of 400 px with grey masks."""
    words = ['--data.images', f'{data}/images', '--data.masks', f'{data}/groundtruth', *SMALL]
    words += ['--data.threshold', '128', '--data.class_names', '[road]', '--data.size', '128']
    words += ['--data.block_size', '200', '--data.test_split', '0.2', '--model.num_classes', '2']
    return words, [str(min((data / 'images').glob('*.png'))), '--size', '128']


def kampala(data: Path, _: Path) -> Words:
    """Tiles of a web map of one zoom, and outlines of buildings."""
    words = ['--data.images', f'{data}/*-20.png', '--data.tile_pattern', 'OAM-{x}-{y}-{z}', *SMALL]
    words += ['--data.labels', f'{data}/labels.geojson', '--data.class_names', '[building]']
    words += [
        '--data.masks',
        'null',
        '--data.background',
        'other',
        '--model.num_classes',
        '2',
        '--data.bands',
        '[1, 2, 3]',
    ]
    words += ['--data.size', '128', '--data.block_size', '256', '--data.test_split', '0.2']
    return words, [f'{data}/OAM-309613-261632-19.png', '--size', '128']


SETS = {
    'epfl': OwnSet(
        title='EPFL roads', task='segmentation', folder='epfl_roads', words=epfl,
        given='12 PNG, grey masks: `threshold`',
    ),
    'dubai': OwnSet(
        title='Dubai', task='segmentation', folder='dubai_tile1', words=dubai,
        given='7 JPEG, masks in colours under another path',
    ),
    'kampala': OwnSet(
        title='Kampala, OpenStreetMap', task='segmentation', folder='fair_oam', words=kampala,
        given='28 tiles by x, y, z; polygons with `background`',
    ),
    'levir': OwnSet(
        title='LEVIR-CD', task='change', folder='levir_samples', words=levir,
        given='8 pairs of PNG in A, B and label', figure='F1 of change', counted='change',
    ),
    'beirut': OwnSet(
        title='OSCD Beirut', task='change', folder='oscd_beirut_10m_bands/OSCD', words=beirut,
        given='2 dates of 4 bands, a mask of 1 and 2', figure='F1 of change', counted='change',
    ),
    'eurosat': OwnSet(
        title='EuroSAT, 13 bands', task='classification', folder='EuroSAT_MS', words=eurosat,
        given='80 GeoTIFFs in 10 folders', figure='accuracy', prediction='classes.parquet',
    ),
    'ucmerced': OwnSet(
        title='UC Merced', task='classification', folder='UCMerced_jpg', words=ucmerced,
        given='588 JPEG in 21 folders', figure='accuracy', prediction='classes.parquet',
    ),
    'airbus': OwnSet(
        title='Airbus oil tanks', task='detection', folder='airbus_oil', words=airbus,
        given='4 JPEG, CSV of bounds', figure='AP50', prediction='objects.gpkg',
    ),
    'trees': OwnSet(
        title='DeepForest', task='detection', folder='deepforest', words=trees,
        given='3 images, VOC XML', figure='AP50 of Tree', counted='Tree', prediction='objects.gpkg',
    ),
}  # fmt: skip
"""By name."""
