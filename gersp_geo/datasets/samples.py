"""The image of one sample: taken out, checked, filled, cut to a square."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset, IterableDataset

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
        image: Shape (C, H, W); changed in place, and returned.
        valid: Shape (H, W).
        fill: One per band, rounded for integers; None puts NaN into floating point, and leaves
            integers as they are.
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
    # NumPy, which looks at values, has no such type
    return image.float() if image.dtype == torch.bfloat16 else image


def check_numbered(dataset: Dataset[Any]) -> None:
    """Refuse a data set whose items have no number: an IterableDataset, or one without a length."""
    is_iterable = isinstance(dataset, IterableDataset)
    if is_iterable or not hasattr(dataset, '__len__'):
        reason = 'is an IterableDataset' if is_iterable else 'has no length'
        raise ValueError(
            f'{type(dataset).__name__} {reason}; batches are drawn by number, so that a run '
            'resumes where it was: give a map-style Dataset with __getitem__ and __len__'
        )


def check_image(sample: Any, *, dataset: Any) -> Tensor:
    """Take the image out of a sample, or refuse it: it must be real, of shape (C, H, W)."""
    image = sample.get('image') if isinstance(sample, dict) else None
    if not isinstance(image, Tensor) or image.ndim != 3:
        found = list(sample) if isinstance(sample, dict) else type(sample).__name__
        raise ValueError(
            f"samples must have an 'image' of shape (C, H, W), {type(dataset).__name__} gives "
            f'{found if not isinstance(image, Tensor) else tuple(image.shape)}'
        )
    if image.is_complex():
        raise ValueError(
            f'samples must have an image of real numbers, {type(dataset).__name__} gives '
            f'{image.dtype}; make bands of real ones first, such as their magnitude'
        )
    return image


def name_bands(dataset: Any, *, count: int) -> tuple[str, ...]:
    """Take the names that a data set gives its bands, or number them."""
    for attribute in ('bands', 'all_bands', 'rgb_bands'):
        names = getattr(dataset, attribute, ())
        if isinstance(names, list | tuple) and len(names) == count:
            return tuple(map(str, names))
    return tuple(f'band_{band}' for band in range(1, count + 1))


def fit(image: Tensor, *, size: int) -> Tensor:
    """Resize the shorter side to *size* pixels, antialiased, and cut out the middle.

    The image of shape (C, H, W) keeps its data type.
    """
    shorter = min(image.shape[1:])
    if shorter != size:
        sides = [round(side * size / shorter) for side in image.shape[1:]]
        wide = image if image.is_floating_point() else image.float()
        wide = F.interpolate(wide[None], size=sides, mode='bilinear', antialias=True)[0]
        image = wide if image.is_floating_point() else wide.round().to(image.dtype)
    top, left = ((side - size) // 2 for side in image.shape[1:])
    return image[:, top : top + size, left : left + size]
