"""Write arrays as GeoTIFFs that other programs understand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError
from rasterio.io import DatasetWriter
from rasterio.windows import Window

from ..read.categories import write_categories
from ..read.truncation import is_complete
from .atomic import DiskFullError, describe_room, new_file
from .styles import check_legend, class_tag, write_qml


def write_raster(
    destination: str | PathLike[str],
    pixels: NDArray[np.generic],
    *,
    crs: CRS | str | int | None,
    transform: Affine,
    nodata: float | None = None,
    bands: Sequence[str] = (),
    units: Sequence[str] = (),
    class_names: Sequence[str] = (),
    class_colors: Sequence[tuple[int, int, int]] = (),
    overwrite: bool = False,
    block_size: int = 256,
) -> Path:
    """Write an array as a tiled, compressed GeoTIFF.

    The file appears only when it is complete. Given classes, it carries their names in the tag
    ``CLASS_NAMES`` of its band (a JSON list) and their colours as its colour table, and a style
    for QGIS and the names for GDAL are written beside it.

    Args:
        destination: The file to make.
        pixels: Shape (bands, rows, cols), or (rows, cols) for one band.
        crs: Coordinate reference system: an object, an EPSG code or anything rasterio reads.
        transform: From (column, row) to coordinates.
        nodata: Value that means "no observation".
        bands: One description per band.
        units: The unit of each band.
        class_names: Names of the values 0, 1, ... of a single band.
        class_colors: Red, green and blue of each class, each in [0, 255].
        overwrite: Replace an existing file.
        block_size: Side of the blocks inside the file in pixels, a multiple of 16; a raster that is
            smaller than one block gets the smallest block that holds it.

    Returns:
        *destination* as a path.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        ValueError: If a shape, a length, a colour or *block_size* does not fit.
        OSError: If it cannot be written completely.
    """
    layers = pixels[np.newaxis] if pixels.ndim == 2 else pixels
    _check_layers(layers, bands=bands, block_size=block_size)
    _check_classes(layers, class_names=class_names, class_colors=class_colors)
    profile = _profile(layers, block_size=block_size)
    with new_raster(destination, overwrite=overwrite) as temporary:
        with rasterio.open(
            temporary, 'w', **profile, crs=crs, transform=transform, nodata=nodata
        ) as dst:
            describe_bands(
                dst, bands, class_names=class_names, class_colors=class_colors, units=units
            )
            write_window(dst, layers)
        write_categories(temporary, class_names)
        if class_colors:
            # the raster has no name yet: colours that make no style make no raster either
            write_qml(destination, class_names, class_colors)
    return Path(destination)


@contextmanager
def new_raster(destination: str | PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path, as :func:`.atomic.new_file`, for a GeoTIFF.

    What GDAL holds back until a file is closed may no longer find room on the disk, and closing
    tells nobody: the file gets its name only if all that it lists lies inside it.

    Args:
        destination: The file to make.
        overwrite: Replace an existing file.

    Yields:
        The path to write to. The file is to be closed before the block ends.

    Raises:
        FileExistsError: If *destination* is a folder, or exists and *overwrite* is False.
        OSError: If the file is incomplete.
    """
    with new_file(destination, overwrite=overwrite) as temporary:
        yield temporary
        if temporary.exists() and not is_complete(temporary):
            raise DiskFullError(
                f'{destination} could not be written completely; {describe_room(destination)}'
            )


def describe_bands(
    dst: DatasetWriter,
    bands: Sequence[str],
    *,
    class_names: Sequence[str],
    class_colors: Sequence[tuple[int, int, int]],
    units: Sequence[str] = (),
) -> None:
    """Write names and units of bands, and names and colours of classes of the first, if any."""
    if class_colors:
        dst.write_colormap(1, {i: tuple(c) for i, c in enumerate(class_colors)})
    if class_names:
        dst.update_tags(1, **class_tag(class_names))
    for index, name in enumerate(bands, start=1):
        dst.set_band_description(index, name)
    for index, unit in enumerate(units, start=1):
        dst.set_band_unit(index, unit)


def write_window(
    dst: DatasetWriter,
    pixels: NDArray[np.generic],
    window: Window | None = None,
    *,
    band: int | None = None,
) -> None:
    """Write pixels to an open raster.

    Args:
        dst: The raster.
        pixels: Shape (bands, rows, cols), or (rows, cols) for one band.
        window: Where; None means everywhere.
        band: Number of the only band to write, from 1; None means all.

    Raises:
        OSError: If they cannot be written; says why in one line.
    """
    try:
        dst.write(pixels, indexes=band, window=window)
    except RasterioIOError as error:
        raise DiskFullError.of(dst.name, error.__cause__ or error) from error


def _check_layers(layers: NDArray[np.generic], *, bands: Sequence[str], block_size: int) -> None:
    """Refuse arrays that are no raster, and options that do not fit them."""
    if layers.ndim != 3 or layers.size == 0:
        raise ValueError(
            f'pixels must be (bands, rows, cols) or (rows, cols) and not empty, got {layers.shape}'
        )
    if layers.dtype.kind not in 'iufc':
        raise ValueError(f'pixels must be numbers, got {layers.dtype}; convert them to uint8')
    if bands and len(bands) != len(layers):
        raise ValueError(f'bands must name all {len(layers)} bands, got {len(bands)} names')
    if block_size < 16 or block_size % 16:
        raise ValueError(f'block_size must be a positive multiple of 16, got {block_size}')


def _check_classes(
    layers: NDArray[np.generic],
    *,
    class_names: Sequence[str],
    class_colors: Sequence[tuple[int, int, int]],
) -> None:
    """Refuse class names and colours that a GeoTIFF cannot hold for these pixels."""
    if class_names and len(layers) != 1:
        raise ValueError(f'class_names need a single band, got {len(layers)} bands')
    if not class_colors:
        return
    check_legend(class_names, class_colors)
    if layers.dtype not in (np.uint8, np.uint16):
        raise ValueError(f'a colour table needs uint8 or uint16 pixels, got {layers.dtype}')
    if len(class_colors) > 256**layers.dtype.itemsize:
        raise ValueError(f'{layers.dtype} cannot hold {len(class_colors)} classes')


def _profile(layers: NDArray[np.generic], *, block_size: int) -> dict[str, object]:
    """Choose the layout and the compression of a GeoTIFF."""
    count, height, width = layers.shape
    # differences of neighbours compress better than values; complex numbers have no predictor
    predictor = {'i': 2, 'u': 2, 'f': 3}.get(layers.dtype.kind, 1)
    profile: dict[str, object] = {
        'driver': 'GTiff',
        'count': count,
        'height': height,
        'width': width,
        'dtype': layers.dtype.name,
        'tiled': True,
        'blockysize': min(block_size, -(-height // 16) * 16),
        'blockxsize': min(block_size, -(-width // 16) * 16),
        'compress': 'deflate',
        'predictor': predictor,
        'BIGTIFF': 'IF_SAFER',
    }
    if layers.dtype == np.uint8:
        # GDAL takes the last of four bands of bytes for transparency, unless told otherwise
        profile['photometric'] = 'RGB' if count == 3 else 'MINISBLACK'
    return profile
