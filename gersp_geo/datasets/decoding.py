"""Decode ordinary images: upright, in three bands, at one size, whole or cropped at random."""

from io import BytesIO
from math import ceil, exp, log, sqrt
from os import PathLike, fspath
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from ..geoio.reading import UnreadableFileError

# tries before a random crop falls back to the middle, and its range of width / height:
# https://github.com/tensorflow/models/blob/3bf23083/research/slim/preprocessing/inception_preprocessing.py
CROP_TRIES = 10
CROP_RATIO = (3 / 4, 4 / 3)

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


def decode_image(
    file: str | PathLike[str],
    *,
    size: int,
    crop_scale: tuple[float, float] | None = None,
    generator: Random | None = None,
) -> Tensor:
    """Read one image upright, in three bands, at one size.

    A JPEG of which only a fraction of the pixels is needed is decoded at 1/2, 1/4 or 1/8.

    Args:
        file: Any format that Pillow reads, of 8 bits per band; grayscale, palette and CMYK are
            converted.
        size: Side of the result in pixels.
        crop_scale: Shares of the area for :func:`draw_crop`; None takes the largest square in the
            middle.
        generator: Decides the crop.

    Returns:
        uint8, shape (3, *size*, *size*), resized bilinearly with antialiasing; as stored where
        nothing has to be resized.

    Raises:
        UnreadableFileError: If the file cannot be decoded; the message names it.
        ValueError: If it is grayscale of more than 8 bits.
    """
    try:
        # read at once: Pillow would ask for the header in small pieces
        with Image.open(BytesIO(Path(file).read_bytes())) as image:
            if image.mode.startswith(('I', 'F')):
                # Pillow would cut every value above 255 off
                raise ValueError(
                    f'{fspath(file)} has more than 8 bits per band (mode {image.mode}); convert it'
                )
            orientation = image.getexif().get(ORIENTATION, 1)
            turned = orientation in (5, 6, 7, 8)
            width, height = image.size[::-1] if turned else image.size
            if crop_scale is None or generator is None:
                box = middle(height, width)
            else:
                box = draw_crop(height, width, scale=crop_scale, generator=generator)
            wanted = ceil(width * size / box.width), ceil(height * size / box.height)
            image.draft('RGB', wanted[::-1] if turned else wanted)
            upright = image if orientation == 1 else ImageOps.exif_transpose(image)
            # smaller than the file says, where it is decoded at a fraction
            scaled = box.scale(down=upright.height / height, across=upright.width / width)
            pixels = cut(upright, scaled)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        message = f'{fspath(file)} cannot be read as an image: {error}'
        raise UnreadableFileError(fspath(file), message) from error
    return resize(pixels, size=size)


def cut(image: Image.Image, box: Box) -> Tensor:
    """Cut a part out of an image, which is decoded now at the latest.

    Returns:
        uint8, shape (3, box.height, box.width).
    """
    part = image.crop((box.left, box.top, box.left + box.width, box.top + box.height))
    part = part if part.mode == 'RGB' else part.convert('RGB')
    stored = torch.frombuffer(bytearray(part.tobytes()), dtype=torch.uint8)
    return stored.view(box.height, box.width, 3).permute(2, 0, 1)


def resize(pixels: Tensor, *, size: int) -> Tensor:
    """Resize to a square, bilinearly with antialiasing.

    Args:
        pixels: uint8, shape (3, H, W).
        size: In pixels.

    Returns:
        Shape (3, *size*, *size*).
    """
    if tuple(pixels.shape[1:]) == (size, size):
        return pixels
    return F.interpolate(pixels[None], size=(size, size), mode='bilinear', antialias=True)[0]
