from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.shutil import copy
from rasterio.windows import Window

from gersp_geo.geoio.read.reader import UnreadableFileError
from gersp_geo.geoio.read.truncation import check_whole

SIDE = 256
PLACED: dict[str, Any] = {'crs': 'EPSG:32633', 'transform': Affine(10, 0, 4e5, 0, -10, 5e6)}
TILED = {'tiled': True, 'blockxsize': 64, 'blockysize': 64}
LAYOUTS: dict[str, dict[str, Any]] = {
    'cog': {'driver': 'COG', 'blocksize': 128, 'compress': 'deflate'},
    'big cog': {'driver': 'COG', 'blocksize': 128, 'compress': 'lzw', 'bigtiff': 'yes'},
    'tiles': {'driver': 'GTiff', 'compress': 'deflate', **TILED},
    'planes': {'driver': 'GTiff', 'interleave': 'band', **TILED},
    'strips': {'driver': 'GTiff', 'compress': 'zstd'},
    'big-endian': {'driver': 'GTiff', 'endianness': 'big', 'nodata': 0},
    'one strip': {'driver': 'GTiff', 'blockysize': SIDE, 'photometric': 'rgb'},
    'big sparse': {'driver': 'GTiff', 'sparse_ok': True, 'bigtiff': 'yes', 'nodata': 0, **TILED},
}


def noise(count: int = 3, *, side: int = SIDE) -> NDArray[np.uint8]:
    pixels = np.random.default_rng(0).integers(1, 255, (count, side, side), dtype=np.uint8)
    # nothing of a sparse file is stored here
    pixels[:, :128, :64] = 0
    return pixels


def write(path: Path, **options: Any) -> Path:
    pixels = noise()
    shape = {'count': 3, 'height': SIDE, 'width': SIDE, 'dtype': 'uint8'}
    with rasterio.open(path, 'w', **(PLACED | shape | options)) as dst:
        dst.write(pixels)
    return path


def refusal(path: Path) -> str | None:
    """Give the message that refuses a file, None for a whole one."""
    try:
        check_whole(path)
    except UnreadableFileError as error:
        return str(error)
    return None


@pytest.mark.quick('cog', 'planes', 'strips', 'big sparse')
@pytest.mark.parametrize('layout', LAYOUTS)
def test_wherever_a_file_is_cut_it_is_refused_or_whole(tmp_path: Path, layout: str) -> None:
    content = write(tmp_path / 'whole.tif', **LAYOUTS[layout]).read_bytes()
    assert refusal(tmp_path / 'whole.tif') is None
    places = {*range(0, 5000, 97), *range(5000, len(content), 9973), len(content) - 1}
    with rasterio.open(tmp_path / 'whole.tif') as src:
        expected, crs, transform, nodata = src.read(), src.crs, src.transform, src.nodata
    for place in sorted(places):
        path = tmp_path / 'cut.tif'
        path.write_bytes(content[:place])
        if (message := refusal(path)) is not None:
            assert 'cut.tif' in message
            assert '\n' not in message
            continue
        # the last bytes of a file may be overviews, or say nothing
        with rasterio.open(path) as src:
            np.testing.assert_array_equal(src.read(), expected)
            assert (src.crs, src.transform, src.nodata) == (crs, transform, nodata)
        assert place > 0.9 * len(content)


@pytest.mark.parametrize('place', [500, 1000, 2500])
def test_the_message_says_what_is_missing(tmp_path: Path, place: int) -> None:
    content = write(tmp_path / 'whole.tif', **LAYOUTS['cog']).read_bytes()
    (tmp_path / 'cut.tif').write_bytes(content[:place])
    with pytest.raises(
        UnreadableFileError,
        match=rf'cut\.tif is cut off: it ends at byte {place:,}, before .*fetch',
    ):
        check_whole(tmp_path / 'cut.tif')


