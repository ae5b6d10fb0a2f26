"""Describe how values of a pre-training stream become model input; measure once and remember."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console
from rich.progress import track
from torch import Tensor

from ..bands import are_colors
from ..datasets.joint_batches import RemoteSensingStream, positions
from ..datasets.samples import Observed
from ..geoio.read import WORTH_KEEPING, UnreadableFileError, hash_stamps, recall, remember
from ..preprocessing import Preprocessing
from .band_statistics import QUANTILE, Statistics, imagenet_statistics, measure, write_statistics

# 256 patches of 64 x 64 pixels are a million values per band, enough for three digits. Large
# patches bring more: then fewer do, though enough to be of many places.
MEASURED_PATCHES = 256
FEWEST_PATCHES = 32
ENOUGH_PIXELS = 2**22

# Raise this when what is remembered changes, so that older results are measured anew
VERSION = 3

# 99.9 % of the values of a photograph go further than this: of bytes, beyond 31
DARKEST = 32 / 255

# How far from [0, 1] measured values of colours may lie, for the rounding of a quantile
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What is known of a stream."""

    record: Preprocessing
    """How its values become what the backbone is trained on."""

    photographs: bool
    """Whether they are colours in [0, 1] after scaling, made for jitter in hue and saturation."""


def describe_stream(
    stream: RemoteSensingStream,
    *,
    scale: Sequence[float] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    size: int,
    seed: int,
    settings: Mapping[str, object],
) -> Described:
    """Say how the values of a stream become what the backbone is trained on, and what they are.

    Three bands are photographs if their names say red, green and blue, or nothing, and if 99.9 % of
    the scaled values of each lie in [0, 1], and not all of them close to 0.

    Args:
        stream: Where samples come from.
        scale: Per band; None measures it where the data type does not say it.
        mean: Per band, after scaling; None takes ImageNet's for photographs of bytes, else measures
            it.
        std: Per band, like *mean*.
        size: Side of the samples in pixels.
        seed: Decides the samples that are measured.
        settings: Whatever else decides what the stream reads; names and values.

    Raises:
        ValueError: If *scale* is not what the task does, or there is not one value per band.
    """
    sample = stream.draw(cycle=0, index=0)['image'][: len(stream.bands)]
    factors = choose_scale(scale, sample)
    may_be_colors = are_colors(stream.bands) is not False
    is_byte = sample.dtype == torch.uint8
    if (
        factors is not None
        and mean is not None
        and std is not None
        and (is_byte or not may_be_colors)
    ):
        found = Statistics(list(factors), list(mean), list(std), [], [])
    elif is_byte and may_be_colors and factors is not None and not is_dim(stream, seed=seed):
        found = Statistics(list(factors), *imagenet_statistics(stream.bands), [], [])
    else:
        found = stream_statistics(stream, scale=factors, seed=seed, size=size, settings=settings)
        if is_byte and may_be_colors and fits_unit(found):
            # only the first of them were dim
            usual_mean, usual_std = imagenet_statistics(stream.bands)
            found = found._replace(mean=usual_mean, std=usual_std)
    photographs = may_be_colors and (fits_unit(found) if found.high else is_byte)
    if len(sample) == 3 and not photographs:
        explain_recipe(stream.bands, found, may_be_colors=may_be_colors)
    is_own_unit = scale is not None and sample.is_floating_point() and not stream.has_file_values
    record = Preprocessing(
        bands=stream.bands,
        # a data set that gives floating point may read files of any type
        dtype=None if is_own_unit else str(sample.dtype).removeprefix('torch.'),
        scale=tuple(found.scale),
        mean=tuple(mean or found.mean),
        std=tuple(std or found.std),
        size=size,
        res_m=stream.res_m,
    )
    return Described(record=record, photographs=photographs)


def choose_scale(given: Sequence[float] | None, image: Tensor) -> Sequence[float] | None:
    """Take the given factors, or those of the data type; None if they are to be measured.

    Args:
        given: One per band, or None.
        image: Values as stored, shape (C, H, W).

    Raises:
        ValueError: If the task scales this data type in another way, or there is not one per band.
    """
    if given is not None and len(given) != len(image):
        raise ValueError(f'scale must have one value per band ({len(image)}), got {len(given)}')
    if image.is_floating_point():
        return [1.0] * len(image) if given is None else given
    if image.dtype != torch.uint8:
        return given
    unit = 1 / 255
    if given is not None and not np.allclose(given, unit):
        raise ValueError(
            f'scale must be {unit:.6g} for {image.dtype}, which the task scales by itself, '
            f'got {list(given)}; leave it out'
        )
    return [unit] * len(image)


