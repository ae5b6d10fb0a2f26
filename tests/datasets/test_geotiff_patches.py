import pickle
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS
from rasterio.transform import Affine, from_origin
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples
from torchgeo.samplers import GriddedPatchSampler, RandomPatchSampler, RandomTimestampSampler

from gersp_geo.datasets.file_pool import HandlePool
from gersp_geo.datasets.geotiff_patches import GeoTIFFPatches
from gersp_geo.geoio.read.reader import UnreadableFileError
from gersp_geo.samplers import PatchSampler
from gersp_geo.windows import Window


def write(
    path: Path,
    pixels: np.ndarray,
    *,
    crs: str | None = 'EPSG:32633',
    transform: Affine | None = None,
    nodata: float | None = None,
    names: tuple[str, ...] = (),
    layout: dict[str, Any] | None = None,
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
    with rasterio.open(path, 'w', **(profile | (layout or {}))) as dst:
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


@pytest.mark.parametrize('nodata', [None, 7])
@pytest.mark.parametrize(('dtype', 'res'), [('uint8', 10), ('float32', 10), ('float32', 0.3)])
def test_pixels_under_a_mask_are_filled_as_torchgeo_does_and_others_exact(
    tmp_path: Path, dtype: str, res: float, nodata: float | None
) -> None:
    pixels = noise((3, 64, 64), dtype=dtype)
    transform = from_origin(333333.3, 4444444.4, res, res)
    path = write(tmp_path / 'masked.tif', pixels, transform=transform, nodata=nodata)
    hidden = np.zeros((64, 64), dtype=bool)
    hidden[:5], hidden[30:33, 7] = True, True
    with rasterio.open(path, 'r+') as dst:
        dst.write_mask(~hidden)
    expected = pixels.copy()
    expected[:, hidden] = 0 if nodata is None else nodata
    dataset = GeoTIFFPatches(path)
    np.testing.assert_array_equal(dataset[:, :]['image'].numpy(), expected)
    for index in PatchSampler(dataset, size=16, length=5):
        row, col = index.window.row_off, index.window.col_off
        np.testing.assert_array_equal(
            dataset[index]['image'].numpy(), expected[:, row : row + 16, col : col + 16]
        )
    if res == 10:
        # others are resampled by torchgeo
        np.testing.assert_array_equal(RasterDataset(path)[:, :]['image'].numpy(), expected)


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
    with pytest.raises(FileNotFoundError, match=r'gone.* does not exist; check'):
        GeoTIFFPatches(tmp_path / 'gone')
    with pytest.raises(FileNotFoundError, match='no image'):
        GeoTIFFPatches(tmp_path)


def test_no_file_is_skipped(tmp_path: Path) -> None:
    write(tmp_path / 'a.tif', noise((3, 8, 8)))
    broken = tmp_path / 'z.tif'
    broken.write_bytes(b'not a raster')
    with pytest.raises(ValueError, match=r'z\.tif'):
        GeoTIFFPatches(tmp_path)
    write(broken, noise((3, 8, 8)), crs=None)
    with pytest.raises(ValueError, match=r'z\.tif names no CRS'):
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


KINDS: dict[str, dict[str, Any]] = {
    'north_up': {},
    'south_up': {'transform': Affine(10, 0, 500000, 0, 10, 4999600)},
    'not_square': {'transform': from_origin(500000, 5000000, 10, 5)},
    'uint16': {'dtype': 'uint16'},
    'float32': {'dtype': 'float32', 'nodata': -9999.0},
    'one_band': {'bands': 1},
    # GDAL takes the fourth band of a photograph for transparency
    'four_bands': {'bands': 4, 'layout': {'photometric': 'minisblack'}},
    'thirteen_bands': {'bands': 13, 'dtype': 'uint16', 'nodata': 0},
    'tiled': {'layout': {'tiled': True, 'blockxsize': 16, 'blockysize': 16, 'compress': 'deflate'}},
    'cog': {'layout': {'driver': 'COG', 'blocksize': 128, 'overview_count': 2}},
}


@pytest.mark.quick('south_up', 'not_square', 'float32', 'thirteen_bands', 'cog')
@pytest.mark.parametrize('kind', KINDS)
@given(data=st.data())
def test_patches_equal_a_direct_read(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    chosen = KINDS[kind]
    folder = tmp_path_factory.getbasetemp() / f'patches-{kind}'
    pixels = noise((chosen.get('bands', 3), 40, 50), dtype=chosen.get('dtype', 'uint8'))
    path = folder / 'a.tif'
    if not path.exists():
        given_ = {k: v for k, v in chosen.items() if k in ('transform', 'nodata', 'layout')}
        write(path, pixels, **given_)
    size = data.draw(st.integers(1, 40))
    dataset = GeoTIFFPatches(path, raw=True)
    sampler = PatchSampler(dataset, size=size, length=3, seed=data.draw(st.integers(0, 99)))
    for i, index in enumerate(sampler):
        _, window = sampler.patch(0, i)
        direct = pixels[:, window.row_off : window.row_stop, window.col_off : window.col_stop]
        np.testing.assert_array_equal(dataset.read_patch(0, window).numpy(), direct)
        image = dataset[index]['image'].numpy()
        # torchgeo's samples have north at the top
        upright = direct[:, ::-1] if kind == 'south_up' else direct
        np.testing.assert_array_equal(image, upright)


@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind != 'not_square'])
def test_a_patch_equals_torchgeos_reading_of_its_place(tmp_path: Path, kind: str) -> None:
    # torchgeo resamples pixels that are not square
    chosen = dict(KINDS[kind])
    pixels = noise((chosen.pop('bands', 3), 40, 50), dtype=chosen.pop('dtype', 'uint8'))
    path = write(tmp_path / 'a.tif', pixels, **chosen)
    dataset, theirs = GeoTIFFPatches(path), RasterDataset(path)
    for index in PatchSampler(dataset, size=16, length=10):
        sample, expected = dataset[index], theirs[index]
        assert sample.keys() == expected.keys()
        for key, value in expected.items():
            assert torch.equal(sample[key], value), key


