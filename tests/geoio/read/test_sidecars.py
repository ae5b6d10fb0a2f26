"""Files beside a raster are found where GDAL looks for them, and no folder is listed for it."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.env import get_gdal_config
from rasterio.transform import from_origin

from gersp_geo.geoio.read.reader import open_reader, read_header
from gersp_geo.geoio.read.sidecars import LOOK, looking_by_name, names_beside, ways_of_looking


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / 'scene.tif'
    profile = {'driver': 'GTiff', 'count': 3, 'height': 64, 'width': 64, 'dtype': 'uint8'}
    with rasterio.open(
        path, 'w', crs='EPSG:32633', transform=from_origin(4e5, 5e6, 10, 10), **profile
    ) as dst:
        dst.write(np.full((3, 64, 64), 9, dtype='uint8'))
    return path


def add_mask(path: Path) -> None:
    shown = np.ones((64, 64), dtype=bool)
    shown[:, :32] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, 'r+') as dst:
        dst.write_mask(shown)
    assert Path(f'{path}.msk').exists()


def add_overview(path: Path) -> None:
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(path, 'r+') as dst:
        dst.build_overviews([2])
    assert Path(f'{path}.ovr').exists()


def add_nodata(path: Path) -> None:
    band = '<PAMRasterBand band="1"><NoDataValue>9</NoDataValue></PAMRasterBand>'
    Path(f'{path}.aux.xml').write_text(f'<PAMDataset>{band}</PAMDataset>')


ADDED: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    '.msk': (add_mask, lambda path: read_header(path).masks == ('per_dataset',)),
    '.ovr': (add_overview, lambda path: reduced(path)),
    '.aux.xml': (add_nodata, lambda path: read_header(path).nodata == 9),
}


def reduced(path: Path) -> bool:
    with open_reader(path) as src:
        return bool(src.overviews(1) == [2])


@pytest.mark.parametrize('crowded', [False, True])
@pytest.mark.parametrize('ending', ADDED)
def test_what_lies_beside_is_found(scene: Path, ending: str, crowded: bool) -> None:
    add, is_found = ADDED[ending]
    assert not is_found(scene)
    add(scene)
    if crowded:
        # from here on GDAL lists no folder by itself
        for number in range(1001):
            (scene.parent / f'{number}').touch()
    assert is_found(scene)
    assert str(scene) + ending in names_beside(str(scene))


def test_what_the_user_has_set_stays(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_mask(scene)
    assert ways_of_looking() == []
    with rasterio.Env(**{LOOK: 'EMPTY_DIR'}):
        assert read_header(scene).masks == ('all_valid',)
        assert get_gdal_config(LOOK) == 'EMPTY_DIR'
    assert read_header(scene).masks == ('per_dataset',)
    monkeypatch.setenv(LOOK, 'EMPTY_DIR')
    assert read_header(scene).masks == ('all_valid',)
    assert ways_of_looking() == [f'{LOOK}=EMPTY_DIR']


def test_nothing_of_the_environment_is_changed(scene: Path) -> None:
    before = dict(os.environ)
    with open_reader(scene):
        assert get_gdal_config(LOOK) is None
        with looking_by_name(str(scene)):
            assert get_gdal_config(LOOK) == 'TRUE'
    assert get_gdal_config(LOOK) is None
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    'name', ['s3://bucket/a.tif', '/vsicurl/http://host/a.tif', 'NETCDF:a.nc:b']
)
def test_what_is_no_local_path_is_left_to_gdal(name: str) -> None:
    with looking_by_name(name):
        assert get_gdal_config(LOOK) is None