def fits_unit(found: Statistics) -> bool:
    """Whether nearly all values of every band lie in [0, 1], and not all of them close to 0."""
    inside = min(found.low) >= -TOLERANCE and max(found.high) <= 1 + TOLERANCE
    return inside and max(found.high) > DARKEST


def is_dim(stream: RemoteSensingStream, *, seed: int) -> bool:
    """Whether bytes are far too dark for a photograph: masks, classes, counts.

    In units of a photograph they would all look black, and alike.
    """
    for cycle, index in positions(seed=seed, length=len(stream), first=0, count=FEWEST_PATCHES):
        try:
            image, valid = stream.observed(cycle=cycle, index=index)
        except UnreadableFileError:
            # the loader counts and names it, or stops
            continue
        values = image[:, valid].astype(np.float64)
        if values.size and np.quantile(values, QUANTILE) > DARKEST * 255:
            return False
    return True


def explain_recipe(bands: Sequence[str], found: Statistics, *, may_be_colors: bool) -> None:
    """Say why three bands are not augmented as photographs."""
    if may_be_colors:
        reason = (
            f'values from {min(found.low):.4g} to {max(found.high):.4g} do not fill [0, 1] as '
            'colours do; if they are colours, pass scale'
        )
    else:
        reason = 'their names are not those of red, green and blue'
    rank_zero_info(
        f'bands {", ".join(bands)} are augmented by crops, flips, gain and offset, and not as '
        f'photographs: {reason}'
    )


def stream_statistics(
    stream: RemoteSensingStream,
    *,
    scale: Sequence[float] | None,
    seed: int,
    size: int,
    settings: Mapping[str, object],
) -> Statistics:
    """Measure a stream on seeded patches, nodata left out, or recall what was measured.

    Args:
        stream: Where patches come from. While its files do not change, what took long to measure
            is remembered on disk.
        scale: Per band, factor before measuring mean and standard deviation; None measures it too.
        seed: Decides the patches.
        size: Side of the patches in pixels.
        settings: Whatever else decides what the stream reads.

    Returns:
        The same for the same arguments.

    Raises:
        ValueError: If no pixel is observed, or *scale* does not have one value per band.
    """
    files = stream.paths
    marks = hash_stamps(files) if files else None
    given = None if scale is None else list(scale)
    known = [VERSION, marks, given, seed, size, measured_patches(size), settings]
    key = json.dumps(known, default=str)
    found = None if marks is None else recall('statistics', key)
    if found is not None:
        rank_zero_info(
            f'statistics of {len(files)} files as measured before: {write_statistics(found)}'
        )
        return Statistics(*found)
    begin = monotonic()
    skip = settings.get('on_error') == 'skip'
    measured = measure(
        observe(stream, count=measured_patches(size), seed=seed, skip_unreadable=skip), scale=scale
    )
    rank_zero_info(
        f'statistics of {measured_patches(size)} patches of {size} px, in '
        f'{monotonic() - begin:.1f} s: {write_statistics(measured)}'
    )
    if marks is not None and monotonic() - begin > WORTH_KEEPING:
        remember('statistics', key, measured)
    return measured


def measured_patches(size: int) -> int:
    """Say how many patches of *size* pixels are measured."""
    return min(MEASURED_PATCHES, max(FEWEST_PATCHES, ENOUGH_PIXELS // size**2))


def observe(
    stream: RemoteSensingStream, *, count: int, seed: int, skip_unreadable: bool
) -> Iterator[Observed]:
    """Read the patches that are measured."""
    places = positions(seed=seed, length=len(stream), first=0, count=count)
    for cycle, index in track(
        places, 'Measuring mean and std', console=Console(stderr=True), transient=True
    ):
        try:
            yield stream.observed(cycle=cycle, index=index)
        except UnreadableFileError:
            if not skip_unreadable:
                raise
            # the loader counts and names it
