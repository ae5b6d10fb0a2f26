from pathlib import Path

import geopandas
import pytest
import shapely

from gersp_geo.geoio import features
from gersp_geo.geoio.frames import write_frame


def boxes(count: int) -> geopandas.GeoDataFrame:
    drawn = [shapely.box(5e5 + 10 * n, 5e6, 5e5 + 10 * n + 5, 5e6 + 5) for n in range(count)]
    return geopandas.GeoDataFrame({'class': range(count)}, geometry=drawn, crs=32632)


def test_geojson_ends_at_a_number_and_at_a_size_and_other_formats_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, 'MAX_GEOJSON_FEATURES', 3)
    write_frame(tmp_path / 'three.geojson', boxes(3))
    write_frame(tmp_path / 'four.gpkg', boxes(4))
    with pytest.raises(ValueError, match=r'ends at 3 polygons .* got 4 '):
        write_frame(tmp_path / 'four.geojson', boxes(4))
    monkeypatch.setattr(features, 'MAX_GEOJSON_BYTES', 500)
    with pytest.raises(ValueError, match='GeoJSON is held in memory'):
        write_frame(tmp_path / 'size.geojson', boxes(3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['four.gpkg', 'three.geojson']
