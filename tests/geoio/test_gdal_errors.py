from pathlib import Path

import pytest
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.vrt import WarpedVRT

from gersp_geo.geoio.gdal_errors import GDALError


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