def source(path: Path, *, width: int, at: int) -> str:
    return f"""<SimpleSource><SourceFilename>{path}</SourceFilename><SourceBand>2</SourceBand>
      <SrcRect xOff="0" yOff="0" xSize="{width}" ySize="40"/>
      <DstRect xOff="{at}" yOff="0" xSize="{width}" ySize="40"/></SimpleSource>"""


def test_a_vrt_is_read_like_its_sources(folder: Path, tmp_path: Path) -> None:
    text = f"""<VRTDataset rasterXSize="80" rasterYSize="40"><SRS>EPSG:32633</SRS>
      <GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform>
      <VRTRasterBand dataType="Byte" band="1">
      {source(folder / 'a.tif', width=50, at=0)}{source(folder / 'deep' / 'b.TIFF', width=30, at=50)}
      </VRTRasterBand></VRTDataset>"""
    (tmp_path / 'both.vrt').write_text(text)
    dataset = GeoTIFFPatches(tmp_path, raw=True)
    both = np.concatenate([noise((3, 40, 50))[1], noise((3, 40, 30), seed=1)[1]], axis=1)
    window = Window(row_off=3, col_off=40, height=30, width=30)
    np.testing.assert_array_equal(dataset.read_patch(0, window).numpy()[0], both[3:33, 40:70])


