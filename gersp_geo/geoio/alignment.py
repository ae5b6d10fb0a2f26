"""A raster seen on the pixel grid of another one."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from os import PathLike

from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from .reading import RasterHeader, Reader, open_reader


def on_one_grid(one: RasterHeader, other: RasterHeader) -> bool:
    """Whether pixels of the same row and column lie at the same place."""
    same_size = (one.height, one.width) == (other.height, other.width)
    return same_size and one.crs == other.crs and one.transform.almost_equals(other.transform)


@contextmanager
def open_aligned(path: str | PathLike[str], grid: RasterHeader) -> Iterator[Reader]:
    """Open a raster, resampled bilinearly onto the grid of another where theirs differ.

    Args:
        path: A file with a CRS.
        grid: Header of the raster that gives rows, columns, CRS and transform.

    Yields:
        A reader for :func:`~gersp_geo.geoio.reading.read_window`. What lies outside the file has
        no observation.

    Raises:
        FileNotFoundError: If there is no such file.
        UnreadableFileError: If GDAL cannot read it.
    """
    with open_reader(path) as src:
        has_alpha = any(color.name == 'alpha' for color in src.colorinterp)
        warped = WarpedVRT(
            src,
            crs=grid.crs,
            transform=grid.transform,
            height=grid.height,
            width=grid.width,
            resampling=Resampling.bilinear,
            # without it, outside would be 0 like dark ground
            add_alpha=src.nodata is None and not has_alpha,
        )
        # not `with warped`: as in open_reader
        with closing(warped):
            yield warped
