"""Objects as features of a vector file."""

from collections.abc import Mapping

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

from ...geoio.areas import pixel_areas_m2
from ...geoio.placing import place_points
from ...geoio.reading import RasterHeader, crs_text
from ...suppression import Detections, Floats


def to_features(
    found: Detections, header: RasterHeader, *, names: Mapping[int, str] | None
) -> geopandas.GeoDataFrame:
    """Place objects on the ground.

    Args:
        found: In pixels of the scene.
        header: Of the scene, with a CRS.
        names: Of labels; None leaves the names out.

    Returns:
        One polygon per object in the CRS of the scene, and the columns ``class``, ``class_name``,
        ``score``, ``cut`` and ``area_m2``, which is missing where the CRS does not tell.
    """
    drawn = shapely.box(*found.boxes.T)
    has_outline = ~shapely.is_missing(found.outlines)
    drawn[has_outline] = found.outlines[has_outline]
    named = [None if names is None else names[label] for label in found.labels.tolist()]
    frame = geopandas.GeoDataFrame(
        {
            'class': found.labels,
            'class_name': np.array(named, dtype=np.object_),
            'score': found.scores,
            'cut': found.is_cut,
            'area_m2': _areas_m2(drawn, found.boxes, header),
        },
        geometry=shapely.transform(drawn, lambda points: place_points(header.transform, points)),
        crs=crs_text(header.crs),
    )
    # text also where there is none
    located: geopandas.GeoDataFrame = frame.astype({'class_name': 'string'})
    return located


def _areas_m2(drawn: NDArray[np.object_], boxes: Floats, header: RasterHeader) -> Floats:
    """Compute areas, those of pixels being what they are in the middle of each object."""
    if not len(boxes):
        return np.empty(0)
    middles = np.clip((boxes[:, 1] + boxes[:, 3]) / 2, 0, header.height - 1).astype(np.int64)
    first = int(middles.min())
    of_pixel = pixel_areas_m2(header, first, int(middles.max()) + 1)
    if of_pixel is None:
        return np.full(len(boxes), np.nan)
    areas: Floats = shapely.area(drawn) * of_pixel[middles - first]
    return areas
