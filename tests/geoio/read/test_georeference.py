"""Ground control points and rational polynomials: what is read, kept, scaled and remembered."""

import json
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from gersp_geo.geoio.read import headers
from gersp_geo.geoio.read.georeference import (
    NOTHING,
    Georeference,
    Point,
    add_to_vrt,
    read_georeference,
)
from gersp_geo.geoio.read.reader import read_header
from gersp_geo.geoio.warp.location_text import advise_place, suggest_crs

pytestmark = pytest.mark.filterwarnings('ignore::rasterio.errors.NotGeoreferencedWarning')

NAMES = ('LINE', 'SAMP', 'LAT', 'LONG', 'HEIGHT')
COEFFICIENTS = ('LINE_NUM', 'LINE_DEN', 'SAMP_NUM', 'SAMP_DEN')
DEGREES = CRS.from_epsg(4326)

numbers = st.floats(-1e7, 1e7)
points = st.lists(
    st.builds(Point, col=numbers, row=numbers, x=numbers, y=numbers, z=numbers), max_size=4
)


def polynomials(offset: float = 1.25) -> tuple[tuple[str, str], ...]:
    found = {f'{name}_{what}': repr(offset) for name in NAMES for what in ('OFF', 'SCALE')}
    found |= {f'{name}_COEFF': ' '.join(['0.5'] * 20) for name in COEFFICIENTS}
    return tuple(sorted(found.items()))


georeferences = st.builds(
    lambda some, crs, has_polynomials, has_arrays, is_place: Georeference(
        points=tuple(some), points_crs=crs if some else None,
        polynomials=polynomials() if has_polynomials else (), has_arrays=has_arrays,
        is_place=is_place,
    ),
    points, st.sampled_from([None, DEGREES]), st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip


@given(georeferences)
def test_what_is_remembered_is_the_same(found: Georeference) -> None:
    back = Georeference.from_record(json.loads(json.dumps(found.to_record())))
    assert back == (found or NOTHING)


@given(points)
def test_a_virtual_raster_keeps_every_digit(some: list[Point]) -> None:
    root = Element('VRTDataset', rasterXSize='3', rasterYSize='2')
    made = Georeference(
        points=tuple(some), points_crs=DEGREES if some else None, polynomials=polynomials(),
        is_place=True,
    )  # fmt: skip
    add_to_vrt(root, made, crs=None, transform=Affine.identity())
    root.append(Element('VRTRasterBand', dataType='Byte', band='1'))
    with MemoryFile(tostring(root), ext='.vrt') as file, file.open() as src:
        assert read_georeference(src) == made


@given(
    st.integers(1, 50), st.floats(0, 25), st.floats(-100, 100), st.floats(-100, 100),
    st.floats(0.5, 100),
)  # fmt: skip
def test_larger_pixels_lie_where_the_small_ones_do(
    stride: int, offset: float, col: float, line_off: float, line_scale: float
) -> None:
    given_ = dict(polynomials()) | {'LINE_OFF': repr(line_off), 'LINE_SCALE': repr(line_scale)}
    before = Georeference(
        points=(Point(col=col, row=2 * col, x=1, y=2, z=3),),
        polynomials=tuple(sorted(given_.items())),
    )
    after = before.scaled(offset=offset, stride=stride)
    assert after.points[0].col * stride + offset == pytest.approx(col, abs=1e-9)
    assert after.points[0].row * stride + offset == pytest.approx(2 * col, abs=1e-9)
    # the row to which a normalised one belongs: GDAL's are half a pixel larger
    rows = [
        float(dict(each.polynomials)['LINE_OFF'])
        + 0.3 * float(dict(each.polynomials)['LINE_SCALE'])
        + 0.5
        for each in (before, after)
    ]
    assert rows[1] * stride + offset == pytest.approx(rows[0], abs=1e-9)


def put(path: Path, **place: object) -> Path:
    with rasterio.open(
        path, 'w', driver='GTiff', height=4, width=5, count=1, dtype='uint8', **place
    ) as dst:
        dst.write(np.ones((1, 4, 5), np.uint8))
    return path


def test_headers_with_points_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('GERSP_GEO_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(headers, 'WORTH_KEEPING', -1.0)
    some = [GroundControlPoint(r, c, 15.1 + c / 3, 47 - r / 7, 2) for r in (0, 4) for c in (0, 5)]
    files = [
        str(put(tmp_path / 'a.tif', gcps=some, crs='EPSG:4326')),
        str(put(tmp_path / 'b.tif', crs='EPSG:32633', transform=Affine(1, 0, 5, 0, -1, 5))),
    ]
    first, again = headers.read_headers(files), headers.read_headers(files)
    assert first == again == [read_header(file) for file in files]
    assert isinstance(again[0], type(read_header(files[0])))
    assert len(read_header(files[0]).georeference.points) == 4
    assert read_header(files[0]).crs is None


@pytest.mark.parametrize(
    ('lon', 'lat', 'expected'),
    [
        ([15.0, 15.4], 47, 'EPSG:32633'), ([-69.9], -33, 'EPSG:32719'),
        ([179.5, -179.7], 10, 'EPSG:32660'), ([179.7, -179.5], -10, 'EPSG:32701'),
        ([190.0], 10, 'EPSG:32602'), ([0.0], 86, 'EPSG:3995'), ([180.0], -82, 'EPSG:3031'),
    ],
)  # fmt: skip
def test_the_zone_that_is_advised_holds_the_points(
    lon: list[float], lat: float, expected: str, tmp_path: Path
) -> None:
    some = tuple(Point(col=0, row=0, x=x, y=lat, z=0) for x in lon)
    assert suggest_crs(Georeference(points=some, points_crs=DEGREES, is_place=True)) == expected


def test_a_crs_is_assigned_only_where_nothing_else_says_the_place(tmp_path: Path) -> None:
    assert 'a_srs' in advise_place(read_header(put(tmp_path / 'a.tif')))
    some = [GroundControlPoint(r, c, 5e5 + c, 5e6 - r) for r in (0, 4) for c in (0, 5)]
    pointed = read_header(put(tmp_path / 'b.tif', gcps=some, crs='EPSG:32633'))
    for has_option in (True, False):
        advice = advise_place(pointed, has_option=has_option)
        assert 'a_srs' not in advice
        assert 'gdalwarp -tps -t_srs EPSG:32633' in advice
