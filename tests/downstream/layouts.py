"""Small data sets with noise in them, in the layouts in which torchgeo reads the real ones."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
from numpy.typing import NDArray
from PIL import Image
from torchgeo.datasets import DIOR, EuroSAT

SPLITS = ('train', 'val', 'test')
EUROSAT_CLASSES = (
    'AnnualCrop', 'Forest', 'HerbaceousVegetation', 'Highway', 'Industrial', 'Pasture',
    'PermanentCrop', 'Residential', 'River', 'SeaLake',
)  # fmt: skip
LOVEDA_LABELS = 8


def noise(*shape: int, seed: int = 0, high: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_eurosat(root: Path, *, size: int = 32) -> None:
    """13 bands of uint16 per image, an image of each class in each split."""
    bands = len(EuroSAT.all_band_names)
    for number, split in enumerate(SPLITS, start=1):
        names = [f'{name}_{number}' for name in EUROSAT_CLASSES]
        for seed, name in enumerate(names):
            path = root / EuroSAT.base_dir / name.partition('_')[0] / f'{name}.tif'
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = noise(bands, size, size, seed=seed).astype('uint16') * 10
            with rasterio.open(
                path, 'w', driver='GTiff', count=bands, height=size, width=size, dtype='uint16',
                crs='EPSG:32633', transform=rasterio.Affine(10, 0, 4e5, 0, -10, 5e6),
            ) as dst:  # fmt: skip
                dst.write(pixels)
        # the lists name the JPEG files of the RGB version
        (root / f'eurosat-{split}.txt').write_text(''.join(f'{name}.jpg\n' for name in names))


def write_resisc45(root: Path, *, size: int = 32) -> None:
    """An image of each of 45 classes in each split."""
    for number, split in enumerate(SPLITS, start=1):
        names = [f'class_{index:02}_{number:03}.jpg' for index in range(45)]
        for seed, name in enumerate(names):
            folder = root / 'NWPU-RESISC45' / name.rpartition('_')[0]
            save(folder / name, noise(size, size, 3, seed=seed))
        (root / f'resisc45-{split}.txt').write_text('\n'.join(names))


def write_loveda(root: Path, *, size: int = 96) -> None:
    """An image of town and one of country in each split, with masks of 0, no label, to 7."""
    for split in ('Train', 'Val', 'Test'):
        for number, scene in enumerate(('Rural', 'Urban')):
            for index in range(2):
                name = f'{number * 2 + index}.png'
                folder = root / split / scene
                save(folder / 'images_png' / name, noise(size, size, 3, seed=index))
                if split != 'Test':
                    mask = noise(size, size, seed=index, high=LOVEDA_LABELS)
                    save(folder / 'masks_png' / name, mask)


def describe_voc(name: str, objects: Sequence[tuple[str, Sequence[int]]]) -> str:
    corners = ('xmin', 'ymin', 'xmax', 'ymax')
    parts = [
        f'<object><name>{kind}</name><bndbox>'
        + ''.join(f'<{key}>{v}</{key}>' for key, v in zip(corners, box, strict=True))
        + '</bndbox></object>'
        for kind, box in objects
    ]
    return f'<annotation><filename>{name}</filename>{"".join(parts)}</annotation>'


def write_dior(root: Path, *, size: int = 96) -> None:
    """Three images in each split: two objects, an object and a flat one, none at all.

    Test images have their boxes beside the layout of torchgeo, in ``Annotations_test``.
    """
    first, last = DIOR.classes[0], DIOR.classes[-1]
    contents: tuple[list[tuple[str, tuple[int, ...]]], ...] = (
        [(first, (10, 12, 40, 52)), (last, (50, 20, 90, 60))],
        [(last, (5, 5, 45, 30)), (first, (60, 70, 60, 80))],
        [],
    )
    rows = []
    for number, split in enumerate(SPLITS):
        part = 'test' if split == 'test' else 'trainval'
        for index, objects in enumerate(contents):
            stem = f'{number * len(contents) + index:05}'
            image, text = f'Images_{part}/{stem}.jpg', f'Annotations_{part}/{stem}.xml'
            save(root / image, noise(size, size, 3, seed=index))
            (root / text).parent.mkdir(exist_ok=True)
            (root / text).write_text(describe_voc(f'{stem}.jpg', objects))
            known = {} if split == 'test' else {'label_path': text}
            rows.append({'image_path': image, 'split': split, **known})
    pd.DataFrame(rows).to_csv(root / 'sample_df.csv', index=False)


def write_dota(root: Path) -> None:
    """A wide image with turned objects and a header, and a small one without objects."""
    lines = (
        'imagesource:GoogleEarth', 'gsd:0.146',
        '20 5 60 15 50 55 10 45 plane 0',
        '150 20 190 20 190 60 150 60 helicopter 1',
        '100 90 140 90 140 96 100 96 swimming-pool 0',
    )  # fmt: skip
    rows = []
    for split in ('train', 'val'):
        for name, (height, width), text in (
            ('P0000', (150, 200), '\n'.join(lines)),
            ('P0001', (50, 70), ''),
        ):
            image, labels = (
                f'{split}/images/{name}.png',
                f'{split}/annotations/version1.0/{name}.txt',
            )
            save(root / image, noise(height, width, 3))
            (root / labels).parent.mkdir(parents=True, exist_ok=True)
            (root / labels).write_text(text)
            rows.append(
                {'image_path': image, 'annotation_path': labels, 'split': split, 'version': '1.0'}
            )
    pd.DataFrame(rows).to_csv(root / 'samples.csv', index=False)


WRITERS: dict[str, Callable[[Path], None]] = {
    'eurosat': write_eurosat, 'resisc45': write_resisc45, 'loveda': write_loveda,
    'dior': write_dior, 'dota': write_dota,
}  # fmt: skip


def write_data_set(name: str, root: Path) -> Path:
    """Write one, and return its folder."""
    root.mkdir(parents=True)
    WRITERS[name](root)
    return root
