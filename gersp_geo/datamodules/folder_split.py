"""Share images between the splits by the folders that they lie in."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from ..messages import name_some
from .ground import Block, Split

NAMES = ('train', 'val', 'test')


def split_folders(
    blocks: Sequence[Block], files: Sequence[str], labels: Sequence[int], folders: Mapping[str, str]
) -> Split:
    """Assign the blocks of each image to the split whose folder is on the path of the image.

    Args:
        blocks: All blocks.
        files: Paths of the images.
        labels: Per block: its number of labels. Blocks without any go nowhere.
        folders: Split to the name of its folder.

    Raises:
        ValueError: If *folders* are not those of training and validation, with or without test, or
            one holds no labelled image.

    Warns:
        UserWarning: If images lie in no such folder, or images of two splits overlap.
    """
    names = list(folders.values())
    if not {'train', 'val'} <= set(folders) <= set(NAMES) or len(set(names)) < len(names):
        raise ValueError(
            'folders must name a folder of its own for train and val, and test if there is one, '
            f'got {dict(folders)}'
        )
    of = [find_split(file, folders) for file in files]
    if nowhere := [file for file, split in zip(files, of, strict=True) if split is None]:
        rank_zero_warn(
            f'{len(nowhere)} of {len(files)} images lie in none of the folders '
            f'{name_some(names)} and are left out, one is {nowhere[0]}'
        )
    parts: dict[str, tuple[int, ...]] = {name: () for name in NAMES}
    for name in folders:
        parts[name] = tuple(
            i for i, block in enumerate(blocks) if of[block.tile] == name and labels[i]
        )
        if not parts[name]:
            raise ValueError(
                f'folders: no image with a label lies in a folder {folders[name]!r} ({name}); the '
                f'first of {len(files)} images is {files[0]}'
            )
    warn_of_overlaps(blocks, files, of)
    return Split(**parts)


def find_split(file: str, folders: Mapping[str, str]) -> str | None:
    """Find the split of an image by the nearest folder above it that is one of a split."""
    splits = {folder: split for split, folder in folders.items()}
    above = reversed(Path(file).parts[:-1])
    return next((splits[folder] for folder in above if folder in splits), None)


def warn_of_overlaps(
    blocks: Sequence[Block], files: Sequence[str], of: Sequence[str | None]
) -> None:
    """Warn if images of two splits show the same ground, which the model would be judged on."""
    first: dict[int, int] = {}
    for block in blocks:
        if of[block.tile] is None:
            continue
        other = first.setdefault(block.parcel, block.tile)
        if of[other] != of[block.tile]:
            rank_zero_warn(
                f'{files[other]} ({of[other]}) and {files[block.tile]} ({of[block.tile]}) show the '
                'same ground: what is learned from one is tested on the other; leave folders out '
                'to split by the ground'
            )
            return
