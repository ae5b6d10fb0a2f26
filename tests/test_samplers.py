from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import torch
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples

from gersp_geo.datasets.geotiff_patches import GeoTIFFPatches
from gersp_geo.samplers import EpochIndices, PatchSampler


def write(
    path: Path,
    height: int,
    width: int,
    *,
    left: float = 0,
    epsg: int = 32633,
    nodata: float | None = None,
    empty: tuple[slice, slice] | None = None,
) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (1, height, width)).astype('uint8')
    if empty is not None:
        pixels[0, *empty] = 0
    profile = {
        'driver': 'GTiff',
        'height': height,
        'width': width,
        'count': 1,
        'dtype': 'uint8',
        'crs': f'EPSG:{epsg}',
        'transform': from_origin(500000 + left, 5000000, 0.1, 0.1),
        'nodata': nodata,
    }
    with rasterio.open(path, 'w', **profile) as dst:
        dst.write(pixels)


@pytest.fixture
def dataset(tmp_path: Path) -> GeoTIFFPatches:
    write(tmp_path / 'a.tif', 12, 10)
    write(tmp_path / 'b.tif', 9, 20, left=1000)
    return GeoTIFFPatches(tmp_path)


def test_a_patch_depends_on_seed_epoch_and_index_alone(dataset: GeoTIFFPatches) -> None:
    one, other = (PatchSampler(dataset, size=8, seed=3) for _ in range(2))
    for index in (5, 0, 17):
        other.patch(4, index + 1)
        assert one.patch(2, index) == other.patch(2, index)
    places = [
        [str(PatchSampler(dataset, size=8, seed=seed).patch(epoch, i)) for i in range(20)]
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    assert places[0] != places[1]
    assert places[0] != places[2]


def test_tiles_are_drawn_by_area_and_their_positions_uniformly(dataset: GeoTIFFPatches) -> None:
    sampler = PatchSampler(dataset, size=8)
    # 120 pixels with 5 x 3 positions in a, 180 pixels with 2 x 13 in b
    expected = {(0, r, c): 120 / 300 / 15 for r in range(5) for c in range(3)}
    expected |= {(1, r, c): 180 / 300 / 26 for r in range(2) for c in range(13)}
    check_draws(sampler, expected)


def check_draws(sampler: PatchSampler, expected: dict[tuple[int, int, int], float]) -> None:
    """Chi-square test of the places drawn against the shares expected."""
    draws = round(50 / min(expected.values()))
    counts = dict.fromkeys(expected, 0)
    for i in range(draws):
        tile, window = sampler.patch(0, i)
        counts[tile, window.row_off, window.col_off] += 1
    chi2 = sum((n - draws * expected[k]) ** 2 / (draws * expected[k]) for k, n in counts.items())
    degrees = len(expected) - 1
    # 99.99 % of seeds stay below (Wilson and Hilferty's approximation)
    assert chi2 < degrees * (1 - 2 / (9 * degrees) + 3.72 * (2 / (9 * degrees)) ** 0.5) ** 3
    assert min(counts.values()) > 0


def test_iterating_reads_the_patches_as_whole_pixels(
    dataset: GeoTIFFPatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a query that is not whole pixels would be merged
    monkeypatch.delattr(RasterDataset, '__getitem__')
    sampler = PatchSampler(dataset, size=8, length=30)
    sampler.set_epoch(7)
    loader = DataLoader(dataset, sampler=sampler, batch_size=1, collate_fn=stack_samples)
    assert len(loader) == 30
    for i, batch in enumerate(loader):
        tile, window = sampler.patch(7, i)
        assert torch.equal(batch['image'][0], dataset.read_patch(tile, window).float())


def test_default_length_covers_the_tiles_about_once(dataset: GeoTIFFPatches) -> None:
    assert len(PatchSampler(dataset, size=4)) == 120 // 16 + 180 // 16


def test_small_tiles_are_padded_with_one_warning(dataset: GeoTIFFPatches) -> None:
    with pytest.warns(
        UserWarning, match=r'1 of 2 tiles are smaller .*padded, the first is .*b\.tif'
    ) as record:
        sampler = PatchSampler(dataset, size=10)
    assert len(record) == 1
    shapes = {dataset.read_patch(*sampler.patch(0, i)).shape for i in range(30)}
    assert shapes == {(1, 10, 10)}


def test_warped_tiles_are_indexed_inside_their_bounds(tmp_path: Path) -> None:
    write(tmp_path / 'a.tif', 40, 40)
    write(tmp_path / 'b.tif', 40, 40, epsg=32632)
    dataset = GeoTIFFPatches(tmp_path)
    sampler = PatchSampler(dataset, size=8, length=20)
    for i, (x, y, t) in enumerate(sampler):
        image = dataset[x, y, t]['image']
        assert image.shape == (1, 8, 8)
        left, bottom, right, top = dataset.index.geometry.iloc[sampler.patch(0, i)[0]].bounds
        assert left <= x.start + 0.05 < x.stop <= right + 0.05
        assert bottom - 0.05 <= y.start < y.stop <= top + 0.05


def test_tiles_are_drawn_by_what_they_observe(tmp_path: Path) -> None:
    write(tmp_path / 'full.tif', 20, 20)
    write(tmp_path / 'half.tif', 20, 20, nodata=0, empty=(slice(None), slice(10)))
    write(tmp_path / 'none.tif', 20, 20, nodata=0, empty=(slice(None), slice(None)))
    sampler = PatchSampler(GeoTIFFPatches(tmp_path), size=18)
    expected = {(0, r, c): 2 / 3 / 9 for r in range(3) for c in range(3)}
    expected |= {(1, r, c): 1 / 3 / 9 for r in range(3) for c in range(3)}
    check_draws(sampler, expected)


def test_min_valid_leaves_the_positions_that_observe_enough(tmp_path: Path) -> None:
    write(tmp_path / 'half.tif', 12, 20, nodata=0, empty=(slice(None), slice(10)))
    sampler = PatchSampler(GeoTIFFPatches(tmp_path), size=10, min_valid=0.75)
    # columns 8, 9 and 10 hold at least 7.5 of 10 observed columns
    check_draws(sampler, {(0, r, c): 1 / 9 for r in range(3) for c in (8, 9, 10)})
    strict = PatchSampler(GeoTIFFPatches(tmp_path), size=11, min_valid=1)
    with pytest.raises(ValueError, match=r'no patch of 11 px with min_valid=1 .*lower min_valid'):
        strict.patch(0, 0)


def test_patches_lie_within_a_region_of_interest(dataset: GeoTIFFPatches) -> None:
    # rows 1 to 10 and columns 2 to 9 of a
    left, top = 500000.2, 4999999.9
    roi = shapely.box(left, top - 1.0, left + 0.8, top)
    sampler = PatchSampler(dataset, size=7, roi=roi)
    check_draws(sampler, {(0, r, c): 1 / 8 for r in range(1, 5) for c in (2, 3)})
    # without the first column of its two lower rows, and in another CRS's tiles just as well
    bite = shapely.box(left, top - 1.0, left + 0.1, top - 0.8)
    sampler = PatchSampler(dataset, size=7, roi=roi - bite)
    allowed = {(0, r, c): 1 / 6 for r in range(1, 5) for c in (2, 3) if c == 3 or r < 3}
    check_draws(sampler, allowed)
    with pytest.raises(ValueError, match='none of 2 tiles holds a patch of 9 px; check roi'):
        PatchSampler(dataset, size=9, roi=roi)


def test_a_region_of_interest_is_found_in_tiles_of_other_crs(tmp_path: Path) -> None:
    write(tmp_path / 'a.tif', 40, 40)
    write(tmp_path / 'b.tif', 40, 40, epsg=32632)
    dataset = GeoTIFFPatches(tmp_path)
    roi = shapely.box(*dataset.index.geometry.iloc[1].bounds).buffer(-0.5)
    sampler = PatchSampler(dataset, size=8, roi=roi, length=20)
    assert {sampler.patch(0, i)[0] for i in range(20)} == {1}


def test_tiles_of_other_times_are_left_out(tmp_path: Path) -> None:
    for year in (2020, 2021, 2022):
        write(tmp_path / f'scene_{year}0601.tif', 12, 12)
    dataset = GeoTIFFPatches(tmp_path, filename_regex=r'scene_(?P<date>\d{8})')
    toi = pd.Interval(pd.Timestamp(2021, 1, 1), pd.Timestamp(2021, 12, 31))
    sampler = PatchSampler(dataset, size=8, toi=toi)
    assert {sampler.patch(0, i)[0] for i in range(20)} == {1}
    assert all('20210601' in index.file for index in sampler)


def test_a_cut_index_leaves_out_what_is_cut(dataset: GeoTIFFPatches) -> None:
    dataset.index = dataset.index.iloc[1:]
    sampler = PatchSampler(dataset, size=8)
    assert {sampler.patch(0, i)[0] for i in range(20)} == {1}
    assert torch.equal(dataset[sampler.geoslice(0, 3)]['image'][0].byte(),
                       dataset.read_patch(*sampler.patch(0, 3))[0])  # fmt: skip


def test_small_tiles_are_left_out_if_that_is_wanted(dataset: GeoTIFFPatches) -> None:
    with pytest.warns(UserWarning, match=r'1 of 2 tiles .* are left out, the first is .*b\.tif'):
        sampler = PatchSampler(dataset, size=10, small_tiles='skip')
    assert {sampler.patch(0, i)[0] for i in range(20)} == {0}
    with (
        pytest.warns(UserWarning, match='2 of 2 tiles'),
        pytest.raises(ValueError, match='none of 2 tiles holds a patch of 30 px'),
    ):
        PatchSampler(dataset, size=30, small_tiles='skip')


def test_patches_of_one_block_are_near_and_still_uniform(tmp_path: Path) -> None:
    write(tmp_path / 'a.tif', 24, 17)
    sampler = PatchSampler(GeoTIFFPatches(tmp_path), size=8, patches_per_block=4)
    # members of a group depend on each other, so one per group goes into the test
    counts = np.zeros((17, 10))
    for group in range(4000):
        members = [sampler.patch(0, 4 * group + k)[1] for k in range(4)]
        assert len({(m.row_off // 8, m.col_off // 8) for m in members}) == 1
        counts[members[group % 4].row_off, members[group % 4].col_off] += 1
    chi2 = ((counts - 4000 / 170) ** 2 / (4000 / 170)).sum()
    # 169 degrees of freedom: 99.99 % of seeds stay below
    assert chi2 < 244
    assert len({str(sampler.patch(0, k)) for k in range(4)}) > 1


@given(
    processes=st.integers(1, 5), length=st.integers(5, 40), epoch=st.integers(0, 9),
    per_block=st.integers(1, 3),
)  # fmt: skip
def test_processes_interleave_to_the_sequence_of_one(
    shared: GeoTIFFPatches, processes: int, length: int, epoch: int, per_block: int
) -> None:
    options: dict[str, Any] = {'size': 8, 'length': length, 'patches_per_block': per_block}
    alone = PatchSampler(shared, **options)
    alone.set_epoch(epoch)
    shares = []
    for rank in range(processes):
        sampler = PatchSampler(shared, processes=processes, rank=rank, **options)
        sampler.set_epoch(epoch)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler)
    merged = [index for step in zip(*shares, strict=True) for index in step]
    assert merged == list(alone)[: length - length % processes]


@pytest.fixture(scope='module')
def shared(tmp_path_factory: pytest.TempPathFactory) -> GeoTIFFPatches:
    folder = tmp_path_factory.mktemp('shared')
    write(folder / 'a.tif', 12, 10)
    write(folder / 'b.tif', 9, 20, left=1000)
    return GeoTIFFPatches(folder)


def test_any_torchgeo_data_set_can_be_sampled(dataset: GeoTIFFPatches) -> None:
    plain = RasterDataset(dataset.files)
    both = plain | RasterDataset(dataset.files)
    for whole in (plain, both):
        sampler = PatchSampler(whole, size=8, length=10)
        loader = DataLoader(whole, sampler=sampler, batch_size=5, collate_fn=stack_samples)
        assert [batch['image'].shape for batch in loader] == [(5, 1, 8, 8)] * 2
    with pytest.raises(ValueError, match='min_valid needs GeoTIFFPatches'):
        PatchSampler(plain, size=8, min_valid=0.5)


@pytest.mark.parametrize(
    'wrong',
    [
        {'size': 0},
        {'size': 8, 'length': 0},
        {'size': 8, 'seed': -1},
        {'size': 8, 'patches_per_block': 0},
        {'size': 8, 'min_valid': 1.1},
        {'size': 8, 'rank': 1},
        {'size': 8, 'small_tiles': 'drop'},
    ],
)
def test_wrong_numbers_raise(dataset: GeoTIFFPatches, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r'must be .*got'):
        PatchSampler(dataset, **wrong)


@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 9), st.integers(0, 12))
def test_shares_interleave_to_the_sequence_of_one_process(
    length: int, processes: int, epoch: int, done: int
) -> None:
    shares = []
    for rank in range(processes):
        sampler = EpochIndices(length, processes=processes, rank=rank)
        sampler.set_epoch(epoch)
        share = list(sampler)
        assert len(share) == len(sampler)
        sampler.skip_to(epoch, done)
        sampler.set_epoch(epoch)  # as Lightning does after restoring
        assert list(sampler) == share[done:]
        assert list(sampler) == share
        shares.append(share)
    merged = [place for step in zip(*shares, strict=True) for place in step]
    assert merged == [(epoch, index) for index in range(length - length % processes)]


def test_another_epoch_begins_at_its_first_index() -> None:
    sampler = EpochIndices(3)
    sampler.skip_to(0, 3)
    sampler.set_epoch(1)
    assert list(sampler) == [(1, 0), (1, 1), (1, 2)]