@pytest.mark.parametrize('bigtiff', ['yes', 'no'])
@pytest.mark.parametrize('stored', [0, 1, 5])
def test_blocks_that_were_never_stored_are_no_damage(
    tmp_path: Path, bigtiff: str, stored: int
) -> None:
    options = {'sparse_ok': True, 'bigtiff': bigtiff, 'compress': 'deflate', **TILED}
    shape = {'count': 3, 'height': SIDE, 'width': SIDE, 'dtype': 'uint8'}
    with rasterio.open(
        tmp_path / 'a.tif', 'w', driver='GTiff', **PLACED, **shape, **options
    ) as dst:
        for col in range(stored):
            window = Window(64 * (col % 4), 64 * (col // 4), 64, 64)
            dst.write(np.ones((3, 64, 64), dtype=np.uint8), window=window)
    check_whole(tmp_path / 'a.tif')


def test_a_virtual_raster_names_the_part_that_is_cut_off(tmp_path: Path) -> None:
    write(tmp_path / 'part.tif', **LAYOUTS['cog'])
    copy(tmp_path / 'part.tif', tmp_path / 'inner.vrt', driver='VRT')
    copy(tmp_path / 'inner.vrt', tmp_path / 'outer.vrt', driver='VRT')
    check_whole(tmp_path / 'outer.vrt')
    (tmp_path / 'part.tif').write_bytes((tmp_path / 'part.tif').read_bytes()[:1500])
    with pytest.raises(UnreadableFileError, match=r'part\.tif is cut off'):
        check_whole(tmp_path / 'outer.vrt')
    (tmp_path / 'part.tif').unlink()
    with pytest.raises(
        UnreadableFileError, match=r'outer\.vrt refers to .*part\.tif, which does not'
    ):
        check_whole(tmp_path / 'outer.vrt')


@pytest.mark.parametrize('share', [0.0, 0.05, 0.5, 0.99])
@pytest.mark.parametrize('inside', [True, False])
def test_a_mask_that_is_cut_off_is_not_left_out(tmp_path: Path, inside: bool, share: float) -> None:
    path = write(tmp_path / 'a.tif', **LAYOUTS['planes'])
    before = path.stat().st_size
    mask = noise(1)[0] > 20
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside), rasterio.open(path, 'r+') as dst:
        dst.write_mask(mask)
    check_whole(path)
    cut = path if inside else tmp_path / 'a.tif.msk'
    content = cut.read_bytes()
    kept = before + int(share * (len(content) - before)) if inside else int(share * len(content))
    cut.write_bytes(content[:kept])
    with pytest.raises(UnreadableFileError, match=rf'{cut.name} is (cut off|not a raster)'):
        check_whole(path)


@pytest.mark.parametrize(('driver', 'name'), [('PNG', 'a.png'), ('ENVI', 'a.bsq')])
@pytest.mark.parametrize('share', [0.05, 0.5, 0.999])
def test_formats_of_which_gdal_makes_up_what_is_missing(
    tmp_path: Path, driver: str, name: str, share: float
) -> None:
    copy(write(tmp_path / 'a.tif', **LAYOUTS['tiles']), tmp_path / name, driver=driver)
    check_whole(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(UnreadableFileError, match=rf'{name} is cut off'):
        check_whole(tmp_path / name)


def test_too_large_a_size_of_the_last_block_is_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', **(LAYOUTS['strips'] | {'compress': None, 'blockysize': 100}))
    content = path.read_bytes()
    # the last of three strips has 56 of 100 rows; some writers count the others too
    whole, short = ((rows * SIDE * 3).to_bytes(4, 'little') for rows in (100, 56))
    assert content.count(short) == 1
    path.write_bytes(content.replace(short, whole))
    check_whole(path)
    with rasterio.open(path) as src:
        np.testing.assert_array_equal(src.read(), noise())


def test_a_large_table_is_read_quickly(tmp_path: Path) -> None:
    path = tmp_path / 'a.tif'
    # 160,000 blocks, all but one never stored
    shape = {'count': 1, 'height': 6400, 'width': 6400, 'dtype': 'uint8', 'sparse_ok': True}
    tiles = {'tiled': True, 'blockxsize': 16, 'blockysize': 16}
    with rasterio.open(path, 'w', driver='GTiff', **PLACED, **shape, **tiles) as dst:
        dst.write(np.ones((1, 16, 16), dtype=np.uint8), window=Window(6384, 6384, 16, 16))
    check_whole(path)
    started = perf_counter()
    check_whole(path)
    assert perf_counter() - started < 0.1
