import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine, from_origin
from torch import Tensor
from torch.utils.data import Dataset
from torchgeo.datasets import RasterDataset

from gersp_geo.datamodules.streams import (
    ChipStream,
    DatasetStream,
    GeoDatasetStream,
    PairStream,
    PatchStream,
    choose_date,
    group_dates,
)
from gersp_geo.datasets.folders import ImageChips
from gersp_geo.datasets.geotiff_patches import GeoTIFFPatches
from gersp_geo.samplers import PatchSampler

REGEX = r'.*_(?P<date>\d{8})\.tif'


def write(
    path: Path,
    pixels: np.ndarray,
    *,
    transform: Affine | None = None,
    nodata: float | None = None,
    epsg: int = 32633,
) -> Path:
    profile = {'driver': 'GTiff', 'height': pixels.shape[1], 'width': pixels.shape[2]}
    transform = transform or from_origin(500000, 5000000, 10, 10)
    with rasterio.open(
        path, 'w', crs=f'EPSG:{epsg}', transform=transform, count=len(pixels), dtype=pixels.dtype,
        nodata=nodata, **profile,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def plane(offset: int = 0, *, bands: int = 2, dtype: str = 'int16') -> np.ndarray:
    """Values that say where they are."""
    rows, cols = np.mgrid[:40, :40]
    return np.stack([rows * 40 + cols + offset + 5000 * band for band in range(bands)]).astype(
        dtype
    )


def pairs(folder: Path, **arguments: Any) -> PairStream:
    tiles = GeoTIFFPatches(folder, raw=True, filename_regex=REGEX, **arguments)
    return PairStream(tiles, PatchSampler(tiles, size=8, length=30), seed=0)


def test_the_dates_of_a_place_are_found_by_name() -> None:
    files = ['x/a_20200101.tif', 'x/a_20210101.tif', 'x/b_20200101.tif', 'x/b_20220101.tif',
             'y/a_20200101.tif', 'y/a_20200202.tif', 'x/a_20220101.tif']  # fmt: skip
    first, second, third = [0, 1, 6], [2, 3], [4, 5]
    assert group_dates(files, REGEX) == [first, first, second, second, third, third, first]
    with pytest.raises(ValueError, match=r'b_20200101\.tif is the only date of its place'):
        group_dates(files[:3], REGEX)
    with pytest.raises(ValueError, match=r'need a filename_regex with a group \(\?P<date>'):
        group_dates(files, '.*')


def test_another_date_is_drawn_evenly_and_repeatably() -> None:
    drawn = [choose_date([2, 5, 7, 9], 5, place=(0, 0, i)) for i in range(3000)]
    assert drawn == [choose_date([2, 5, 7, 9], 5, place=(0, 0, i)) for i in range(3000)]
    counts = [drawn.count(number) for number in (2, 7, 9)]
    assert sum(counts) == 3000
    # four standard deviations
    assert all(abs(count - 1000) < 4 * (3000 * 2 / 9) ** 0.5 for count in counts)


@pytest.mark.quick('10')
@pytest.mark.parametrize('step', [1, 10])
def test_both_dates_show_the_same_window(tmp_path: Path, step: int) -> None:
    write(tmp_path / 'a_20200101.tif', plane())
    write(tmp_path / 'a_20210101.tif', plane(10000))
    stream = pairs(tmp_path)
    for index in range(0, len(stream), step):
        image = stream.draw(cycle=1, index=index)['image']
        assert image.shape == (4, 8, 8)
        assert (image[2:] - image[:2]).unique().abs().tolist() == [10000]
        assert torch.equal(image, stream.draw(cycle=1, index=index)['image'])


def test_a_date_on_another_grid_is_brought_onto_that_of_the_patch(tmp_path: Path) -> None:
    write(tmp_path / 'a_20200101.tif', plane(0, bands=1), nodata=-1)
    # the same ground, two pixels further east
    east = from_origin(500020, 5000000, 10, 10)
    write(tmp_path / 'a_20210101.tif', plane(10002, bands=1), transform=east, nodata=-1)
    stream = pairs(tmp_path)
    stream.fill = (-7.4,)
    seen = set()
    for index in range(len(stream)):
        one, other = stream.draw(cycle=0, index=index)['image'].numpy()
        observed = other != -7
        assert observed.any()
        seen |= set(np.unique((other - one)[observed]).tolist())
    assert seen == {10000, -10000}


def test_pixels_without_observation_are_filled(tmp_path: Path) -> None:
    pixels = plane()
    pixels[:, :, :20] = -9999
    write(tmp_path / 'a.tif', pixels, nodata=-9999)
    tiles = GeoTIFFPatches(tmp_path, raw=True)
    stream = PatchStream(tiles, PatchSampler(tiles, size=40, length=1))
    assert stream.draw(cycle=0, index=0)['image'].min() == -9999
    stream.fill = (3.6, 1e9)
    filled = stream.draw(cycle=0, index=0)['image']
    assert filled[:, :, :20].unique().tolist() == [4, 2**15 - 1]
    assert torch.equal(filled[:, :, 20:], torch.from_numpy(pixels[:, :, 20:]))
    image, valid = stream.observed(cycle=0, index=0)
    np.testing.assert_array_equal(image, pixels)
    assert not valid[:, :20].any()


class Samples(Dataset[dict[str, Tensor]]):
    """A data set as torchgeo's without places."""

    def __init__(self, image: Tensor, **attributes: Any) -> None:
        self.image = image
        vars(self).update(attributes)

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {'image': self.image + index, 'label': torch.tensor(index)}


def test_images_of_any_data_set_are_cut_to_a_square_and_keep_their_dtype() -> None:
    image = torch.arange(4 * 10 * 12).view(4, 10, 12).to(torch.int16)
    dataset = Samples(image, all_bands=('B01', 'B02', 'B03', 'B04'))
    stream = DatasetStream(dataset, size=10)
    assert stream.bands == dataset.all_bands  # type: ignore[attr-defined]
    assert torch.equal(stream.draw(cycle=0, index=3)['image'], image[:, :, 1:11] + 3)
    small = DatasetStream(dataset, size=5).draw(cycle=0, index=0)['image']
    assert small.shape == (4, 5, 5)
    assert small.dtype == torch.int16


def test_items_without_an_image_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'image' of shape \(C, H, W\), Samples gives \(8, 8\)"):
        DatasetStream(Samples(torch.ones(8, 8)), size=8)


def test_a_torchgeo_data_set_with_places_is_sampled(tmp_path: Path) -> None:
    pixels = plane()
    write(tmp_path / 'a.tif', pixels)
    dataset = RasterDataset(tmp_path)
    sampler = PatchSampler(dataset, size=8, length=10)
    stream = GeoDatasetStream(dataset, sampler)
    assert (stream.bands, len(stream), stream.files) == (('band_1', 'band_2'), 10, 1)
    for index in range(10):
        _, window = sampler.patch(2, index)
        expected = pixels[:, window.row_off : window.row_stop, window.col_off : window.col_stop]
        np.testing.assert_array_equal(stream.draw(cycle=2, index=index)['image'].numpy(), expected)


def test_chips_are_the_same_in_every_pass(tmp_path: Path) -> None:
    for name in ('a.tif', 'b.tif'):
        write(tmp_path / name, plane(dtype='float32'))
    stream = ChipStream(ImageChips(tmp_path, size=40))
    assert (len(stream), stream.files, len(stream.bands)) == (2, 2, 2)
    images = [stream.draw(cycle=cycle, index=1)['image'] for cycle in range(2)]
    assert torch.equal(*images)
    shutil.rmtree(tmp_path)
    with pytest.raises(FileNotFoundError):
        stream.draw(cycle=0, index=0)
