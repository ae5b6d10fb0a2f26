"""The errors of GDAL that rasterio lets through as they are."""

# rasterio means to keep this class to itself, but WarpedVRT and rasterio.shutil.copy raise it
from rasterio._err import CPLE_BaseError as GDALError

__all__ = ('GDALError',)