def test_files_with_different_nodata_each_say_what_they_miss(tmp_path: Path) -> None:
    pixels = noise((1, 20, 20)) + 1
    pixels[:, :5] = 7
    for name, nodata in (('a', 7), ('b', None), ('c', 9)):
        write(tmp_path / f'{name}.tif', pixels, nodata=nodata)
    whole = Window(row_off=0, col_off=0, height=20, width=20)
    dataset = GeoTIFFPatches(tmp_path, raw=True)
    expected = [pixels[0] != 7, pixels[0] == pixels[0], pixels[0] != 9]
    for tile, valid in enumerate(expected):
        np.testing.assert_array_equal(dataset.read_valid(tile, whole), valid)
    assert [dataset.may_miss(tile) for tile in range(3)] == [True, False, True]
    np.testing.assert_allclose(dataset.valid_shares(), [v.mean() for v in expected])
    told = GeoTIFFPatches(tmp_path, raw=True, nodata=7)
    assert all(map(told.may_miss, range(3)))
    assert not told.read_valid(1, whole)[:5].any()


def test_large_tiles_are_probed_and_small_ones_read_whole(tmp_path: Path) -> None:
    pixels = np.ones((1, 1100, 1000), dtype='uint8')
    pixels[:, :, :250] = 0
    dataset = GeoTIFFPatches(write(tmp_path / 'a.tif', pixels, nodata=0))
    assert dataset.valid_shares()[0] == pytest.approx(0.75, abs=0.02)
    pixels[:] = 0
    empty = GeoTIFFPatches(write(tmp_path / 'b.tif', pixels, nodata=0))
    assert 0 < empty.valid_shares()[0] < 1e-3


