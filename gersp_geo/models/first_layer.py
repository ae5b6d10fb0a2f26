"""The first layer of a backbone, made to read any number of bands."""

from collections.abc import Sequence
from math import ceil
from typing import Literal, get_args

import torch
from torch import Tensor

type FilterRule = Literal['scaled', 'repeat', 'mean', 'random']
"""How filters for red, green and blue are spread over other bands."""


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
    places = _check_places(rgb_bands, in_channels)
    if in_channels == 3 and places == [0, 1, 2]:
        return weight
    adapted = weight.mean(dim=1, keepdim=True).repeat(1, in_channels, 1, 1)
    adapted[:, torch.tensor(places)] = weight
    return adapted * (3 / in_channels)


def spread_filters(
    weight: Tensor,
    in_channels: int,
    *,
    rule: FilterRule,
    rgb_bands: Sequence[int] = (0, 1, 2),
    order: Sequence[int] = (0, 1, 2),
    fresh: Tensor | None = None,
) -> Tensor:
    """Spread three filters over other bands by one of several rules, to compare them.

    ``'scaled'`` is :func:`adapt_stem`. ``'repeat'`` is the rule of timm's ``adapt_input_conv``:
    red, green, blue, red, ... in the order of the bands, wherever colours are, multiplied by
    ``3 / in_channels``. ``'mean'`` gives every band the mean of the three, multiplied likewise.
    ``'random'`` keeps the three filters as they are at *rgb_bands*, and takes *fresh* ones for the
    other bands. Weights that read as many bands as there are go through :func:`adapt_stem`.

    Args:
        weight: Filters, shape (O, I, rows, cols), I the number of bands that they read.
        in_channels: Number of bands, C >= 1.
        rule: One of those above.
        rgb_bands: Bands where red, green and blue are, 0-based.
        order: Where *weight* itself reads red, green and blue, 0-based; used where I is 3.
        fresh: Filters as the model draws them, shape (O, C, rows, cols); needed for 'random'.

    Returns:
        Shape (O, C, rows, cols).

    Raises:
        ValueError: If there is no such rule, I is neither 3 nor C, *rgb_bands* are not three
            different ones of C, or 'random' has no *fresh* filters.
    """
    if rule not in get_args(FilterRule.__value__):
        rules = ', '.join(get_args(FilterRule.__value__))
        raise ValueError(f'a first layer is spread by {rules}, got {rule!r}')
    bands = weight.shape[1]
    if rule == 'scaled' or bands != 3 or in_channels == 3:
        return adapt_stem(weight, in_channels, rgb_bands=rgb_bands, order=order)
    colors = weight[:, torch.tensor(order)]
    if rule == 'random':
        if fresh is None:
            raise ValueError("rule='random' needs the filters that the model draws for new bands")
        adapted = fresh.to(weight.dtype, copy=True)
        adapted[:, torch.tensor(_check_places(rgb_bands, in_channels))] = colors
        return adapted
    # of one band, timm takes the sum, which is the mean times 3
    if rule == 'mean' or in_channels == 1:
        colors = colors.mean(dim=1, keepdim=True)
    times = ceil(in_channels / colors.shape[1])
    return colors.repeat(1, times, 1, 1)[:, :in_channels] * (3 / in_channels)


def _check_places(rgb_bands: Sequence[int], in_channels: int) -> list[int]:
    """Refuse what are not three bands."""
    places = list(rgb_bands)
    if len(set(places)) != 3 or len(places) != 3 or not set(places) <= set(range(in_channels)):
        raise ValueError(
            f'rgb_bands must be three different bands in [0, in_channels={in_channels}), '
            f'got {tuple(places)}'
        )
    return places
