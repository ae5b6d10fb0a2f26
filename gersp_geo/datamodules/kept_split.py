"""What decides the split of a run, kept in its checkpoints for those that go on from it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn

from ..records import Preprocessing
from .labelled import ScannedBlocks

# What a user chooses, as against what follows from the files.
CHOSEN: Mapping[str, type] = {
    'seed': int, 'val_split': float, 'test_split': float, 'block_size': int, 'size': int,
}  # fmt: skip


def describe_split(scanned: ScannedBlocks, record: Preprocessing) -> dict[str, Any]:
    """Write down what decides a split, besides what the user chose.

    Args:
        scanned: All blocks.
        record: Says what the classes are called.

    Returns:
        The class names; name, size and place of each image, whose folder may move; number and digest
        of the labels in each block.
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
