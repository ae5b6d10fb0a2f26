"""From file values to model input, on the device, and random flips."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..bands import RGB, find_colors
from ..records import Preprocessing

type Batch = dict[str, Tensor]

# Times the range of 98 % of the values: heavy tails, as those of radar intensities, stay below
LARGEST_DEVIATION = 100

# pixels per patch that the range is taken from
SOME_PIXELS = 1024


class Normalize(nn.Module):
    """Apply a :class:`~gersp_geo.records.Preprocessing` to the images of a batch."""

    scale: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, record: Preprocessing) -> None:
        """Initialize a new Normalize instance.

        Args:
            record: Scale, mean and standard deviation per band.
        """
        super().__init__()
        for name in ('scale', 'mean', 'std'):
            values = torch.tensor(getattr(record, name), dtype=torch.float32)
            self.register_buffer(name, values.view(-1, 1, 1))

    def forward(self, batch: Batch) -> Batch:
        """Normalise 'image'; NaN and infinite values become the mean of their band.

        Args:
            batch: 'image' of shape (B, C, H, W) or (C, H, W), in file values.

        Returns:
            A new dictionary, whose 'image' is float32.
        """
        image = batch['image'].float()
        # the batch decides the device: Lightning does not move a data module
        scale, mean, std = (b.to(image.device) for b in (self.scale, self.mean, self.std))
        normal = (image * scale - mean) / std
        return {**batch, 'image': normal.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)}


class RandomFlips(nn.Module):
    """Turn and mirror each image of a batch and its mask, all eight ways being equally likely."""

    def forward(self, batch: Batch) -> Batch:
        """Draw from torch's generator of the CPU.

        Args:
            batch: 'image' of shape (B, C, S, S) and 'mask' of shape (B, S, S).

        Returns:
            A new dictionary with the same shapes.
        """
        ways = torch.randint(8, (len(batch['image']),)).tolist()
        turned = {
            key: torch.stack([turn(x, way) for x, way in zip(batch[key], ways, strict=True)])
            for key in ('image', 'mask')
        }
        return {**batch, **turned}


def turn(image: Tensor, way: int) -> Tensor:
    """Turn the last two axes by *way* % 4 quarter turns, mirrored first for *way* >= 4."""
    return torch.rot90(image.flip(-1) if way >= 4 else image, way % 4, dims=(-2, -1))


def imagenet_statistics(bands: Sequence[str]) -> tuple[list[float], list[float]]:
    """Give ImageNet's mean and standard deviation in [0, 1] for the bands of a photograph.

    Args:
        bands: Three names; red, green and blue in any order, or others, taken in this order.
    """
    order = find_colors(bands) or range(3)
    place = {band: color for color, band in enumerate(order)}
    return [RGB.mean[place[band]] for band in range(3)], [RGB.std[place[band]] for band in range(3)]


def measure_bands(
    patches: Iterable[tuple[NDArray[np.generic], NDArray[np.bool_]]], *, scale: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Measure mean and standard deviation per band.

    Args:
        patches: Images of shape (C, H, W) with their observed pixels, shape (H, W).
        scale: Per band, factor before measuring.

    Returns:
        Mean and standard deviation per band; a constant band gets 1.

    Raises:
        ValueError: If no pixel is observed, *scale* does not have one value per band, or a few values
            beyond all others decide the deviation.
    """
    count = 0
    some: list[NDArray[np.float64]] = []
    factor = np.asarray(scale, dtype=np.float64)[:, None]
    total, squares = np.zeros_like(factor[:, 0]), np.zeros_like(factor[:, 0])
    shift: NDArray[np.float64] | None = None
    for image, valid in patches:
        if len(image) != len(factor):
            raise ValueError(
                f'scale must have one value per band ({len(image)}), got {len(factor)}'
            )
        values = image[:, valid].astype(np.float64) * factor
        if not values.size:
            continue
        if shift is None:
            # sums of squares around a typical value do not cancel
            shift = values.mean(axis=1, keepdims=True)
        count += values.shape[1]
        # a copy: a view would keep the whole patch
        some.append(values[:, :: max(values.shape[1] // SOME_PIXELS, 1)].copy())
        total += (values - shift).sum(axis=1)
        squares += np.square(values - shift).sum(axis=1)
    if shift is None:
        raise ValueError('no observed pixel to measure; check nodata, or pass mean and std')
    offset = total / count
    std = np.sqrt(np.maximum(squares / count - offset**2, 0))
    low, high = np.quantile(np.concatenate(some, axis=1), (0.01, 0.99), axis=1)
    wrong = np.flatnonzero((std > LARGEST_DEVIATION * (high - low)) & (high > low))
    if wrong.size:
        band = int(wrong[0])
        raise ValueError(
            f'band {band + 1} of those that are read has a standard deviation of {std[band]:.3g}, '
            f'though 98 % of its values lie from {low[band]:.4g} to {high[band]:.4g}: a few values '
            'far beyond decide it, and all else would look alike; pass nodata if they mean no '
            'observation, or mean and std'
        )
    return (shift[:, 0] + offset).tolist(), np.where(std > 0, std, 1.0).tolist()
