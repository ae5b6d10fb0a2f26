"""Classes of images by the folders that they lie in."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from lightning.pytorch.utilities import rank_zero_warn

from ...datasets.hidden import is_hidden, list_files
from ...datasets.scene_names import Paths
from ...geoio.formats import IMAGE_SUFFIXES, SCENE_SUFFIXES
from ...messages import name_some
from ..attribute_classes import warn_of_lookalikes
from .marks import Marks, mark_texts

# what folders of splits are called, and hardly ever a class
_SPLITS = frozenset(
    ('train', 'training', 'val', 'valid', 'validation', 'dev', 'eval', 'test', 'testing')
)


def mark_folders(
    files: Sequence[str], images: Paths, *, splits: Mapping[str, str], given: Sequence[str]
) -> Marks:
    """Take the first folder on the way to each image for its class, as torchvision does.

    Args:
        files: Paths of the images.
        images: As the user named them: folders with a folder per class, as a rule.
        splits: Split to the name of its folder, which may lie above or below that of the class.
        given: Names of the classes; empty takes the folders, sorted as text.

    Raises:
        ValueError: If images lie in no folder, classes are splits or of another kind of files, or
            folders are not among the names.

    Warns:
        UserWarning: If folders hold no image, or look alike.
    """
    paths = [images] if isinstance(images, str | PathLike) else list(images)
    roots = [Path(path) for path in paths if Path(path).is_dir()]
    source = str(paths[0]) if len(paths) == 1 else f'{paths[0]} and {len(paths) - 1} more'
    names = [name_class(Path(file), roots, set(splits.values())) for file in files]
    if loose := [file for file, name in zip(files, names, strict=True) if name is None]:
        raise ValueError(
            f'{len(loose)} of {len(files)} images in {source} lie in no folder of a class, one is '
            f'{loose[0]}; give a folder that holds one folder per class, or pass labels'
        )
    found = sorted({name for name in names if name is not None})
    # what tables call a class has no spaces around it either
    classes = sorted({name.strip() for name in found} - {''})
    if not splits and len(found) > 1 and {name.lower() for name in found} <= _SPLITS:
        raise ValueError(
            f'the folders of {source} are {name_some(found)}, which are splits, no classes; pass '
            f'folders such as {{train: {found[-1]}, val: {found[0]}}} with the right names'
        )
    check_empty(roots, set(splits.values()), found, first=files[0], source=source)
    if not given:
        warn_of_lookalikes(classes, where=f'the folder of {source}')
    return mark_texts(
        names,
        np.ones(len(names), dtype=np.bool_),
        given or classes,
        attribute='folder',
        source=source,
        separator=None,
    )


def name_class(file: Path, roots: Sequence[Path], splits: set[str]) -> str | None:
    """Name the class of an image; None if no folder tells."""
    inside = [file.relative_to(root) for root in roots if file.is_relative_to(root)]
    if not inside:
        # named by itself
        return file.parent.name or None
    # of folders in one another, the inner one was meant
    shortest = min(inside, key=lambda path: len(path.parts))
    return next((part for part in shortest.parts[:-1] if part not in splits), None)


def check_empty(
    roots: Sequence[Path], splits: set[str], found: Sequence[str], *, first: str, source: str
) -> None:
    """Name folders that would be classes, and hold no image but of another kind."""
    above = [*roots, *(root / name for root in roots for name in splits if (root / name).is_dir())]
    folders = [
        path
        for folder in above
        for path in sorted(folder.iterdir())
        if path.is_dir() and not is_hidden(path.name) and path.name not in {*found, *splits}
    ]
    suffix, empty = Path(first).suffix.lower(), set[str]()
    kind = next((some for some in (IMAGE_SUFFIXES, SCENE_SUFFIXES) if suffix in some), ())
    for folder in folders:
        inside = [
            file
            for file in list_files(folder)
            if file.suffix.lower() in (*IMAGE_SUFFIXES, *SCENE_SUFFIXES)
        ]
        # images that a link leads to are listed where they are
        if not inside or folder.is_symlink():
            empty.add(folder.name)
        elif others := [file for file in inside if file.suffix.lower() not in kind]:
            raise ValueError(
                f'images must be of one kind, got {suffix} as in {first} and {others[0].suffix} '
                f'alone in the class {folder.name}, one is {others[0]}; convert them'
            )
    if empty:
        rank_zero_warn(
            f'{source} has folders without any image, which count as no class: '
            f'{name_some(sorted(empty))}'
        )
