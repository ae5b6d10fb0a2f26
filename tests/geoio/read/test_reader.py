"""Laws of reading windows."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.env import get_gdal_config
from rasterio.shutil import copy

from gersp_geo.geoio.gdal import gdal_cache
from gersp_geo.geoio.read.reader import list_files, open_reader, read_header, read_window
from gersp_geo.windows import Window

UTM = CRS.from_epsg(32632)


def write(
    path: Path,
    pixels: NDArray[np.generic],
    *,
    nodata: float | None = None,
    descriptions: tuple[str, ...] = (),
) -> Path:
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=count, dtype=pixels.dtype,
        nodata=nodata, crs=UTM, transform=Affine(0.5, 0, 4e5, 0, -0.5, 5e6), tiled=True,
        blockxsize=16, blockysize=16,
    ) as dst:  # fmt: skip
        dst.write(pixels)
        if descriptions:
            dst.descriptions = descriptions
    return path


def numbered(*shape: int, dtype: str = 'uint16') -> NDArray[np.generic]:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def whole(array: NDArray[np.generic]) -> Window:
    return Window(row_off=0, col_off=0, height=array.shape[-2], width=array.shape[-1])


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    before=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    after=st.tuples(st.integers(0, 30), st.integers(0, 30)),
)
def test_windows_over_every_side_are_padded_as_numpy_does(
    tmp_path: Path, shape: tuple[int, int], before: tuple[int, int], after: tuple[int, int]
) -> None:
    pixels = numbered(2, *shape)
    path = write(tmp_path / 'scene.tif', pixels)
    window = Window(
        row_off=-before[0],
        col_off=-before[1],
        height=before[0] + shape[0] + after[0],
        width=before[1] + shape[1] + after[1],
    )
    sides = ((0, 0), (before[0], after[0]), (before[1], after[1]))
    with open_reader(path) as src:
        read = read_window(src, window, bands=(1, 2))
    np.testing.assert_array_equal(read, np.pad(pixels, sides, mode='reflect'))


@given(start=st.tuples(st.integers(-25, 25), st.integers(-25, 25)))
def test_a_window_is_the_same_part_of_the_padded_scene(
    tmp_path: Path, start: tuple[int, int]
) -> None:
    pixels = numbered(1, 11, 7)
    path = write(tmp_path / 'scene.tif', pixels)
    padded = np.pad(pixels, ((0, 0), (30, 60), (30, 60)), mode='reflect')
    window = Window(row_off=start[0], col_off=start[1], height=5, width=13)
    with open_reader(path) as src:
        read = read_window(src, window, bands=(1,))
    row, col = start[0] + 30, start[1] + 30
    np.testing.assert_array_equal(read, padded[:, row : row + 5, col : col + 13])


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'uint16', 'int32', 'float32', 'float64'])
def test_bands_come_in_the_order_asked_for_and_in_the_files_type(
    tmp_path: Path, dtype: str
) -> None:
    pixels = numbered(3, 5, 4, dtype=dtype)
    with open_reader(write(tmp_path / 'scene.tif', pixels)) as src:
        read = read_window(src, whole(pixels), bands=(3, 1, 1))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels[[2, 0, 0]])


def test_a_header_says_what_the_file_says(tmp_path: Path) -> None:
    pixels = numbered(2, 40, 30)
    path = write(tmp_path / 'scene.tif', pixels, nodata=7, descriptions=('red', 'nir'))
    header = read_header(path)
    assert (header.count, header.height, header.width) == pixels.shape
    assert (header.dtype, header.nodata) == ('uint16', 7)
    assert header.descriptions == ('red', 'nir')
    assert header.crs == UTM
    assert header.transform == Affine(0.5, 0, 4e5, 0, -0.5, 5e6)
    assert header.block_shape == (16, 16)
    assert header.alpha == ()


def test_a_raster_without_crs_is_read(tmp_path: Path) -> None:
    path = tmp_path / 'plain.tif'
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(path, 'w', driver='GTiff', height=2, width=2, count=1, dtype='uint8') as dst,
    ):
        dst.write(np.ones((1, 2, 2), dtype='uint8'))
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        header = read_header(path)
    assert header.crs is None
    assert header.transform == Affine.identity()


def test_a_missing_file_is_told_from_one_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'nothing\.tif does not exist'):
        read_header(tmp_path / 'nothing.tif')
    text = tmp_path / 'notes.tif'
    text.write_text('not a raster')
    with pytest.raises(ValueError, match=r'notes\.tif is not a raster that GDAL can read') as info:
        read_header(text)
    assert '\n' not in str(info.value)


def test_damage_is_reported_with_its_place(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1, 64, 64), dtype='uint8')
    path = write(tmp_path / 'scene.tif', pixels)
    path.write_bytes(path.read_bytes()[:-2000])
    with (
        open_reader(path) as src,
        pytest.raises(OSError, match=r'scene\.tif cannot be read at rows \[0, 64\)') as info,
    ):
        read_window(src, whole(pixels), bands=(1,))
    assert '\n' not in str(info.value)


def test_bands_and_windows_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    pixels = numbered(2, 4, 4)
    with open_reader(write(tmp_path / 'scene.tif', pixels)) as src:
        for bands in ((), (0,), (1, 3)):
            with pytest.raises(ValueError, match=r'bands must be in \[1, 2\]'):
                read_window(src, whole(pixels), bands=bands)
        with pytest.raises(ValueError, match='at least one pixel'):
            read_window(src, Window(row_off=0, col_off=0, height=0, width=4), bands=(1,))


def test_files_that_stay_open_may_close_in_any_order(tmp_path: Path) -> None:
    paths = [write(tmp_path / f'{i}.tif', numbered(1, 4, 4)) for i in range(2)]
    first, second = (open_reader(path) for path in paths)
    one, _ = first.__enter__(), second.__enter__()
    first.__exit__(None, None, None)
    assert one.closed
    with open_reader(paths[0]) as again:
        assert again.read().shape == (1, 4, 4)
    second.__exit__(None, None, None)


@pytest.mark.parametrize('nested', [False, True], ids=['alone', 'in an environment'])
def test_the_cache_of_gdal_is_as_before(nested: bool) -> None:
    before = get_gdal_config('GDAL_CACHEMAX')
    with rasterio.Env() if nested else nullcontext():
        with gdal_cache(2**25):
            assert get_gdal_config('GDAL_CACHEMAX') == 2**25
        assert get_gdal_config('GDAL_CACHEMAX') == before
    assert get_gdal_config('GDAL_CACHEMAX') == before


def test_the_files_of_a_vrt_are_those_of_its_parts_and_their_masks(tmp_path: Path) -> None:
    part = write(tmp_path / 'part.tif', np.ones((1, 8, 8), dtype='uint8'))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(part, 'r+') as dst:
        dst.write_mask(np.ones((8, 8), dtype=bool))
    inner, outer = tmp_path / 'inner.vrt', tmp_path / 'outer.vrt'
    copy(part, inner, driver='VRT')
    text = inner.read_text().replace('part.tif', 'inner.vrt')
    outer.write_text(text)
    assert [Path(name).name for name in list_files(outer)] == [
        'inner.vrt', 'outer.vrt', 'part.tif', 'part.tif.msk',
    ]  # fmt: skip
