"""The only place that opens a raster or a vector file.

``read`` opens rasters and says which pixels are observations (``observation_rules``,
``observations``), ``warp`` shows them on other grids, and ``write`` makes files that appear when
they are complete. ``vector`` reads features and writes them batch by batch, and ``polygons`` traces
class maps. All build on ``grids``, ``crs``, ``gdal``, ``formats`` and ``pixel_area``.
"""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .read.reader import RasterHeader, read_header

__all__ = ('RasterHeader', 'read_header')

__getattr__, __dir__ = public_names(
    __name__, {'RasterHeader': 'read.reader', 'read_header': 'read.reader'}
)
