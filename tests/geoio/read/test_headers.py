import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from gersp_geo.geoio.read import headers
from gersp_geo.geoio.read.headers import read_headers
from gersp_geo.geoio.read.reader import RasterHeader, UnreadableFileError, read_header


def write(path: Path, *, bands: int = 2, epsg: int = 32633, nodata: float | None = None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {'driver': 'GTiff', 'height': 5, 'width': 7, 'count': bands, 'dtype': 'float32'}
    transform = from_origin(0.1, 5000000.3, 0.1, 0.3)
    with rasterio.open(
        path, 'w', crs=f'EPSG:{epsg}', transform=transform, nodata=nodata, **profile
    ) as dst:
        dst.write(np.zeros((bands, 5, 7), dtype='float32'))
        dst.set_band_description(1, 'red')
    return str(path)


def without_crs(found: Sequence[headers.Found]) -> list[str]:
    """As text, in which NaN equals NaN; one CRS can be written in several ways."""
    return [repr(replace(h, crs=None)) for h in found if isinstance(h, RasterHeader)]


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('GERSP_GEO_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(headers, 'WORTH_KEEPING', 0.0)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [
        write(tmp_path / 'a.tif', nodata=float('nan')),
        write(tmp_path / 'b.tif', epsg=4326, nodata=-9999.9),
        write(tmp_path / 'deep' / 'c.tif'),
    ]


@pytest.mark.usefixtures('cached')
def test_remembered_headers_equal_those_of_the_files_and_no_file_is_opened(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [read_header(file) for file in files]
    assert without_crs(read_headers(files)) == without_crs(expected)
    monkeypatch.delattr(headers, 'read_header')
    again = read_headers(files)
    assert without_crs(again) == without_crs(expected)
    systems = [header.crs for header in again if isinstance(header, RasterHeader)]
    assert systems == [header.crs for header in expected]
    # one object per CRS, so that comparing many is quick
    assert len(set(map(id, systems))) == 2


@pytest.mark.usefixtures('cached')
def test_only_files_that_changed_are_read_again(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_headers(files)
    write(tmp_path / 'a.tif', bands=3)
    files.append(write(tmp_path / 'd.tif'))
    opened = []

    def reading(file: str) -> RasterHeader:
        opened.append(file)
        return read_header(file)

    monkeypatch.setattr(headers, 'read_header', reading)
    counts = [h.count for h in read_headers(files) if isinstance(h, RasterHeader)]
    assert counts == [3, 2, 2, 2]
    assert opened == [files[0], files[3]]
    opened.clear()
    # a part of what is remembered
    os.remove(files[1])
    assert len(read_headers(files[2:])) == 2
    assert opened == []


def test_a_file_that_cannot_be_read_gives_its_error_in_its_place(
    files: list[str], tmp_path: Path
) -> None:
    (tmp_path / 'z.tif').write_bytes(b'')
    found = read_headers([files[0], str(tmp_path / 'z.tif')])
    assert isinstance(found[0], RasterHeader)
    assert isinstance(found[1], UnreadableFileError)
    assert found[1].file == str(tmp_path / 'z.tif')


def test_quick_reading_leaves_no_cache(files: list[str], tmp_path: Path) -> None:
    read_headers(files)
    assert not (tmp_path / 'cache').exists()


@pytest.mark.usefixtures('cached')
def test_a_mask_beside_a_file_is_seen_when_it_comes_and_when_it_goes(files: list[str]) -> None:
    def masks() -> tuple[str, ...]:
        found = read_headers(files)[2]
        assert isinstance(found, RasterHeader)
        return found.masks

    assert masks() == ('all_valid',)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(files[2], 'r+') as dst:
        dst.write_mask(np.ones((5, 7), dtype=bool))
    assert masks() == ('per_dataset',)
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN='EMPTY_DIR'):
        assert masks() == ('all_valid',)
    assert masks() == ('per_dataset',)
    os.remove(f'{files[2]}.msk')
    assert masks() == ('all_valid',)


@pytest.mark.usefixtures('cached')
def test_what_an_older_version_remembered_is_read_anew(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(read_header(files[0]), nodata=5.0)
    with monkeypatch.context() as older:
        older.setattr(headers, 'VERSION', headers.VERSION - 1)
        older.setattr(headers, 'read_header', lambda file: wrong)
        read_headers(files)
    found = read_headers(files)[0]
    assert isinstance(found, RasterHeader)
    assert found.nodata != 5.0
