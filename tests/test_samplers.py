from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin
from torch.utils.data import DataLoader
from torchgeo.datasets import RasterDataset, stack_samples

from gersp_geo.datasets.geotiff import GeoTIFFPatches
from gersp_geo.samplers import EpochIndices, PatchSampler


def write(path: Path, height: int, width: int, *, left: float = 0, epsg: int = 32633) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (1, height, width)).astype('uint8')
    profile = {
        'driver': 'GTiff',
        'height': height,
        'width': width,
        'count': 1,
        'dtype': 'uint8',
        'crs': f'EPSG:{epsg}',
        'transform': from_origin(500000 + left, 5000000, 0.1, 0.1),
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


def test_every_position_of_every_tile_is_equally_likely(dataset: GeoTIFFPatches) -> None:
    sampler = PatchSampler(dataset, size=8)
    # 5 x 3 positions in a, 2 x 13 in b
    counts = {(0, r, c): 0 for r in range(5) for c in range(3)}
    counts |= {(1, r, c): 0 for r in range(2) for c in range(13)}
    draws = 100 * len(counts)
    for i in range(draws):
        tile, window = sampler.patch(0, i)
        counts[tile, window.row_off, window.col_off] += 1
    chi2 = sum((n - 100) ** 2 / 100 for n in counts.values())
    # 40 degrees of freedom: 99.99 % of seeds stay below
    assert chi2 < 83
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
    with pytest.warns(UserWarning, match=r'1 of 2 tiles are smaller .*b\.tif') as record:
        sampler = PatchSampler(dataset, size=10)
    assert len(record) == 1
    shapes = {dataset.read_patch(*sampler.patch(0, i)).shape for i in range(30)}
    assert shapes == {(1, 10, 10)}


def test_warped_tiles_are_indexed_inside_their_bounds(tmp_path: Path) -> None:
    write(tmp_path / 'a.tif', 40, 40)
    write(tmp_path / 'b.tif', 40, 40, epsg=32632)
    dataset = GeoTIFFPatches(tmp_path)
    sampler = PatchSampler(dataset, size=8, length=20)
    for i, (x, y, t) in enumerate(sampler):  # type: ignore[misc]
        image = dataset[x, y, t]['image']
        assert image.shape == (1, 8, 8)
        left, bottom, right, top = dataset.index.geometry.iloc[sampler.patch(0, i)[0]].bounds
        assert left <= x.start + 0.05 < x.stop <= right + 0.05
        assert bottom - 0.05 <= y.start < y.stop <= top + 0.05


@pytest.mark.parametrize('wrong', [{'size': 0}, {'size': 8, 'length': 0}, {'size': 8, 'seed': -1}])
def test_wrong_numbers_raise(dataset: GeoTIFFPatches, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match='must be >= 1'):
        PatchSampler(dataset, **wrong)


@settings(max_examples=50, deadline=None)
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
