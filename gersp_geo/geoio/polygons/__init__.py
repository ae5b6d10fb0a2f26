"""Class maps become polygons along the sides of their pixels, strip by strip.

``maps`` reads strips, ``segments`` lists the sides of their components, ``rings`` and ``outlines``
join these across strips, and ``geometry`` makes polygons of them.
"""

from .geometry import simplify_polygons, to_polygons
from .maps import ClassMap, areas_above, describe_map, read_legend, read_strips
from .outlines import Outlines, join_outlines, trace_outlines

__all__ = (
    'ClassMap', 'Outlines', 'areas_above', 'describe_map', 'join_outlines', 'read_legend',
    'read_strips', 'simplify_polygons', 'to_polygons', 'trace_outlines',
)  # fmt: skip
