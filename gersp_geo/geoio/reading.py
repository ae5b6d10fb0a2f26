"""Former home of ``gersp_geo.geoio``, for one release."""

from ..lazy import warn_of_former_home
from .read import open_reader, read_header

__all__ = ('open_reader', 'read_header')

warn_of_former_home(__name__, 'gersp_geo.geoio')
