"""Folders of ordinary images: unlabelled chips, and natural images in one folder per class."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets.folder import find_classes

from ..records import ImageSample, LabelledSample

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')


class ImageChips(Dataset[ImageSample]):
    """Unlabelled images below one or more folders, in sorted order."""

    def __init__(
        self, paths: str | PathLike[str] | Iterable[str | PathLike[str]], *, size: int
    ) -> None:
        """Initialize a new ImageChips instance.

        Args:
            paths: Folders, searched recursively, or files.
            size: Side of the images returned, see :func:`decode_image`.

        Raises:
            FileNotFoundError: If a path does not exist or holds no image.
        """
        self.files = find_images(paths)
        self.size = size

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    def __getitem__(self, index: int) -> ImageSample:
        """Decode one image.

        Args:
            index: In [0, len).

        Returns:
            Under 'image': uint8, shape (3, *size*, *size*).
        """
        return {'image': decode_image(self.files[index], size=self.size)}


class NaturalImages(Dataset[LabelledSample]):
    """Labelled images, one sub-folder per class: the layout of torchvision's ImageFolder."""

    def __init__(self, folder: str | PathLike[str], *, size: int) -> None:
        """Initialize a new NaturalImages instance.

        Args:
            folder: Holds one folder per class.
            size: Side of the images returned, see :func:`decode_image`.

        Raises:
            FileNotFoundError: If *folder*, its classes, or the images of a class are missing.
        """
        root = Path(folder)
        if not root.is_dir():
            raise FileNotFoundError(f'no folder {root}; give one with a sub-folder per class')
        self.classes, indices = find_classes(root)
        self.samples = [
            (file, indices[name]) for name in self.classes for file in find_images(root / name)
        ]
        self.size = size

    def __len__(self) -> int:
        """Number of images."""
        return len(self.samples)

    def __getitem__(self, index: int) -> LabelledSample:
        """Decode one image.

        Args:
            index: In [0, len).

        Returns:
            Under 'image': uint8, shape (3, *size*, *size*); under 'label': int64, shape ().
        """
        file, label = self.samples[index]
        return {'image': decode_image(file, size=self.size), 'label': torch.tensor(label)}


def find_images(paths: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Path]:
    """List image files in sorted order, so that a seed means the same on every machine.

    Raises:
        FileNotFoundError: If a path does not exist or holds no image.
    """
    given = [paths] if isinstance(paths, str | PathLike) else paths
    files: list[Path] = []
    for path in map(Path, given):
        if not path.exists():
            raise FileNotFoundError(f'no file or folder {path}')
        found = [path] if path.is_file() else sorted(path.rglob('*'))
        found = [file for file in found if file.suffix.lower() in SUFFIXES]
        if not found:
            raise FileNotFoundError(f'no image ({", ".join(SUFFIXES)}) in {path}')
        files += found
    return files


def decode_image(file: Path, *, size: int) -> Tensor:
    """Read one image upright, in three bands, at one size.

    The shorter side is resized to *size* and the middle is cut out; an image that already is
    *size* x *size* is returned as stored.

    Args:
        file: Any format that Pillow reads, of 8 bits per band; grayscale, palette and CMYK are
            converted.
        size: Side of the result in pixels.

    Returns:
        uint8, shape (3, *size*, *size*).

    Raises:
        ValueError: If the file cannot be decoded, or is grayscale of more than 8 bits; the message
            names it.
    """
    try:
        with Image.open(file) as image:
            # decodes a JPEG at a fraction of its size where that is still large enough
            image.draft('RGB', (size, size))
            if image.mode.startswith(('I', 'F')):
                # Pillow would cut every value above 255 off
                raise ValueError(f'mode {image.mode} has more than 8 bits per band; convert it')
            upright = ImageOps.exif_transpose(image).convert('RGB')
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f'{file} cannot be read as an image: {error}') from error
    fitted = upright if upright.size == (size, size) else ImageOps.fit(upright, (size, size))
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1)
