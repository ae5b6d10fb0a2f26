"""Former home of ``gersp_geo.geoio``, for one release."""

from warnings import warn

from .read.reader import open_reader, read_header

__all__ = ('open_reader', 'read_header')

warn(
    f'{__name__} is gersp_geo.geoio now; the former name ends with the next release',
    DeprecationWarning,
    stacklevel=2,
)
