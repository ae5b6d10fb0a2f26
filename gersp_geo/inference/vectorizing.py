"""Former home of ``gersp_geo.polygonize``, for one release."""

from warnings import warn

from .polygons import polygonize as vectorize_map

__all__ = ('vectorize_map',)

warn(
    f'{__name__}.vectorize_map is gersp_geo.polygonize now; the former name ends with the next '
    'release',
    DeprecationWarning,
    stacklevel=2,
)
