"""Pictures of what was made: a scene beside its map, two dates and their change, objects, polygons.

A ``sheet`` says how a grid is shown, ``scenery`` how a scene looks on it, and ``shapes`` are drawn over
that; ``picture`` lays it all out. ``maps``, ``objects``, ``patches`` and ``polygons`` make one kind of picture each.
"""

from .maps import ShownScene, write_preview
from .objects import write_objects_preview
from .patches import write_patches_preview
from .picture import check_picture

__all__ = (
    'ShownScene',
    'check_picture',
    'write_objects_preview',
    'write_patches_preview',
    'write_preview',
)
