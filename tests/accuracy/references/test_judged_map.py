"""What a map that is judged must be."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine

from gersp_geo.accuracy.assessing import assess_map
from gersp_geo.geoio.write import write_raster

PLACE = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def test_heights_in_whole_numbers_are_refused_before_a_matrix_of_them_is_made(
    tmp_path: Path,
) -> None:
    heights = np.arange(1600, dtype=np.uint16).reshape(40, 40)
    write_raster(tmp_path / 'map.tif', heights, crs='EPSG:32632', transform=PLACE)
    point = shapely.Point(500_005, 4_999_995)
    frame = geopandas.GeoDataFrame({'reference': [0]}, geometry=[point], crs='EPSG:32632')
    frame.to_file(tmp_path / 'points.gpkg')
    with pytest.raises(ValueError, match=r"1,600 or more; kind \(--kind\) 'values'"):
        assess_map(tmp_path / 'map.tif', tmp_path / 'points.gpkg', progress=False)
