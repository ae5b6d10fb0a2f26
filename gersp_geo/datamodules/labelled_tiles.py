"""Images with the classes of their pixels, from which patches are read, scanned and drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..datasets.geotiff_patches import GeoTIFFPatches
from ..windows import Window
from .label_sources import IGNORE, LabelSource
from .spatial_split import Block, cut_blocks, grid_windows

# Labelled pixels remembered per class and block. Each stands for all patches that hold it, so few
# are enough; all of them would not fit into memory for large scenes.
ANCHORS = 64

type Sample = dict[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLabels:
    """Which classes a block holds, and where."""

    counts: NDArray[np.int64]
    """Pixels per class, shape (256,); none under :data:`IGNORE`."""

    anchors: dict[int, NDArray[np.int64]]
    """Per class: rows and columns in the image of up to :data:`ANCHORS` pixels, shape (n, 2)."""


class LabelledTiles:
    """Images and classes on one grid, read by window."""

    def __init__(
        self, images: GeoTIFFPatches, labels: LabelSource, *, nodata: float | None = None
    ) -> None:
        """Initialize a new LabelledTiles instance.

        Args:
            images: The images.
            labels: Their classes.
            nodata: Value that means "no observation", in all bands of 8 bits or in any band of
                other types, beside what the files themselves say.
        """
        self.images, self.labels, self.nodata = images, labels, nodata

    def read_mask(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window, which may hang over the edges of image *tile*.

        Returns:
            Shape (window.height, window.width); :data:`IGNORE` where there is no class, no
            observation or no image.
        """
        header = self.images.tiles[tile]
        top, left = max(window.row_off, 0), max(window.col_off, 0)
        inside = Window(
            row_off=top,
            col_off=left,
            height=min(window.row_stop, header.height) - top,
            width=min(window.col_stop, header.width) - left,
        )
        mask = np.full((window.height, window.width), IGNORE, dtype=np.uint8)
        classes = self.labels.read(tile, inside)
        valid = self.images.read_valid(tile, inside, nodata=self.nodata)
        row, col = top - window.row_off, left - window.col_off
        mask[row : row + inside.height, col : col + inside.width] = np.where(valid, classes, IGNORE)
        return mask

    def read(self, tile: int, window: Window) -> Sample:
        """Read a window of image *tile*; pixels beyond its edges are reflected.

        Returns:
            'image': values of the file as float32, NaN where there is no observation, shape
            (C, H, W); 'mask': int64, shape (H, W).
        """
        image = self.images.read_patch(tile, window).float()
        valid = self.images.read_valid(tile, window, nodata=self.nodata)
        image[:, torch.from_numpy(~valid)] = torch.nan
        return {'image': image, 'mask': torch.from_numpy(self.read_mask(tile, window)).long()}

    def scan(self, block: Block, *, seed: Sequence[int]) -> BlockLabels:
        """Count the classes of a block, and remember some pixels of each, which *seed* decides."""
        mask = self.read_mask(block.tile, block.window)
        counts = np.bincount(mask.ravel(), minlength=256)
        counts[IGNORE] = 0
        generator = np.random.default_rng(np.random.SeedSequence(seed))
        corner = (block.window.row_off, block.window.col_off)
        anchors = {}
        for value in np.flatnonzero(counts).tolist():
            places = np.argwhere(mask == value)
            chosen = np.unique(generator.integers(len(places), size=ANCHORS))
            anchors[value] = places[chosen] + corner
        return BlockLabels(counts=counts, anchors=anchors)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedBlocks:
    """The blocks of all images, with what was found in each."""

    tiles: LabelledTiles
    """The images and their classes."""

    blocks: list[Block]
    """All blocks."""

    labels: list[BlockLabels]
    """Classes of each."""

    counts: NDArray[np.int64]
    """Pixels per block and class, shape (blocks, 256)."""

    def unlabelled(self, chosen: Sequence[int], *, size: int) -> float:
        """Measure the share of pixels without a class in patches that cover the *chosen* blocks.

        *size* is the side of the patches, which hang over narrower blocks.
        """
        windows = [self.blocks[i].window for i in chosen]
        area = sum(max(w.height, size) * max(w.width, size) for w in windows)
        return 1 - int(self.counts[list(chosen)].sum()) / area


