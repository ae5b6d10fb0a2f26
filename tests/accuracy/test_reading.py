from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from gersp_geo.accuracy.reading import lay_windows, read_ahead, read_pixels
from gersp_geo.geoio.read import open_decoder, open_reader, read_header
from gersp_geo.geoio.write import write_raster
from gersp_geo.windows import Window


@pytest.mark.parametrize('is_small', [False, True])
def test_windows_cover_a_map_once_from_top_to_bottom(tmp_path: Path, is_small: bool) -> None:
    path = write_raster(
        tmp_path / 'map.tif', np.zeros((1100, 1500), np.uint8), crs='EPSG:32632',
        transform=Affine(2, 0, 0, 0, -2, 0), block_size=16,
    )  # fmt: skip
    windows = list(lay_windows(read_header(path), block_rows=64, is_small=is_small))
    seen = np.zeros((1100, 1500), int)
    for each in windows:
        seen[each.row_off : each.row_stop, each.col_off : each.col_stop] += 1
    assert (seen == 1).all()
    assert windows == sorted(windows, key=lambda each: (each.row_off, each.col_off))


def test_what_fails_in_a_thread_is_raised_here() -> None:
    windows = [Window(row_off=row, col_off=0, height=1, width=1) for row in range(4)]

    def read(window: Window) -> int:
        if window.row_off == 2:
            raise OSError('damaged')
        return window.row_off

    reading, found = read_ahead([read, lambda window: -window.row_off], iter(windows)), []
    with pytest.raises(OSError, match='damaged'):
        found += [each for _, each in reading]
    assert [each for _, each in read_ahead([read], iter(windows[:2]))] == [[0], [1]]


@pytest.mark.parametrize('tiles', [{'tiled': True, 'blockxsize': 32, 'blockysize': 16}, {}])
def test_pixels_are_the_same_whoever_decodes_their_blocks(
    tmp_path: Path, tiles: dict[str, bool | int]
) -> None:
    path = tmp_path / 'map.tif'
    pixels = np.random.default_rng(0).integers(0, 9, (50, 70), dtype=np.uint8)
    with rasterio.open(
        path, 'w', driver='GTiff', height=50, width=70, count=1, dtype='uint8', nodata=8,
        crs='EPSG:32632', transform=Affine(2, 0, 0, 0, -2, 0), compress='deflate', **tiles,
    ) as dst:  # fmt: skip
        dst.write(pixels, 1)
    header = read_header(path)
    cut = Window(row_off=3, col_off=0, height=20, width=64)
    with open_reader(path) as src, open_decoder(src.name, header) as decoder:
        assert decoder.is_in_use
        for window in (*lay_windows(header), *lay_windows(header, is_wide=True), cut):
            (found,), valid = read_pixels(src, window, bands=[1], header=header, decoder=decoder)
            rows, cols = window.row_off, window.col_off
            expected = pixels[rows : rows + window.height, cols : cols + window.width]
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(valid, expected != 8)
