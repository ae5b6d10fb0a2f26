"""Labelled remote-sensing images: one folder per class of JPEG or PNG files or GeoTIFF chips."""

from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets.folder import find_classes

from ..geoio.formats import SCENE_SUFFIXES
from ..geoio.read import open_reader, read_header, read_valid, read_window
from ..windows import Window
from .decoding import decode_image
from .folders import NaturalImages, holds_chips
from .named_bands import choose_bands
from .scene_names import find_rasters


class LabelledChips:
    """Labelled images of one size, in sorted order."""

    def __init__(self, folder: str | PathLike[str], *, size: int) -> None:
        """Initialize a new LabelledChips instance.

        Args:
            folder: Holds one folder per class.
            size: Side of the images returned. JPEG and PNG files are resized to it (see
                :func:`~gersp_geo.datasets.decoding.decode_image`); of a GeoTIFF the middle is cut
                out at its own resolution, mirrored at the edges where it is smaller.

        Raises:
            FileNotFoundError: If *folder*, its classes, or the images of a class are missing.
            ValueError: If the folder holds both kinds, or GDAL cannot read the first file.
        """
        self.folder, self.size = Path(folder), size
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f'no folder {self.folder}; give one with a sub-folder of images per class'
            )
        self.is_raster = not holds_chips(self.folder)
        if self.is_raster:
            self.classes, indices = find_classes(self.folder)
            self.samples = [
                (Path(file), indices[name])
                for name in self.classes
                for file in find_rasters(self.folder / name, kinds=(SCENE_SUFFIXES,))
            ]
            first = self.samples[0][0]
            self.bands = choose_bands(read_header(first), None, file=str(first))
        else:
            images = NaturalImages(self.folder, size=size)
            self.classes, self.samples, self.bands = images.classes, images.samples, [1, 2, 3]

    @property
    def labels(self) -> Tensor:
        """Class of each image, shape (N,), int64."""
        return torch.tensor([label for _, label in self.samples])

    def read(self, index: int) -> Tensor:
        """Read one image: values as stored, shape (C, size, size), bands without alpha.

        In floating point, NaN stands where there is no observation.

        Raises:
            ValueError: If the file cannot be read, or has other bands than the first one.
        """
        file = self.samples[index][0]
        return self._read_chip(file) if self.is_raster else decode_image(file, size=self.size)

    def _read_chip(self, file: Path) -> Tensor:
        """Read the middle of a GeoTIFF."""
        bands = choose_bands(read_header(file), None, file=str(file))
        if len(bands) != len(self.bands):
            raise ValueError(
                f'{file} has {len(bands)} bands, {self.samples[0][0]} has {len(self.bands)}; '
                'give images of one sensor'
            )
        with open_reader(file) as src:
            middle = Window(
                row_off=(src.height - self.size) // 2,
                col_off=(src.width - self.size) // 2,
                height=self.size,
                width=self.size,
            )
            pixels = read_window(src, middle, bands=bands)
            if np.issubdtype(pixels.dtype, np.floating):
                pixels[:, ~read_valid(src, middle, bands=bands)] = np.nan
        return torch.from_numpy(pixels)


def split_by_class(
    labels: Tensor, *, held_out: float, limit: int | None = None
) -> tuple[list[int], list[int]]:
    """Split images into a bank and a held-out share, the same in every run.

    Args:
        labels: Class of each image, shape (N,); each class has at least two.
        held_out: Share of each class that is held out, in (0, 1); at least one image of each class
            goes to either side.
        limit: At most so many images of each class, drawn once for all, >= 2.

    Returns:
        Indices of the bank, and of the held-out images, each ascending.
    """
    bank, held = [], []
    for label in labels.unique().tolist():
        members = (labels == label).nonzero()[:, 0].numpy()
        # a seed per class, so that one more class leaves the others' split alone
        drawn = np.random.default_rng(label).permutation(members)[:limit]
        count = min(max(round(held_out * len(drawn)), 1), len(drawn) - 1)
        held += drawn[:count].tolist()
        bank += drawn[count:].tolist()
    return sorted(bank), sorted(held)
