from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Geod, Transformer
from rasterio.crs import CRS
from rasterio.vrt import WarpedVRT

from gersp_geo.geoio.grids import Grid
from gersp_geo.geoio.read.reader import Reader, open_reader
from gersp_geo.geoio.warp.reprojection import Reprojection
from gersp_geo.geoio.warp.target_grids import choose_grid

DISK = '+proj=geos +h=35786023 +lon_0={} +sweep=x +a=6378137 +b=6356752.31414'


def write(path: Path, crs: str, transform: Affine, height: int = 100, width: int = 120) -> Path:
    with rasterio.open(
        path, 'w', driver='GTiff', count=1, height=height, width=width, dtype='uint8', crs=crs,
        transform=transform, SPARSE_OK=True,
    ):  # fmt: skip
        pass
    return path


@pytest.mark.parametrize(
    ('crs', 'transform', 'target'),
    [
        ('EPSG:32633', Affine(10, 0, 5e5, 0, -10, 5e6), 'EPSG:4326'),
        ('EPSG:32633', Affine(10, 0, 5e5, 0, -10, 5e6), 'EPSG:3857'),
        ('EPSG:32633', Affine(8, 6, 5e5, 6, -8, 5e6), 'EPSG:4326'),
        ('EPSG:4326', Affine(0.05, 0, 235, 0, -0.05, 40), 'EPSG:32610'),
        ('EPSG:4326', Affine(3, 0, -180, 0, -1.8, 90), 'ESRI:54009'),
        ('EPSG:3413', Affine(1000, 0, 5e5, 0, -1000, -5e5), 'EPSG:4326'),
        ('EPSG:3035', Affine(50_000, 0, 2e6, 0, -50_000, 6e6), 'EPSG:3857'),
        (DISK.format(0), Affine(90_000, 0, -5.4e6, 0, -108_000, 5.4e6), 'EPSG:4326'),
    ],
)
def test_what_gdal_suggests_is_taken_where_it_is_right(
    crs: str, transform: Affine, target: str, tmp_path: Path
) -> None:
    with open_reader(write(tmp_path / 'a.tif', crs, transform)) as src:
        chosen = choose_grid(src, CRS.from_user_input(target))
        with closing(WarpedVRT(src, crs=target)) as suggested:
            assert (chosen.transform, chosen.height, chosen.width) == (
                suggested.transform, suggested.height, suggested.width,
            )  # fmt: skip


def per_pixel(src: Reader, grid: Grid) -> float:
    """Compare the length of a pixel of the grid on the ground with that of one of the raster."""
    to_degrees = Transformer.from_crs(grid.crs, 'EPSG:4326', always_xy=True)
    back = Transformer.from_crs('EPSG:4326', src.crs, always_xy=True)
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    places = [to_degrees.transform(*(grid.transform @ (cols, rows + step))) for step in (-0.5, 0.5)]
    _, _, length = Geod(ellps='WGS84').inv(*places[0], *places[1])
    own = [back.transform(*place) for place in places]
    pixels = np.hypot(*(np.array(~src.transform @ own[0]) - np.array(~src.transform @ own[1])))
    known = np.isfinite(length) & np.isfinite(pixels) & (pixels < 50)
    return float(np.median(pixels[known]))


@pytest.mark.parametrize(
    ('crs', 'transform', 'target', 'bounds'),
    [
        # 60 columns west and east of 180 degrees
        ('EPSG:32660', Affine(10, 0, 735_800, 0, -10, 5e6), 'EPSG:4326', (179.9, 180.1)),
        ('EPSG:3413', Affine(2000, 0, -1.5e6, 0, -2000, 1.5e6), 'EPSG:4326', (175, 185)),
        ('EPSG:32660', Affine(10, 0, 735_800, 0, -10, 5e6), 'EPSG:3857', (2e7, 2.006e7)),
        ('EPSG:3413', Affine(10, 0, -600, 0, -10, 500), 'EPSG:4326', (-180, 180)),
        ('EPSG:3413', Affine(10, 0, 600, 0, -10, 500), 'EPSG:4326', (5, 86)),
        ('EPSG:32633', Affine(10, 0, 5e5, 0, -10, 9.25e6), 'EPSG:4326', (15, 15.1)),
        (DISK.format(-137), Affine(90_000, 0, -5.4e6, 0, -108_000, 5.4e6), 'EPSG:4326', (138, 310)),
    ],
)
def test_our_own_grid_shows_all_at_about_its_size(
    crs: str, transform: Affine, target: str, bounds: tuple[float, float], tmp_path: Path
) -> None:
    with open_reader(write(tmp_path / 'a.tif', crs, transform)) as src:
        grid = choose_grid(src, CRS.from_user_input(target))
        left, right = grid.x_range()
        assert bounds[0] - 1e-6 <= left < right <= bounds[1] + 1e-6
        reprojection = Reprojection.of(Grid.of(src), CRS.from_user_input(target))
        assert reprojection.share_found_again(grid) > 0.99
        assert grid.height * grid.width < 4 * src.height * src.width
        assert 0.25 < per_pixel(src, grid) < 4


def test_the_earth_is_shown_once(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', 'EPSG:4326', Affine(2, 0, -1, 0, -2, 91), height=91, width=180)
    with open_reader(path) as src:
        grid = choose_grid(src, CRS.from_epsg(4269))
    assert grid.x_range() == pytest.approx((-180, 180), abs=1e-9)
    assert 90 <= grid.height <= 92


@pytest.mark.parametrize(
    ('transform', 'target'),
    [
        (Affine(3, 0, -180, 0, -1.8, 90), 'EPSG:3413'),
        (Affine(3, 0, -180, 0, -1.8, 90), '+proj=ortho +lat_0=40'),
        (Affine(0.1, 0, 10, 0, -0.1, 50), '+proj=gnom +lat_0=-60'),
    ],
)
def test_a_crs_that_shows_too_little_is_refused(
    transform: Affine, target: str, tmp_path: Path
) -> None:
    with (
        open_reader(write(tmp_path / 'a.tif', 'EPSG:4326', transform)) as src,
        pytest.raises(ValueError, match=r'a\.tif cannot be expressed in .*; choose a CRS'),
    ):
        choose_grid(src, CRS.from_user_input(target))
