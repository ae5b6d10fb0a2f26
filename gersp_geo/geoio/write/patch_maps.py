"""Write a map of one pixel per patch, row of patches by row of patches."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from ..read.categories import write_categories
from ..read.georeference import RPC_DOMAIN
from .atomic import check_absent
from .cog import MapLayout, OverviewResampling, finish_cog
from .geotiff import describe_bands, new_raster, write_window
from .styles import write_qml

# the smallest that GDAL makes: blocks hold all bands, of which there may be thousands
_BLOCK_SIZE = 128

type WriteRow = Callable[[int, int, NDArray[np.generic]], None]
"""Takes row, first column and pixels, shape (bands, columns)."""


@contextmanager
def new_patch_map(
    destination: str | PathLike[str],
    layout: MapLayout,
    tags: Mapping[str, str],
    *,
    overview_resampling: OverviewResampling,
    overwrite: bool = False,
) -> Iterator[WriteRow]:
    """Write a Cloud Optimized GeoTIFF from pieces of rows; it appears when the block succeeds.

    Args:
        destination: COG to write. A style for QGIS comes beside a map of classes.
        layout: Size, georeference, type and legend.
        tags: Metadata of the file, name to value.
        overview_resampling: How overviews are made.
        overwrite: Replace an existing file.

    Yields:
        A function that takes pixels in any order. What it is never given is nodata.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        OSError: If there is no room.
    """
    final = Path(destination)
    check_absent(final, overwrite=overwrite)
    final.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f'.{final.stem}.', suffix='.partial', dir=final.parent) as work:
        rows = Path(work, 'rows.tif')
        # without compression, pieces of a row find their place
        with (
            new_raster(rows) as unfinished,
            rasterio.open(
                unfinished, 'w', driver='GTiff', height=layout.height, width=layout.width,
                count=len(layout.descriptions), dtype=layout.dtype, **_place(layout),
                nodata=layout.nodata, interleave='band', blockysize=1, sparse_ok=True,
                bigtiff='IF_SAFER', photometric='MINISBLACK',
            ) as dst,
        ):  # fmt: skip
            dst.update_tags(**tags)
            if layout.georeference.polynomials:
                dst.update_tags(ns=RPC_DOMAIN, **dict(layout.georeference.polynomials))
            describe_bands(
                dst,
                layout.descriptions,
                class_names=layout.class_names,
                class_colors=layout.class_colors,
                units=layout.units,
            )

            def write(row: int, col_off: int, pixels: NDArray[np.generic]) -> None:
                place = Window(col_off, row, pixels.shape[1], 1)
                write_window(dst, pixels[:, np.newaxis], place)

            yield write
        write_categories(rows, layout.class_names)
        finish_cog(
            rows,
            final,
            overview_resampling=overview_resampling,
            overwrite=overwrite,
            threads=1,
            block_size=_BLOCK_SIZE,
        )
    if layout.class_colors:
        write_qml(final, layout.class_names, layout.class_colors)


def _place(layout: MapLayout) -> dict[str, object]:
    """Say where a map lies: by points or by a transform."""
    georeference = layout.georeference
    if georeference.is_place and georeference.points:
        return {'gcps': georeference.control_points(), 'crs': georeference.points_crs}
    return {'crs': layout.crs, 'transform': layout.transform}
