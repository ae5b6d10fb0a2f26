"""Seeded places of patches, as a function of seed, epoch and index."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from shapely import Polygon
from torch.utils.data.distributed import DistributedSampler
from torchgeo.datasets import GeoDataset
from torchgeo.samplers import GeoSampler

from .datasets.counter_rng import Draws
from .datasets.geotiff_patches import GeoTIFFPatches
from .datasets.index import PatchSlice
from .datasets.sampling_regions import find_regions, settle_small, tile_grids, tile_names
from .windows import Window

# so many positions in one tile, and so many tiles, are tried before a patch is given up
TRIES = 32


class PatchSampler(GeoSampler):
    """Draw patches so that every position of whole pixels in every tile can be drawn.

    Tiles are drawn by their area with observations (that is all of it, but for nodata), and
    positions in a tile uniformly. Patch *i* of an epoch depends on the seed, the epoch and *i*
    alone: any process can draw any patch, and a resumed run draws what the interrupted one would
    have. As with torch's ``DistributedSampler``, call :meth:`set_epoch` before each epoch
    (Lightning does), or every epoch has the same patches.
    """

    def __init__(
        self,
        dataset: GeoDataset,
        *,
        size: int,
        length: int | None = None,
        seed: int = 0,
        min_valid: float = 0.0,
        roi: Polygon | None = None,
        toi: pd.Interval | None = None,
        small_tiles: Literal['pad', 'skip'] = 'pad',
        patches_per_block: int = 1,
        processes: int = 1,
        rank: int = 0,
    ) -> None:
        """Initialize a new PatchSampler instance.

        Args:
            dataset: GeoTIFFs, of which pixels are read only where nodata is possible; or any
                torchgeo data set, whose index alone is used.
            size: Side of the patches in pixels.
            length: Patches per epoch of all processes. Defaults to about the number that covers
                all tiles once.
            seed: Decides all places, >= 0.
            min_valid: Share of a patch's pixels that must be observations, in [0, 1].
            roi: Region of interest in the CRS of *dataset*; patches lie within it.
            toi: Time of interest; tiles of other times are left out.
            small_tiles: Tiles smaller than a patch are padded, or left out with 'skip'.
            patches_per_block: So many patches in a row start within one square of *size* pixels,
                and mostly share the blocks that have to be decoded.
            processes: Number of processes that share an epoch: process r of n takes the patches
                r, r + n, r + 2 n, ...
            rank: Which of them this is.

        Raises:
            ValueError: If a number is out of range, or no tile is left.

        Warns:
            UserWarning: If tiles are smaller than a patch.
        """
        if size < 1 or seed < 0 or patches_per_block < 1 or (length is not None and length < 1):
            raise ValueError(
                f'size, length and patches_per_block must be >= 1 and seed >= 0, got {size}, '
                f'{length}, {patches_per_block} and {seed}'
            )
        if not 0 <= min_valid <= 1:
            raise ValueError(f'min_valid must be in [0, 1], got {min_valid}')
        if not 0 <= rank < processes:
            raise ValueError(f'rank must be in [0, processes={processes}), got {rank}')
        if min_valid > 0 and not isinstance(dataset, GeoTIFFPatches):
            raise ValueError('min_valid needs GeoTIFFPatches, which can tell observed pixels')
        self.dataset, self.size, self.min_valid, self.epoch = dataset, size, min_valid, 0
        self.patches_per_block, self.processes, self.rank = patches_per_block, processes, rank
        self.grids = tile_grids(dataset)
        regions = find_regions(dataset, self.grids, size=size, roi=roi, toi=toi)
        names = tile_names(dataset)
        self.regions = settle_small(
            self.grids, regions, names=names, size=size, small_tiles=small_tiles
        )
        areas = np.array([region.area if region else 0 for region in self.regions], dtype=float)
        if isinstance(dataset, GeoTIFFPatches):
            areas *= dataset.valid_shares()
        if areas.sum() == 0:
            raise ValueError(
                f'none of {len(areas)} tiles holds a patch of {size} px; check roi, toi, nodata '
                'and small_tiles, or pass a smaller size'
            )
        ends = np.cumsum(areas)
        self._ends = (ends / ends[-1]).tolist()
        once = [max(int(region.area // size**2), 1) for region in self.regions if region]
        self._length = (length or sum(once)) // processes
        self._draws = Draws(seed)
        self._bounds = dataset.index.geometry.bounds.to_numpy(dtype=np.float64).tolist()
        self._times = [slice(time.left, time.right, 1) for time in dataset.index.index]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    def patch(self, epoch: int, index: int) -> tuple[int, Window]:
        """Draw one patch.

        Args:
            epoch: >= 0.
            index: >= 0; beyond the length of an epoch, further patches follow.

        Returns:
            Number of the tile and the window in it; it hangs over the far edges of a tile that is
            smaller than a patch.

        Raises:
            ValueError: If no patch with enough observations or in the region of interest is found.
        """
        for attempt in range(TRIES * TRIES):
            tile, window = self._candidate(epoch, index, attempt)
            region = self.regions[tile]
            if region is None or not region.holds(window, self.grids[tile]):
                continue
            if self._is_observed(tile, window):
                return tile, window
        raise ValueError(
            f'no patch of {self.size} px with min_valid={self.min_valid} in the region of interest '
            f'was found in {TRIES * TRIES} tries; lower min_valid or widen roi'
        )

    def geoslice(self, epoch: int, index: int) -> PatchSlice:
        """Draw one patch as a torchgeo index.

        Returns:
            [xmin:xmax:xres, ymin:ymax:yres, tmin:tmax:tres] with the file and window. A tile that
            the data set warps (another CRS or resolution than the first) is sampled at the same
            relative places of its warped grid.
        """
        tile, window = self.patch(epoch, index)
        dataset, grid = self.dataset, self.grids[tile]
        file, row = '', tile
        if isinstance(dataset, GeoTIFFPatches):
            file = dataset.files[tile]
            row = dataset.index_grid().rows[file]
        left, bottom, right, top = self._bounds[row]
        x_res, y_res = dataset.res
        height, width = round((top - bottom) / y_res), round((right - left) / x_res)
        rows, cols = grid.height - self.size + 1, grid.width - self.size + 1
        down = rescale(window.row_off, rows, height - self.size + 1)
        across = rescale(window.col_off, cols, width - self.size + 1)
        if grid.transform.e > 0:
            # the first row of a bottom-up file is the southern one
            down = height - self.size - down
        x, y = left + across * x_res, top - down * y_res
        place = (
            slice(x, x + self.size * x_res, x_res),
            slice(y - self.size * y_res, y, y_res),
            self._times[row],
        )
        return PatchSlice.of(place, file=file, window=window)

    def __iter__(self) -> Iterator[PatchSlice]:
        """Yield this process's patches of the chosen epoch as torchgeo indices."""
        for step in range(self._length):
            yield self.geoslice(self.epoch, step * self.processes + self.rank)

    def _candidate(self, epoch: int, index: int, attempt: int) -> tuple[int, Window]:
        """Draw the tile, and a position in it that other patches of its block are near to."""
        block = index // self.patches_per_block
        # the tile stays for some attempts, so that much nodata in one does not favour others
        choice, _ = self._draws.pair(epoch, block, attempt - attempt % TRIES)
        tile = bisect_right(self._ends, choice)
        region = self.regions[tile]
        if region is None:
            raise RuntimeError(f'tile {tile} has no area, yet was drawn')
        _, number = self._draws.pair(epoch, block, attempt)
        row, col = divmod(int(number * region.rows * region.cols), region.cols)
        if self.patches_per_block > 1:
            near = self._draws.pair(epoch, index, attempt, member=True)
            row = draw_near(row, region.rows, side=self.size, number=near[0])
            col = draw_near(col, region.cols, side=self.size, number=near[1])
        return tile, Window(
            row_off=region.first_row + row,
            col_off=region.first_col + col,
            height=self.size,
            width=self.size,
        )

    def _is_observed(self, tile: int, window: Window) -> bool:
        """Whether enough pixels of a patch are observations."""
        dataset = self.dataset
        if self.min_valid == 0 or not isinstance(dataset, GeoTIFFPatches):
            return True
        if not dataset.may_miss(tile):
            return True
        return bool(dataset.read_valid(tile, window).mean() >= self.min_valid)


