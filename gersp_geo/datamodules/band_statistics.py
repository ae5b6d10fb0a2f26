"""Mean, standard deviation and range of the values of each band: measured, or the usual ones."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..bands import RGB, find_colors
from ..datasets.samples import Observed

# Times the range of 98 % of the values: heavy tails, as those of radar intensities, stay below
LARGEST_DEVIATION = 100

# pixels per patch that ranges are taken from
SOME_PIXELS = 1024

# Share of the values that a measured scale brings to at most 1. The rest are clouds, glint and
# faulty pixels, which would otherwise decide it.
QUANTILE = 0.999


class Statistics(NamedTuple):
    """Per band; all but the scale after scaling."""

    scale: list[float]
    mean: list[float]
    std: list[float]
    low: list[float]
    """99.9 % of the values are at least this."""
    high: list[float]
    """99.9 % of the values are at most this."""


def write_statistics(found: Sequence[Sequence[float]]) -> str:
    """Write scale, mean and standard deviation in one line."""
    named = zip(Statistics._fields[:3], found, strict=False)
    return ', '.join(f'{name} [{", ".join(f"{v:.4g}" for v in of)}]' for name, of in named)


def imagenet_statistics(bands: Sequence[str]) -> tuple[list[float], list[float]]:
    """Give ImageNet's mean and standard deviation in [0, 1] for the bands of a photograph.

    Args:
        bands: Three names; red, green and blue in any order, or others, taken in this order.
    """
    order = find_colors(bands) or range(3)
    place = {band: color for color, band in enumerate(order)}
    return [RGB.mean[place[band]] for band in range(3)], [RGB.std[place[band]] for band in range(3)]


def measure_bands(
    patches: Iterable[Observed], *, scale: Sequence[float]
) -> tuple[list[float], list[float], NDArray[np.float64]]:
    """Measure mean and standard deviation per band.

    Args:
        patches: Images of shape (C, H, W) with their observed pixels, shape (H, W).
        scale: Per band, factor before measuring.

    Returns:
        Mean and standard deviation per band, of which a constant band gets 1; and some of the
        scaled values, shape (C, n), that ranges can be taken from.

    Raises:
        ValueError: If no pixel is observed, *scale* does not have one value per band, or a few
            values beyond all others decide the deviation.
    """
    count = 0
    parts: list[NDArray[np.float64]] = []
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
        parts.append(values[:, :: max(values.shape[1] // SOME_PIXELS, 1)].copy())
        total += (values - shift).sum(axis=1)
        squares += np.square(values - shift).sum(axis=1)
    if shift is None:
        raise ValueError('no observed pixel to measure; check nodata, or pass mean and std')
    offset = total / count
    std = np.sqrt(np.maximum(squares / count - offset**2, 0))
    some = np.concatenate(parts, axis=1)
    _check_deviation(std, some)
    return (shift[:, 0] + offset).tolist(), np.where(std > 0, std, 1.0).tolist(), some


def _check_deviation(std: NDArray[np.float64], some: NDArray[np.float64]) -> None:
    """Refuse deviations that a few values far beyond all others decide."""
    low, high = np.quantile(some, (0.01, 0.99), axis=1)
    wrong = np.flatnonzero((std > LARGEST_DEVIATION * (high - low)) & (high > low))
    if wrong.size:
        band = int(wrong[0])
        raise ValueError(
            f'band {band + 1} of those that are read has a standard deviation of {std[band]:.3g}, '
            f'though 98 % of its values lie from {low[band]:.4g} to {high[band]:.4g}: a few values '
            'far beyond decide it, and all else would look alike; pass nodata if they mean no '
            'observation, or mean and std'
        )


def measure(patches: Iterable[Observed], *, scale: Sequence[float] | None) -> Statistics:
    """Measure mean, standard deviation and range, and a scale where none is given.

    The scale of integers wider than 8 bits brings 99.9 % of the values to at most 1: in each band,
    but in one and the same for three bands, whose ratios are colours. Floating point and 8 bits
    have a scale by themselves.

    Args:
        patches: Images of shape (C, H, W) with their observed pixels, shape (H, W).
        scale: Per band; None measures it.

    Raises:
        ValueError: If no pixel is observed, or *scale* does not have one value per band.
    """
    scaled = ((scale_as_trained(image, scale=scale), valid) for image, valid in patches)
    first = next(scaled, None)
    if first is None:
        raise ValueError('no file that can be read to measure; pass scale, mean and std')
    is_float = first[0].dtype.kind == 'f'
    # floating point is scaled by now
    own = [1.0] * len(first[0]) if scale is None or is_float else scale
    mean, std, some = measure_bands(chain([first], scaled), scale=own)
    low, high = np.quantile(some, (1 - QUANTILE, QUANTILE), axis=1)
    if scale is not None:
        return Statistics(list(scale), mean, std, low.tolist(), high.tolist())
    top = np.full_like(high, high.max()) if len(high) == 3 else high
    factors = np.where(top > 0, 1 / np.where(top > 0, top, 1), 1.0)
    found = ((np.asarray(of) * factors).tolist() for of in (mean, std, low, high))
    return Statistics(factors.tolist(), *found)


def scale_as_trained(
    image: NDArray[np.generic], *, scale: Sequence[float] | None
) -> NDArray[np.generic]:
    """Multiply floating point by its scale with the rounding that training has; leave integers."""
    if scale is None or image.dtype.kind != 'f':
        return image
    factors = np.asarray(scale, dtype=np.float32).astype(image.dtype).reshape(-1, 1, 1)
    scaled: NDArray[np.generic] = image * factors
    return scaled
