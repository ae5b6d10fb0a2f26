from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from gersp_geo.geoio.read.reader import UnreadableFileError
from gersp_geo.geoio.read.stored_blocks import stored_blocks

# 3 x 5 blocks of 64 px, none of the last row and column whole
HEIGHT, WIDTH, SIDE = 150, 290, 64
GRID: dict[str, Any] = {
    'driver': 'GTiff', 'height': HEIGHT, 'width': WIDTH, 'crs': 'EPSG:32633',
    'transform': Affine(1, 0, 4e5, 0, -1, 5e6), 'dtype': 'uint8',
}  # fmt: skip
TILED = {'tiled': True, 'blockxsize': SIDE, 'blockysize': SIDE}


def write(
    path: Path, filled: dict[int, list[tuple[int, int]]], *, count: int = 3, **options: Any
) -> Path:
    """Fill whole blocks (row, column) of bands with ones."""
    with rasterio.open(
        path, 'w', count=count, **(GRID | TILED | {'sparse_ok': True} | options)
    ) as dst:
        height, width = dst.block_shapes[0]
        for band, blocks in filled.items():
            for row, col in blocks:
                rows = min(height, HEIGHT - row * height)
                cols = min(width, WIDTH - col * width)
                window = Window(col * width, row * height, cols, rows)
                dst.write(np.ones((rows, cols), dtype='uint8'), band, window=window)
    return path


@pytest.mark.parametrize('interleave', ['pixel', 'band'])
@pytest.mark.parametrize('compress', [None, 'deflate', 'lzw', 'zstd', 'jpeg'])
@pytest.mark.parametrize('options', [{}, {'nodata': 0}, {'BIGTIFF': 'YES'}], ids=str)
def test_blocks_that_were_written_are_stored_and_no_others(
    tmp_path: Path, interleave: str, compress: str | None, options: dict[str, Any]
) -> None:
    filled = {1: [(0, 0), (2, 4)], 2: [(0, 0), (1, 3)]}
    path = write(tmp_path / 'a.tif', filled, interleave=interleave, compress=compress, **options)
    expected = np.zeros((3, 5), dtype=bool)
    with rasterio.open(path) as src:
        everything = stored_blocks(src, [1, 2, 3])
        empty = stored_blocks(src, [3])
    expected[[0, 2, 1], [0, 4, 3]] = True
    np.testing.assert_array_equal(everything, expected)
    # bands that share their blocks are stored together
    assert empty is not None
    assert empty.any() == (interleave == 'pixel')


def test_stripes_are_blocks_too(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', {1: [(1, 0)]}, tiled=False, blockysize=40)
    with rasterio.open(path) as src:
        stored = stored_blocks(src, [1])
    np.testing.assert_array_equal(stored, [[False], [True], [False], [False]])


@given(
    blocks=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 4))),
    nodata=st.sampled_from([None, 0, 7]),
    interleave=st.sampled_from(['pixel', 'band']),
)
def test_what_is_not_stored_reads_as_nodata_or_zero(
    tmp_path_factory: pytest.TempPathFactory,
    blocks: set[tuple[int, int]],
    nodata: int | None,
    interleave: str,
) -> None:
    path = tmp_path_factory.mktemp('sparse') / 'a.tif'
    write(path, {2: sorted(blocks)}, nodata=nodata, interleave=interleave, compress='deflate')
    with rasterio.open(path) as src:
        stored = stored_blocks(src, src.indexes)
        pixels = src.read()
    assert stored is not None
    absent = np.kron(~stored, np.ones((SIDE, SIDE), dtype=bool))[:HEIGHT, :WIDTH]
    assert (pixels[:, absent] == (nodata or 0)).all()
    assert stored.sum() == len(blocks)


@pytest.mark.parametrize('nodata', [None, 0, 1])
def test_a_block_of_nothing_but_nodata_is_left_out_of_a_sparse_file_only(
    tmp_path: Path, nodata: int | None
) -> None:
    for sparse in (True, False):
        path = write(tmp_path / 'a.tif', {1: [(0, 0)]}, nodata=nodata, sparse_ok=sparse, count=1)
        with rasterio.open(path) as src:
            stored = stored_blocks(src, [1])
        assert stored is not None
        # ones were written
        assert stored.sum() == (int(nodata != 1) if sparse else stored.size)


def test_a_full_file_is_stored_throughout(tmp_path: Path) -> None:
    with rasterio.open(tmp_path / 'a.tif', 'w', count=1, **GRID, **TILED) as dst:
        dst.write(np.ones((1, HEIGHT, WIDTH), dtype='uint8'))
    with rasterio.open(tmp_path / 'a.tif') as src:
        stored = stored_blocks(src, [1])
    assert stored is not None
    assert stored.all()


def test_formats_that_do_not_tell_are_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', {1: [(0, 0)]})
    with rasterio.open(path) as src, WarpedVRT(src, crs='EPSG:4326') as warped:
        assert stored_blocks(warped, [1]) is None
        with rasterio.open(
            tmp_path / 'a.png', 'w', **(GRID | {'driver': 'PNG', 'count': 3})
        ) as dst:
            dst.write(src.read())
    for name in (str(tmp_path / 'a.png'), f'/vsisubfile/0_{path.stat().st_size},{path}'):
        with rasterio.open(name) as src:
            assert stored_blocks(src, [1]) is None


def test_a_band_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with rasterio.open(write(tmp_path / 'a.tif', {})) as src:
        for bands in ([], [0], [4]):
            with pytest.raises(ValueError, match=r'bands must be in \[1, 3\]'):
                stored_blocks(src, bands)


@pytest.mark.parametrize('bigtiff', ['yes', 'no'])
def test_a_table_of_blocks_that_was_cut_off_is_no_table_of_nothing(
    tmp_path: Path, bigtiff: str
) -> None:
    pixels = np.ones((1, HEIGHT, WIDTH), dtype='uint8')
    cog = GRID | {'driver': 'COG', 'count': 1, 'blocksize': 128, 'bigtiff': bigtiff}
    with rasterio.open(tmp_path / 'a.tif', 'w', **cog) as dst:
        dst.write(pixels)
    (tmp_path / 'a.tif').write_bytes((tmp_path / 'a.tif').read_bytes()[:600])
    with (
        rasterio.open(tmp_path / 'a.tif') as src,
        pytest.raises(UnreadableFileError, match=r'a\.tif'),
    ):
        stored_blocks(src, [1])