class EpochIndices(DistributedSampler[tuple[int, int]]):
    """Yield (epoch, index) for this process's share of the indices; Lightning sets the epoch.

    Process r of n takes r, r + n, r + 2 n, ..., so that the shares interleave to the sequence of
    one process. A ``DistributedSampler``, since Lightning would wrap any other kind once more.
    """

    def __init__(self, length: int, *, processes: int = 1, rank: int = 0) -> None:
        """Initialize a new EpochIndices instance.

        Args:
            length: Indices per epoch of all processes; what is left of a division is not used.
            processes: Number of processes.
            rank: Which of them this is, in [0, *processes*).
        """
        super().__init__(range(length), processes, rank, shuffle=False, drop_last=True)  # type: ignore[arg-type]
        self.length = length // processes
        self.first = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; another one begins at its first index."""
        if epoch != self.epoch:
            self.first = 0
        self.epoch = epoch

    def skip_to(self, epoch: int, first: int) -> None:
        """Let the next iteration of *epoch* begin after *first* of its indices."""
        self.epoch, self.first = epoch, first

    def __len__(self) -> int:
        """Indices of a whole epoch, of this process."""
        return self.length

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield the positions of the chosen epoch."""
        first, self.first = self.first, 0
        for step in range(first, self.length):
            yield self.epoch, step * self.num_replicas + self.rank


def rescale(position: int, count: int, new_count: int) -> int:
    """Map one of *count* positions to one of *new_count*; the same where both are equal."""
    return round(position * max(new_count - 1, 0) / max(count - 1, 1))


def draw_near(position: int, count: int, *, side: int, number: float) -> int:
    """Draw a position from the cell of *side* positions in which *position*, of *count*, lies.

    *number* is uniform in [0, 1). If *position* is uniform, so is the result. The last cell may be
    narrower.
    """
    first = position - position % side
    return first + int(number * (min(first + side, count) - first))
