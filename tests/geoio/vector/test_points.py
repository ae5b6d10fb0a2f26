"""Points are written, and found again where they were."""

from pathlib import Path

import geopandas
import pandas
import pytest
import shapely
from pyproj import CRS

from gersp_geo.geoio.fingerprints import read_metadata
from gersp_geo.geoio.vector import write_points


@pytest.mark.parametrize('suffix', ['.gpkg', '.parquet', '.geojson'])
def test_points_keep_their_place_type_and_metadata(tmp_path: Path, suffix: str) -> None:
    points = geopandas.GeoDataFrame(
        {'id': [1, 2], 'text': pandas.array([None, 'ä'], dtype='string')},
        geometry=shapely.points([(190.5, 10), (20, -30)]),
        crs=CRS.from_epsg(4326),
    )
    path = write_points(tmp_path / f'a{suffix}', points, metadata={'KEY': 'value'})
    reader = geopandas.read_parquet if suffix == '.parquet' else geopandas.read_file
    found = reader(path)
    # longitudes of GeoJSON end at 180 degrees
    lon = -169.5 if suffix == '.geojson' else 190.5
    assert found.geometry.tolist() == [shapely.Point(lon, 10), shapely.Point(20, -30)]
    assert found['id'].tolist() == [1, 2]
    assert found['text'].isna().tolist() == [True, False]
    assert read_metadata(path).get('KEY') == (None if suffix == '.geojson' else 'value')
    with pytest.raises(FileExistsError, match='overwrite'):
        write_points(path, points)


def test_other_endings_are_refused(tmp_path: Path) -> None:
    points = geopandas.GeoDataFrame(geometry=[shapely.Point(0, 0)], crs=4326)
    with pytest.raises(ValueError, match='must end in one of'):
        write_points(tmp_path / 'a.shp', points)