def scan_blocks(tiles: LabelledTiles, *, block_size: int, size: int, seed: int) -> ScannedBlocks:
    """Cut images into blocks of about *block_size* pixels, and look which classes each holds.

    No block is narrower than *size*, unless its image is. *seed* decides which pixels are
    remembered.
    """
    shapes = [(tile.height, tile.width) for tile in tiles.images.tiles]
    blocks = cut_blocks(shapes, block_size=block_size, size=size)
    found = [tiles.scan(block, seed=(seed, i)) for i, block in enumerate(blocks)]
    counts = np.stack([block.counts for block in found])
    return ScannedBlocks(tiles=tiles, blocks=blocks, labels=found, counts=counts)


class TrainingPatches(Dataset[Sample]):
    """Patches at seeded random places, each with at least one labelled pixel.

    A class is drawn first, all being equally likely, then a pixel of it, then one of the patches
    that hold the pixel and lie in its block: rare classes are seen as often as common ones.
    """

    def __init__(
        self,
        tiles: LabelledTiles,
        blocks: Sequence[Block],
        labels: Sequence[BlockLabels],
        *,
        size: int,
        length: int,
        seed: int,
    ) -> None:
        """Initialize a new TrainingPatches instance.

        Args:
            tiles: Where to read.
            blocks: Where patches may lie.
            labels: Per block, at least one of them with a class.
            size: Side of the patches in pixels.
            length: Patches per epoch.
            seed: Decides all places.
        """
        self.tiles, self.blocks, self.labels = tiles, blocks, labels
        self.size, self.length, self.seed = size, length, seed
        counts = np.stack([part.counts for part in labels])
        self.classes = np.flatnonzero(counts.sum(axis=0))
        self._ends = np.cumsum(counts, axis=0)

    def __len__(self) -> int:
        """Patches per epoch."""
        return self.length

    def patch(self, epoch: int, index: int) -> tuple[int, Window]:
        """Draw one patch of an epoch: the number of the image, and the window in it.

        The same arguments give the same place.
        """
        sequence = np.random.SeedSequence([self.seed, epoch, index])
        generator = np.random.default_rng(sequence)
        value = int(generator.choice(self.classes))
        ends = self._ends[:, value]
        place = int(np.searchsorted(ends, generator.integers(ends[-1]), side='right'))
        anchors = self.labels[place].anchors[value]
        row, col = anchors[generator.integers(len(anchors))].tolist()
        block = self.blocks[place].window
        row_off, col_off = (
            int(generator.integers(first, max(last, first) + 1))
            for first, last in (
                (max(block.row_off, row - self.size + 1), min(row, block.row_stop - self.size)),
                (max(block.col_off, col - self.size + 1), min(col, block.col_stop - self.size)),
            )
        )
        window = Window(row_off=row_off, col_off=col_off, height=self.size, width=self.size)
        return self.blocks[place].tile, window

    def __getitem__(self, position: tuple[int, int]) -> Sample:
        """Read the patch of an epoch and index."""
        return self.tiles.read(*self.patch(*position))


class GridPatches(Dataset[Sample]):
    """Patches that cover blocks, without those that hold no labelled pixel."""

    def __init__(self, tiles: LabelledTiles, blocks: Sequence[Block], *, size: int) -> None:
        """Initialize a new GridPatches instance of patches of *size* pixels that cover *blocks*."""
        self.tiles = tiles
        self.patches = [
            (block.tile, window)
            for block in blocks
            for window in grid_windows(block.window, size=size)
            if (tiles.read_mask(block.tile, window) != IGNORE).any()
        ]

    def __len__(self) -> int:
        """Number of patches."""
        return len(self.patches)

    def __getitem__(self, index: int) -> Sample:
        """Read one patch."""
        return self.tiles.read(*self.patches[index])
