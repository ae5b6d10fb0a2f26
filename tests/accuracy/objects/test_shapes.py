"""What of objects is compared."""

import numpy as np
import shapely
from shapely.affinity import rotate

from gersp_geo.accuracy.objects.shapes import choose

BOXES = np.array([shapely.box(x, 0, x + 20, 10) for x in range(0, 90, 30)])


def test_boxes_of_another_crs_are_compared_as_they_lie() -> None:
    turned = np.array([rotate(box, 5) for box in BOXES])
    assert choose(BOXES, turned) == choose(turned, BOXES) == 'outlines'
    assert choose(BOXES, BOXES) == choose(BOXES, BOXES[:0]) == 'outlines'


def test_quadrilaterals_with_one_side_along_an_axis_are_no_boxes() -> None:
    roof = shapely.Polygon([(0, 0), (20, 0), (15, 10), (5, 10)])
    # whichever side is drawn first
    for first in range(4):
        ring = np.roll(shapely.get_coordinates(roof)[:-1], first, axis=0)
        roofs = np.array([shapely.Polygon(ring)] * 2)
        assert choose(BOXES, roofs) == choose(roofs, BOXES) == 'boxes'
