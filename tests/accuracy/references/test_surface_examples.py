"""Laws of the pixels that a page shows: few polygons are found, and all ground is looked at."""

from pathlib import Path

import geopandas
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from gersp_geo.accuracy import assess_map
from gersp_geo.accuracy.figures import Accuracy
from gersp_geo.geoio.write import write_raster

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)
# four by four windows
SIDE = 2000


def write(path: Path, pixels: NDArray[np.uint8]) -> Path:
    return write_raster(
        path, pixels, crs='EPSG:32632', transform=PLACE, class_names=('field', 'forest', 'water')
    )


def test_each_confusion_of_a_few_polygons_is_shown(tmp_path: Path) -> None:
    source = write(tmp_path / 'map.tif', np.zeros((SIDE, SIDE), np.uint8))
    places = {'forest': (1900, 30), 'water': (700, 1950)}
    boxes = [
        shapely.box(*(PLACE @ (col, row + 4)), *(PLACE @ (col + 4, row)))
        for row, col in places.values()
    ]
    frame = geopandas.GeoDataFrame({'kind': list(places)}, geometry=boxes, crs='EPSG:32632')
    frame.to_file(tmp_path / 'polygons.gpkg')
    found = assess_map(source, tmp_path / 'polygons.gpkg', progress=False)
    assert isinstance(found, Accuracy)
    shown = {each.reference_class.name: (each.row, each.col) for each in found.disagreements}
    assert set(shown) == set(places)
    for name, (row, col) in places.items():
        assert np.subtract(shown[name], (row, col)).min() >= 0
        assert np.subtract(shown[name], (row, col)).max() < 4


def test_pixels_of_one_confusion_are_not_all_of_one_place(tmp_path: Path) -> None:
    source = write(tmp_path / 'map.tif', np.zeros((SIDE, SIDE), np.uint8))
    reference = write(tmp_path / 'reference.tif', np.ones((SIDE, SIDE), np.uint8))
    found = assess_map(source, reference, progress=False)
    assert isinstance(found, Accuracy)
    assert len(found.disagreements) == 3
    assert len({(each.row // 512, each.col // 512) for each in found.disagreements}) > 1
    assert {each.weight for each in found.disagreements} == {100.0 * SIDE**2}
