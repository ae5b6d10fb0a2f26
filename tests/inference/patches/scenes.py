"""Scenes to be cut into patches, and models of whole patches."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from affine import Affine
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from rasterio.crs import CRS
from torch import Tensor, nn

from gersp_geo.preprocessing import Preprocessing

UTM = CRS.from_epsg(32632)
GRID = Affine(0.5, 0, 399_999.5, 0, -0.5, 5_000_000.5)
RECORD = Preprocessing(
    bands=('red', 'green'), scale=(1 / 255,) * 2, mean=(0.4, 0.5), std=(0.2, 0.3), dtype='uint8'
)
NAMES = ('field', 'forest', 'water')


def noise(height: int, width: int, *, bands: int = 2, seed: int = 0) -> NDArray[np.uint8]:
    """Make a scene in which no two patches are alike; 0 is left for nodata."""
    generator = np.random.default_rng(seed)
    return generator.integers(1, 256, (bands, height, width)).astype(np.uint8)


def write_scene(
    path: Path,
    pixels: NDArray[Any],
    *,
    transform: Affine = GRID,
    crs: CRS | None = UTM,
    nodata: float | None = None,
) -> Path:
    """Write bands, shape (bands, rows, cols), in small blocks."""
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=pixels.dtype,
        crs=crs, transform=transform, nodata=nodata, tiled=True, blockxsize=16, blockysize=16,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def normalised(pixels: NDArray[Any], record: Preprocessing = RECORD) -> Tensor:
    """Prepare a scene as a whole, shape (bands, rows, cols)."""
    scale, mean, std = (
        torch.tensor(values)[:, None, None] for values in (record.scale, record.mean, record.std)
    )
    return (torch.from_numpy(pixels).float() * scale - mean) / std


def save(path: Path, task: LightningModule, names: tuple[str, ...] = NAMES) -> Path:
    """Write what Lightning writes, with a record."""
    record = RECORD.to_dict() | {
        'class_names': list(names),
        'task_class': f'torchgeo.tasks.{type(task).__name__}',
    }
    torch.save(
        {
            'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams),
            'pytorch-lightning_version': '2.6.0', 'gersp_geo': record,
        },
        path,
    )  # fmt: skip
    return path


class Corners(nn.Module):
    """Returns the first and the last pixel of each band, and its mean: where a patch lies, and all
    of it, can be told from its vector."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images[:, :, 0, 0], images[:, :, -1, -1], images.mean((2, 3))], dim=1)
