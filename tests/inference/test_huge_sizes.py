"""Scenes of any declared size are planned in little time and memory, or refused with the numbers."""

import contextlib
import io
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.geoio.read.reader import RasterHeader
from gersp_geo.geoio.read.stored_blocks import stored_blocks
from gersp_geo.geoio.vector.aoi import Area
from gersp_geo.inference.scene.tiling import count_patches, weigh_patches
from gersp_geo.main import main
from gersp_geo.stitching import axis_weights, crop_weights
from gersp_geo.tiling import MOST_PATCHES, cut_panels, plan_tile
from gersp_geo.windows import Panel

# of the process, by NumPy and Python, beyond what a small scene takes
MOST_BYTES, MOST_SECONDS = 2**29, 20


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    task = SemanticSegmentation('fcn', num_classes=2, num_filters=2)
    record = {
        'bands': ['red', 'green', 'blue'], 'scale': [1 / 255] * 3, 'mean': [0.5] * 3, 'std': [0.2] * 3,
        'class_names': ['land', 'water'], 'task_class': 'torchgeo.tasks.SemanticSegmentation',
    }  # fmt: skip
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    torch.save(saved | {'gersp_geo': record, 'pytorch-lightning_version': '2.6.0'}, path)
    return path


def ask(command: str, *words: str | Path) -> tuple[int, str, str]:
    """Run a command, within bounds; return exit code, output and error stream."""
    started = time.perf_counter()
    tracemalloc.start()
    with (
        contextlib.redirect_stderr(io.StringIO()) as error,
        contextlib.redirect_stdout(io.StringIO()) as output,
    ):
        line = [command, *words, '--device', 'cpu', '--batch-size', '1', '--size', '256']
        code = main([str(word) for word in line])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_BYTES
    assert time.perf_counter() - started < MOST_SECONDS
    return code, output.getvalue(), error.getvalue()


def virtual(path: Path, *, height: int, width: int, block: tuple[int, int] | None = None) -> Path:
    """Write a virtual raster of nothing."""
    shape = '' if block is None else f' blockYSize="{block[0]}" blockXSize="{block[1]}"'
    bands = ''.join(f'<VRTRasterBand dataType="Byte" band="{band}"{shape}/>' for band in (1, 2, 3))
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>EPSG:32633</SRS>'
        f'<GeoTransform>500000,1,0,5000000,0,-1</GeoTransform>{bands}</VRTDataset>'
    )
    return path


HUGE = {
    'a square': (10**6, 10**6, None, None),
    'a line': (1, 2**31 - 1, None, '11,184,811 columns of patches of 256 px'),
    'a column': (2**31 - 1, 1, None, '11,184,811 rows of patches of 256 px'),
    'a line that can be planned': (1, 192 * MOST_PATCHES, None, None),
    'more parts than files': (
        192 * 2**17,
        192 * 2**17,
        None,
        'parts, and at most 1,048,576 can be',
    ),
    'blocks of one pixel': (4096, 4096, (1, 1), None),
    'blocks of a row': (1000, 10**6, (1, 10**6), None),
    'blocks of a column': (10**6, 1000, (10**6, 1), None),
}


@pytest.mark.quick('a square', 'a column', 'blocks of one pixel', 'blocks of a row')
@pytest.mark.parametrize('case', HUGE)
def test_a_huge_scene_is_planned_or_refused(case: str, model: Path, tmp_path: Path) -> None:
    height, width, block, message = HUGE[case]
    scene = virtual(tmp_path / 'scene.vrt', height=height, width=width, block=block)
    code, output, error = ask('plan', model, scene, '-o', tmp_path / 'map.tif')
    assert code == (0 if message is None else 1), error
    if message is None:
        assert f'{height:,} x {width:,} px' in output
    else:
        assert error.count('\n') == 1
        assert message in error
        assert ask('predict', model, scene, '-o', tmp_path / 'map.tif')[::2] == (1, error)
        assert [path.name for path in tmp_path.iterdir()] == ['scene.vrt']


@pytest.mark.quick('1GiB')
@pytest.mark.parametrize('limit', ['1GiB', '8GiB'])
def test_a_block_that_takes_more_memory_than_there_is(
    limit: str, model: Path, tmp_path: Path
) -> None:
    with rasterio.open(
        tmp_path / 'a.tif', 'w', driver='GTiff', height=40_000, width=40_000, count=3, dtype='uint8',
        crs='EPSG:32633', transform=Affine(1, 0, 5e5, 0, -1, 5e6), tiled=True, blockxsize=40_000,
        blockysize=40_000, sparse_ok=True,
    ):  # fmt: skip
        pass
    words = (model, tmp_path / 'a.tif', '-o', tmp_path / 'map.tif', '--memory-limit', limit)
    code, _, error = ask('plan', *words)
    assert code == (limit == '1GiB')
    if code:
        assert 'blocks of 40,000 x 40,000 px, of which each takes 4.5 GiB to read' in error
        assert 'memory_limit is 1.0 GiB' in error
        assert ask('predict', *words)[::2] == (1, error)


