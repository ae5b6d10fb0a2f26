"""What a map is, and its final form: a Cloud Optimized GeoTIFF (COG)."""

from dataclasses import dataclass
from os import PathLike
from typing import Literal

import numpy as np
import rasterio
import rasterio.shutil

from ...messages import one_line
from ..gdal import GDALError
from ..grids import Grid
from ..read.georeference import NOTHING, Georeference
from .atomic import DiskFullError, describe_room
from .completeness import lacks_blocks
from .geotiff import new_raster

type OverviewResampling = Literal['nearest', 'mode', 'average']
"""How overviews are made: 'mode' or 'nearest' for classes, 'average' for quantities."""

type Threads = int | Literal['ALL_CPUS']
"""How many threads work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayout(Grid):
    """Everything about a map but its pixels."""

    dtype: str
    """NumPy type of every band."""

    nodata: float
    """Value that means "no observation"; pixels never written have it."""

    descriptions: tuple[str, ...]
    """Per band: its name. Their number is the number of bands."""

    units: tuple[str, ...] = ()
    """Per band: the unit of its values; empty where it is unknown, or there is none."""

    scale: float | None = None
    """What a value is to be multiplied by; None means 1."""

    class_names: tuple[str, ...] = ()
    """Names of the values 0, 1, ... of a single band."""

    class_colors: tuple[tuple[int, int, int], ...] = ()
    """Per class: red, green and blue in [0, 255]; for a band of unsigned integers."""

    georeference: Georeference = NOTHING
    """What says where it lies beside CRS and transform, or in their place."""


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

    Size, type, CRS, transform, ground control points, nodata value, colour table, names and units
    of bands and tags are kept exactly.
    Blocks of nothing but nodata take no room.

    Args:
        source: Raster to copy, such as :func:`.mosaic.build_mosaic` makes.
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
        except (GDALError, SystemError) as error:
            # rasterio raises SystemError where GDAL's threads keep the reason to themselves
            known = isinstance(error, GDALError)
            reason = one_line(error) if known else 'GDAL gives no reason'
            raise DiskFullError(
                f'{source} cannot be copied to {destination}: {reason}; '
                f'{describe_room(destination)}'
            ) from error
        if lacks_blocks(unfinished, src, block_size=block_size, resampling=overview_resampling):
            raise DiskFullError(
                f'{destination} could not be written completely; {describe_room(destination)}'
            )
