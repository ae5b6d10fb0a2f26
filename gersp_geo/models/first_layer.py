"""The first layer of a backbone, made to read any number of bands."""

from collections.abc import Sequence

import torch
from torch import Tensor


def adapt_stem(
    weight: Tensor,
    in_channels: int,
    *,
    rgb_bands: Sequence[int] = (0, 1, 2),
    dates: int = 1,
    order: Sequence[int] = (0, 1, 2),
) -> Tensor:
    """Spread the filters of a first convolution over other bands.

    Red, green and blue filters go to *rgb_bands*, their mean to every other band, and all are
    multiplied by ``3 / in_channels``: an image that is the same in all bands gives the response
    that it gave before. Fewer than three bands all get the mean. For an early-fusion change model,
    which reads several dates as one image, each date gets these filters divided by *dates*.

    Args:
        weight: Filters, shape (O, I, rows, cols), I the number of bands that they read.
        in_channels: Number of bands of one date, C >= 1.
        rgb_bands: Bands where red, green and blue are, 0-based; used where I is 3 <= C.
        dates: Number of dates, >= 1.
        order: Where *weight* itself reads red, green and blue, 0-based; used where I is 3.

    Returns:
        Shape (O, C * dates, rows, cols); *weight* itself where nothing changes.

    Raises:
        ValueError: If I is neither 3 nor C, or *rgb_bands* are not three different ones of C.
    """
    bands = weight.shape[1]
    if bands == 3 and tuple(order) != (0, 1, 2):
        weight = weight[:, torch.tensor(order)]
    if bands == 3 and in_channels >= 3:
        adapted = _place(weight, in_channels, rgb_bands=rgb_bands)
    elif bands == 3:
        adapted = weight.mean(dim=1, keepdim=True).repeat(1, in_channels, 1, 1) * (3 / in_channels)
    elif bands == in_channels:
        adapted = weight
    else:
        raise ValueError(
            f'weights for {bands} bands fit a model of {bands}, got in_channels={in_channels}; '
            'only weights for three bands can be spread over others'
        )
    return adapted if dates == 1 else adapted.repeat(1, dates, 1, 1) / dates


def _place(weight: Tensor, in_channels: int, *, rgb_bands: Sequence[int]) -> Tensor:
    """Put three filters where their bands are."""
    places = list(rgb_bands)
    if len(set(places)) != 3 or len(places) != 3 or not set(places) <= set(range(in_channels)):
        raise ValueError(
            f'rgb_bands must be three different bands in [0, in_channels={in_channels}), '
            f'got {tuple(places)}'
        )
    if in_channels == 3 and places == [0, 1, 2]:
        return weight
    adapted = weight.mean(dim=1, keepdim=True).repeat(1, in_channels, 1, 1)
    adapted[:, torch.tensor(places)] = weight
    return adapted * (3 / in_channels)
