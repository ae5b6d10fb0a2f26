"""Training, validation and test patches of the blocks of some images."""

from dataclasses import dataclass

from lightning.pytorch.utilities import rank_zero_info

from .labelled import GridPatches, ScannedBlocks, TrainingPatches
from .splitting import Split, split_blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Patches of each split; no pixel is in two of them."""

    blocks: Split
    """Which blocks they come from."""

    train: TrainingPatches
    """At random places, other ones in each epoch."""

    val: GridPatches
    """Side by side."""

    test: GridPatches
    """Side by side."""

    unlabelled: float
    """Share of pixels without a class in the blocks of all splits, in [0, 1]."""

    def __str__(self) -> str:
        """Say how many patches come from how many blocks."""
        return (
            f'training: {len(self.train)} patches per epoch from {len(self.blocks.train)} blocks; '
            f'validation: {len(self.val)} from {len(self.blocks.val)}; '
            f'test: {len(self.test)} from {len(self.blocks.test)}'
        )


def share_blocks(
    scanned: ScannedBlocks,
    *,
    val_split: float,
    test_split: float,
    seed: int,
    size: int,
    length: int | None,
    batch_size: int,
) -> Splits:
    """Share blocks between the splits, and draw patches from each.

    Args:
        scanned: All blocks.
        val_split: Share of the labelled pixels for validation.
        test_split: Share for the test.
        seed: Decides the split and the places of training patches.
        size: Side of the patches in pixels.
        length: Training patches per epoch. Defaults to about the number that covers the training
            blocks once, at least *batch_size*.
        batch_size: Patches per step.

    Raises:
        ValueError: If a share is out of range, or there are too few labelled blocks.
    """
    labelled = scanned.counts.sum(axis=1).tolist()
    split = split_blocks(labelled, val_split=val_split, test_split=test_split, seed=seed)
    train, val, test = (
        [scanned.blocks[i] for i in part] for part in (split.train, split.val, split.test)
    )
    area = sum(block.window.height * block.window.width for block in train)
    patches = TrainingPatches(
        scanned.tiles,
        train,
        [scanned.labels[i] for i in split.train],
        size=size,
        length=length or max(area // size**2, batch_size),
        seed=seed,
    )
    splits = Splits(
        blocks=split,
        train=patches,
        val=GridPatches(scanned.tiles, val, size=size),
        test=GridPatches(scanned.tiles, test, size=size),
        unlabelled=scanned.unlabelled([*split.train, *split.val, *split.test], size=size),
    )
    rank_zero_info(str(splits))
    return splits
