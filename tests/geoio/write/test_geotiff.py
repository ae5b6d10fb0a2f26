import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.io import MemoryFile

from gersp_geo.geoio.write.atomic import new_file, new_folder
from gersp_geo.geoio.write.geotiff import write_raster

NORTH_UP = Affine(0.1, 0, 500_000.1, 0, -0.1, 5_000_000.3)
PLACED: dict[str, Any] = {'crs': 'EPSG:32633', 'transform': NORTH_UP}


def content(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_file_appears_only_when_the_block_succeeds(tmp_path: Path) -> None:
    with new_file(tmp_path / 'deep' / 'map.tif') as temporary:
        temporary.write_text('pixels')
        assert temporary.suffix == '.tif'
        assert not (tmp_path / 'deep' / 'map.tif').exists()
    assert content(tmp_path / 'deep') == ['map.tif']


@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_failing_block_leaves_nothing_new_and_the_old_file_whole(
    tmp_path: Path, error: type[BaseException]
) -> None:
    destination = tmp_path / 'map.tif'
    destination.write_text('old')
    with pytest.raises(error), new_file(destination, overwrite=True) as temporary:  # noqa: PT012
        temporary.write_text('half')
        temporary.with_name(temporary.name + '.aux.xml').write_text('half')
        raise error
    assert content(tmp_path) == ['map.tif']
    assert destination.read_text() == 'old'


def test_sidecar_of_the_new_file_replaces_that_of_the_old_one(tmp_path: Path) -> None:
    for ending in ('', '.aux.xml', '.ovr'):
        (tmp_path / f'map.tif{ending}').write_text('old')
    with new_file(tmp_path / 'map.tif', overwrite=True) as temporary:
        temporary.write_text('new')
        temporary.with_name(temporary.name + '.aux.xml').write_text('new')
    assert content(tmp_path) == ['map.tif', 'map.tif.aux.xml']
    assert (tmp_path / 'map.tif.aux.xml').read_text() == 'new'


def test_existing_file_is_refused_before_the_block_runs(tmp_path: Path) -> None:
    (tmp_path / 'map.tif').write_text('old')
    with pytest.raises(FileExistsError, match='exists; pass another path, or overwrite'):
        new_file(tmp_path / 'map.tif').__enter__()
    with pytest.raises(FileExistsError, match='is a folder'):
        new_file(tmp_path, overwrite=True).__enter__()


def test_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='nothing was written'), new_file(tmp_path / 'a'):
        pass
    assert content(tmp_path) == []


def test_new_folder_appears_only_when_the_block_succeeds(tmp_path: Path) -> None:
    (tmp_path / 'data').mkdir()
    with pytest.raises(RuntimeError), new_folder(tmp_path / 'data') as temporary:  # noqa: PT012
        (temporary / 'half').write_text('')
        raise RuntimeError
    assert content(tmp_path) == ['data']
    with new_folder(tmp_path / 'data') as temporary:
        (temporary / 'whole').write_text('')
    assert content(tmp_path / 'data') == ['whole']
    with pytest.raises(FileExistsError, match='not an empty folder'):
        new_folder(tmp_path / 'data').__enter__()


@given(
    pixels=hnp.arrays(
        dtype=st.sampled_from(['uint8', 'int16', 'uint16', 'int32', 'float32', 'float64']),
        shape=hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=40),
    ),
    block_size=st.sampled_from([16, 48, 256]),
    south_up=st.booleans(),
)
def test_pixels_transform_and_crs_survive(
    tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray, block_size: int, south_up: bool
) -> None:
    transform = NORTH_UP @ Affine.scale(1, -1) if south_up else NORTH_UP
    path = tmp_path_factory.mktemp('raster') / 'r.tif'
    write_raster(path, pixels, crs=32633, transform=transform, block_size=block_size)
    with rasterio.open(path) as src:
        np.testing.assert_array_equal(src.read(), pixels.reshape(-1, *pixels.shape[-2:]))
        assert src.dtypes[0] == pixels.dtype
        assert src.transform == transform
        assert src.crs.to_epsg() == 32633
        # rasterio calls a file whose blocks are as wide as itself untiled, whatever its layout
        assert src.profile['tiled'] or src.width == src.block_shapes[0][1]
        assert all(0 < side <= block_size and side % 16 == 0 for side in src.block_shapes[0])
        assert src.profile['compress'] == 'deflate'


