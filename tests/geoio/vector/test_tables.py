from pathlib import Path

import pytest

from gersp_geo.geoio.vector import read_vectors


def write(folder: Path, text: str) -> Path:
    path = folder / 'points.csv'
    path.write_text(text)
    return path


@pytest.mark.parametrize('names', ['lon,lat', 'Longitude,LATITUDE', 'lng,lat'])
def test_rows_are_points_in_degrees(tmp_path: Path, names: str) -> None:
    frame = read_vectors(write(tmp_path, f'id,{names},kind\n01,15.5,-4,a\n02,,,b\n'))
    assert frame.crs == 'EPSG:4326'
    assert frame.geometry[0].coords[0] == (15.5, -4)
    assert frame.geometry[1] is None
    assert frame.drop(columns='geometry').to_numpy().tolist() == [['01', 'a'], ['02', 'b']]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('x,y\n1,2\n', 'is a table without geometries, .* ogr2ogr'),
        ('lon,lng,lat\n1,1,2\n', 'and without one column lon and one lat'),
        ('lon,lat\n1,2\n500000,5000000\n', "'lon' of .* in .-360, 360., got '500000' in row 2"),
        ('lon;lat\n"1,5";2\n', "got '1,5' in row 1; write numbers with a point"),
        ('lon,lat\n1,2\n3,\n', "1 rows with only one of 'lon' and 'lat', the first is row 2"),
    ],
)
def test_what_is_no_place_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_vectors(write(tmp_path, text))
    assert '\n' not in str(caught.value)
