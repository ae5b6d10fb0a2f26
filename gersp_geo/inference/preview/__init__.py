"""Pictures of what was made: a scene beside its map, two dates and their change, objects, polygons.

``quicklook`` reads how scenes look on a grid, ``layout`` puts images, polygons and a legend into
one file. ``maps`` draws what lies on a grid beside its scene, ``polygons`` what lies over it.
"""

from .layout import check_picture
from .maps import write_patches_preview, write_preview
from .polygons import write_objects_preview
from .quicklook import ShownScene

__all__ = (
    'ShownScene',
    'check_picture',
    'write_objects_preview',
    'write_patches_preview',
    'write_preview',
)
