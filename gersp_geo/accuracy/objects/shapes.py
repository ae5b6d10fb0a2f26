"""Whether the boxes around objects are compared, or their outlines."""

from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray

type Outlines = NDArray[np.object_]

type Compared = Literal['boxes', 'outlines']
"""What IoU is computed of."""

# share of the box around it that a box fills, but for rounding
_FILLED = 1 - 1e-7

# points of the ring around a quadrilateral, the first one twice
_CORNERS = 5

# tangent of the angle by which boxes may be turned that another CRS has turned
_SLIGHT = 0.18


def choose(one: Outlines, other: Outlines) -> Compared:
    """Compare boxes where one file holds boxes, and the other one shapes that no box fits."""
    if not (len(one) and len(other)):
        return 'outlines'
    is_box, is_other_box = are_boxes(one), are_boxes(other)
    if is_box == is_other_box or _nearly_boxes(other if is_box else one):
        return 'outlines'
    return 'boxes'


def are_boxes(outlines: Outlines) -> bool:
    """Say whether outlines fill the boxes around them."""
    around = shapely.area(shapely.envelope(outlines))
    return bool((shapely.area(outlines) >= _FILLED * around).all())


def _nearly_boxes(outlines: Outlines) -> bool:
    """Say whether outlines have four corners and sides that nearly follow the axes.

    Boxes of one CRS are such in another, as north is not up everywhere.
    """
    if not (
        (shapely.get_type_id(outlines) == shapely.GeometryType.POLYGON).all()
        and (shapely.get_num_coordinates(outlines) == _CORNERS).all()
    ):
        return False
    points = shapely.get_coordinates(outlines).reshape(-1, _CORNERS, 2)
    sides = np.sort(np.abs(np.diff(points, axis=1)), axis=2)
    return bool((sides[..., 0] <= _SLIGHT * sides[..., 1]).all())