def test_measured_nodata_is_remembered_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('GERSP_GEO_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr('gersp_geo.datasets.geotiff_patches.WORTH_KEEPING', 0.0)
    pixels = noise((1, 20, 20)) + 1
    pixels[:, :5] = 0
    path = write(tmp_path / 'a.tif', pixels, nodata=0)
    dataset = GeoTIFFPatches(path)
    assert dataset.valid_shares().tolist() == [0.75]
    with monkeypatch.context() as patch:
        patch.delattr('gersp_geo.datasets.geotiff_patches.measure_valid')
        assert dataset.valid_shares().tolist() == [0.75]
    pixels[:, :10] = 0
    write(path, pixels, nodata=0)
    assert GeoTIFFPatches(path).valid_shares().tolist() == [0.5]


def test_dates_in_file_names_select_as_in_torchgeo(tmp_path: Path) -> None:
    regex = r'scene_(?P<date>\d{8})\.tif'
    for seed, date in enumerate(('20200101', '20210101')):
        write(tmp_path / f'scene_{date}.tif', noise((3, 20, 20), seed=seed))
    write(tmp_path / 'mask_20200101.tif', noise((1, 20, 20)))
    dataset = GeoTIFFPatches(tmp_path, filename_regex=regex)
    assert len(dataset) == 2

    class Dated(RasterDataset):
        filename_regex = regex

    place = slice(500000, 500100), slice(4999900, 5000000)
    times = [
        slice(pd.Timestamp(f'{y}-01-01'), pd.Timestamp(f'{y}-06-01')) for y in (2020, 2021, 2022)
    ]
    for t in times[:2]:
        assert torch.equal(dataset[*place, t]['image'], Dated(dataset.files)[*place, t]['image'])
    with pytest.raises(IndexError):
        dataset[*place, times[2]]
    # both dates overlap: merged, as torchgeo does
    assert torch.equal(dataset[place]['image'], Dated(dataset.files)[place]['image'])
    series = GeoTIFFPatches(tmp_path, filename_regex=regex, time_series=True)
    assert series[place]['image'].shape == (2, 3, 10, 10)
    with pytest.raises(ValueError, match='none of 3 files matches filename_regex'):
        GeoTIFFPatches(tmp_path, filename_regex='nothing')
    with pytest.raises(ValueError, match='is no regular expression'):
        GeoTIFFPatches(tmp_path, filename_regex='(')


def test_unreadable_files_are_left_out_only_if_that_is_wanted_and_they_are_few(
    tmp_path: Path,
) -> None:
    for i in range(100):
        write(tmp_path / f'{i:03d}.tif', noise((3, 8, 8)))
    (tmp_path / '050.tif').write_bytes(b'')
    with pytest.raises(UnreadableFileError, match=r'050\.tif is not a raster'):
        GeoTIFFPatches(tmp_path)
    with pytest.warns(UserWarning, match=r'1 of 100 files cannot be read .*050\.tif'):
        assert len(GeoTIFFPatches(tmp_path, on_error='skip')) == 99
    (tmp_path / '051.tif').write_text('not a raster')
    with pytest.raises(
        UnreadableFileError, match=r'at most 1% of the files, got 2 of 100 .*051\.tif'
    ):
        GeoTIFFPatches(tmp_path, on_error='skip')


def test_tiles_in_another_crs_lie_where_torchgeo_puts_them(tmp_path: Path) -> None:
    write(tmp_path / 'a.tif', noise((3, 40, 50)))
    write(tmp_path / 'b.tif', noise((3, 40, 50)), crs='EPSG:32632')
    ours, theirs = GeoTIFFPatches(tmp_path), RasterDataset(tmp_path)
    # GDAL rounds the sides of a warped file up to whole pixels
    difference = ours.index.geometry.bounds - theirs.index.geometry.bounds
    assert difference.abs().to_numpy().max() < 10
    assert difference.iloc[0].abs().max() == 0


def test_a_slice_that_names_a_file_reads_it_where_files_overlap(tmp_path: Path) -> None:
    scenes = [noise((3, 20, 20), seed=seed) + 1 for seed in range(2)]
    for name, pixels in zip('ab', scenes, strict=True):
        write(tmp_path / f'{name}.tif', pixels)
    dataset = GeoTIFFPatches(tmp_path, raw=True)
    sampler = PatchSampler(dataset, size=20, length=20)
    for index in [pickle.loads(pickle.dumps(index)) for index in sampler]:
        tile = dataset.files.index(index.file)
        np.testing.assert_array_equal(dataset[index]['image'].numpy(), scenes[tile])
        # the place alone means both, and torchgeo takes the first
        x, y, t = index
        np.testing.assert_array_equal(dataset[x, y, t]['image'].numpy(), scenes[0])


def test_an_intersection_follows_the_patches_of_one_of_its_parts(tmp_path: Path) -> None:
    write(tmp_path / 'images' / 'a.tif', noise((3, 40, 50)))
    shifted = from_origin(500100, 4999900, 10, 10)
    masks = noise((1, 40, 50), seed=9)
    write(tmp_path / 'masks' / 'b.tif', masks, transform=shifted)

    class Masks(RasterDataset):
        is_image = False

    both = GeoTIFFPatches(tmp_path / 'images') & Masks(tmp_path / 'masks')
    seen = 0
    for index in PatchSampler(both, size=8, length=20):
        sample = both[index]
        x, y, _ = index
        row, col = round((4999900 - y.stop) / 10), round((x.start - 500100) / 10)
        expected = masks[0, row : row + 8, col : col + 8]
        np.testing.assert_array_equal(sample['mask'].numpy(), expected)
        seen += 1
    assert seen == 20


METRES_PER_DEGREE = 6371008.8 * np.pi / 180


@pytest.mark.parametrize(
    ('crs', 'corner', 'metres'),
    [
        ('EPSG:32633', (5e5, 5e6), 0.5),
        ('EPSG:2263', (1e6, 2e5), 0.5 * 1200 / 3937),
        ('+proj=utm +zone=33 +units=km +type=crs', (500, 5000), 500.0),
        ('LOCAL_CS["site",UNIT["metre",1]]', (0, 0), 0.5),
        ('LOCAL_CS["site",UNIT["foot",0.3048]]', (0, 0), 0.5 * 0.3048),
        ('EPSG:4978', (0, 0), 0.5),
        ('EPSG:32633+5773', (5e5, 5e6), 0.5),
        ('EPSG:4326', (10, 5), 0.5 * METRES_PER_DEGREE),
        ('EPSG:4807', (10, 5), 0.45 * METRES_PER_DEGREE),
    ],
)
def test_pixels_are_measured_on_the_ground_in_any_crs(
    tmp_path: Path, crs: str, corner: tuple[float, float], metres: float
) -> None:
    # around the equator, where a degree is as long in both directions
    path = write(
        tmp_path / 'a.tif', noise((1, 20, 20)), crs=crs, transform=from_origin(*corner, 0.5, 0.5)
    )
    assert GeoTIFFPatches(path).res_m == pytest.approx(metres, rel=1e-6)


def test_a_place_that_is_none_on_earth_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / 'a.tif', noise((1, 20, 20)), crs='EPSG:4326')
    with pytest.raises(ValueError, match=r'a\.tif lies at latitude 4\.9999e\+06, beyond 90'):
        GeoTIFFPatches(path)


