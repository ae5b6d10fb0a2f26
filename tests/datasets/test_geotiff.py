import pickle
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.transform import Affine, from_origin
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples
from torchgeo.samplers import GriddedPatchSampler, RandomPatchSampler, RandomTimestampSampler

from gersp_geo.datasets.geotiff import GeoTIFFPatches
from gersp_geo.datasets.handles import HandlePool
from gersp_geo.records import Window

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(
    path: Path,
    pixels: np.ndarray,
    *,
    crs: str | None = 'EPSG:32633',
    transform: Affine | None = None,
    nodata: float | None = None,
    names: tuple[str, ...] = (),
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        'driver': 'GTiff',
        'height': pixels.shape[1],
        'width': pixels.shape[2],
        'count': len(pixels),
        'dtype': pixels.dtype,
        'crs': crs,
        'transform': transform or from_origin(500000, 5000000, 10, 10),
        'nodata': nodata,
    }
    with rasterio.open(path, 'w', **profile) as dst:
        dst.write(pixels)
        for band, name in enumerate(names, start=1):
            dst.set_band_description(band, name)
    return path


def noise(shape: tuple[int, int, int], *, dtype: str = 'uint8', seed: int = 0) -> np.ndarray:
    top = 250 if dtype == 'uint8' else 10000
    return np.random.default_rng(seed).integers(0, top, size=shape).astype(dtype)


class Plain(RasterDataset):
    all_bands = ('band_1', 'band_2', 'band_3')


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('scenes')
    write(root / 'a.tif', noise((3, 40, 50)))
    # beside a, without a gap
    east = from_origin(500500, 5000000, 10, 10)
    write(root / 'deep' / 'b.TIFF', noise((3, 40, 30), seed=1), transform=east, nodata=0)
    return root


@QUICK
@given(data=st.data())
def test_a_query_on_the_grid_equals_torchgeo(folder: Path, data: st.DataObject) -> None:
    ours = GeoTIFFPatches(folder)
    theirs = Plain(ours.files)
    col, row = data.draw(st.integers(-3, 78)), data.draw(st.integers(-3, 38))
    width, height = data.draw(st.integers(1, 20)), data.draw(st.integers(1, 20))
    shift = data.draw(st.sampled_from([0.0, 0.0, 3.7]))
    left, top = 500000 + 10 * col + shift, 5000000 - 10 * row
    index = slice(left, left + 10 * width), slice(top - 10 * height, top)
    try:
        expected = theirs[index]
    except IndexError:
        with pytest.raises(IndexError):
            ours[index]
        return
    sample = ours[index]
    assert sample.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(sample[key], value), key
        assert sample[key].dtype == value.dtype


def test_a_query_on_the_grid_is_not_merged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(RasterDataset, '__getitem__')
    dataset = GeoTIFFPatches(folder)
    sample = dataset[500020:500100, 4999900:4999960]
    assert torch.equal(
        sample['image'],
        dataset.read_patch(0, Window(row_off=4, col_off=2, height=6, width=8)).float(),
    )


def test_pixels_under_a_mask_are_left_to_torchgeo(tmp_path: Path) -> None:
    path = write(tmp_path / 'masked.tif', noise((3, 20, 20)) + 1)
    with rasterio.open(path, 'r+') as dst:
        hidden = np.full((20, 20), 255, dtype='uint8')
        hidden[:5] = 0
        dst.write_mask(hidden)
    index = slice(500000, 500200), slice(4999800, 5000000)
    assert torch.equal(GeoTIFFPatches(path)[index]['image'], Plain(path)[index]['image'])


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'float32'])
def test_raw_keeps_values_and_dtype(tmp_path: Path, dtype: str) -> None:
    pixels = noise((2, 16, 16), dtype=dtype)
    path = write(tmp_path / 'raw.tif', pixels)
    raw = GeoTIFFPatches(path, raw=True)
    inside = raw[500000:500160, 4999840:5000000]['image']
    hanging = raw[500000:500170, 4999840:5000000]['image'][:, :, :16]
    for image in (inside, hanging):
        assert image.numpy().dtype == dtype
        np.testing.assert_array_equal(image.numpy(), pixels)
    assert GeoTIFFPatches(path)[500000:500160, 4999840:5000000]['image'].dtype == torch.float32


@QUICK
@given(
    row=st.integers(-20, 60),
    col=st.integers(-20, 60),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
)
def test_windows_over_the_edge_are_reflected(
    folder: Path, row: int, col: int, height: int, width: int
) -> None:
    dataset = GeoTIFFPatches(folder / 'a.tif', raw=True)
    window = Window(row_off=row, col_off=col, height=height, width=width)
    padded = np.pad(noise((3, 40, 50)), ((0, 0), (100, 100), (100, 100)), mode='reflect')
    expected = padded[:, row + 100 : row + 100 + height, col + 100 : col + 100 + width]
    np.testing.assert_array_equal(dataset.read_patch(0, window).numpy(), expected)


