"""Objects as features of a vector file."""

from collections.abc import Mapping

import numpy as np
import shapely

from ...geoio.grids import place_points
from ...geoio.pixel_area import polygon_areas_m2
from ...geoio.read import RasterHeader
from ...geoio.vector import Attribute, Features
from ...suppression import Detections

OBJECT_ATTRIBUTES = (
    Attribute(name='class', kind='int64'),
    Attribute(name='class_name', kind='string'),
    Attribute(name='score', kind='float64'),
    Attribute(name='cut', kind='bool'),
    Attribute(name='area_m2', kind='float64'),
)
"""What is known of objects."""


def to_features(
    found: Detections, header: RasterHeader, *, names: Mapping[int, str] | None
) -> Features:
    """Place objects on the ground.

    Args:
        found: In pixels of the scene.
        header: Of the scene, with a CRS.
        names: Of labels; None leaves the names out.

    Returns:
        One polygon per object in the CRS of the scene, the ring around it counter-clockwise, and
        the attributes :data:`OBJECT_ATTRIBUTES`; the area is missing where the CRS does not tell.
    """
    drawn = shapely.box(*found.boxes.T)
    has_outline = ~shapely.is_missing(found.outlines)
    drawn[has_outline] = found.outlines[has_outline]
    named = [None if names is None else names[label] for label in found.labels.tolist()]
    areas = polygon_areas_m2(drawn, header)
    placed = shapely.transform(drawn, lambda points: place_points(header.transform, points))
    return Features(
        polygons=shapely.orient_polygons(placed),
        columns={
            'class': found.labels,
            'class_name': np.array(named, dtype=np.object_),
            'score': found.scores,
            'cut': found.is_cut,
            'area_m2': np.full(len(drawn), np.nan) if areas is None else areas,
        },
    )
