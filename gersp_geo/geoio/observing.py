"""What is an observation: which pixels of a window, and which of their bands."""

from collections.abc import Sequence
from typing import Literal
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioIOError

from ..records import Window
from .padding import Pad, padded_window, take
from .reading import (
    Reader,
    UnreadableFileError,
    common_type,
    describe_damage,
    hiding_bands,
    rasterio_window,
    read_window,
)

type Observed = Literal['auto', 'any', 'all']
"""What a user may ask for: a pixel is an observation where any of its bands is, or where all are.

'auto' is 'any' for bands of 8 bits without masks of their own, and 'all' for all others.
"""

type Rule = Literal['picture', 'any', 'all']
"""What follows for some bands of a file: where a pixel is an observation.

'all': where every band is there. 'any': where any is; the others are missing there. 'picture': as
'any', but the value of one band alone says nothing: a 0 in one band of a picture is data.
"""

type Flags = frozenset[MaskFlags]
type Shown = NDArray[np.bool_] | None
"""Shape (rows, columns), or (bands, rows, columns); None means everywhere."""

_EIGHT_BITS = frozenset({'uint8', 'int8'})

# GDAL's flag of a band that has a mask of its own is none
_OWN: Flags = frozenset()

# rasterio gives values of tags as floats, which do not hold these
_WIDE = frozenset({'int64', 'uint64'})

# what :func:`mark_resampled` was given; a reader is forgotten with its last reference
_RESAMPLED: WeakSet[Reader] = WeakSet()


def mark_resampled(src: Reader) -> Reader:
    """Note that what is missing was left out of a raster when it was resampled.

    What is blended of its neighbours may be a nodata value by chance, and is an observation.

    Args:
        src: What is missing in it holds its nodata value, or is transparent.

    Returns:
        *src*.
    """
    _RESAMPLED.add(src)
    return src


def find_rule(src: Reader, bands: Sequence[int], observed: Observed = 'auto') -> Rule:
    """Say where pixels of a file are observations.

    Args:
        src: An open raster, as it is stored.
        bands: 1-based indices of the bands that are read.
        observed: What is asked for.
    """
    dtypes = src.dtypes
    is_picture = all(dtypes[band - 1] in _EIGHT_BITS for band in bands) and not any(
        flags == _OWN for flags in mask_flags(src, bands).values()
    )
    if observed == 'all' or (observed == 'auto' and not is_picture):
        return 'all'
    return 'picture' if is_picture else 'any'


def mask_flags(src: Reader, bands: Sequence[int]) -> dict[int, Flags]:
    """Say, per band that is read, what GDAL's mask of it follows."""
    every = src.mask_flag_enums
    return {band: frozenset(every[band - 1]) for band in bands}


def tag_as_stored(value: float | None, dtype: str) -> np.generic | None:
    """Give a nodata value as pixels have it: GDAL compares in the type of the band.

    Args:
        value: Of the tag; None if there is none.
        dtype: Of the band, as rasterio names it.

    Returns:
        A value of that type; None where no pixel equals it, as for NaN.
    """
    if value is None or np.isnan(value):
        return None
    kind = common_type([dtype])
    if kind.kind in 'fc':
        # -3.4e38 as text is not quite the smallest float; beyond the largest lies infinity
        with np.errstate(over='ignore'):
            stored: np.generic = kind.type(value)
        return stored
    limits = np.iinfo(kind)
    fits = bool(np.isfinite(value)) and limits.min <= value <= limits.max
    return kind.type(int(value)) if fits else None


def given_as_stored(value: float | None, dtype: str) -> np.generic | None:
    """Give a nodata value of a user as pixels have it: none equals 7.5 where all are whole."""
    stored = tag_as_stored(value, dtype)
    is_whole = stored is None or stored.dtype.kind in 'fc' or float(stored) == value
    return stored if is_whole else None