@pytest.mark.parametrize('dtype', ['complex64', 'complex128'])
def test_complex_numbers_are_read_as_they_are_or_not_at_all(tmp_path: Path, dtype: str) -> None:
    pixels = noise((2, 20, 20)) * np.array(1 + 2j, dtype=dtype)
    path = write(tmp_path / 'a.tif', pixels)
    raw = GeoTIFFPatches(path, raw=True)
    window = Window(row_off=2, col_off=3, height=4, width=5)
    np.testing.assert_array_equal(raw.read_patch(0, window).numpy(), pixels[:, 2:6, 3:8])
    with pytest.raises(ValueError, match=rf'a\.tif holds complex numbers \({dtype}\)'):
        GeoTIFFPatches(path)


def near_infrared() -> np.ndarray:
    """Red, green, blue and near infrared, which is 0 on one side."""
    pixels = noise((4, 64, 64)) + 1
    pixels[3, :, :40] = 0
    return pixels


def test_a_band_tagged_as_alpha_is_data_in_every_query(tmp_path: Path) -> None:
    pixels = near_infrared()
    tagged = write(tmp_path / 'tagged' / 'a.tif', pixels)
    plain = write(tmp_path / 'plain' / 'a.tif', pixels, layout={'photometric': 'minisblack'})
    for path in (tagged, plain):
        # a second tile, so that places are merged
        east = from_origin(500600, 5000000, 10, 10)
        layout = {} if path is tagged else {'photometric': 'minisblack'}
        write(path.parent / 'b.tif', pixels, transform=east, layout=layout)
    asked = [1, 2, 3, 4]
    for options in ({}, {'res': 7.0}, {'res': 20.0}, {'crs': 'EPSG:32632'}):
        one, other = (
            GeoTIFFPatches(path.parent, bands=asked, **options)[:, :]['image'].numpy()
            for path in (tagged, plain)
        )
        assert (one[:3] > 0).mean() == pytest.approx((other[:3] > 0).mean(), abs=0.01)
        assert one.mean() == pytest.approx(other.mean(), rel=0.01)
    dataset = GeoTIFFPatches(tagged, bands=asked, raw=True)
    np.testing.assert_array_equal(dataset[:, :]['image'].numpy(), pixels)
    assert dataset.valid_shares().tolist() == [1.0]


def test_a_band_left_out_as_alpha_is_named_where_it_holds_data(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = write(tmp_path / 'a.tif', near_infrared())
    assert GeoTIFFPatches(path, bands=[1, 2, 3, 4]).left_out == ()
    assert not [each for each in recwarn if 'alpha' in str(each.message)]
    with pytest.warns(UserWarning, match=r'band 4 is tagged as alpha.*pass bands=\[1, 2, 3, 4\]'):
        dataset = GeoTIFFPatches(path)
    assert dataset.left_out == (4,)
    assert dataset.chosen == [1, 2, 3]
