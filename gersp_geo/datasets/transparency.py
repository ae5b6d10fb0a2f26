"""Alpha bands that are left out although they hold data."""

import warnings
from collections.abc import Sequence

import numpy as np

from ..geoio.read.alpha import look_like_data, sample_band
from ..geoio.read.reader import RasterHeader, open_reader

# files, spread over all, whose alpha band is looked at
LOOKED_AT = 8


def left_out(tiles: Sequence[RasterHeader], chosen: Sequence[int]) -> tuple[int, ...]:
    """List the 1-based bands that any file tags as alpha, and that are not read."""
    return tuple(sorted({band for tile in tiles for band in tile.alpha} - set(chosen)))


def warn_of_data(
    files: Sequence[str], tiles: Sequence[RasterHeader], chosen: Sequence[int]
) -> None:
    """Warn where bands are left out as alpha although their values look like data.

    Args:
        files: Paths.
        tiles: Their headers.
        chosen: 1-based bands that are read.

    Warns:
        UserWarning: For the first such band; its zeros hide pixels.
    """
    for band in left_out(tiles, chosen):
        tagged = [file for file, tile in zip(files, tiles, strict=True) if band in tile.alpha]
        places = np.unique(np.linspace(0, len(tagged) - 1, LOOKED_AT).astype(int))
        values = []
        for place in places:
            try:
                with open_reader(tagged[place]) as src:
                    values.append(sample_band(src, band))
            except ValueError:
                # unreadable, or without the band: whoever reads it for training says so
                continue
        if values and look_like_data(np.concatenate(values)):
            warnings.warn(
                f'band {band} is tagged as alpha, so that it is left out and its zeros hide '
                f'pixels, but its values look like data, in {tagged[0]}; pass '
                f'bands={[*range(1, band + 1)]} to read it, or mend the tag: gdal_edit.py '
                f'-colorinterp_{band} undefined',
                stacklevel=3,
            )
            return
