"""Detectors that find exactly what they see, and scenes with objects to be found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from scipy import ndimage
from torch import Tensor

from gersp_geo.preprocessing import Preprocessing

UTM = CRS.from_epsg(32632)
GRID = Affine(0.3, 0, 399_999.7, 0, -0.3, 5_000_000.2)
RECORD = Preprocessing(bands=('b0',), scale=(1.0,), mean=(0.0,), std=(1.0,))

type Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""


@dataclass
class Exact:
    """Finds connected pixels: their class is their value, 4-neighbours belong together."""

    masks: bool = False
    seen: int = 0

    def __call__(self, images: Tensor) -> list[dict[str, Tensor]]:
        self.seen += len(images)
        return [self.find(image[0].numpy()) for image in images]

    def find(self, image: NDArray[Any]) -> dict[str, Tensor]:
        boxes, labels, masks = [], [], []
        for value in np.unique(image[image > 0]):
            numbered, _ = ndimage.label(image == value)
            for number, (rows, cols) in enumerate(ndimage.find_objects(numbered), start=1):
                boxes.append([cols.start, rows.start, cols.stop, rows.stop])
                labels.append(int(value))
                masks.append(numbered == number)
        found = {
            'boxes': torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            'labels': torch.tensor(labels, dtype=torch.int64),
            'scores': torch.full((len(labels),), 0.9),
        }
        if self.masks:
            stacked = np.array(masks, dtype=bool).reshape(-1, *image.shape)
            found['masks'] = torch.from_numpy(stacked)[:, None].float()
        return found


def write_scene(
    path: Path,
    pixels: NDArray[Any],
    *,
    transform: Affine = GRID,
    crs: CRS | None = UTM,
    nodata: float | None = None,
) -> Path:
    """Write one band, shape (rows, cols)."""
    height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=1, dtype=pixels.dtype,
        crs=crs, transform=transform, nodata=nodata, tiled=True, blockxsize=16, blockysize=16,
    ) as dst:  # fmt: skip
        dst.write(pixels, 1)
    return path


def draw(shape: tuple[int, int], boxes: Sequence[Box], *, value: int = 1) -> NDArray[np.uint8]:
    """Draw solid rectangles."""
    pixels = np.zeros(shape, dtype=np.uint8)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = value
    return pixels


def plant(
    shape: tuple[int, int], count: int, *, largest: int, integer: Callable[[int, int], int]
) -> list[Box]:
    """Choose rectangles that do not touch each other, as many of *count* as find room."""
    taken = np.zeros(shape, dtype=bool)
    boxes: list[Box] = []
    for _ in range(count):
        height = integer(1, min(largest, shape[0]))
        width = integer(1, min(largest, shape[1]))
        top, left = integer(0, shape[0] - height), integer(0, shape[1] - width)
        around = (
            slice(max(top - 1, 0), top + height + 1),
            slice(max(left - 1, 0), left + width + 1),
        )
        if not taken[around].any():
            taken[top : top + height, left : left + width] = True
            boxes.append((left, top, left + width, top + height))
    return boxes
