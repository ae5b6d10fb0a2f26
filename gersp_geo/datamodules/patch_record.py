"""Describe how file values of labelled images become model input: given, usual, or measured."""

from collections.abc import Iterator, Sequence

import numpy as np
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray

from ..bands import are_colors
from ..geoio.read import RasterHeader
from ..preprocessing import Preprocessing
from .band_statistics import imagenet_statistics, measure_bands, write_statistics
from .patches import TrainingPatches

# Training patches that mean and standard deviation are measured on: 64 of 256 x 256 pixels are
# 4 million values per band, far more than the three digits that matter need.
MEASURED_PATCHES = 64


def describe_patches(
    train: TrainingPatches,
    *,
    scale: float | Sequence[float] | None,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    class_names: Sequence[str],
    class_colors: Sequence[Sequence[int]],
) -> Preprocessing:
    """Say how file values become model input; measure what is not known.

    Args:
        train: Training patches, of files of one data type.
        scale: As given by the user, per band or for all.
        mean: As given, after scaling.
        std: As given, after scaling.
        class_names: Names of the classes.
        class_colors: Their colours; may be empty.
    """
    images = train.tiles.images
    names = tuple(images.bands)
    tell_scaling(images.files, images.tiles, images.chosen)
    photograph = images.tiles[0].dtype == 'uint8'
    factor = scale or (1 / 255 if photograph else 1.0)
    factors = tuple(factor) if isinstance(factor, Sequence) else (float(factor),) * len(names)
    if mean is None or std is None:
        if photograph and are_colors(names) is not False and scale is None:
            mean, std = imagenet_statistics(names)
        else:
            mean, std, _ = measure_bands(observed(train), scale=factors)
        told = write_statistics((factors, mean, std))
        rank_zero_info(f'bands {", ".join(names)}: {told}')
    return Preprocessing(
        bands=names,
        dtype=images.tiles[0].dtype,
        scale=factors,
        mean=tuple(mean),
        std=tuple(std),
        size=train.size,
        res_m=images.res_m,
        nodata=train.tiles.nodata,
        class_names=tuple(class_names),
        class_colors=tuple((red, green, blue) for red, green, blue in class_colors),
    )


def check_types(files: Sequence[str], types: Sequence[str]) -> None:
    """Refuse images of several data types: one scale cannot be right for all."""
    for file, dtype in zip(files, types, strict=True):
        if dtype != types[0]:
            raise ValueError(
                f'images must have one data type, got {types[0]} in {files[0]} and {dtype} in '
                f'{file}; convert them to one, or train on those of one type'
            )


def observed(train: TrainingPatches) -> Iterator[tuple[NDArray[np.generic], NDArray[np.bool_]]]:
    """Yield the first training patches with their observed pixels."""
    for index in range(MEASURED_PATCHES):
        image = train.tiles.read(*train.patch(0, index))['image'].numpy()
        # of two dates, both
        pixels = np.moveaxis(image, -3, 0).reshape(image.shape[-3], -1, image.shape[-1])
        yield pixels, np.isfinite(pixels).all(axis=0)


def tell_scaling(
    files: Sequence[str], headers: Sequence[RasterHeader], bands: Sequence[int]
) -> None:
    """Say once that values enter as stored, if a file tags a scale or an offset of *bands*."""
    told = [header.describe_scaling(bands) for header in headers]
    first = next((place for place, text in enumerate(told) if text is not None), None)
    if first is not None:
        others = '' if set(told) == {told[first]} else '; other files tag others, or none'
        rank_zero_info(f'values of {files[first]} are {told[first]}{others}')
