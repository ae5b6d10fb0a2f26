"""Former home of ``gersp_geo.detect_objects``, for one release."""

from ..lazy import warn_of_former_home
from .api import detect_objects

__all__ = ('detect_objects',)

warn_of_former_home(__name__, 'gersp_geo.detect_objects')