def test_blocks_of_a_large_file_are_read_from_its_table(model: Path, tmp_path: Path) -> None:
    profile = {
        'count': 3,
        'dtype': 'uint8',
        'crs': 'EPSG:32633',
        'transform': Affine(1, 0, 5e5, 0, -1, 5e6),
    }
    scene = tmp_path / 'scene.tif'
    with rasterio.open(
        scene, 'w', driver='GTiff', height=2**20, width=1, blockysize=1, sparse_ok=True, **profile
    ) as dst:
        dst.write(np.full((3, 5, 1), 7, np.uint8), window=rasterio.windows.Window(0, 1000, 1, 5))
    started = time.perf_counter()
    with rasterio.open(scene) as src:
        stored = stored_blocks(src, [1, 2, 3])
    assert time.perf_counter() - started < 1
    assert stored is not None
    assert stored.shape == (2**20, 1)
    assert np.flatnonzero(stored).tolist() == [1000, 1001, 1002, 1003, 1004]
    code, output, error = ask('plan', model, scene, '-o', tmp_path / 'map.tif')
    assert code == 0, error
    assert 'read       5 of 1,048,576 blocks' in output
    assert 'forwarded  65,536 px' in output


@pytest.mark.parametrize('interleave', ['pixel', 'band'])
@pytest.mark.parametrize('endianness', ['LITTLE', 'BIG'])
@pytest.mark.parametrize(
    'kind', [{}, {'bigtiff': 'YES'}, {'tiled': True, 'blockxsize': 16, 'blockysize': 16}]
)
def test_the_table_says_what_gdal_does(
    kind: dict[str, object], endianness: str, interleave: str, tmp_path: Path
) -> None:
    pixels = np.zeros((3, 48, 64), np.uint8)
    pixels[0, :16, 16:48], pixels[2, 40:] = 3, 4
    with rasterio.open(
        tmp_path / 'a.tif', 'w', driver='GTiff', height=48, width=64, count=3, dtype='uint8',
        crs='EPSG:32633', transform=Affine(1, 0, 5e5, 0, -1, 5e6), sparse_ok=True, interleave=interleave, endianness=endianness, nodata=0, **({'blockysize': 16} | kind),
    ) as dst:  # fmt: skip
        dst.write(pixels)
    with rasterio.open(tmp_path / 'a.tif') as src:
        for bands in ([1], [2], [3, 1]):
            stored = stored_blocks(src, bands)
            assert stored is not None
            shared = interleave == 'pixel'
            asked = [
                [
                    any(
                        src.get_tag_item(f'BLOCK_OFFSET_{col}_{row}', 'TIFF', bidx=band) is not None
                        for band in ([1] if shared else bands)
                    )
                    for col in range(stored.shape[1])
                ]
                for row in range(stored.shape[0])
            ]
            assert stored.tolist() == asked


@given(st.integers(1, 24), st.data())
def test_weights_of_a_long_axis_are_those_of_each_patch(size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    length = data.draw(st.integers(1, min(40 * (size - overlap) + 3 * size, 900)))
    plan = plan_tile(1, length, size=size, overlap=overlap)
    margin = data.draw(st.integers(0, overlap // 2))
    whole = axis_weights(plan.col_offs, size=size, length=length, margin=margin)
    cut = crop_weights(plan.col_offs, plan.keep_cols, size=size)
    for blend, weights in (('hann', whole), ('crop', cut)):
        axis = weigh_patches(plan, blend=blend, margin=margin if blend == 'hann' else 0).cols
        assert len(axis.kinds) <= 4 * -(-size // (size - overlap)) + 5
        # to the last bit
        assert (axis.weights == weights).all()


@given(st.data())
def test_patches_are_counted_as_one_by_one(data: st.DataObject) -> None:
    size = data.draw(st.integers(4, 30))
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    tiles = plan_tile(height, width, size=size, overlap=data.draw(st.integers(0, size // 2)))
    block = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
    header = RasterHeader(
        height=height, width=width, count=1, dtype='uint8', crs=None, transform=Affine.scale(1, -1),
        nodata=None, descriptions=(None,), alpha=(), block_shape=block,
    )  # fmt: skip
    shape = -(-height // block[0]), -(-width // block[1])
    stored = np.random.default_rng(data.draw(st.integers(0, 99))).random(shape) < 0.3
    panel = Panel(col_off=0, col_stop=width, patches=range(len(tiles.col_offs)))
    rows, cols = (
        np.arange(length) // side for length, side in zip((height, width), block, strict=True)
    )
    pixels = stored[rows[:, None], cols]
    padded = np.pad(pixels, size, 'symmetric' if 1 in pixels.shape else 'reflect')
    found = sum(
        padded[row + size : row + 2 * size, col + size : col + 2 * size].any()
        for row in tiles.row_offs
        for col in tiles.col_offs
    )
    assert count_patches(tiles, [panel], header, stored=stored, area=None) == found


def test_an_area_is_asked_for_a_row_of_windows_at_once() -> None:
    shapely = pytest.importorskip('shapely')
    area = Area(shapely.box(10, -50, 40, -20).difference(shapely.box(20, -40, 30, -30)))
    columns = np.arange(-5, 60)
    for row in range(0, 60, 3):
        found = area.touched(Affine.scale(1, -1), (row, row + 4), columns, width=4)
        expected = [
            bool(shapely.intersects(area.geometry, shapely.box(col, -row - 4, col + 4, -row)))
            for col in columns
        ]
        assert found.tolist() == expected


@pytest.mark.quick('4096')
@pytest.mark.parametrize('patches', [2**12, 2**15])
def test_many_panels_are_cut_in_little_time(patches: int) -> None:
    tiles = plan_tile(1, 448 * patches, size=512, overlap=64)
    spans, cuts = tiles.keep_cols, [start for start, _ in tiles.keep_cols][1:]
    started = time.perf_counter()
    for limit in (512, 900, 10**5):
        panels = cut_panels(spans, cuts, length=tiles.width, max_width=limit)
        assert max(panel.width for panel in panels) <= limit
        assert sum(panel.width for panel in panels) == tiles.width
    assert time.perf_counter() - started < MOST_SECONDS
