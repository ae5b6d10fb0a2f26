"""Patches of labelled images: drawn for training, laid side by side for validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ..datasets.raster_tiles import RasterTiles
from ..labels.pixels import PixelLabels
from ..labels.sources import IGNORE, BlockLabels, PatchLabels, PatchLayout, Sample
from ..windows import Window
from .allowed_positions import Territory, holds_patch
from .ground import Block, grid_windows, lay_blocks


class LabelledTiles:
    """Images and what is known about them, read by window."""

    def __init__(
        self, images: RasterTiles, labels: PatchLabels, *, nodata: float | None = None
    ) -> None:
        """Initialize a new LabelledTiles instance.

        Args:
            images: The images.
            labels: What is known about them.
            nodata: Value that means "no observation", in all bands of 8 bits or in any band of
                other types, beside what the files themselves say.
        """
        self.images, self.labels, self.nodata = images, labels, nodata

    def read(self, tile: int, window: Window) -> Sample:
        """Read a window of image *tile*; pixels beyond its edges are reflected.

        Returns:
            'image': values of the file as float32, NaN where there is no observation, shape
            (C, H, W); and what the labels add.
        """
        # NumPy, since an operation of torch wakes all its threads, and a patch is small
        image = self.images.read_patch(tile, window).numpy().astype(np.float32)
        valid = self.images.read_valid(tile, window, nodata=self.nodata)
        if not valid.all():
            image[:, ~valid] = np.nan
        return self.labels.read({'image': torch.from_numpy(image)}, tile, window, valid=valid)

    def shape(self, tile: int) -> tuple[int, int]:
        """Rows and columns of an image."""
        header = self.images.tiles[tile]
        return header.height, header.width


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedBlocks:
    """The blocks of all images, with what was found in each."""

    tiles: LabelledTiles
    """The images and their labels."""

    blocks: list[Block]
    """All blocks."""

    labels: list[BlockLabels]
    """Per block."""

    counts: NDArray[np.int64]
    """Labels of each block and stratum, shape (blocks, strata)."""

    def unlabelled(self, chosen: Sequence[int], *, size: int) -> float:
        """Share of pixels without a class in blocks, those counted that a patch pads, in [0, 1].

        Args:
            chosen: Numbers of the blocks.
            size: Side of the patches in pixels.
        """
        windows = [self.blocks[i].window for i in chosen]
        area = sum(max(w.height, size) * max(w.width, size) for w in windows)
        return 1 - int(self.counts[list(chosen)].sum()) / area


def scan_blocks(tiles: LabelledTiles, *, block_size: int, size: int, seed: int) -> ScannedBlocks:
    """Lay blocks of about *block_size* pixels on the ground, and look what each holds.

    No block of an image that overlaps no other is narrower than *size*, unless its image is.
    *block_size* may be :data:`~gersp_geo.datamodules.ground.WHOLE_IMAGES`. *seed* decides what is
    remembered of each.
    """
    blocks = lay_blocks(tiles.images.tiles, block_size=block_size, size=size)
    found = [
        tiles.labels.scan(block.tile, block.window, seed=(seed, i))
        for i, block in enumerate(blocks)
    ]
    counts = np.stack([block.counts for block in found])
    return ScannedBlocks(tiles=tiles, blocks=blocks, labels=found, counts=counts)


class TrainingPatches(Dataset[Sample]):
    """Patches at seeded random places on training ground, each with at least one label.

    A stratum is drawn first, then a label of it, then one of the patches that hold the label and
    lie on training ground: rare classes are seen as often as common ones.
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
        shares: Sequence[float] | None = None,
    ) -> None:
        """Initialize a new TrainingPatches instance.

        Args:
            tiles: Where to read.
            blocks: Training ground.
            labels: Per block, at least one of them with a label.
            size: Side of the patches in pixels.
            length: Patches per epoch.
            seed: Decides all places.
            shares: How often each stratum is drawn, those without any label left out. Defaults to
                equally.
        """
        self.tiles, self.blocks = tiles, blocks
        self.size, self.length, self.seed = size, length, seed
        windows: dict[int, list[Window]] = {}
        for block in blocks:
            windows.setdefault(block.tile, []).append(block.window)
        self.territories = {
            tile: Territory(parts, shape=tiles.shape(tile), size=size)
            for tile, parts in windows.items()
        }
        self.labels = [self._reachable(*pair) for pair in zip(blocks, labels, strict=True)]
        counts = np.stack([part.counts for part in self.labels])
        self.classes = np.flatnonzero(counts.sum(axis=0))
        if not len(self.classes):
            raise ValueError(
                f'no label of the training blocks fits into a patch of {size} px on training '
                'ground; pass a smaller size, or another seed'
            )
        self._ends = np.cumsum(counts, axis=0)
        self._shares: NDArray[np.float64] | None = None
        if shares is not None:
            wanted = np.asarray(shares, dtype=np.float64)[self.classes]
            self._shares = wanted / wanted.sum()

    def _reachable(self, block: Block, labels: BlockLabels) -> BlockLabels:
        """Leave out labels that no patch on training ground shows whole."""
        territory = self.territories[block.tile]
        anchors = {
            key: territory.reachable(found, block.window) for key, found in labels.anchors.items()
        }
        if all(len(anchors[key]) == len(labels.anchors[key]) for key in anchors):
            return labels
        counts = labels.counts.copy()
        for key, kept in anchors.items():
            # those that are remembered stand for all
            counts[key] = round(counts[key] * len(kept) / len(labels.anchors[key]))
        return BlockLabels(counts=counts, anchors={k: v for k, v in anchors.items() if counts[k]})

    def __len__(self) -> int:
        """Patches per epoch."""
        return self.length

    def patch(self, epoch: int, index: int) -> tuple[int, Window]:
        """Draw one patch of an epoch: the number of the image, and the window in it.

        The same arguments give the same place.
        """
        sequence = np.random.SeedSequence([self.seed, epoch, index])
        generator = np.random.default_rng(sequence)
        value = int(generator.choice(self.classes, p=self._shares))
        ends = self._ends[:, value]
        place = int(np.searchsorted(ends, generator.integers(ends[-1]), side='right'))
        anchors = self.labels[place].anchors[value]
        anchor = anchors[generator.integers(len(anchors))]
        tile = self.blocks[place].tile
        row, col = self.territories[tile].draw(anchor, generator)
        return tile, Window(row_off=row, col_off=col, height=self.size, width=self.size)

    def __getitem__(self, position: tuple[int, int]) -> Sample:
        """Read the patch of an epoch and index."""
        return self.tiles.read(*self.patch(*position))


