"""What polygons say of the pixels of a map."""

from itertools import permutations

import numpy as np
import pytest
import shapely
from affine import Affine

from gersp_geo.accuracy.references.surfaces import PolygonReference
from gersp_geo.geoio.grids import Grid
from gersp_geo.windows import Window

GRID = Grid(crs=None, transform=Affine(1, 0, 0, 0, -1, 4), height=4, width=8)
WHOLE = Window(row_off=0, col_off=0, height=4, width=8)


def test_polygons_that_contradict_each_other_say_nothing_in_any_order() -> None:
    features = [
        (shapely.box(0, 0, 5, 4), 'wood'),
        (shapely.box(3, 0, 8, 4), 'wood'),
        # lies below or above both, or between them
        (shapely.box(4, 2, 6, 4), 'lake'),
    ]
    expected = np.array([['wood'] * 4 + [''] * 2 + ['wood'] * 2] * 2 + [['wood'] * 8] * 2)
    for order in permutations(features):
        shapes, texts = zip(*order, strict=True)
        found = PolygonReference(np.array(shapes), list(texts), GRID, source='areas.gpkg')
        codes = found.read(WHOLE)
        said = [[found.value(code) if code else '' for code in row] for row in codes.tolist()]
        assert (np.array(said) == expected).all()
        assert found.contradicted == 4


def test_more_values_than_a_byte_holds_are_refused() -> None:
    texts: list[str | None] = [f'parcel {number}' for number in range(300)]
    shapes = np.array([shapely.box(0, 0, 1, 1)] * 300)
    with pytest.raises(ValueError, match='255 different things, areas'):
        PolygonReference(shapes, texts, GRID, source='areas.gpkg')
