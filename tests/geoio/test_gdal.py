import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.vrt import WarpedVRT

from gersp_geo.geoio.gdal import GDALError, enter_gdal, gdal_messages


def write(path: Path) -> Path:
    with rasterio.open(
        path, 'w', driver='GTiff', height=4, width=4, count=1, dtype='uint8', crs='EPSG:32633',
        transform=rasterio.transform.from_origin(500000, 5000000, 10, 10),
    ):  # fmt: skip
        pass
    return path


def test_rasterio_lets_errors_of_a_warp_through(tmp_path: Path) -> None:
    crs = CRS.from_string('+proj=ortho +lat_0=-80 +lon_0=180')
    with rasterio.open(write(tmp_path / 'a.tif')) as src, pytest.raises(GDALError):
        WarpedVRT(src, crs=crs)


def test_rasterio_lets_errors_of_a_copy_through(tmp_path: Path) -> None:
    with rasterio.open(write(tmp_path / 'a.tif')) as src, pytest.raises(GDALError):
        rasterio.shutil.copy(src, tmp_path / 'missing' / 'b.tif', driver='COG')


def fail(path: Path) -> None:
    """Make GDAL say that a warp is impossible."""
    # other than the file itself, closing() does not enter an environment of GDAL
    with closing(rasterio.open(path)) as src, pytest.raises(GDALError):
        WarpedVRT(src, crs=CRS.from_string('+proj=geos +h=35785831 +lon_0=-160'))


def test_a_thread_that_enters_writes_nothing_to_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / 'a.tif')
    with ThreadPoolExecutor(1) as pool:
        pool.submit(fail, path).result()
    # if GDAL keeps quiet by itself, all this is not needed
    assert 'ERROR 1: ' in capfd.readouterr().err
    with ThreadPoolExecutor(1, initializer=enter_gdal) as pool:
        pool.submit(fail, path).result()
    with gdal_messages(print):
        fail(path)
    assert capfd.readouterr() == ('', '')


def test_messages_of_a_kind_are_told_once_with_their_number() -> None:
    lines: list[str] = []
    log = logging.getLogger('rasterio._env')
    before = list(logging.getLogger('rasterio').handlers)
    with gdal_messages(lines.append):
        for number in range(1000):
            log.warning('CPLE_AppDefined in tile\n%d: odd', number)
        log.error('once')
        threading.Thread(target=log.warning, args=['CPLE_AppDefined in tile 1000: odd']).start()
        assert not lines
    assert lines[0] == 'CPLE_AppDefined in tile 0: odd (and 1,000 more messages of this kind)'
    assert lines[1:] == ['once']
    assert logging.getLogger('rasterio').handlers == before


def test_what_fails_tells_of_itself() -> None:
    lines: list[str] = []
    with pytest.raises(ValueError, match='my own'), gdal_messages(lines.append):  # noqa: PT012
        logging.getLogger('rasterio').warning('beside it')
        raise ValueError('my own')
    assert not lines
