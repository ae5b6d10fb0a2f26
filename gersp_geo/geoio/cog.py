"""Write a map row by row, then turn it into a Cloud Optimized GeoTIFF (COG)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Literal

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray

# rasterio means to keep this class to itself, but its copying lets it through
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.io import DatasetWriter
from rasterio.windows import Window as RasterioWindow

from .styles import class_tag
from .writing import new_raster, write_window

type Writer = DatasetWriter
"""A map under construction, named here so that other packages need not import rasterio."""

type OverviewResampling = Literal['nearest', 'mode', 'average']
"""How overviews are made: 'mode' or 'nearest' for classes, 'average' for quantities."""

type Threads = int | Literal['ALL_CPUS']
"""How many threads work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayout:
    """Everything about a map but its pixels."""

    height: int
    """Rows."""

    width: int
    """Columns."""

    crs: CRS | None
    """Coordinate reference system; None if unknown."""

    transform: Affine
    """From (column, row) to coordinates."""

    dtype: str
    """NumPy type of every band."""

    nodata: float
    """Value that means "no observation"; pixels never written have it."""

    descriptions: tuple[str, ...]
    """Per band: its name. Their number is the number of bands."""

    scale: float | None = None
    """What a value is to be multiplied by; None means 1."""

    class_names: tuple[str, ...] = ()
    """Names of the values 0, 1, ... of a single band."""

    class_colors: tuple[tuple[int, int, int], ...] = ()
    """Per class: red, green and blue in [0, 255]; for a band of unsigned integers."""


@contextmanager
def create_map(
    path: str | PathLike[str], layout: MapLayout, *, tags: Mapping[str, str]
) -> Iterator[Writer]:
    """Create the intermediate GeoTIFF of a map, to be filled from top to bottom.

    Every row of pixels is a strip of its own: rows may arrive in any portions, and none is
    compressed twice, as a tile cut by the end of a portion would be.

    Args:
        path: File to write, in a place of your own: it is no final product.
        layout: Size, georeference, type and legend.
        tags: Metadata of the file, name to value.

    Yields:
        The open dataset, for :func:`write_rows`; closed afterwards.
    """
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        height=layout.height,
        width=layout.width,
        count=len(layout.descriptions),
        dtype=layout.dtype,
        nodata=layout.nodata,
        crs=layout.crs,
        transform=layout.transform,
        tiled=False,
        blockysize=1,
        interleave='band',
        compress='deflate',
        zlevel=1,
        bigtiff='IF_SAFER',
    ) as dst:
        dst.descriptions = layout.descriptions
        dst.update_tags(**tags)
        if layout.scale is not None:
            dst.scales = (layout.scale,) * dst.count
        if layout.class_names:
            dst.update_tags(1, **class_tag(layout.class_names))
        if layout.class_colors:
            dst.write_colormap(1, dict(enumerate(layout.class_colors)))
        yield dst


def write_rows(dst: Writer, row_off: int, pixels: NDArray[np.generic]) -> None:
    """Write rows over the full width of a map.

    Args:
        dst: The open map.
        row_off: First row to write.
        pixels: Shape (bands, rows, width).

    Raises:
        ValueError: If the shape or the place does not fit the map.
        OSError: If they cannot be written.
    """
    count, rows, width = pixels.shape
    if (count, width) != (dst.count, dst.width) or not 0 <= row_off <= dst.height - rows:
        raise ValueError(
            f'rows of shape {pixels.shape} at row {row_off} do not fit a map of shape '
            f'{(dst.count, dst.height, dst.width)}'
        )
    write_window(dst, pixels, RasterioWindow(0, row_off, width, rows))


def finish_cog(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    overview_resampling: OverviewResampling,
    overwrite: bool = False,
    threads: Threads = 'ALL_CPUS',
    block_size: int = 512,
) -> None:
    """Copy a raster to a Cloud Optimized GeoTIFF, with overviews, that appears when complete.

    Size, type, CRS, transform, nodata value, colour table, band names and tags are kept exactly.
    Blocks of nothing but nodata take no room.

    Args:
        source: Raster to copy; a mosaic or what :func:`create_map` makes.
        destination: COG to write.
        overview_resampling: How overviews are made, unless *source* has some: those are copied.
        overwrite: Whether an existing file may be replaced.
        threads: Threads that compress.
        block_size: Side of its blocks in pixels; a multiple of 16, at least 128.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is false.
        OSError: If *source* is damaged, or there is no room for the copy.
    """
    with new_raster(destination, overwrite=overwrite) as unfinished, rasterio.open(source) as src:
        try:
            rasterio.shutil.copy(
                src,
                unfinished,
                driver='COG',
                compress='deflate',
                # differences of neighbours help quantities; class numbers are no quantities
                predictor='yes' if np.dtype(src.dtypes[0]).kind == 'f' else 'no',
                blocksize=block_size,
                sparse_ok='YES',
                overview_resampling=overview_resampling,
                bigtiff='IF_SAFER',
                num_threads=threads,
            )
        except (CPLE_BaseError, SystemError) as error:
            # rasterio raises SystemError where GDAL's threads keep the reason to themselves
            known = isinstance(error, CPLE_BaseError)
            reason = ' '.join(str(error).split()) if known else 'GDAL gives no reason'
            raise OSError(
                f'{source} cannot be copied to {destination}: {reason}; is the disk full?'
            ) from error
