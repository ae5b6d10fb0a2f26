"""Read windows of rasters: pixels, validity and headers."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags, WktVersion
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterioWindow

from ..records import Window
from .beside import is_local, looking_by_name
from .padding import Pad, padded_window, take

# what rasterio reads complex whole numbers into
COMPLEX = 'complex64'

type Reader = DatasetReader
"""An open raster, named here so that other packages need not import rasterio."""


class UnreadableFileError(OSError, ValueError):
    """A file whose content cannot be read; callers may leave it out and go on."""

    def __init__(self, file: str, message: str) -> None:
        """Initialize a new UnreadableFileError instance.

        Args:
            file: Its path.
            message: What is wrong, with the path, in one line.
        """
        super().__init__(message)
        self.file = file

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Travel from a worker process."""
        return type(self), (self.file, str(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterHeader:
    """What a raster says about itself without any pixel being read."""

    height: int
    """Rows."""

    width: int
    """Columns."""

    count: int
    """Bands, alpha included."""

    dtype: str
    """The smallest NumPy type that holds every band."""

    crs: CRS | None
    """Coordinate reference system; None where the file names none."""

    transform: Affine
    """From (column, row) to coordinates, float64."""

    nodata: float | None
    """Tagged value of the first band that means "no observation"."""

    descriptions: tuple[str | None, ...]
    """Per band: its name; None where the file gives none."""

    alpha: tuple[int, ...]
    """1-based indices of the bands that hold transparency."""

    block_shape: tuple[int, int]
    """(rows, columns) that are stored together."""

    masks: tuple[str, ...] = ('all_valid',)
    """What says which pixels are observations, in any band: names of GDAL's mask flags."""


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
        reason = ' '.join(str(error).split())
        message = f'{name} is not a raster that GDAL can read: {reason}'
        raise UnreadableFileError(name, message) from error
    # not `with dataset`: that enters a GDAL environment, and files kept open close in any order
    with closing(dataset):
        if dataset.count == 0:
            raise ValueError(f'{name} has no bands of its own; pass one of its sub-datasets')
        yield dataset


def read_header(path: str | PathLike[str]) -> RasterHeader:
    """Read the size, type and georeference of a raster, no pixels.

    Args:
        path: As in :func:`open_reader`.

    Returns:
        The header.

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
    masks = {flag.name for flags in src.mask_flag_enums for flag in flags}
    return RasterHeader(
        height=src.height,
        width=src.width,
        count=src.count,
        dtype=str(common_type(src.dtypes)),
        crs=src.crs,
        transform=src.transform,
        nodata=src.nodata,
        descriptions=tuple(description or None for description in src.descriptions),
        alpha=alpha,
        block_shape=src.block_shapes[0],
        masks=tuple(sorted(masks | {MaskFlags.alpha.name} if alpha else masks)),
    )


def list_files(path: str | PathLike[str]) -> list[str]:
    """List the files that decide the pixels of a raster: itself, its mask, what a VRT refers to.

    Args:
        path: As in :func:`open_reader`.

    Returns:
        Names, sorted; those of a cloud path as GDAL writes them.

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


@contextmanager
def gdal_cache(size: int) -> Iterator[None]:
    """Bound the memory in which GDAL keeps decoded blocks, for the process.

    Args:
        size: Bytes.

    Yields:
        Nothing. The former bound holds again afterwards.
    """
    before = get_gdal_config('GDAL_CACHEMAX')
    with rasterio.Env(GDAL_CACHEMAX=size):
        try:
            yield
        finally:
            # Env forgets this one if it lies in another Env
            set_gdal_config('GDAL_CACHEMAX', before)


def common_type(names: Iterable[str]) -> np.dtype[Any]:
    """Find the smallest type that holds some, complex whole numbers as pairs of floats.

    Args:
        names: Of types, as rasterio gives them: ``complex_int16`` is none of NumPy's.
    """
    known = (COMPLEX if name.startswith('complex_') else name for name in names)
    return np.result_type(*known)


def crs_text(crs: CRS) -> str:
    """Write a coordinate reference system as WKT 2, which keeps the order of its axes."""
    return str(crs.to_wkt(version=WktVersion.WKT2_2019))


def read_window(
    src: Reader, window: Window, *, bands: Sequence[int], pad: Pad = 'reflect'
) -> NDArray[np.generic]:
    """Read a window that may hang over any side of the raster.

    Args:
        src: An open raster.
        window: Pixels to read; offsets may be negative, and it may be larger than the raster.
        bands: 1-based band indices in the order wanted; repeats are allowed.
        pad: How pixels outside are made: 'reflect' mirrors at the border pixel, as often as it
            takes, and 'edge' repeats the border pixel.

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
    is_inside = pad in ('reflect', 'edge') and (
        0 <= window.row_off < window.row_stop <= src.height
        and 0 <= window.col_off < window.col_stop <= src.width
    )
    try:
        if is_inside:
            # the usual case, which training repeats thousands of times per second
            part = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
            return src.read(list(bands), window=part, out_dtype=dtype)  # type: ignore[no-any-return]
        rows, cols, inside = padded_window(window, height=src.height, width=src.width, pad=pad)
        pixels = src.read(list(bands), window=_rasterio_window(inside), out_dtype=dtype)
    except RasterioIOError as error:
        raise UnreadableFileError(src.name, _damage(src, window, error)) from error
    return take(pixels, rows, cols)


def read_valid(
    src: Reader,
    window: Window,
    *,
    nodata: float | None = None,
    bands: Sequence[int] | None = None,
    pad: Pad = 'reflect',
) -> NDArray[np.bool_]:
    """Say which pixels of a window are observations.

    A pixel is none where the file's mask or alpha band says so, where every band of *bands* has
    the file's nodata value, or the value *nodata*, or where any of them is NaN or infinite. An alpha
    band among *bands* is data, and hides nothing.

    Args:
        src: An open raster.
        window: As in :func:`read_window`; outside the raster, validity is padded like pixels.
        nodata: A further value that means "no observation"; NaN is allowed.
        bands: 1-based indices of the bands that count; None means all but alpha bands.
        pad: As in :func:`read_window`.

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
    part = _rasterio_window(inside)
    try:
        valid = _unmasked(src, part, chosen=chosen, alpha=alpha)
        empty = None if nodata is None else np.ones_like(valid)
        for band in chosen:
            is_float = common_type([src.dtypes[band - 1]]).kind == 'f'
            if not is_float and empty is None:
                continue
            values = src.read(band, window=part)
            if is_float:
                valid &= np.isfinite(values)
            if empty is not None:
                empty &= values == nodata
    except RasterioIOError as error:
        raise UnreadableFileError(src.name, _damage(src, window, error)) from error
    if empty is not None:
        valid &= ~empty
    return take(valid, rows, cols)


def read_unmasked(src: Reader, window: Window, *, bands: Sequence[int]) -> NDArray[np.bool_]:
    """Say which pixels of a window neither the mask nor the alpha band nor a tagged value hides.

    Args:
        src: An open raster.
        window: As in :func:`read_window`; outside the raster, the answer is padded like pixels.
        bands: 1-based indices of the bands that are read; an alpha band among them is data.

    Returns:
        Array of shape (window.height, window.width). NaN may be among what is not hidden.

    Raises:
        UnreadableFileError: If the file is damaged there.
    """
    rows, cols, inside = padded_window(window, height=src.height, width=src.width)
    part, alpha = _rasterio_window(inside), hiding_bands(src, bands)
    try:
        return take(_unmasked(src, part, chosen=bands, alpha=alpha), rows, cols)
    except RasterioIOError as error:
        raise UnreadableFileError(src.name, _damage(src, window, error)) from error


def _unmasked(
    src: Reader, part: RasterioWindow, *, chosen: Sequence[int], alpha: Sequence[int]
) -> NDArray[np.bool_]:
    """See which pixels no mask hides, in any of the *chosen* bands, nor transparency."""
    shown = np.ones((int(part.height), int(part.width)), dtype=np.bool_)
    # where one band is valid everywhere, so is every pixel
    if not any(_flags(src, band, alpha=alpha) == {MaskFlags.all_valid} for band in chosen):
        shown &= src.read_masks(list(chosen), window=part).any(axis=0)
    # GDAL's masks heed it only as the second of two bands or the fourth of four
    for band in alpha:
        shown &= src.read(band, window=part) > 0
    return shown


def read_observed(
    src: Reader, window: Window, *, bands: Sequence[int], nodata: float | None = None
) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
    """Read pixels and say which are observations, with each block decoded once.

    The same as :func:`read_window` and :func:`read_valid` one after the other, in half the time:
    a nodata value is looked for in the pixels themselves.

    Args:
        src: An open raster.
        window: Pixels to read, inside the raster.
        bands: 1-based band indices in the order wanted; validity is judged by these too.
        nodata: A further value that means "no observation"; NaN is allowed.

    Returns:
        Pixels, shape (bands, window.height, window.width); and where there is an observation, shape
        (window.height, window.width), None if there is one everywhere.

    Raises:
        ValueError: If a band does not exist.
        UnreadableFileError: If the file is damaged there.
    """
    pixels = read_window(src, window, bands=bands)
    alpha = hiding_bands(src, bands)
    flags = {flag for band in bands for flag in _flags(src, band, alpha=alpha)}
    if alpha or flags - {MaskFlags.all_valid, MaskFlags.nodata}:
        valid = read_valid(src, window, bands=bands, nodata=nodata)
        return pixels, None if valid.all() else valid
    valid = np.ones(pixels.shape[1:], dtype=np.bool_)
    if MaskFlags.nodata in flags:
        pairs = zip(pixels, bands, strict=True)
        tagged = [_differs(values, src.nodatavals[band - 1]) for values, band in pairs]
        valid &= np.logical_or.reduce(tagged)
    if pixels.dtype.kind == 'f':
        valid &= np.isfinite(pixels).all(axis=0)
    if nodata is not None:
        valid &= (pixels != nodata).any(axis=0)
    return pixels, None if valid.all() else valid


def _differs(values: NDArray[np.generic], nodata: float | None) -> NDArray[np.bool_]:
    """Compare with a tagged value; without a tag, and for NaN, which equals nothing, all differ."""
    if nodata is None:
        return np.ones(values.shape, dtype=np.bool_)
    if values.dtype.kind == 'f':
        # GDAL compares in the type of the band: -3.4e38 as text is not quite the smallest float
        differs: NDArray[np.bool_] = values != values.dtype.type(nodata)
        return differs
    differs = values != nodata
    return differs


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
        1-based indices, without those of *bands*: GDAL takes the last of four bands for alpha unless
        it is told otherwise, and a band that is asked for holds what it is asked for.
    """
    return tuple(band for band in alpha_bands(src) if band not in (bands or ()))


def _flags(src: Reader, band: int, *, alpha: Sequence[int]) -> set[MaskFlags]:
    """Say what decides where a band has no observation, if only the bands *alpha* are transparency."""
    flags = set(src.mask_flag_enums[band - 1])
    # GDAL looks at the last band alone
    is_data = MaskFlags.alpha in flags and src.count not in alpha
    return {MaskFlags.all_valid} if is_data else flags


def _rasterio_window(window: Window) -> RasterioWindow:
    """Convert."""
    return RasterioWindow(**asdict(window))


def _damage(src: Reader, window: Window, error: RasterioIOError) -> str:
    """Say which part of which file could not be read, in one line."""
    reason = ' '.join(str(error.__cause__ or error).split())
    return (
        f'{src.name} cannot be read at rows [{window.row_off}, {window.row_stop}), '
        f'columns [{window.col_off}, {window.col_stop}): {reason}'
    )
