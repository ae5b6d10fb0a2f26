"""Which pixels of a window are observations, and which of their bands are there."""

from collections.abc import Sequence
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from ...windows import Window
from .observation_rules import (
    OWN,
    TAGGED,
    WIDE,
    BandFacts,
    Rule,
    given_as_stored,
    is_of_all,
    tag_as_stored,
)
from .padding import padded_window, take
from .reader import (
    Reader,
    UnreadableFileError,
    describe_damage,
    hiding_bands,
    rasterio_window,
    read_window,
)

type Shown = NDArray[np.bool_] | None
"""Shape (rows, columns), or (bands, rows, columns); None means everywhere."""

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


def read_observed(
    src: Reader,
    window: Window,
    *,
    bands: Sequence[int],
    nodata: float | None = None,
    rule: Rule | None = None,
    pixels: NDArray[np.generic] | None = None,
) -> tuple[NDArray[np.generic], Shown]:
    """Read pixels and say which are observations, with each block decoded once.

    Args:
        src: An open raster.
        window: Pixels to read, inside the raster.
        bands: 1-based band indices in the order wanted; validity is judged by these.
        nodata: A further value that means "no observation"; NaN is allowed.
        rule: Where a pixel is an observation; None means what :func:`find_rule` says. Of a raster
            that was resampled, this and *nodata* were heeded before.
        pixels: What was read there, if that is done.

    Returns:
        Pixels, shape (bands, window.height, window.width); and where there is an observation, shape
        (window.height, window.width), or with rule 'any' that of the pixels; None if there is one
        everywhere.

    Raises:
        ValueError: If a band does not exist.
        UnreadableFileError: If the file is damaged there.
    """
    if pixels is None:
        pixels = read_window(src, window, bands=bands)
    return pixels, _judge(src, window, pixels, bands=bands, nodata=nodata, rule=rule)


def read_valid(
    src: Reader,
    window: Window,
    *,
    nodata: float | None = None,
    bands: Sequence[int] | None = None,
    rule: Rule | None = None,
) -> NDArray[np.bool_]:
    """Say which pixels of a window are observations.

    A band is missing where it has its nodata value, or the value *nodata*, where it is NaN or
    infinite, or where a mask of its own says so; *rule* says what that means for a pixel. A mask of
    the whole file hides the pixel, and so does an alpha band, unless it is among *bands*: then it
    is data.

    Args:
        src: An open raster.
        window: Pixels of interest; outside the raster, validity is mirrored like pixels.
        nodata: As in :func:`read_observed`.
        bands: 1-based indices of the bands that count; None means all but alpha bands.
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
    rows, cols, inside = padded_window(window, height=src.height, width=src.width)
    is_masked = nodata is None and BandFacts.of(src, chosen).is_masked
    pixels = None if is_masked else read_window(src, inside, bands=chosen)
    valid = _judge(src, inside, pixels, bands=chosen, nodata=nodata, rule=rule)
    if valid is None:
        valid = np.ones((inside.height, inside.width), dtype=np.bool_)
    return take(valid if valid.ndim == 2 else valid.any(axis=0), rows, cols)


def read_unmasked(src: Reader, window: Window, *, bands: Sequence[int]) -> NDArray[np.bool_]:
    """Say what of a window neither a mask nor the alpha band hides, as a copy by GDAL heeds them.

    Args:
        src: An open raster.
        window: Pixels of interest; outside the raster, the answer is mirrored like pixels.
        bands: 1-based indices of the bands that are read; an alpha band among them is data.

    Returns:
        Array of shape (bands, window.height, window.width). Nodata values and NaN may be among what
        is not hidden.

    Raises:
        UnreadableFileError: If the file is damaged there.
    """
    rows, cols, inside = padded_window(window, height=src.height, width=src.width)
    found = np.ones((len(bands), inside.height, inside.width), dtype=np.bool_)
    told = BandFacts.of(src, bands)
    try:
        shown = _shown(src, inside, told)
        for place, band in enumerate(bands):
            if told.flags[place] == OWN:
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
    """Say which pixels inside a raster are observations, as :func:`read_observed` returns it.

    *pixels* are what was read there; None if values say nothing that GDAL's masks do not say.
    """
    told = BandFacts.of(src, bands)
    rule = rule or told.rule('auto')
    if src in _RESAMPLED:
        # What is missing was left out by resampling, with 'all' out of all bands: a nodata value
        # that comes about by blending is an observation.
        nodata, rule = None, 'any' if rule == 'any' else 'picture'
    try:
        shown = _shown(src, window, told)
        present = _each_present(src, window, pixels, told, nodata)
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
    elif len(some) == 1:
        # a reduction takes as long as decoding the pixels
        joined = some[0]
    else:
        joined = (np.logical_and if rule == 'all' else np.logical_or).reduce(some)
    return joined if shown is None else joined & shown


def _each_present(
    src: Reader,
    window: Window,
    pixels: NDArray[np.generic] | None,
    told: BandFacts,
    nodata: float | None,
) -> list[Shown]:
    """Say where each band is there."""
    if pixels is None and set(told.flags) == {TAGGED}:
        # one call takes less than several
        return list(src.read_masks(list(told.bands), window=rasterio_window(window)) > 0)
    return [
        _present(src, window, None if pixels is None else pixels[place], told, place, nodata)
        for place in range(len(told.bands))
    ]


def _present(
    src: Reader,
    window: Window,
    values: NDArray[np.generic] | None,
    told: BandFacts,
    place: int,
    nodata: float | None,
) -> Shown:
    """Say where one band is there."""
    dtype, tag, flags = told.dtypes[place], told.tags[place], told.flags[place]
    found: Shown = None
    is_tagged = flags == TAGGED
    if is_tagged and dtype in WIDE:
        # GDAL alone knows the value
        flags, tag = OWN, None
    if flags == OWN or (is_tagged and values is None and tag is not None):
        found = _read_mask(src, window, told.bands[place])
    if values is None:
        return found
    if values.dtype.kind in 'fc':
        finite = np.isfinite(values)
        found = finite if found is None else found & finite
    for stored in (tag_as_stored(tag, dtype), given_as_stored(nodata, dtype)):
        if stored is not None:
            # bands of several types are read in a common one, which holds all of their values
            differs = values != stored.astype(values.dtype)
            found = differs if found is None else found & differs
    return found


def _shown(src: Reader, window: Window, told: BandFacts) -> Shown:
    """Say which pixels are hidden neither by a mask of the file nor by transparency."""
    found: Shown = None
    pairs = zip(told.bands, told.flags, strict=True)
    masked = [band for band, flags in pairs if is_of_all(flags)]
    if masked:
        found = _read_mask(src, window, masked[0])
    # GDAL's masks heed it only as the second of two bands or the fourth of four
    for band in hiding_bands(src, told.bands):
        opaque = src.read(band, window=rasterio_window(window)) > 0
        found = opaque if found is None else found & opaque
    return found


def _read_mask(src: Reader, window: Window, band: int) -> NDArray[np.bool_]:
    """Read GDAL's mask of a band."""
    shown: NDArray[np.bool_] = src.read_masks(band, window=rasterio_window(window)) > 0
    return shown
