"""Pixels under those of another grid: the same that GDAL takes, whatever window is asked for."""

from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject

from gersp_geo.geoio.grids import Grid
from gersp_geo.geoio.warp import find_nearest
from gersp_geo.windows import Window

UTM = CRS.from_epsg(32633)
IMAGE = Grid(height=48, width=40, crs=UTM, transform=Affine(10, 0, 4e5, 0, -10, 5e6))
TURNED = Grid(height=48, width=40, crs=UTM, transform=Affine(8, 3, 4e5, 3, -8, 5e6))


@pytest.mark.parametrize('grid', [IMAGE, TURNED], ids=['upright', 'turned'])
@pytest.mark.parametrize(
    ('epsg', 'transform'),
    [
        (32633, Affine(20, 0, 4e5 - 60, 0, -20, 5e6 - 100)),
        (32633, Affine(5, 0, 4e5, 0, -5, 5e6)),
        (32633, Affine(7, 2, 4e5 + 0.37, 2, -7, 5e6 + 0.21)),
        (32632, Affine(10, 0, 871624, 0, -10, 5010166)),
        (4326, Affine(1e-4, 0, 13.728, 0, -1e-4, 45.148)),
        (3857, Affine(15, 0, 1_528_300, 0, -15, 5_645_000)),
    ],
    ids=['coarser', 'finer', 'turned', 'zone', 'degrees', 'mercator'],
)
def test_gdal_takes_the_same_pixels(grid: Grid, epsg: int, transform: Affine) -> None:
    source = Grid(height=60, width=60, crs=CRS.from_epsg(epsg), transform=transform)
    pixels = np.arange(1, 3601, dtype=np.uint16).reshape(60, 60)
    expected = np.zeros((grid.height, grid.width), np.uint16)
    reproject(
        pixels, expected, src_transform=transform, src_crs=source.crs, dst_crs=grid.crs,
        dst_transform=grid.transform, resampling=Resampling.nearest, tolerance=0.0,
    )  # fmt: skip
    assert (expected > 0).mean() > 0.2
    np.testing.assert_array_equal(take(pixels, source, grid, whole(grid)), expected)


@given(row=st.integers(-9, 50), col=st.integers(-9, 50), side=st.integers(1, 30))
def test_a_pixel_depends_on_no_window(row: int, col: int, side: int) -> None:
    source = Grid(
        height=60, width=60, crs=CRS.from_epsg(32632),
        transform=Affine(10, 0, 871624, 0, -10, 5010166),
    )  # fmt: skip
    pixels = np.arange(1, 3601, dtype=np.uint16).reshape(60, 60)
    around = Window(row_off=-10, col_off=-10, height=100, width=100)
    window = Window(row_off=row, col_off=col, height=side, width=side)
    expected = take(pixels, source, IMAGE, around)[row + 10 :, col + 10 :][:side, :side]
    np.testing.assert_array_equal(take(pixels, source, IMAGE, window), expected)


def test_beyond_the_raster_there_is_none() -> None:
    away = Grid(height=9, width=9, crs=UTM, transform=Affine(10, 0, 9e5, 0, -10, 5e6))
    assert find_nearest(away, IMAGE, whole(IMAGE)) is None


def test_longitudes_beyond_180_degrees_are_found() -> None:
    degrees = CRS.from_epsg(4326)
    source = Grid(height=4, width=8, crs=degrees, transform=Affine(1, 0, 176, 0, -1, 2))
    grid = Grid(height=4, width=4, crs=degrees, transform=Affine(1, 0, -180, 0, -1, 2))
    found = find_nearest(source, grid, whole(grid))
    assert found is not None
    assert found.inside.all()
    assert (found.window.col_off, found.cols[0].tolist()) == (4, [0, 1, 2, 3])


def whole(grid: Grid) -> Window:
    return Window(row_off=0, col_off=0, height=grid.height, width=grid.width)


def take(pixels: Any, source: Grid, grid: Grid, window: Window) -> Any:
    found = find_nearest(source, grid, window)
    if found is None:
        return np.zeros((window.height, window.width), pixels.dtype)
    part = found.window
    under = pixels[part.row_off : part.row_stop, part.col_off : part.col_stop]
    return np.where(found.inside, under[found.rows, found.cols], 0)
