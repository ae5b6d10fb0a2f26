"""Seeded places of patches, as a function of seed, epoch and index."""

import warnings
from collections.abc import Iterator

import numpy as np
from torch.utils.data.distributed import DistributedSampler
from torchgeo.datasets.utils import GeoSlice
from torchgeo.samplers import GeoSampler

from .datasets.geotiff import GeoTIFFPatches
from .records import Window


class PatchSampler(GeoSampler):
    """Draw patches so that every position of whole pixels in every tile is equally likely.

    Patch *i* of an epoch depends on the seed, the epoch and *i* alone: any process can draw any
    patch, and a resumed run draws what the interrupted one would have. As with torch's
    ``DistributedSampler``, call :meth:`set_epoch` before each epoch (Lightning does), or every
    epoch has the same patches.
    """

    def __init__(
        self, dataset: GeoTIFFPatches, *, size: int, length: int | None = None, seed: int = 0
    ) -> None:
        """Initialize a new PatchSampler instance.

        Args:
            dataset: Its tiles' headers are all that is needed; no pixel is read.
            size: Side of the patches in pixels.
            length: Patches per epoch. Defaults to about the number that covers all tiles once.
            seed: Decides all places, >= 0.

        Raises:
            ValueError: If *size* or *length* is below 1, or *seed* below 0.

        Warns:
            UserWarning: If a tile is smaller than a patch; it is then padded.
        """
        if size < 1 or seed < 0 or (length is not None and length < 1):
            raise ValueError(
                f'size and length must be >= 1 and seed >= 0, got {size}, {length} and {seed}'
            )
        self.dataset, self.size, self.seed = dataset, size, seed
        self.epoch = 0
        sides = np.array([(tile.height, tile.width) for tile in dataset.tiles], dtype=np.int64)
        self._positions = np.maximum(sides - size + 1, 1)
        self._ends = np.cumsum(self._positions.prod(axis=1))
        small = np.flatnonzero((sides < size).any(axis=1))
        if len(small):
            warnings.warn(
                f'{len(small)} of {len(sides)} tiles are smaller than a patch of {size} px and '
                f'get padded, the first is {dataset.files[small[0]]}',
                stacklevel=2,
            )
        self._length = length or int(np.maximum(sides.prod(axis=1) // size**2, 1).sum())

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
        """
        sequence = np.random.SeedSequence([self.seed, epoch, index])
        # one number names a tile and a position in it, so that all positions are equally likely
        place = int(np.random.Generator(np.random.PCG64(sequence)).integers(self._ends[-1]))
        tile = int(np.searchsorted(self._ends, place, side='right'))
        rows, cols = self._positions[tile].tolist()
        row, col = divmod(place - int(self._ends[tile]) + rows * cols, cols)
        return tile, Window(row_off=row, col_off=col, height=self.size, width=self.size)

    def __iter__(self) -> Iterator[GeoSlice]:
        """Yield the patches of the chosen epoch as torchgeo indices.

        A tile that the data set warps (another CRS or resolution than the first) is sampled at
        the same relative places of its warped grid.

        Yields:
            [xmin:xmax, ymin:ymax, tmin:tmax] coordinates on the pixel grid.
        """
        index, (x_res, y_res) = self.dataset.index, self.dataset.res
        rows = {file: row for row, file in enumerate(index['filepath'])}
        bounds = index.geometry.bounds.to_numpy(dtype=np.float64)
        for i in range(len(self)):
            tile, window = self.patch(self.epoch, i)
            row = rows[self.dataset.files[tile]]
            left, bottom, right, top = bounds[row].tolist()
            n_rows, n_cols = self._positions[tile].tolist()
            height, width = round((top - bottom) / y_res), round((right - left) / x_res)
            down = rescale(window.row_off, n_rows, height - self.size + 1)
            across = rescale(window.col_off, n_cols, width - self.size + 1)
            x, y = left + across * x_res, top - down * y_res
            times = index.index[row]
            yield (
                slice(x, x + self.size * x_res),
                slice(y - self.size * y_res, y),
                slice(times.left, times.right),
            )


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
