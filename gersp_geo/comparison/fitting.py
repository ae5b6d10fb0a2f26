"""Whether weights can read the images of a data set, and how values are normalised for them."""

from collections.abc import Sequence
from dataclasses import replace

from ..bands import RGB, color_order, find_colors
from ..messages import name_some
from ..models.backbone_weights import BackboneWeights
from ..preprocessing import Preprocessing
from .records import Candidate, Normalization


def check_fit(
    candidate: Candidate,
    found: BackboneWeights | None,
    images: Preprocessing,
    normalization: Normalization,
    rgb_bands: Sequence[int] | None,
) -> Preprocessing:
    """Refuse images that weights cannot read; else say how values are normalised for them."""
    if found is None:
        return images
    bands, read = len(images.bands), found.in_channels
    if read not in (3, bands):
        raise ValueError(
            f'{candidate.source} reads {read} bands, the images have {bands}; choose {read} of them '
            'with bands, or leave these weights out'
        )
    own = () if found.preprocessing is None else found.preprocessing.bands
    if read > 3 and own != images.bands and set(own) == set(images.bands):
        raise ValueError(
            f'{candidate.source} reads the bands {" ".join(own)} in this order, the images have '
            f'them as {" ".join(images.bands)}; pass bands in the order of the weights'
        )
    places = place_colors(images.bands, rgb_bands)
    needs_places = candidate.first_layer in ('scaled', 'random') or normalization == 'record'
    if read == 3 and bands > 3 and needs_places and places is None:
        raise ValueError(
            f'the bands {name_some(images.bands)} do not tell which are red, green and blue, '
            f'which {candidate.source} reads; pass rgb_bands'
        )
    if candidate.first_layer == 'random' and read == 3 and bands < 3:
        raise ValueError(
            f"first layer 'random' needs the three bands of {candidate.source} among those of the "
            f'images, got {bands}; pass another first layer'
        )
    if normalization == 'data':
        return images
    return _own_record(candidate, found, images, places or (0, 1, 2))


def place_colors(
    bands: Sequence[str], rgb_bands: Sequence[int] | None
) -> tuple[int, int, int] | None:
    """Say where red, green and blue are, 0-based: as told, by name, or the three that there are."""
    if rgb_bands is not None:
        if len(set(rgb_bands)) != 3 or not set(rgb_bands) <= set(range(len(bands))):
            raise ValueError(
                f'rgb_bands must be three different bands in [0, {len(bands)}), got '
                f'{tuple(rgb_bands)}'
            )
        red, green, blue = rgb_bands
        return red, green, blue
    return find_colors(bands) or ((0, 1, 2) if len(bands) == 3 else None)


def plain_record(bands: Sequence[str], dtype: str | None) -> Preprocessing:
    """Name the bands of images that nothing has been measured of."""
    ones, zeros = (1.0,) * len(bands), (0.0,) * len(bands)
    return Preprocessing(bands=tuple(bands), scale=ones, mean=zeros, std=ones, dtype=dtype)


def _own_record(
    candidate: Candidate, found: BackboneWeights, images: Preprocessing, places: Sequence[int]
) -> Preprocessing:
    """Give each band of the images what the weights say about it."""
    own, source = found.preprocessing, candidate.source
    fix = "pass normalization='data'"
    if own is None:
        raise ValueError(f'{source} does not say how its input is normalised; {fix}')
    if len(own.bands) != len(images.bands):
        raise ValueError(
            f'{source} says how {len(own.bands)} bands are normalised, the images have '
            f'{len(images.bands)}; {fix}'
        )
    meant = own.dtype or ('uint8' if own.scale == (RGB.scale,) * 3 else None)
    if None not in (meant, images.dtype) and meant != images.dtype:
        raise ValueError(
            f'{source} says how values of {meant} are normalised, those of the images are '
            f'{images.dtype}; {fix}'
        )
    takes = list(range(len(own.bands)))
    if len(takes) == 3:
        for place, color in zip(places, color_order(own.bands), strict=True):
            takes[place] = color
    scale, mean, std = (
        tuple(values[take] for take in takes) for values in (own.scale, own.mean, own.std)
    )
    return replace(images, scale=scale, mean=mean, std=std)
