"""The only place that opens a raster or a vector file."""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .read.reader import RasterHeader, read_header

__all__ = ('RasterHeader', 'read_header')

__getattr__, __dir__ = public_names(
    __name__, {'RasterHeader': 'read.reader', 'read_header': 'read.reader'}
)