def read_observed(
    src: Reader,
    window: Window,
    *,
    bands: Sequence[int],
    nodata: float | None = None,
    rule: Rule | None = None,
) -> tuple[NDArray[np.generic], Shown]:
    """Read pixels and say which are observations, with each block decoded once.

    Args:
        src: An open raster.
        window: Pixels to read, inside the raster.
        bands: 1-based band indices in the order wanted; validity is judged by these.
        nodata: A further value that means "no observation"; NaN is allowed.
        rule: Where a pixel is an observation; None means what :func:`find_rule` says. Of a raster
            that was resampled, this and *nodata* were heeded before.

    Returns:
        Pixels, shape (bands, window.height, window.width); and where there is an observation, shape
        (window.height, window.width), or with rule 'any' that of the pixels; None if there is one
        everywhere.

    Raises:
        ValueError: If a band does not exist.
        UnreadableFileError: If the file is damaged there.
    """
    pixels = read_window(src, window, bands=bands)
    return pixels, _judge(src, window, pixels, bands=bands, nodata=nodata, rule=rule)


def read_valid(
    src: Reader,
    window: Window,
    *,
    nodata: float | None = None,
    bands: Sequence[int] | None = None,
    pad: Pad = 'reflect',
    rule: Rule | None = None,
) -> NDArray[np.bool_]:
    """Say which pixels of a window are observations.

    A band is missing where it has its nodata value, or the value *nodata*, where it is NaN or infinite,
    or where a mask of its own says so; *rule* says what that means for a pixel. A mask of the whole file
    hides the pixel, and so does an alpha band, unless it is among *bands*: then it is data.

    Args:
        src: An open raster.
        window: As in :func:`~gersp_geo.geoio.reading.read_window`; outside the raster, validity is
            padded like pixels.
        nodata: As in :func:`read_observed`.
        bands: 1-based indices of the bands that count; None means all but alpha bands.
        pad: As in :func:`~gersp_geo.geoio.reading.read_window`.
        rule: As in :func:`read_observed`.

    Returns:
        Array of shape (window.height, window.width), True where there is an observation.

    Raises:
        ValueError: If the window is empty, or a band does not exist.
        UnreadableFileError: If the file is damaged there.
    """
    alpha = hiding_bands(src, bands)
    # an alpha band is always valid itself, so it must not vote on the validity of a pixel
    chosen = list(bands or (band for band in src.indexes if band not in alpha)) or list(src.indexes)
    if not all(1 <= band <= src.count for band in chosen):
        raise ValueError(f'bands must be in [1, {src.count}] for {src.name}, got {chosen}')
    rows, cols, inside = padded_window(window, height=src.height, width=src.width, pad=pad)
    is_told = nodata is None and all(
        src.nodatavals[band - 1] is None and common_type([src.dtypes[band - 1]]).kind not in 'fc'
        for band in chosen
    )
    pixels = None if is_told else read_window(src, inside, bands=chosen)
    valid = _judge(src, inside, pixels, bands=chosen, nodata=nodata, rule=rule)
    if valid is None:
        valid = np.ones((inside.height, inside.width), dtype=np.bool_)
    return take(valid if valid.ndim == 2 else valid.any(axis=0), rows, cols)


def read_unmasked(src: Reader, window: Window, *, bands: Sequence[int]) -> NDArray[np.bool_]:
    """Say what of a window neither a mask nor the alpha band hides, as a copy by GDAL heeds them.

    Args:
        src: An open raster.
        window: As in :func:`~gersp_geo.geoio.reading.read_window`; outside the raster, the answer is
            padded like pixels.
        bands: 1-based indices of the bands that are read; an alpha band among them is data.

    Returns:
        Array of shape (bands, window.height, window.width). Nodata values and NaN may be among what
        is not hidden.

    Raises:
        UnreadableFileError: If the file is damaged there.
    """
    rows, cols, inside = padded_window(window, height=src.height, width=src.width)
    found = np.ones((len(bands), inside.height, inside.width), dtype=np.bool_)
    flags = mask_flags(src, bands)
    try:
        shown = _shown(src, inside, bands=bands, flags=flags)
        for place, band in enumerate(bands):
            if flags[band] == _OWN:
                found[place] = _read_mask(src, inside, band)
    except RasterioIOError as error:
        raise UnreadableFileError(src.name, describe_damage(src, window, error)) from error
    if shown is not None:
        found &= shown
    return take(found, rows, cols)


