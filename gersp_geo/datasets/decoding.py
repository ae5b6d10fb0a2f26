"""Decode ordinary images: upright, in three bands, at one size, whole or cropped at random."""

import re
from collections.abc import Callable
from io import BytesIO
from math import ceil, exp, log, sqrt
from os import PathLike, fspath
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import simplejpeg
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from ..geoio.read import UnreadableFileError

# tries before a random crop falls back to the middle, and its range of width / height:
# https://github.com/tensorflow/models/blob/3bf23083/research/slim/preprocessing/inception_preprocessing.py
CROP_TRIES = 10
CROP_RATIO = (3 / 4, 4 / 3)

# Pillow's modes of whole numbers and fractions, and those as stored of 16 bits per band
_DEEP = re.compile(r'^[IF]|;16[BLN]$')

# where cameras say which way is up (TIFF tag 274)
ORIENTATION = 0x0112


class Box(NamedTuple):
    """A rectangle of whole pixels."""

    top: int
    left: int
    height: int
    width: int

    def scale(self, *, down: float, across: float) -> 'Box':
        """Find the same part of an image that is *down* times as high, *across* as wide."""
        top, left = round(self.top * down), round(self.left * across)
        bottom = round((self.top + self.height) * down)
        right = round((self.left + self.width) * across)
        return Box(top, left, bottom - top, right - left)

    def cut(self, image: Tensor) -> Tensor:
        """Cut the part out of an image, shape (C, H, W)."""
        return image[:, self.top : self.top + self.height, self.left : self.left + self.width]


type Crop = Callable[[int, int], Box]
"""Chooses a part of an image of so many rows and columns."""


def draw_crop(height: int, width: int, *, scale: tuple[float, float], generator: Random) -> Box:
    """Draw a crop of random area, shape and place (Szegedy et al., arXiv 1409.4842).

    Args:
        height: Rows of the image.
        width: Columns of the image.
        scale: Smallest and largest share of the image's area, in (0, 1].
        generator: Decides.

    Returns:
        A crop inside the image, with width / height between 3/4 and 4/3; after ten shapes that do
        not fit, the largest such in the middle.
    """
    smallest, largest = scale
    narrow, wide = CROP_RATIO
    for _ in range(CROP_TRIES):
        share, shape, down, across = (generator.random() for _ in range(4))
        area = height * width * (smallest + share * (largest - smallest))
        ratio = exp(log(narrow) + shape * log(wide / narrow))
        rows, cols = round(sqrt(area / ratio)), round(sqrt(area * ratio))
        if 0 < rows <= height and 0 < cols <= width:
            top, left = int(down * (height - rows + 1)), int(across * (width - cols + 1))
            return Box(top, left, rows, cols)
    rows, cols = min(height, round(width / narrow)), min(width, round(height * wide))
    return Box((height - rows) // 2, (width - cols) // 2, rows, cols)


def middle(height: int, width: int) -> Box:
    """Take the largest square in the middle."""
    side = min(height, width)
    return Box((height - side) // 2, (width - side) // 2, side, side)


def decode_image(file: str | PathLike[str], *, size: int, crop: Crop = middle) -> Tensor:
    """Read one image upright, in three bands, at one size.

    A JPEG of which only a fraction of the pixels is needed is decoded at 1/2, 1/4 or 1/8.

    Args:
        file: Any format that Pillow reads, of 8 bits per band; grayscale, palette and CMYK are
            converted.
        size: Side of the result in pixels.
        crop: Chooses the part that is kept; :func:`draw_crop` draws one.

    Returns:
        uint8, shape (3, *size*, *size*), resized bilinearly with antialiasing; as stored where
        nothing has to be resized.

    Raises:
        UnreadableFileError: If the file cannot be decoded; the message names it.
        ValueError: If it has more than 8 bits per band.
    """
    try:
        content = Path(file).read_bytes()
        with Image.open(BytesIO(content)) as image:
            refuse_deep(image, file)
            orientation = image.getexif().get(ORIENTATION, 1)
            turned = orientation in (5, 6, 7, 8)
            width, height = image.size[::-1] if turned else image.size
            box = crop(height, width)
            wanted = ceil(width * size / box.width), ceil(height * size / box.height)
            if image.format == 'JPEG' and image.mode in ('RGB', 'L') and orientation == 1:
                pixels = decode_jpeg(image, content, wanted=wanted)
            else:
                image.draft('RGB', wanted[::-1] if turned else wanted)
                pixels = decode_any(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        message = f'{fspath(file)} cannot be read as an image: {error}'
        raise UnreadableFileError(fspath(file), message) from error
    # smaller than the file says, where it was decoded at a fraction
    part = box.scale(down=pixels.shape[0] / height, across=pixels.shape[1] / width)
    return resize(part.cut(torch.from_numpy(pixels).permute(2, 0, 1)), size=size)


def refuse_deep(image: Image.Image, file: str | PathLike[str]) -> None:
    """Refuse an image of more than 8 bits per band, of which no pixel has been read.

    Of grey, Pillow would cut every value above 255 off; of colours it takes the higher byte, which is
    0 in most images of reflectances.

    Raises:
        ValueError: If *image* is one; names *file*.
    """
    modes = [image.mode, *(str(tile[3]) for tile in getattr(image, 'tile', ()))]
    if deep := [mode for mode in modes if _DEEP.search(mode)]:
        raise ValueError(
            f'{fspath(file)} has more than 8 bits per band (mode {deep[-1]}); convert it'
        )


def decode_jpeg(
    image: Image.Image, content: bytes, *, wanted: tuple[int, int]
) -> NDArray[np.uint8]:
    """Decode a JPEG at a fraction of its size, if that has the *wanted* width and height at least.

    *image* is opened from *content*: only its header has been read. The result is (H, W, 3).
    """
    width, height = wanted
    try:
        # fractions between 1/2 and 1 take longer than the whole
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            content, min_height=height, min_width=width, min_factor=2
        )
    except ValueError:
        # stops at every irregularity; Pillow only where pixels are missing
        return decode_any(image)
    return pixels


def decode_any(image: Image.Image) -> NDArray[np.uint8]:
    """Decode an image of any format, and turn it upright, as (H, W, 3)."""
    upright = ImageOps.exif_transpose(image)
    return np.array(upright if upright.mode == 'RGB' else upright.convert('RGB'))


def resize(pixels: Tensor, *, size: int) -> Tensor:
    """Resize uint8 of shape (3, H, W) to a square, bilinearly with antialiasing."""
    if tuple(pixels.shape[1:]) == (size, size):
        return pixels
    return F.interpolate(pixels[None], size=(size, size), mode='bilinear', antialias=True)[0]