def test_classes_travel_with_the_raster(tmp_path: Path) -> None:
    path = tmp_path / 'mask.tif'
    mask = np.array([[0, 1], [255, 0]], dtype=np.uint8)
    names, colors = ('field', 'forêt & wood'), ((216, 201, 90), (10, 80, 20))
    write_raster(path, mask, **PLACED, nodata=255, class_names=names, class_colors=colors)
    with rasterio.open(path) as src:
        assert json.loads(src.tags(1)['CLASS_NAMES']) == list(names)
        table = src.colormap(1)
        assert tuple(table[i][:3] for i in range(2)) == colors
        assert src.nodata == 255
        assert src.read_masks(1).tolist() == [[255, 255], [0, 255]]
    assert content(tmp_path) == ['mask.qml', 'mask.tif', 'mask.tif.aux.xml']


def test_bands_are_described(tmp_path: Path) -> None:
    path = write_raster(
        tmp_path / 'r.tif', np.ones((2, 5, 9), dtype=np.uint16), **PLACED, bands=('red', 'nir')
    )
    with rasterio.open(path) as src:
        assert src.descriptions == ('red', 'nir')


def test_refused_input_leaves_no_file(tmp_path: Path) -> None:
    mask = np.zeros((4, 4), dtype=np.uint8)
    refused: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        'multiple of 16, got 100': (mask, {'block_size': 100}),
        'name all 1 bands, got 2': (mask, {'bands': ('a', 'b')}),
        'single band, got 2': (np.stack([mask, mask]), {'class_names': ('a',)}),
        r'one colour per class \(0\), got 1': (mask, {'class_colors': ((0, 0, 0),)}),
        'uint8 or uint16': (
            mask.astype(np.int32),
            {'class_names': ('a',), 'class_colors': ((0, 0, 0),)},
        ),
        r'in \[0, 255\], got': (mask, {'class_names': ('a',), 'class_colors': ((0, 0, 256),)}),
        'must be numbers': (mask > 0, {}),
        'not empty': (mask[:0], {}),
    }
    for message, (pixels, options) in refused.items():
        with pytest.raises(ValueError, match=message):
            write_raster(tmp_path / 'r.tif', pixels, **PLACED, **options)
        assert content(tmp_path) == []


@pytest.mark.parametrize('share', [0.002, 0.5, 0.85, 0.95, 0.999])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, small_disk: Callable[[int], AbstractContextManager[None]], share: float
) -> None:
    noise = np.random.default_rng(0).random((300, 300), dtype='float32')
    size = write_raster(tmp_path / 'r.tif', noise, **PLACED).stat().st_size
    (tmp_path / 'r.tif').unlink()
    with small_disk(int(share * size)), pytest.raises(OSError, match=r'is the disk full\?') as info:
        write_raster(tmp_path / 'r.tif', noise, **PLACED)
    assert '\n' not in str(info.value)
    assert content(tmp_path) == []


def test_large_rasters_may_become_bigtiff_and_small_ones_stay_classic(tmp_path: Path) -> None:
    path = write_raster(tmp_path / 'r.tif', np.zeros((300, 300), dtype=np.uint8), **PLACED)
    # bytes 2 and 3 of a TIFF: 42 is classic, 43 is BigTIFF
    assert path.read_bytes()[2] == 42
    with MemoryFile(path.read_bytes()) as memory, memory.open() as src:
        assert src.block_shapes == [(256, 256)]
