"""Former home of ``gersp_geo.polygonize``, for one release."""

from ..lazy import warn_of_former_home
from .polygons import polygonize as vectorize_map

__all__ = ('vectorize_map',)

warn_of_former_home(__name__, 'gersp_geo.polygonize')
