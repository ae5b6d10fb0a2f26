"""Class maps become polygons along the sides of their pixels, strip by strip.

``maps`` reads strips, ``segments`` lists the sides of their components, ``rings`` and ``outlines``
join these across strips, and ``geometry`` makes polygons of them.
"""

from typing import TYPE_CHECKING

from ...lazy import public_names

if TYPE_CHECKING:
    from .geometry import simplify_polygons, to_polygons
    from .maps import ClassMap, areas_above, describe_map, encode_classes, read_legend, read_strips
    from .outlines import Outlines, join_outlines, trace_outlines

__all__ = (
    'ClassMap', 'Outlines', 'areas_above', 'describe_map', 'encode_classes', 'join_outlines',
    'read_legend', 'read_strips', 'simplify_polygons', 'to_polygons', 'trace_outlines',
)  # fmt: skip

__getattr__, __dir__ = public_names(
    __name__,
    {
        'ClassMap': 'maps', 'Outlines': 'outlines', 'areas_above': 'maps',
        'describe_map': 'maps', 'encode_classes': 'maps', 'join_outlines': 'outlines',
        'read_legend': 'maps',
        'read_strips': 'maps', 'simplify_polygons': 'geometry', 'to_polygons': 'geometry',
        'trace_outlines': 'outlines',
    },
)  # fmt: skip
