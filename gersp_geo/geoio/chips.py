"""Read a whole raster as one small image, wherever it lies on the ground."""

from collections.abc import Sequence
from os import PathLike, fspath

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import RasterioIOError
from rasterio.windows import Window as RasterioWindow

from .reading import UnreadableFileError, open_reader


def read_chip(
    path: str | PathLike[str], *, size: int, bands: Sequence[int], dtype: str
) -> NDArray[np.generic]:
    """Read the largest square in the middle of a raster, resized.

    Args:
        path: A file, with or without a CRS.
        size: Side of the result in pixels.
        bands: 1-based indices in the order wanted.
        dtype: NumPy type that the file must have.

    Returns:
        Shape (bands, *size*, *size*): averaged where it gets smaller, interpolated bilinearly where
        it gets larger, and as stored otherwise.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If it has too few bands or another data type.
    """
    name = fspath(path)
    with open_reader(path) as src:
        found = str(np.result_type(*src.dtypes))
        if max(bands) > src.count or found != dtype:
            raise ValueError(
                f'{name} has {src.count} bands of {found}, band {max(bands)} and {dtype} are '
                'wanted as in the first file; give images of one sensor'
            )
        side = min(src.height, src.width)
        window = RasterioWindow((src.width - side) // 2, (src.height - side) // 2, side, side)
        resampling = Resampling.average if side > size else Resampling.bilinear
        try:
            pixels: NDArray[np.generic] = src.read(
                list(bands),
                window=window,
                out_shape=(len(bands), size, size),
                resampling=resampling,
            )
        except RasterioIOError as error:
            reason = ' '.join(str(error.__cause__ or error).split())
            raise UnreadableFileError(name, f'{name} cannot be read: {reason}') from error
    return pixels
