"""Labels of a kind that no data module reads: here, masks that NumPy saved beside the images.

Copy this file, change what reads, and name the class in a configuration. Splits, patches,
statistics, batches and the record that prediction needs are those of every data module.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gersp_geo.datamodules import LabelledDataModule
from gersp_geo.datasets import RasterTiles
from gersp_geo.labels import PixelLabels
from gersp_geo.windows import Window


class NumpyMasks:
    """A mask per image: ``scene.npy`` beside ``scene.tif``, one class per pixel, 255 for none."""

    class_names = ('field', 'forest', 'water', 'road', 'building')
    class_colors = ()

    def __init__(self, images: RasterTiles) -> None:
        """Find the masks, and refuse what is wrong before training begins."""
        self.masks = []
        for file, tile in zip(images.files, images.tiles, strict=True):
            mask = np.load(Path(file).with_suffix('.npy'), mmap_mode='r')
            if mask.shape != (tile.height, tile.width):
                raise ValueError(f'the mask of {file} has another size: {mask.shape}')
            self.masks.append(mask)

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window that lies inside image number *tile*."""
        rows = slice(window.row_off, window.row_stop)
        cols = slice(window.col_off, window.col_stop)
        return np.array(self.masks[tile][rows, cols], dtype=np.uint8)


class NumpyMasksDataModule(LabelledDataModule):
    """Patches of images with masks that NumPy saved."""

    def open_labels(self, images: RasterTiles) -> PixelLabels:
        """Say what is known about the images."""
        return PixelLabels(images, NumpyMasks(images), nodata=self.nodata)
