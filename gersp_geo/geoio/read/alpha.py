"""Bands that are tagged as alpha and hold something else than transparency.

GDAL tags the last of four bands of bytes so, unless it is told otherwise: red, green, blue and near
infrared become red, green, blue and alpha. Where GDAL resamples, it leaves out pixels with alpha 0.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from os import PathLike
from xml.etree.ElementTree import tostring

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform

from ...windows import Window
from .observation_rules import is_of_all, mask_flags
from .observations import read_unmasked
from .reader import Reader, alpha_bands, hiding_bands, open_reader, read_window
from .vrt import add_mask, name_for_gdal, virtual_raster

# windows per side of a raster that are looked at, and their side in pixels
PROBES, SIDE = 3, 64

# Where transparency is not 0, most of it is opaque, and the rest a rim that was smoothed. Data have
# more different values than this, and none of them has as large a share of those above 0.
DIFFERENT, LARGEST = 16, 0.25

# share of the pixels above 0, for these to say anything: a window may hold a rim and nothing else
ENOUGH = 0.25


def sample_band(src: Reader, band: int) -> NDArray[np.generic]:
    """Read a few windows of a band, all over the raster.

    Args:
        src: An open raster.
        band: 1-based index.

    Returns:
        Values in no order, shape (N,).

    Raises:
        UnreadableFileError: If the file is damaged there.
    """
    height, width = min(src.height, SIDE), min(src.width, SIDE)
    rows = np.unique(np.linspace(0, src.height - height, PROBES).astype(int)).tolist()
    cols = np.unique(np.linspace(0, src.width - width, PROBES).astype(int)).tolist()
    windows = (
        Window(row_off=row, col_off=col, height=height, width=width) for row in rows for col in cols
    )
    return np.concatenate([read_window(src, each, bands=[band]).ravel() for each in windows])


def look_like_data(values: NDArray[np.generic]) -> bool:
    """Say whether values of a band that is tagged as alpha are no transparency.

    Args:
        values: Some of its values, shape (N,).
    """
    # no value lies below 0
    shown = values[values != 0]
    if len(shown) < ENOUGH * len(values):
        return False
    counts = np.unique(shown, return_counts=True)[1]
    return len(counts) > DIFFERENT and bool(counts.max() < LARGEST * len(shown))


def is_needed(src: Reader, bands: Sequence[int]) -> bool:
    """Say whether bands that are asked for are tagged as alpha."""
    return hiding_bands(src, bands) != alpha_bands(src)


@contextmanager
def copied_as_data(src: Reader, window: Window, bands: Sequence[int]) -> Iterator[Reader]:
    """Copy part of a raster into memory, with bands that are data where they are tagged as alpha.

    Args:
        src: An open raster.
        window: Pixels to copy, inside the raster.
        bands: 1-based indices of the bands, in the order wanted.

    Yields:
        A raster of these bands, at no place on the ground, closed afterwards.

    Raises:
        UnreadableFileError: If the file is damaged there.
    """
    pixels = read_window(src, window, bands=bands)
    shown = read_unmasked(src, window, bands=bands).all(axis=0)
    profile = {
        'driver': 'GTiff', 'count': len(bands), 'height': window.height, 'width': window.width,
        'dtype': pixels.dtype, 'nodata': src.nodata, 'photometric': 'MINISBLACK', 'alpha': 'NO',
        # the identity would mean that there is none, and draw a warning
        'transform': Affine.scale(2, -2),
    }  # fmt: skip
    with MemoryFile() as file:
        with file.open(**profile) as dst:
            dst.write(pixels)
            if not shown.all() and src.nodata is None:
                dst.write_mask(shown)
        with closing(file.open()) as copied:
            yield copied


def _as_data(src: Reader, bands: Sequence[int]) -> bytes:
    """Describe a raster in which bands that are read are no transparency, as a VRT."""
    tags = {
        band: tag for band, tag in zip(src.indexes, src.nodatavals, strict=True) if tag is not None
    }
    root = virtual_raster(src, data=bands, nodata=tags)
    flags = mask_flags(src, src.indexes)
    name = name_for_gdal(src)
    for band, described in zip(src.indexes, root.findall('VRTRasterBand'), strict=True):
        if not flags[band]:
            add_mask(described, [(name, f'mask,{band}')])
    if any(map(is_of_all, flags.values())):
        add_mask(root, [(name, 'mask,1')])
    return tostring(root)


def open_on_grid(
    name: str | PathLike[str],
    *,
    bands: Sequence[int],
    crs: CRS | str,
    res: tuple[float, float],
    resampling: Resampling,
) -> Reader | None:
    """See a raster in which bands are tagged as alpha, and are asked for, on another grid.

    Args:
        name: A file, or any name that GDAL understands.
        bands: 1-based indices of the bands that are read.
        crs: Wanted.
        res: Width and height of a pixel wanted.
        resampling: The method where pixels are resampled.

    Returns:
        The raster, as it is where it has such pixels; None where no such band is asked for.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
    """
    with open_reader(name) as src:
        if not is_needed(src, bands):
            return None
        # a name may be the text of a VRT, so that no file is left behind
        plain = rasterio.open(_as_data(src, bands).decode())
    if plain.crs == CRS.from_user_input(crs) and plain.res == res and plain.transform.e < 0:
        return plain
    with closing(plain):
        transform, width, height = calculate_default_transform(
            plain.crs, crs, plain.width, plain.height, *plain.bounds, resolution=res
        )
        return WarpedVRT(
            plain, crs=crs, transform=transform, width=width, height=height, resampling=resampling
        )
