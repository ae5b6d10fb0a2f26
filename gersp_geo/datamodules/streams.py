"""Streams of unlabelled samples: chips, patches, pairs of dates, torchgeo data sets."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchgeo.datasets import GeoDataset

from ..batches import ImageSample
from ..datasets.file_pool import HandlePool
from ..datasets.folders import ImageChips
from ..datasets.geotiff import GeoTIFFPatches
from ..datasets.pairs import choose_date, group_dates
from ..datasets.samples import Observed, check_image, fill_missing, finite, fit, name_bands
from ..geoio.read.observations import read_valid
from ..geoio.read.reader import read_window
from ..geoio.warp.alignment import on_one_grid, open_aligned
from ..samplers import PatchSampler
from ..windows import Window


class ChipStream:
    """Unlabelled images of one size, as a stream."""

    reshuffled = True
    has_file_values = True

    def __init__(self, chips: ImageChips) -> None:
        """Initialize a new ChipStream instance."""
        self.chips = chips
        self.fill: Sequence[float] | None = None
        """As of :class:`PatchStream`."""
        self.bands = chips.bands
        self.res_m: float | None = None
        self.files = len(chips)
        self.paths: Sequence[str] = list(map(str, chips.files))

    def __len__(self) -> int:
        """Number of images in one pass."""
        return len(self.chips)

    def draw(self, *, cycle: int, index: int) -> ImageSample:
        """Read image *index*, the same in every pass, and fill what was not observed."""
        image, valid = self.chips.observed(index)
        return {'image': fill_missing(image, valid, fill=self.fill)}

    def observed(self, *, cycle: int, index: int) -> Observed:
        """Read image *index*, and which of its pixels are observations."""
        image, valid = self.chips.observed(index)
        return image.numpy(), valid


class PatchStream:
    """Patches at seeded random places of GeoTIFFs, as a stream."""

    reshuffled = False
    has_file_values = True

    def __init__(self, tiles: GeoTIFFPatches, sampler: PatchSampler) -> None:
        """Initialize a new PatchStream instance.

        Args:
            tiles: Opened with ``raw=True``.
            sampler: Over *tiles*.
        """
        self.tiles, self.sampler = tiles, sampler
        self.bands = tuple(tiles.bands)
        self.res_m: float | None = tiles.res_m
        self.files = len(tiles.files)
        self.paths: Sequence[str] = tiles.files
        self.fill: Sequence[float] | None = None
        """Per band, the value of pixels without observation; None leaves integers as stored, and
        puts NaN into floating point."""

    def __len__(self) -> int:
        """Number of patches in one pass."""
        return len(self.sampler)

    def draw(self, *, cycle: int, index: int) -> ImageSample:
        """Read patch *index* of pass *cycle*; each pass has places of its own."""
        return {'image': self.read(*self.sampler.patch(cycle, index))}

    def read(self, tile: int, window: Window) -> Tensor:
        """Read a patch, and fill what was not observed."""
        image = self.tiles.read_patch(tile, window)
        if not self.tiles.may_miss(tile):
            return image
        return fill_missing(image, self.tiles.read_valid(tile, window), fill=self.fill)

    def observed(self, *, cycle: int, index: int) -> Observed:
        """Read patch *index* of pass *cycle*, and which of its pixels are observations."""
        place = self.sampler.patch(cycle, index)
        return self.tiles.read_patch(*place).numpy(), self.tiles.read_valid(*place)


class PairStream(PatchStream):
    """Two dates of one place, stacked along the bands: two views for contrastive learning."""

    def __init__(self, tiles: GeoTIFFPatches, sampler: PatchSampler, *, seed: int) -> None:
        """Initialize a new PairStream instance.

        Args:
            tiles: Opened with ``raw=True`` and a ``filename_regex`` that has a group ``date``.
            sampler: Over *tiles*.
            seed: Decides which dates make up a pair.

        Raises:
            ValueError: If a place has one date only.
        """
        super().__init__(tiles, sampler)
        self.seed = seed
        self.dates = group_dates(tiles.files, tiles.filename_regex)
        self._aligned: HandlePool[tuple[int, int], Any] = HandlePool(partial(open_pair, tiles))

    def draw(self, *, cycle: int, index: int) -> ImageSample:
        """Read patch *index* of pass *cycle* at its date and at another one.

        Returns:
            Under 'image': shape (2 * C, H, W).
        """
        tile, window = self.sampler.patch(cycle, index)
        other = choose_date(self.dates[tile], tile, place=(self.seed, cycle, index))
        return {'image': torch.cat([self.read(tile, window), self.read_date(other, tile, window)])}

    def read_date(self, other: int, tile: int, window: Window) -> Tensor:
        """Read the pixels of tile *other* that lie in a window of *tile*."""
        if on_one_grid(self.tiles.tiles[other], self.tiles.tiles[tile]):
            return self.read(other, window)
        src, bands = self._aligned.get((other, tile)), self.tiles.chosen
        image = torch.from_numpy(read_window(src, window, bands=bands))
        valid = read_valid(src, window, bands=bands, nodata=self.tiles.nodata)
        return fill_missing(image, valid, fill=self.fill)


class DatasetStream:
    """Any data set whose samples have an 'image', such as torchgeo's without places."""

    reshuffled = True
    has_file_values = False

    def __init__(self, dataset: Dataset[Any], *, size: int) -> None:
        """Initialize a new DatasetStream instance.

        Args:
            dataset: Its items are dictionaries with 'image' of shape (C, H, W).
            size: Side of the images returned, in pixels.

        Raises:
            ValueError: If the first item has no such image.
        """
        self.dataset, self.size = dataset, size
        first = check_image(dataset[0], dataset=dataset)
        self.bands = name_bands(dataset, count=len(first))
        self.res_m: float | None = None
        self.files = len(self)
        self.paths: Sequence[str] = ()

    def __len__(self) -> int:
        """Number of images in one pass."""
        return len(self.dataset)  # type: ignore[arg-type]  # map-style data sets have a length

    def draw(self, *, cycle: int, index: int) -> ImageSample:
        """Read image *index*, the same in every pass, resized and cut to a square."""
        image = check_image(self.dataset[index], dataset=self.dataset)
        return {'image': fit(image, size=self.size)}

    def observed(self, *, cycle: int, index: int) -> Observed:
        """Read image *index*; every finite pixel of it is an observation."""
        return finite(self.draw(cycle=cycle, index=index)['image'])


