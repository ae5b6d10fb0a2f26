from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine, from_origin

from gersp_geo.geoio.alignment import on_one_grid, open_aligned
from gersp_geo.geoio.reading import read_header, read_valid, read_window
from gersp_geo.records import Window

WHOLE = Window(row_off=0, col_off=0, height=20, width=20)


def write(
    path: Path,
    pixels: np.ndarray,
    *,
    epsg: int = 32633,
    transform: Affine | None = None,
    nodata: float | None = None,
) -> Path:
    profile = {'driver': 'GTiff', 'height': pixels.shape[1], 'width': pixels.shape[2]}
    transform = transform or from_origin(500000, 5000000, 10, 10)
    with rasterio.open(
        path, 'w', crs=f'EPSG:{epsg}', transform=transform, count=len(pixels), dtype=pixels.dtype,
        nodata=nodata, **profile,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def ramp(rows: int = 20, cols: int = 20) -> np.ndarray:
    """Values that grow by 2 per column: halfway between two of them is their mean."""
    return np.broadcast_to(10 + 2 * np.arange(cols, dtype='uint8'), (1, rows, cols)).copy()


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    return write(tmp_path / 'grid.tif', ramp())


def test_a_file_on_the_same_grid_is_read_as_it_is(tmp_path: Path, grid: Path) -> None:
    path = write(tmp_path / 'a.tif', ramp() + 1)
    header = read_header(grid)
    assert on_one_grid(read_header(path), header)
    with open_aligned(path, header) as src:
        np.testing.assert_array_equal(read_window(src, WHOLE, bands=[1]), ramp() + 1)
        assert read_valid(src, WHOLE).all()


@pytest.mark.parametrize('nodata', [None, 0])
def test_half_a_pixel_is_interpolated_and_outside_is_not_observed(
    tmp_path: Path, grid: Path, nodata: float | None
) -> None:
    shifted = from_origin(500005, 5000000, 10, 10)
    path = write(tmp_path / 'a.tif', ramp(), transform=shifted, nodata=nodata)
    header = read_header(grid)
    assert not on_one_grid(read_header(path), header)
    with open_aligned(path, header) as src:
        pixels, valid = read_window(src, WHOLE, bands=[1]), read_valid(src, WHOLE, bands=[1])
    # a pixel of the grid lies between two of the file
    np.testing.assert_array_equal(pixels[0, :, 1:], ramp()[0, :, 1:] - 1)
    assert valid[:, 1:].all()
    far = write(tmp_path / 'b.tif', ramp(), transform=from_origin(500100, 5000000, 10, 10))
    with open_aligned(far, header) as src:
        valid = read_valid(src, WHOLE, bands=[1])
    assert valid[:, 11:].all()
    assert not valid[:, :10].any()


def test_another_resolution_and_another_crs_show_the_same_ground(
    tmp_path: Path, grid: Path
) -> None:
    header = read_header(grid)
    fine = np.repeat(np.repeat(ramp(), 2, axis=1), 2, axis=2)
    half = write(tmp_path / 'fine.tif', fine, transform=from_origin(500000, 5000000, 5, 5))
    with open_aligned(half, header) as src:
        pixels = read_window(src, WHOLE, bands=[1]).astype(int)
    assert np.abs(pixels - ramp())[:, 1:-1, 1:-1].max() <= 1
    with rasterio.open(grid) as src, rasterio.vrt.WarpedVRT(src, crs='EPSG:4326') as warped:
        turned = write(
            tmp_path / 'turned.tif', warped.read(), epsg=4326, transform=warped.transform, nodata=0
        )
    with open_aligned(turned, header) as src:
        pixels = read_window(src, WHOLE, bands=[1]).astype(int)
    assert np.abs(pixels - ramp())[:, 3:-3, 3:-3].max() <= 2
