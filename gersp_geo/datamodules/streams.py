"""Streams of unlabelled samples: chips, patches, pairs of dates, torchgeo data sets."""

import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchgeo.datasets import GeoDataset

from ..batch_types import ImageSample
from ..datasets.file_pool import HandlePool
from ..datasets.folders import ImageChips
from ..datasets.geotiff_patches import GeoTIFFPatches
from ..datasets.samples import Observed, check_image, fill_missing, finite, fit, name_bands
from ..geoio.read import read_valid, read_window
from ..geoio.warp import on_one_grid, open_aligned
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
        """Initialize a new PatchStream instance of tiles that were opened with ``raw=True``."""
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
    res_m: float | None = None
    paths: Sequence[str] = ()

    def __init__(self, dataset: Dataset[Any], *, size: int) -> None:
        """Initialize a new DatasetStream instance.

        Args:
            dataset: Its items are dictionaries with 'image' of shape (C, H, W).
            size: Side of the images returned, in pixels.

        Raises:
            ValueError: If the first item has no such image.
        """
        self.dataset, self.size = dataset, size
        first = self.read(0, 0)
        self.bands = name_bands(dataset, count=len(first))
        self.files = len(dataset)  # type: ignore[arg-type]  # map-style data sets have a length

    def __len__(self) -> int:
        """Number of images in one pass."""
        return self.files

    def read(self, cycle: int, index: int) -> Tensor:
        """Read image *index*, the same in every pass, resized and cut to a square."""
        image = check_image(self.dataset[index], dataset=self.dataset)
        return fit(image, size=self.size)

    def draw(self, *, cycle: int, index: int) -> ImageSample:
        """Read image *index* of pass *cycle*."""
        return {'image': self.read(cycle, index)}

    def observed(self, *, cycle: int, index: int) -> Observed:
        """Read image *index* of pass *cycle*; every finite pixel of it is an observation."""
        return finite(self.read(cycle, index))


class GeoDatasetStream(DatasetStream):
    """Patches at seeded random places of any torchgeo data set with places."""

    reshuffled = False

    def __init__(self, dataset: GeoDataset, sampler: PatchSampler) -> None:
        """Initialize a new GeoDatasetStream instance.

        Args:
            dataset: Its samples have an 'image' of shape (C, H, W).
            sampler: Over *dataset*.

        Raises:
            ValueError: If the first patch has no such image.
        """
        self.sampler = sampler
        super().__init__(dataset, size=sampler.size)

    def __len__(self) -> int:
        """Number of patches in one pass."""
        return len(self.sampler)

    def read(self, cycle: int, index: int) -> Tensor:
        """Read patch *index* of pass *cycle*; each pass has places of its own."""
        sample = self.dataset[self.sampler.geoslice(cycle, index)]
        return check_image(sample, dataset=self.dataset)


def open_pair(tiles: GeoTIFFPatches, key: tuple[int, int]) -> Any:
    """Open one tile on the grid of another one."""
    other, tile = key
    return open_aligned(
        tiles.files[other], tiles.tiles[tile], nodata=tiles.nodata, bands=tiles.chosen
    )


def group_dates(files: Sequence[str], regex: str) -> list[list[int]]:
    """Find the files of the same place.

    Args:
        files: Paths.
        regex: Of file names, in Python's verbose syntax, with a group ``date``. What is left of a
            path without its date names the place.

    Returns:
        Per file: the numbers of all files of its place, itself included, ascending.

    Raises:
        ValueError: If the pattern has no such group, or a place has one date only.
    """
    pattern = re.compile(regex, re.VERBOSE)
    if 'date' not in pattern.groupindex:
        raise ValueError(
            f'two dates need a filename_regex with a group (?P<date>...), got {regex!r}'
        )
    places: list[tuple[str, str]] = []
    groups: dict[tuple[str, str], list[int]] = {}
    for number, file in enumerate(files):
        folder, name = os.path.split(file)
        match = pattern.match(name)
        if match is None:
            raise ValueError(f'{file} does not match filename_regex {regex!r}')
        start, stop = match.span('date')
        places.append((folder, name[:start] + name[stop:]))
        groups.setdefault(places[-1], []).append(number)
    for numbers in groups.values():
        if len(numbers) < 2:
            raise ValueError(
                f'{files[numbers[0]]} is the only date of its place; two dates need a second file '
                'whose name differs in the date alone'
            )
    return [groups[place] for place in places]


def choose_date(numbers: Sequence[int], tile: int, *, place: tuple[int, int, int]) -> int:
    """Draw another date than *tile* from the *numbers* of a place.

    *place* is seed, pass and index; the same ones give the same date.
    """
    others = [number for number in numbers if number != tile]
    if len(others) == 1:
        return others[0]
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(place)))
    return others[int(generator.integers(len(others)))]