class GeoDatasetStream:
    """Patches at seeded random places of any torchgeo data set with places."""

    reshuffled = False
    has_file_values = False

    def __init__(self, dataset: GeoDataset, sampler: PatchSampler) -> None:
        """Initialize a new GeoDatasetStream instance.

        Args:
            dataset: Its samples have an 'image' of shape (C, H, W).
            sampler: Over *dataset*.

        Raises:
            ValueError: If the first patch has no such image.
        """
        self.dataset, self.sampler = dataset, sampler
        first = check_image(dataset[sampler.geoslice(0, 0)], dataset=dataset)
        self.bands = name_bands(dataset, count=len(first))
        self.res_m: float | None = None
        self.files = len(dataset)
        self.paths: Sequence[str] = ()

    def __len__(self) -> int:
        """Number of patches in one pass."""
        return len(self.sampler)

    def draw(self, *, cycle: int, index: int) -> ImageSample:
        """Read patch *index* of pass *cycle*; each pass has places of its own."""
        sample = self.dataset[self.sampler.geoslice(cycle, index)]
        return {'image': check_image(sample, dataset=self.dataset)}

    def observed(self, *, cycle: int, index: int) -> Observed:
        """Read patch *index* of pass *cycle*; every finite pixel of it is an observation."""
        return finite(self.draw(cycle=cycle, index=index)['image'])


def open_pair(tiles: GeoTIFFPatches, key: tuple[int, int]) -> Any:
    """Open one tile on the grid of another one."""
    other, tile = key
    return open_aligned(
        tiles.files[other], tiles.tiles[tile], nodata=tiles.nodata, bands=tiles.chosen
    )
