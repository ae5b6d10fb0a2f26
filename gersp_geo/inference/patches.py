"""Former home of ``gersp_geo.inference``, for one release."""

from ..lazy import warn_of_former_home
from .api import classify_scene, embed_scene

__all__ = ('classify_scene', 'embed_scene')

warn_of_former_home(__name__, 'gersp_geo.inference')
