"""The image of one sample: taken out, checked, scaled, filled, cut to a square."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

# A three-band image of more than this is not in [0, 1]; reflectances rarely reach it
LARGEST_UNIT = 1.5

type Observed = tuple[NDArray[np.generic], NDArray[np.bool_]]


def finite(image: Tensor) -> Observed:
    """Take every pixel whose bands are all finite for an observation."""
    valid = image.isfinite().all(dim=0) if image.is_floating_point() else image[0] == image[0]
    return image.numpy(), valid.numpy()


def fill_missing(
    image: Tensor, valid: NDArray[np.bool_], *, fill: Sequence[float] | None
) -> Tensor:
    """Put a value per band in place of pixels without observation.

    Args:
        image: Shape (C, H, W); changed in place.
        valid: Shape (H, W).
        fill: One per band, rounded for integers; None puts NaN into floating point, and leaves
            integers as they are.

    Returns:
        *image*.
    """
    if valid.all():
        return image
    pixels = image.numpy()
    if fill is not None:
        values = np.asarray(fill, dtype=np.float64)
        if not image.is_floating_point():
            limits = np.iinfo(pixels.dtype)
            values = np.rint(values).clip(limits.min, limits.max)
        pixels[:, ~valid] = values.astype(pixels.dtype)[:, None]
    elif image.is_floating_point():
        pixels[:, ~valid] = np.nan
    return image


def check_image(sample: Any, *, dataset: Any) -> Tensor:
    """Take the image out of a sample.

    Raises:
        ValueError: If there is none of shape (C, H, W).
    """
    image = sample.get('image') if isinstance(sample, dict) else None
    if not isinstance(image, Tensor) or image.ndim != 3:
        found = list(sample) if isinstance(sample, dict) else type(sample).__name__
        raise ValueError(
            f"samples must have an 'image' of shape (C, H, W), {type(dataset).__name__} gives "
            f'{found if not isinstance(image, Tensor) else tuple(image.shape)}'
        )
    return image


def check_unit(image: Tensor, *, scale: Sequence[float] | None) -> None:
    """Refuse colours in floating point that are not in [0, 1], where nothing says their scale.

    Raises:
        ValueError: If *scale* is missing, or does not have one value per band.
    """
    if scale is not None and len(scale) != len(image):
        raise ValueError(f'scale must have one value per band ({len(image)}), got {len(scale)}')
    is_colour = image.is_floating_point() and len(image) == 3
    if is_colour and scale is None and image.max() > LARGEST_UNIT:
        raise ValueError(
            f'colours in floating point must be in [0, 1], got up to {float(image.max()):g}; pass '
            'scale, for example [0.00392157, 0.00392157, 0.00392157] for values up to 255'
        )


def apply_scale(image: Tensor, scale: Sequence[float] | None) -> Tensor:
    """Multiply floating point by a factor per band; the task scales integers."""
    if scale is None or not image.is_floating_point():
        return image
    return image * torch.tensor(scale).view(-1, 1, 1)


def name_bands(dataset: Any, *, count: int) -> tuple[str, ...]:
    """Take the names that a data set gives its bands, or number them."""
    for attribute in ('bands', 'all_bands', 'rgb_bands'):
        names = getattr(dataset, attribute, ())
        if isinstance(names, list | tuple) and len(names) == count:
            return tuple(map(str, names))
    return tuple(f'band_{band}' for band in range(1, count + 1))


def fit(image: Tensor, *, size: int) -> Tensor:
    """Resize the shorter side to *size*, antialiased, and cut out the middle.

    Args:
        image: Shape (C, H, W).
        size: In pixels.

    Returns:
        Shape (C, size, size), in the data type of *image*.
    """
    shorter = min(image.shape[1:])
    if shorter != size:
        sides = [round(side * size / shorter) for side in image.shape[1:]]
        wide = image if image.is_floating_point() else image.float()
        wide = F.interpolate(wide[None], size=sides, mode='bilinear', antialias=True)[0]
        image = wide if image.is_floating_point() else wide.round().to(image.dtype)
    top, left = ((side - size) // 2 for side in image.shape[1:])
    return image[:, top : top + size, left : left + size]
