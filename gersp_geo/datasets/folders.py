"""Folders of ordinary images: unlabelled chips, and natural images in one folder per class."""

import os
import warnings
from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..bands import RGB
from ..batch_types import ImageSample, LabelledSample
from ..geoio.formats import GEOTIFF_SUFFIXES, IMAGE_SUFFIXES, SCENE_SUFFIXES
from ..geoio.read import read_chip, read_header
from .decoding import decode_image
from .hidden import is_hidden, list_files
from .named_bands import LOOKED_AT, BandNames, band_names, choose_bands, left_out, warn_of_data
from .raster_files import check_reals
from .scene_names import Paths, find_rasters


class ImageChips(Dataset[ImageSample]):
    """Unlabelled images below one or more folders, in sorted order."""

    def __init__(
        self, paths: Paths, *, size: int, bands: Sequence[int | str] | None = None
    ) -> None:
        """Initialize a new ImageChips instance.

        Args:
            paths: As in :func:`.scene_names.find_rasters`: JPEG, PNG and the like, or TIFF files of
                any bands and data type, whose georeference, if any, is not used.
            size: Side of the images returned: the largest square in the middle is resized to it.
            bands: Bands of TIFF files, 1-based or by name. Defaults to all but alpha.

        Raises:
            FileNotFoundError: If a path does not exist or holds no image.
            UnreadableFileError: If the first TIFF file cannot be read.
            ValueError: If there are both kinds, or *bands* do not exist or are given for
                photographs.
        """
        self.files = find_images(paths, suffixes=IMAGE_SUFFIXES + GEOTIFF_SUFFIXES)
        self.size = size
        first = self.files[0]
        tiffs = sum(file.suffix.lower() in GEOTIFF_SUFFIXES for file in self.files)
        if 0 < tiffs < len(self.files):
            raise ValueError(
                f'chips must be of one kind, got {tiffs} TIFF files and {len(self.files) - tiffs} '
                'others; name the files or folders of one kind'
            )
        self.is_tiff, self.bands = tiffs > 0, RGB.bands
        self.left_out: tuple[int, ...] = ()
        if self.is_tiff:
            self.header = read_header(first)
            check_reals([str(first)], [self.header])
            self.band_indexes = choose_bands(self.header, bands, file=str(first))
            self.bands = tuple(band_names(self.header)[band - 1] for band in self.band_indexes)
            self.known_names: list[BandNames] = []
            self._check_names(str(first), self.header.descriptions, self.header.interpretations)
            self.left_out = left_out([self.header], self.band_indexes)
            some = [str(file) for file in self.files[: LOOKED_AT if self.left_out else 0]]
            warn_of_data(some, [self.header] * len(some), self.band_indexes)
        elif bands is not None:
            raise ValueError(
                f'bands are for TIFF files, got {list(bands)} for {first}; leave it out'
            )

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    def __getitem__(self, index: int) -> ImageSample:
        """Decode one image; 'image' has shape (C, *size*, *size*) and the data type of the files.

        Raises:
            UnreadableFileError: If the file cannot be read.
            ValueError: If it has other bands or another data type than the first one.
        """
        return {'image': self.observed(index)[0]}

    def observed(self, index: int) -> tuple[Tensor, NDArray[np.bool_]]:
        """Decode one image, and say which of its pixels are observations.

        Returns:
            The image of :meth:`__getitem__`, and shape (*size*, *size*): False where a TIFF file's
            mask, alpha band or nodata value says so, or a value is not finite.
        """
        file = self.files[index]
        if not self.is_tiff:
            image = decode_image(file, size=self.size)
            return image, np.ones((self.size, self.size), dtype=np.bool_)
        chip, valid = read_chip(
            file,
            size=self.size,
            bands=self.band_indexes,
            dtype=self.header.dtype,
            check=partial(self._check_names, str(file)),
        )
        return torch.from_numpy(chip), valid

    def _check_names(
        self, file: str, descriptions: Sequence[str | None], interpretations: Sequence[str]
    ) -> None:
        """Refuse a file that calls its bands otherwise than the ones before."""
        bands = self.band_indexes
        BandNames.of(descriptions, interpretations, bands, file=file).join(self.known_names, bands)


class NaturalImages(Dataset[LabelledSample]):
    """Labelled images, one sub-folder per class: the layout of torchvision's ImageFolder."""

    def __init__(self, folder: str | PathLike[str], *, size: int) -> None:
        """Initialize a new NaturalImages instance.

        Args:
            folder: Holds one folder per class. Hidden folders are no classes, nor are empty ones,
                which are named in a warning.
            size: Side of the images returned, see :func:`decode_image`.

        Raises:
            FileNotFoundError: If *folder* or its classes are missing, or a class holds files but no
                image.
        """
        root = Path(folder)
        self.classes = find_classes(root)
        self.samples = [
            (file, label)
            for label, name in enumerate(self.classes)
            for file in find_images(root / name)
        ]
        self.size = size

    def __len__(self) -> int:
        """Number of images."""
        return len(self.samples)

    def __getitem__(self, index: int) -> LabelledSample:
        """Decode one image: 'image' is uint8, shape (3, *size*, *size*); 'label' is int64."""
        file, label = self.samples[index]
        return {'image': decode_image(file, size=self.size), 'label': torch.tensor(label)}


def find_classes(root: Path) -> list[str]:
    """List the names of the folders of classes in sorted order, without hidden and empty ones.

    Raises:
        FileNotFoundError: If there is none.
    """
    if not root.is_dir():
        raise FileNotFoundError(f'no folder {root}; give one with a sub-folder per class')
    folders = [path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name)]
    named = {path.name: any(True for _ in list_files(path)) for path in sorted(folders)}
    if empty := [name for name, is_class in named.items() if not is_class]:
        warnings.warn(
            f'{root} has folders without any file, which count as no class: {", ".join(empty)}',
            stacklevel=3,
        )
    if not any(named.values()):
        raise FileNotFoundError(f'no class in {root}; give a folder with a sub-folder per class')
    return [name for name, is_class in named.items() if is_class]


def find_images(paths: Paths, *, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Path]:
    """List image files in sorted order, so that a seed means the same on every machine.

    Args:
        paths: As in :func:`.scene_names.find_rasters`.
        suffixes: In lower case; other files in folders are left out.

    Raises:
        FileNotFoundError: If a path does not exist or holds no image.
        ValueError: If a file that is named ends otherwise.
    """
    files = sorted(map(Path, find_rasters(paths, kinds=(suffixes,))))
    if other := next((file for file in files if file.suffix.lower() not in suffixes), None):
        raise ValueError(f'images must end in {", ".join(suffixes)}, got {other}')
    return files


def holds_chips(paths: Paths) -> bool:
    """Whether files and folders hold JPEG, PNG and the like, rather than GeoTIFFs.

    Raises:
        FileNotFoundError: If they hold neither.
        ValueError: If they hold both: training on one would leave out the other.
    """
    found = find_rasters(paths, kinds=((*IMAGE_SUFFIXES, *SCENE_SUFFIXES),))
    suffixes = {os.path.splitext(file)[1].lower() for file in found}
    chips, rasters = (sorted(suffixes & set(kind)) for kind in (IMAGE_SUFFIXES, SCENE_SUFFIXES))
    if chips and rasters:
        raise ValueError(
            f'{paths} holds both images ({", ".join(chips)}) and GeoTIFFs ({", ".join(rasters)}); '
            "name the files or folders of one kind, or pass kind='chips' or 'geotiffs'"
        )
    return bool(chips)
