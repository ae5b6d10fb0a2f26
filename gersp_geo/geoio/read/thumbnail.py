"""A whole raster at another size, as previews show it."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags, Resampling

from .alpha import is_needed
from .observation_rules import Observed, find_rule, mask_flags
from .reader import Reader, hiding_bands

# Pixels from which on averaging all of them takes seconds.
_MANY_PIXELS = 2**26


def read_reduced(
    src: Reader,
    *,
    bands: Sequence[int],
    shape: tuple[int, int],
    resampling: Literal['nearest', 'average'],
    nodata: float | None = None,
    observed: Observed = 'auto',
    data: Sequence[int] = (),
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Read the whole of a raster at another size, from overviews where there are some.

    Args:
        src: An open raster.
        bands: 1-based band indices in the order wanted; those that are tagged as alpha are data.
        shape: Rows and columns wanted; may be more than there are.
        resampling: 'average' takes the nearest pixel where there are more pixels than can be
            averaged quickly, and no overviews, and where a band that is tagged as alpha is data.
        nodata: A further value that means "no observation".
        observed: Whether a pixel is an observation where any band is, or where all are.
        data: 1-based indices of further bands that hold data, even if they are tagged as alpha.

    Returns:
        Values, shape (bands, *shape), and where there is an observation, shape *shape*.
    """
    read = [*bands, *data]
    is_slow = src.height * src.width > _MANY_PIXELS and not src.overviews(1)
    # averaging would leave out pixels that a band tagged as alpha has for transparent
    is_nearest = is_slow or is_needed(src, read)
    chosen = Resampling.nearest if is_nearest else Resampling[resampling]
    pixels = src.read(list(bands), out_shape=(len(bands), *shape), resampling=chosen)
    present = np.ones(pixels.shape, dtype=np.bool_)
    for place, flags in enumerate(mask_flags(src, bands)[band] for band in bands):
        if MaskFlags.all_valid not in flags and MaskFlags.alpha not in flags:
            present[place] = src.read_masks(bands[place], out_shape=shape) > 0
    if pixels.dtype.kind in 'fc':
        present &= np.isfinite(pixels)
    if nodata is not None:
        present &= pixels != nodata
    is_whole = find_rule(src, bands, observed) == 'all'
    valid = present.all(axis=0) if is_whole else present.any(axis=0)
    # GDAL's masks heed an alpha band only as the second of two bands or the fourth of four
    for band in hiding_bands(src, read):
        valid &= src.read(band, out_shape=shape) > 0
    return pixels, valid
