"""DOTA cut into tiles of one size, in DOTA's own layout."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchgeo.datasets import DOTA

VERSION: Final = '1.0'

CLASS_COUNT = 15
"""The first of torchgeo's classes, which are those of version 1.0."""

# Share of its area that a tile must show of an object, as in DOTA's own tool:
# https://github.com/CAPTAIN-WHU/DOTA_devkit/blob/master/ImgSplit.py (thresh)
MIN_VISIBLE = 0.7

# ImageNet's mean colour, which is 0 after normalisation, where an image is smaller than a tile
PADDING = (124, 116, 104)

SPLITS: Final = ('train', 'val')


def cut_dota(root: str | Path, *, size: int, overlap: int) -> Path:
    """Cut the images of DOTA 1.0 into tiles with upright boxes, unless that was done before.

    The tiles of an image begin every *size* - *overlap* pixels, the last ones flush with its far
    edges; a smaller image is padded. Tiles of the training split without objects are left out, as
    mmdet leaves them out of training.

    Args:
        root: Folder of DOTA as torchgeo reads it.
        size: Side of a tile in pixels.
        overlap: Pixels that neighbouring tiles share at least, in [0, *size*).

    Returns:
        The folder of the tiles, below *root*; :class:`torchgeo.datasets.DOTA` reads it. It is there
        only when complete.

    Raises:
        DatasetNotFoundError: If *root* has no DOTA.
        ValueError: If *overlap* is out of range.
    """
    if not 0 <= overlap < size:
        raise ValueError(f'overlap must be in [0, size={size}), got {overlap}')
    folder = place_tiles(root, size=size, overlap=overlap)
    if folder.exists():
        return folder
    partial = folder.with_name(f'{folder.name}.partial')
    if partial.exists():
        rmtree(partial)
    rows = [
        row
        for split in SPLITS
        for row in _cut_split(Path(root), partial, split, size=size, overlap=overlap)
    ]
    pd.DataFrame(rows).to_csv(partial / DOTA.sample_df_path, index=False)
    return partial.rename(folder)


def place_tiles(root: str | Path, *, size: int, overlap: int) -> Path:
    """Name the folder of tiles below the folder of DOTA."""
    return Path(root) / f'tiles_{size}_{size - overlap}'


def _cut_split(
    root: Path, folder: Path, split: Any, *, size: int, overlap: int
) -> Iterator[dict[str, str]]:
    """Write the tiles of a split, and yield a row of DOTA's table for each."""
    source = DOTA(str(root), split, VERSION, 'horizontal', checksum=False)
    images, texts = f'{split}/images', f'{split}/annotations/version{VERSION}'
    for name in (images, texts):
        (folder / name).mkdir(parents=True)
    for index in range(len(source)):
        sample: Any = source[index]
        stem = Path(source.sample_df['image_path'][index]).stem
        pixels = sample['image'].byte().permute(1, 2, 0).numpy()
        starts = [list_starts(side, size=size, overlap=overlap) for side in pixels.shape[:2]]
        for top, left in product(*starts):
            seen, boxes = cut_boxes(sample['bbox_xyxy'], top=top, left=left, size=size)
            if split == 'train' and not seen.any():
                continue
            tile = f'{stem}_{left}_{top}'
            row = {'image_path': f'{images}/{tile}.png', 'annotation_path': f'{texts}/{tile}.txt'}
            picture = Image.fromarray(cut_pixels(pixels, top=top, left=left, size=size))
            # the time of packing is more dear than the space
            picture.save(folder / row['image_path'], compress_level=1)
            lines = _describe(boxes, sample['labels'][seen].tolist())
            (folder / row['annotation_path']).write_text(''.join(lines), encoding='utf-8')
            yield {**row, 'split': split, 'version': VERSION}


def list_starts(length: int, *, size: int, overlap: int) -> list[int]:
    """List where tiles of *size* pixels begin along a side of *length* pixels."""
    last = max(length - size, 0)
    return [*range(0, last, size - overlap), last]


def cut_boxes(boxes: Tensor, *, top: int, left: int, size: int) -> tuple[Tensor, Tensor]:
    """Cut boxes with a tile.

    Args:
        boxes: Left, top, right, bottom in pixels of the image, shape (n, 4).
        top: First row of the tile.
        left: First column of the tile.
        size: Its side.

    Returns:
        Flags, shape (n,), of those of which the tile shows enough, and what it shows of them, in
        its own pixels, shape (k, 4).
    """
    cut = (boxes - torch.tensor([left, top, left, top])).clamp(0, size)
    areas = [(one[:, 2:] - one[:, :2]).prod(dim=1) for one in (cut, boxes)]
    seen = (areas[1] > 0) & (areas[0] >= MIN_VISIBLE * areas[1])
    return seen, cut[seen]


def cut_pixels(pixels: NDArray[np.uint8], *, top: int, left: int, size: int) -> NDArray[np.uint8]:
    """Cut a tile, shape (*size*, *size*, 3), out of an image of shape (H, W, 3), and pad it."""
    tile = np.full((size, size, 3), PADDING, dtype=np.uint8)
    part = pixels[top : top + size, left : left + size]
    tile[: part.shape[0], : part.shape[1]] = part
    return tile


def _describe(boxes: Tensor, labels: Sequence[int]) -> Iterator[str]:
    """Write boxes as lines of DOTA: four corners, the class, and whether it is difficult."""
    for (left, top, right, bottom), label in zip(boxes.tolist(), labels, strict=True):
        corners = (left, top, right, top, right, bottom, left, bottom)
        yield f'{" ".join(f"{value:g}" for value in corners)} {DOTA.classes[label]} 0\n'