class GridPatches(Dataset[Sample]):
    """Patches that cover blocks, or that labels choose, without those with nothing to validate on."""

    def __init__(self, tiles: LabelledTiles, blocks: Sequence[Block], *, size: int) -> None:
        """Initialize a new GridPatches instance of patches of *size* pixels that cover *blocks*.

        A block that is narrower than a patch, though its image is not, is left out: a patch would
        show ground of its neighbours.
        """
        self.tiles = tiles
        self.once = False
        """Whether pixels with a class that another patch has shown are :data:`IGNORE`."""
        found = [
            (block.tile, window, repeated(window, block.window))
            for block in blocks
            if holds_patch(block.window, size=size, shape=tiles.shape(block.tile))
            for window in lay_patches(tiles.labels, block, size=size)
            if tiles.labels.holds(block.tile, own_part(tiles.labels, window, block.window))
        ]
        self.patches = [(tile, window) for tile, window, _ in found]
        self._repeated = [seen for *_, seen in found]

    def __len__(self) -> int:
        """Number of patches."""
        return len(self.patches)

    def __getitem__(self, index: int) -> Sample:
        """Read one patch."""
        sample = self.tiles.read(*self.patches[index])
        if self.once:
            rows, cols = self._repeated[index]
            sample['mask'][..., :rows, :] = IGNORE
            sample['mask'][..., :cols] = IGNORE
        return sample


def repeated(patch: Window, block: Window) -> tuple[int, int]:
    """Count the rows and columns at the beginning of a patch that the patch before it shows too.

    It is so where the last patch of a block ends with the block, whose side is no multiple of it.
    """
    past = (
        (patch.row_off - block.row_off) % patch.height,
        (patch.col_off - block.col_off) % patch.width,
    )
    return (patch.height - past[0]) % patch.height, (patch.width - past[1]) % patch.width


def own_part(labels: PatchLabels, patch: Window, block: Window) -> Window:
    """Cut off what patches before it show too, where single pixels have a class.

    A patch of a block that is a few pixels wider than a patch may show nothing else. An object or the
    class of a patch is no sum of its pixels: there, the whole patch counts.
    """
    if not isinstance(labels, PixelLabels):
        return patch
    rows, cols = repeated(patch, block)
    return Window(
        row_off=patch.row_off + rows,
        col_off=patch.col_off + cols,
        height=patch.height - rows,
        width=patch.width - cols,
    )


def lay_patches(labels: PatchLabels, block: Block, *, size: int) -> list[Window]:
    """Cover a block with patches of *size* pixels, unless its labels lay them."""
    grid = grid_windows(block.window, size=size)
    return labels.lay(block.tile, block.window, grid) if isinstance(labels, PatchLayout) else grid
