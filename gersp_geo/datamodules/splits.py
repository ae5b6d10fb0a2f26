"""Training, validation and test patches of the blocks of some images.

What decides the split is kept in checkpoints for the runs that go on from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from ..preprocessing import Preprocessing
from .allowed_positions import holds_patch
from .folder_split import split_folders
from .ground import Split, split_blocks
from .patches import GridPatches, ScannedBlocks, TrainingPatches
from .stratified_split import split_strata

# What a user chooses, as against what follows from the files.
CHOSEN: Mapping[str, type] = {
    'seed': int, 'val_split': float, 'test_split': float, 'block_size': int, 'size': int,
}  # fmt: skip


# share of the labels that narrow blocks may hold unsaid: tiles overlap by a few pixels
NARROW = 0.01


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
    folders: Mapping[str, str] | None = None,
    shares: Sequence[float] | None = None,
    stratified: bool = False,
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
        folders: Folder of each split, if folders decide instead of shares.
        shares: How often training patches are drawn around labels of each stratum. Defaults to
            equally.
        stratified: Meet the shares for each stratum, rather than for all labels together.

    Raises:
        ValueError: If a share is out of range, or there are too few labelled blocks.
    """
    labelled = scanned.counts.sum(axis=1).tolist()
    parcels = [block.parcel for block in scanned.blocks]
    if folders is None and stratified:
        split = split_strata(
            scanned.counts, parcels=parcels, val_split=val_split, test_split=test_split, seed=seed
        )
    elif folders is None:
        split = split_blocks(
            labelled, val_split=val_split, test_split=test_split, seed=seed, parcels=parcels
        )
    else:
        split = split_folders(scanned.blocks, scanned.tiles.images.files, labelled, folders)
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
        shares=shares,
    )
    splits = Splits(
        blocks=split,
        train=patches,
        val=GridPatches(scanned.tiles, val, size=size),
        test=GridPatches(scanned.tiles, test, size=size),
        unlabelled=scanned.unlabelled([*split.train, *split.val, *split.test], size=size),
    )
    rank_zero_info(str(splits))
    for name, chosen in (('validation', split.val), ('test', split.test)):
        report_narrow(scanned, chosen, name=name, size=size)
    return splits


def report_narrow(scanned: ScannedBlocks, chosen: Sequence[int], *, name: str, size: int) -> None:
    """Say which share of the labels of a split lies in blocks too narrow for a patch.

    Args:
        scanned: All blocks.
        chosen: Numbers of those of the split.
        name: What the split is called.
        size: Side of the patches in pixels.

    Raises:
        ValueError: If all blocks are too narrow.

    Warns:
        UserWarning: If more than a hundredth of the labels lies in such blocks.
    """
    blocks = [scanned.blocks[i] for i in chosen]
    is_wide = np.array(
        [holds_patch(b.window, size=size, shape=scanned.tiles.shape(b.tile)) for b in blocks],
        dtype=np.bool_,
    )
    labels = scanned.counts[list(chosen)].sum(axis=1)
    fix = 'the borders of blocks lie across images that overlap; pass a smaller size'
    if len(blocks) and not is_wide.any():
        raise ValueError(f'no block of the {name} holds a patch of size={size}: {fix}')
    if (lost := int(labels[~is_wide].sum())) > NARROW * labels.sum():
        rank_zero_warn(
            f'{lost / labels.sum():.0%} of the {name} labels lie in blocks narrower than size='
            f'{size}, which no patch shows: {fix}'
        )


def describe_split(scanned: ScannedBlocks, record: Preprocessing) -> dict[str, Any]:
    """Write down what decides a split, besides what the user chose.

    Returns:
        The class names; name, size and place of each image, whose folder may move; number and
        digest of the labels in each block.
    """
    images = scanned.tiles.images
    counts = scanned.counts
    digest = sha256(np.ascontiguousarray(counts, dtype='<i8').tobytes()).hexdigest()
    return {
        'class_names': list(record.class_names),
        'images': [
            f'{Path(file).name} of {tile.height} x {tile.width} pixels at '
            f'{tile.transform.c:.10g}, {tile.transform.f:.10g}'
            for file, tile in zip(images.files, images.tiles, strict=True)
        ],
        'labels': f'{int(counts.sum()):,} labelled pixels ({digest[:12]})',
    }


def check_split(saved: Mapping[str, Any], present: Mapping[str, Any], *, fitting: bool) -> None:
    """Refuse to go on where pixels that were learned from would be validated or tested on.

    Args:
        saved: What decided the split of the checkpoint: :data:`CHOSEN` and what
            :func:`describe_split` writes.
        present: The same of this run.
        fitting: Whether training goes on; else, other images than those of training may be tested.

    Raises:
        ValueError: Names what differs, with both values.
    """
    if different := differences(saved, present, ('class_names',)):
        raise ValueError(
            f'the checkpoint was trained with {different[0][0]}, this run has {different[0][1]}; '
            'pass the same class_names'
        )
    if not fitting and not set(saved.get('images', ())) & set(present['images']):
        return
    changed = [
        *differences(saved, present, [name for name in CHOSEN if name != 'size']),
        *differences(
            {'folders': None} | dict(saved), {'folders': None} | dict(present), ['folders']
        ),
        *compare_images(saved.get('images', ()), present['images']),
    ]
    if not changed and differences(saved, present, ('labels',)):
        # another size may leave every block as it was
        changed = differences(saved, present, ('size', 'labels'))
    if changed:
        then, now = (' and '.join(side) for side in zip(*changed, strict=True))
        raise ValueError(
            f'the checkpoint was trained with {then}, this run has {now}: pixels that it learned '
            'from would be validated or tested on; pass the same values, labels and images'
        )


def warn_of_unknown_split(path: object) -> None:
    """Warn that a checkpoint does not say which pixels it learned from."""
    rank_zero_warn(
        f'{path} does not say how its data were split, as checkpoints of former versions do not: '
        'make sure that seed, val_split, test_split, block_size and images are those it was '
        'trained with, or pixels that it learned from are validated or tested on'
    )


def differences(
    saved: Mapping[str, Any], present: Mapping[str, Any], names: Sequence[str]
) -> list[tuple[str, str]]:
    """Write down both values of each setting that differs; what is not known does not."""
    return [
        (f'{name}={saved[name]}', f'{name}={present[name]}')
        for name in names
        if name in saved and saved[name] != present[name]
    ]


def compare_images(then: Sequence[str], now: Sequence[str]) -> list[tuple[str, str]]:
    """Write down the first image that differs, or how many there are."""
    if len(then) != len(now):
        return [(f'{len(then)} images', f'{len(now)} images')]
    different = [pair for pair in zip(then, now, strict=True) if pair[0] != pair[1]]
    return different[:1]
