"""Read windows of rasters: pixels, validity and headers."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from ...bands import describe_scaling, name_by_file
from ...messages import one_line
from ...windows import Window
from ..grids import Grid
from .georeference import NOTHING, Georeference, read_georeference
from .padding import padded_window, take
from .sidecars import is_local, looking_by_name

# rasterio reads complex whole numbers into it
COMPLEX = 'complex64'

type Reader = DatasetReader
"""An open raster, named here so that other packages need not import rasterio."""


class UnreadableFileError(OSError, ValueError):
    """A file whose content cannot be read; callers may leave it out and go on."""

    def __init__(self, file: str, message: str) -> None:
        """Initialize a new UnreadableFileError instance.

        Args:
            file: Its path.
            message: One line that says what is wrong, with the path.
        """
        super().__init__(message)
        self.file = file

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Travel from a worker process."""
        return type(self), (self.file, str(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterHeader(Grid):
    """What a raster says about itself without any pixel being read.

    It has no CRS where a file names one, but ground control points or the like say where it lies.
    """

    count: int
    """Bands, alpha included."""

    dtype: str
    """The smallest NumPy type that holds every band."""

    nodata: float | None
    """Tagged value of the first band that means "no observation"."""

    descriptions: tuple[str | None, ...]
    """Per band: its name; None where the file gives none."""

    alpha: tuple[int, ...]
    """1-based indices of the bands that hold transparency."""

    block_shape: tuple[int, int]
    """(rows, columns) that are stored together."""

    masks: tuple[str, ...] = ('all_valid',)
    """What says which pixels are observations, in any band: names of GDAL's mask flags, and
    'per_band' for a mask of a band's own, which has none."""

    interpretations: tuple[str, ...] = ()
    """Per band: the name of GDAL's colour interpretation, such as 'red' or 'undefined'."""

    scales: tuple[float, ...] = ()
    """Per band: the factor that the file tags its values with; they are read as stored."""

    offsets: tuple[float, ...] = ()
    """Per band: the summand that goes with it."""

    georeference: Georeference = NOTHING
    """What it says about its place besides."""

    @property
    def names(self) -> tuple[str | None, ...]:
        """Per band: its name by description or colour interpretation; None where neither tells."""
        return name_by_file(self.descriptions, self.interpretations)

    @property
    def data_bands(self) -> list[int]:
        """List the 1-based indices of the bands that do not hold transparency."""
        return [band for band in range(1, self.count + 1) if band not in self.alpha]

    def describe_scaling(self, bands: Sequence[int]) -> str | None:
        """Say in a few words what scale and offset bands (1-based) are tagged with, if any is."""
        if not self.scales:
            return None
        return describe_scaling(
            [self.scales[band - 1] for band in bands], [self.offsets[band - 1] for band in bands]
        )


@contextmanager
def open_reader(path: str | PathLike[str]) -> Iterator[Reader]:
    """Open a raster for reading, whatever its format and with or without a CRS.

    Args:
        path: A file, or any name that GDAL understands.

    Yields:
        The open dataset, closed afterwards.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If it holds no bands.
    """
    name = fspath(path)
    try:
        with looking_by_name(name):
            dataset = rasterio.open(name)
    except RasterioIOError as error:
        if is_local(name) and not Path(name).exists():
            raise FileNotFoundError(f'{name} does not exist') from error
        reason = one_line(error)
        message = f'{name} is not a raster that GDAL can read: {reason}'
        raise UnreadableFileError(name, message) from error
    # not `with dataset`: that enters a GDAL environment, and files kept open close in any order
    with closing(dataset):
        if dataset.count == 0:
            raise ValueError(f'{name} has no bands of its own; pass one of its sub-datasets')
        yield dataset


def read_header(path: str | PathLike[str]) -> RasterHeader:
    """Read the size, type and georeference of a raster, no pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
        ValueError: If it holds no bands.
    """
    with open_reader(path) as src:
        return describe_reader(src)


def describe_reader(src: Reader) -> RasterHeader:
    """Write down what an open raster says about itself."""
    alpha = alpha_bands(src)
    flagged = src.mask_flag_enums
    georeference = read_georeference(src)
    masks = {flag.name for flags in flagged for flag in flags}
    if not all(flagged):
        masks.add('per_band')
    return RasterHeader(
        height=src.height,
        width=src.width,
        count=src.count,
        dtype=str(common_type(src.dtypes)),
        # where points say where an image lies, this would be the CRS of rows and columns
        crs=None if georeference.is_place else src.crs,
        transform=src.transform,
        nodata=src.nodata,
        descriptions=tuple(description or None for description in src.descriptions),
        alpha=alpha,
        block_shape=src.block_shapes[0],
        masks=tuple(sorted(masks | {MaskFlags.alpha.name} if alpha else masks)),
        interpretations=tuple(meaning.name for meaning in src.colorinterp),
        scales=tuple(src.scales),
        offsets=tuple(src.offsets),
        georeference=georeference,
    )


def list_files(path: str | PathLike[str]) -> list[str]:
    """List the files that decide the pixels of a raster: itself, its mask, what a VRT refers to.

    Names are sorted; those of a cloud path are as GDAL writes them.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
    """
    with open_reader(path) as src:
        own, found = src.name, set(src.files)
    # GDAL names the parts of a VRT, and not what belongs to these
    for part in found - {own}:
        if part.lower().endswith('.vrt') and Path(part).is_file():
            found.update(list_files(part))
        elif Path(f'{part}.msk').is_file():
            found.add(f'{part}.msk')
    # GDAL notes statistics in these, whenever somebody looks at the raster
    return sorted(name for name in found if not name.endswith('.aux.xml'))


def read_tags(path: str | PathLike[str]) -> dict[str, str]:
    """Read the metadata of a raster.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
    """
    with open_reader(path) as src:
        return dict(src.tags())


def common_type(names: Iterable[str]) -> np.dtype[Any]:
    """Find the smallest type that holds some, complex whole numbers as pairs of floats.

    Args:
        names: Names of types in rasterio, where ``complex_int16`` is none of NumPy's.
    """
    known = (COMPLEX if name.startswith('complex_') else name for name in names)
    return np.result_type(*known)


def read_window(src: Reader, window: Window, *, bands: Sequence[int]) -> NDArray[np.generic]:
    """Read a window that may hang over any side of the raster.

    What lies outside is mirrored at the border pixel, as often as it takes.

    Args:
        src: An open raster.
        window: Pixels to read; offsets may be negative, and it may be larger than the raster.
        bands: 1-based band indices in the order wanted; repeats are allowed.

    Returns:
        Array of shape (bands, window.height, window.width), in the file's data type (in the
        smallest common one where bands differ).

    Raises:
        ValueError: If the window is empty, or a band does not exist.
        UnreadableFileError: If the file is damaged there.
    """
    if not bands or min(bands) < 1 or max(bands) > src.count:
        raise ValueError(f'bands must be in [1, {src.count}] for {src.name}, got {list(bands)}')
    stored = src.dtypes
    dtypes = {stored[band - 1] for band in bands}
    # None is the stored one, and saves a conversion of its name
    dtype = None if len(dtypes) == 1 else common_type(dtypes)
    is_inside = (
        0 <= window.row_off < window.row_stop <= src.height
        and 0 <= window.col_off < window.col_stop <= src.width
    )
    try:
        if is_inside:
            # the usual case, which training repeats thousands of times per second
            part = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
            return _read(src, part, bands, dtype)
        rows, cols, inside = padded_window(window, height=src.height, width=src.width)
        pixels = _read(src, rasterio_window(inside), bands, dtype)
    except RasterioIOError as error:
        raise UnreadableFileError(src.name, describe_damage(src, window, error)) from error
    return take(pixels, rows, cols)


def _read(
    src: Reader, part: RasterioWindow, bands: Sequence[int], dtype: np.dtype[Any] | None
) -> NDArray[np.generic]:
    """Read pixels inside a raster; *dtype* is given where bands differ in theirs."""
    if dtype is None:
        return src.read(list(bands), window=part)  # type: ignore[no-any-return]
    # rasterio reads bands of several types only one by one
    return np.stack([src.read(band, window=part).astype(dtype) for band in bands])


def alpha_bands(src: Reader) -> tuple[int, ...]:
    """List the 1-based indices of the transparency bands."""
    pairs = zip(src.indexes, src.colorinterp, strict=True)
    return tuple(band for band, meaning in pairs if meaning == ColorInterp.alpha)


def hiding_bands(src: Reader, bands: Sequence[int] | None = None) -> tuple[int, ...]:
    """List the transparency bands that say where there is no observation.

    Args:
        src: An open raster.
        bands: 1-based indices of the bands that are read as data; None means all but alpha.

    Returns:
        1-based indices, without those of *bands*: GDAL takes the last of four bands for alpha
        unless it is told otherwise, and a band that is asked for holds what it is asked for.
    """
    return tuple(band for band in alpha_bands(src) if band not in (bands or ()))


def rasterio_window(window: Window) -> RasterioWindow:
    """Convert a window."""
    return RasterioWindow(**asdict(window))


def describe_damage(src: Reader, window: Window, error: RasterioIOError) -> str:
    """Say which part of which file could not be read, in one line."""
    reason = one_line(error.__cause__ or error)
    return (
        f'{src.name} cannot be read at rows [{window.row_off}, {window.row_stop}), '
        f'columns [{window.col_off}, {window.col_stop}): {reason}'
    )
