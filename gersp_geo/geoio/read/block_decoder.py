"""Blocks of local GeoTIFFs decoded by GDAL's LIBERTIFF, which takes less time than its GTiff.

LIBERTIFF ignores what lies beside a file, and keeps no block but the last one of a thread. So it
reads pixels only, and only of files of which it gives the same ones as GTiff, which reads all
else: https://gdal.org/en/stable/drivers/raster/libertiff.html.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from io import SEEK_END
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError

from ...windows import Window
from .reader import RasterHeader, Reader, UnreadableFileError, read_window
from .sidecars import is_local, looking_by_name
from .tiff_directories import SIGNATURES, read_directories

DRIVER = 'LIBERTIFF'

# Tags: https://www.loc.gov/preservation/digital/formats/content/tiff_tags.shtml
_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 258, 259, 262, 266
_READ = _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER

# tags that say where a file lies: size of a pixel, points, matrix, rational polynomials
_PLACE = frozenset({33550, 33922, 34264, 50844})

# None, LZW, deflate by its two numbers, Zstandard. JPEG takes longer, and its colours would be guessed
# from the block rather than from the TIFF; others were not compared.
_FASTER = frozenset({1, 5, 8, 32946, 50000})

# Black is 0, red-green-blue, palette. White is 0, CMYK and the like are left to GTiff.
_PLAIN = frozenset({1, 2, 3})

# Nodata values of 64-bit integers come from masks alone, for which blocks would be decoded twice.
# LIBERTIFF mixes up the parts of complex numbers whose bytes are in the other order.
_DTYPES = frozenset({
    'uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'float32', 'float64',
})  # fmt: skip


class BlockDecoder:
    """Reads pixels of a file where that takes less time and gives the same ones as GTiff."""

    def __init__(self, src: Reader | None) -> None:
        """Initialize a new BlockDecoder instance.

        Args:
            src: The file, opened by LIBERTIFF; None if it is to be left to GTiff.
        """
        self._src = src

    @property
    def is_in_use(self) -> bool:
        """Whether it reads anything."""
        return self._src is not None

    def read(self, window: Window, *, bands: Sequence[int]) -> NDArray[np.generic] | None:
        """Read a window, as :func:`read_window` does.

        Args:
            window: Pixels to read; may hang over any side.
            bands: 1-based band indices in the order wanted.

        Returns:
            Shape (bands, window.height, window.width); None where the file has to be read by GTiff.
        """
        if self._src is None:
            return None
        try:
            return read_window(self._src, window, bands=bands)
        except UnreadableFileError:
            # It takes the remains of a failure for the block before. GTiff says what is wrong, or
            # reads it, as it is less strict.
            self._src = None
            return None


@contextmanager
def open_decoder(path: str, header: RasterHeader) -> Iterator[BlockDecoder]:
    """Open a file for its pixels alone.

    Args:
        path: A file, or any name that GDAL understands.
        header: What GTiff says of it.

    Yields:
        What reads, or leaves it to GTiff; closed afterwards.
    """
    if not _is_plain(path, header):
        yield BlockDecoder(None)
        return
    try:
        with looking_by_name(path):
            src = rasterio.open(path, driver=DRIVER, sharing=False)
    # there are builds of GDAL without it, and files that it does not know
    except RasterioIOError:
        yield BlockDecoder(None)
        return
    with closing(src):
        yield BlockDecoder(src if _is_same(src, header) else None)


def _is_plain(path: str, header: RasterHeader) -> bool:
    """Say whether LIBERTIFF knows all that decides the pixels of a file."""
    has_more = not {'all_valid', 'nodata'}.issuperset(header.masks)
    if has_more or header.dtype not in _DTYPES or not is_local(path) or not Path(path).is_file():
        return False
    with Path(path).open('rb') as stream:
        size = stream.seek(0, SEEK_END)
        stream.seek(0)
        if stream.read(4) not in SIGNATURES:
            return False
        # whatever is wrong with the header, GTiff copes with it as it does
        try:
            first = next(read_directories(stream, size))
            read = {tag: first.number(stream, tag) for tag in _READ}
        except (StopIteration, ValueError):
            return False
        # rasterio would warn that there is no place, where a file beside the raster gives one
        is_placed = not header.transform.is_identity or header.georeference.is_place
        if is_placed and _PLACE.isdisjoint(first.tables):
            return False
    # it takes no notice of bits that are stored in reverse
    if read[_FILL_ORDER] not in (None, 1) or read[_BITS] != 8 * np.dtype(header.dtype).itemsize:
        return False
    return (read[_COMPRESSION] or 1) in _FASTER and read[_PHOTOMETRIC] in _PLAIN


def _is_same(src: Reader, header: RasterHeader) -> bool:
    """Say whether two drivers mean the same pixels, also where a block is not stored."""
    tags = {repr(tag) for tag in src.nodatavals}
    return (
        (src.height, src.width, src.count) == (header.height, header.width, header.count)
        and set(src.dtypes) == {header.dtype}
        # a strip that GTiff reads as several would be decoded once for each
        and set(src.block_shapes) == {header.block_shape}
        and tags == {repr(header.nodata)}
    )
