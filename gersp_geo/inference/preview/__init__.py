"""Pictures of what was made: a scene beside its map, two dates and their change, objects, polygons.

``quicklook`` reads how scenes look on a grid, ``layout`` puts images, polygons and a legend into
one file. ``maps`` draws what lies on a grid beside its scene, ``polygons`` what lies over it.
"""

from typing import TYPE_CHECKING

from ...lazy import public_names

if TYPE_CHECKING:
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

__getattr__, __dir__ = public_names(
    __name__,
    {
        'ShownScene': 'quicklook',
        'check_picture': 'layout',
        'write_objects_preview': 'polygons',
        'write_patches_preview': 'maps',
        'write_preview': 'maps',
    },
)