def _judge(
    src: Reader,
    window: Window,
    pixels: NDArray[np.generic] | None,
    *,
    bands: Sequence[int],
    nodata: float | None,
    rule: Rule | None,
) -> Shown:
    """Say which pixels inside a raster are observations, by what was read of them.

    Args:
        src: An open raster.
        window: Inside it.
        pixels: What it holds; None if values say nothing.
        bands: 1-based indices of what was read.
        nodata: As in :func:`read_observed`.
        rule: As in :func:`read_observed`.

    Returns:
        As :func:`read_observed`.
    """
    rule = rule or find_rule(src, bands)
    if src in _RESAMPLED:
        # What is missing was left out where it was resampled: a value that comes about by blending is
        # none of them. With 'all', it was left out of all bands.
        nodata, rule = None, 'any' if rule == 'any' else 'picture'
    flags = mask_flags(src, bands)
    try:
        shown = _shown(src, window, bands=bands, flags=flags)
        present = [
            _present(src, window, None if pixels is None else pixels[place], band, flags, nodata)
            for place, band in enumerate(bands)
        ]
    except RasterioIOError as error:
        raise UnreadableFileError(src.name, describe_damage(src, window, error)) from error
    valid = _combine(present, shown, rule=rule)
    return None if valid is None or valid.all() else valid


def _combine(present: Sequence[Shown], shown: Shown, *, rule: Rule) -> Shown:
    """Join what is said of each band and what is said of all."""
    some = [band for band in present if band is not None]
    if not some or (rule == 'picture' and len(some) < len(present)):
        return shown
    if rule == 'any':
        whole = np.ones_like(some[0])
        joined = np.stack([whole if band is None else band for band in present])
    else:
        joined = (np.logical_and if rule == 'all' else np.logical_or).reduce(some)
    return joined if shown is None else joined & shown


def _present(
    src: Reader,
    window: Window,
    values: NDArray[np.generic] | None,
    band: int,
    flags: dict[int, Flags],
    nodata: float | None,
) -> Shown:
    """Say where one band is there."""
    dtype, tag = src.dtypes[band - 1], src.nodatavals[band - 1]
    found: Shown = None
    if flags[band] == _OWN or (tag is not None and dtype in _WIDE):
        found = _read_mask(src, window, band)
    if values is None:
        return found
    if values.dtype.kind in 'fc':
        finite = np.isfinite(values)
        found = finite if found is None else found & finite
    for stored in (tag_as_stored(tag, dtype), given_as_stored(nodata, dtype)):
        if stored is not None:
            # of bands of several types, the common one holds all of their values
            differs = values != stored.astype(values.dtype)
            found = differs if found is None else found & differs
    return found


def _shown(src: Reader, window: Window, *, bands: Sequence[int], flags: dict[int, Flags]) -> Shown:
    """Say which pixels what counts for all bands does not hide: a mask of the file, transparency."""
    found: Shown = None
    masked = [
        band for band in bands
        if MaskFlags.per_dataset in flags[band] and MaskFlags.alpha not in flags[band]
    ]  # fmt: skip
    if masked:
        found = _read_mask(src, window, masked[0])
    # GDAL's masks heed it only as the second of two bands or the fourth of four
    for band in hiding_bands(src, bands):
        opaque = src.read(band, window=rasterio_window(window)) > 0
        found = opaque if found is None else found & opaque
    return found


def _read_mask(src: Reader, window: Window, band: int) -> NDArray[np.bool_]:
    """Read GDAL's mask of a band."""
    shown: NDArray[np.bool_] = src.read_masks(band, window=rasterio_window(window)) > 0
    return shown