def test_bands_are_chosen_by_number_or_name(tmp_path: Path) -> None:
    pixels = noise((3, 8, 8))
    path = write(tmp_path / 'named.tif', pixels, names=('blue', 'green', 'red'))
    window = Window(row_off=0, col_off=0, height=8, width=8)
    choices: tuple[list[int | str], ...] = ([3, 1], ['red', 'blue'], ['red', 1])
    for bands in choices:
        dataset = GeoTIFFPatches(path, bands=bands)
        assert list(dataset.bands) == ['red', 'blue']
        np.testing.assert_array_equal(dataset.read_patch(0, window).numpy(), pixels[[2, 0]])
    assert list(GeoTIFFPatches(path).bands) == ['blue', 'green', 'red']
    wrong: tuple[list[int | str], ...] = ([4], [0], ['nir'])
    for bad in wrong:
        with pytest.raises(ValueError, match='bands must be in'):
            GeoTIFFPatches(path, bands=bad)


def test_missing_paths_raise(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no file or folder .*gone'):
        GeoTIFFPatches(tmp_path / 'gone')
    with pytest.raises(FileNotFoundError, match='no raster'):
        GeoTIFFPatches(tmp_path)


def test_no_file_is_skipped(tmp_path: Path) -> None:
    write(tmp_path / 'a.tif', noise((3, 8, 8)))
    broken = tmp_path / 'z.tif'
    broken.write_bytes(b'not a raster')
    with pytest.raises(ValueError, match=r'z\.tif'):
        GeoTIFFPatches(tmp_path)
    write(broken, noise((3, 8, 8)), crs=None)
    with pytest.raises(ValueError, match=r'z\.tif has no CRS'):
        GeoTIFFPatches(tmp_path)
    turned = Affine.translation(500000, 5000000) @ Affine.rotation(10) @ Affine.scale(10, -10)
    write(broken, noise((3, 8, 8)), transform=turned)
    with pytest.raises(ValueError, match=r'z\.tif has a rotated grid'):
        GeoTIFFPatches(tmp_path)
    write(broken, noise((1, 8, 8)))
    with pytest.raises(ValueError, match=r'z\.tif has 1 bands'):
        GeoTIFFPatches(tmp_path)
    write(broken, noise((3, 8, 8), dtype='int16'))
    with pytest.raises(ValueError, match='one data type'):
        GeoTIFFPatches(tmp_path, raw=True)
    write(broken, noise((3, 8, 8)), names=('blue', 'green', 'red'))
    write(tmp_path / 'a.tif', noise((3, 8, 8)), names=('red', 'green', 'blue'))
    with pytest.raises(ValueError, match=r"z\.tif calls band 1 'blue'"):
        GeoTIFFPatches(tmp_path)


def test_tiles_in_other_crs_are_read_in_their_own_grid(tmp_path: Path) -> None:
    pixels = noise((3, 30, 30), seed=4)
    write(tmp_path / 'a.tif', noise((3, 30, 30)))
    south_up = Affine(10, 0, 500000, 0, 10, 9000000)
    write(tmp_path / 'b.tif', pixels, crs='EPSG:32734', transform=south_up)
    dataset = GeoTIFFPatches(tmp_path)
    whole = Window(row_off=0, col_off=0, height=30, width=30)
    np.testing.assert_array_equal(dataset.read_patch(1, whole).numpy(), pixels)
    assert dataset.crs == CRS.from_epsg(32633)
    assert [CRS.from_user_input(tile.crs).to_epsg() for tile in dataset.tiles] == [32633, 32734]


def test_works_with_torchgeo_samplers_and_operators(folder: Path) -> None:
    dataset = GeoTIFFPatches(folder)
    mask = GeoTIFFPatches(folder, bands=[1])
    both = dataset & mask
    either = GeoTIFFPatches(folder / 'a.tif') | GeoTIFFPatches(folder / 'deep')
    for whole in (dataset, both, either):
        samplers = (
            RandomPatchSampler(whole, size=16, length=4),
            GriddedPatchSampler(whole, size=16),
        )
        for sampler in samplers:
            loader = DataLoader(
                whole,
                sampler=sampler @ RandomTimestampSampler(whole),
                batch_size=2,
                collate_fn=stack_samples,
            )
            batch = next(iter(loader))
            assert batch['image'].shape[-2:] == (16, 16)


def test_open_files_are_bounded_and_stay_in_their_process(folder: Path) -> None:
    pool: HandlePool[str, TextIOWrapper] = HandlePool(open, limit=2)
    paths = [str(folder / f'{i}.txt') for i in range(3)]
    for path in paths:
        Path(path).touch()
    first = pool.get(paths[0])
    for path in paths:
        pool.get(path)
    assert len(pool) == 2
    assert first.closed
    assert len(pickle.loads(pickle.dumps(pool))) == 0


def test_workers_read_the_same_pixels(folder: Path) -> None:
    dataset = GeoTIFFPatches(folder)
    index = [
        (slice(500000, 500200), slice(4999800, 5000000)),
        (slice(500400, 500600), slice(4999700, 4999900)),
    ]
    # opens files before the workers are forked
    expected = [dataset[i]['image'] for i in index]
    loader = DataLoader(
        dataset, sampler=index, batch_size=None, num_workers=1, multiprocessing_context='fork'
    )
    for sample, image in zip(loader, expected, strict=True):
        assert torch.equal(sample['image'], image)
    # what a spawned worker receives
    copy = pickle.loads(pickle.dumps(dataset))
    for place, image in zip(index, expected, strict=True):
        assert torch.equal(copy[place]['image'], image)
