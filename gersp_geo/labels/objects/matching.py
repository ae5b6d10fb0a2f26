"""Which image an annotation means by a name or a path."""

import os
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import PurePosixPath

from lightning.pytorch.utilities import rank_zero_warn

from ...messages import name_some


class ImageNames:
    """Images by the ends of their paths, with and without suffix."""

    def __init__(self, files: Sequence[str]) -> None:
        """Initialize a new ImageNames instance.

        Args:
            files: Paths of the images.
        """
        self.files = files
        self._parts = [split(file) for file in files]
        self._tables = cache(self._make_tables)

    def match(self, names: Sequence[str], *, source: str) -> dict[str, int]:
        """Find images by name.

        As many folders of the names as any image confirms have to agree: 'train/1.png' is not
        'val/1.png' where another name is found with its folder. Where no suffix agrees, images go
        by their names without.

        Args:
            names: File names, with or without folders and suffix, in the way of any system.
            source: Where they stand, for messages.

        Returns:
            Number of its image for each name that has one.

        Raises:
            ValueError: If a name means several images, or an image has several names.
        """
        places = {name: split(name) for name in names}
        found: dict[str, list[int]] = {}
        for depth in range(max(map(len, places.values()), default=0), 0, -1):
            found = {
                name: images
                for name, parts in places.items()
                if (images := self._find(parts[-depth:]))
            }
            if any(len(places[name]) >= depth for name in found):
                break
        owners: dict[int, str] = {}
        for name, images in found.items():
            if len(images) > 1:
                meant = ' and '.join(self.files[image] for image in images[:2])
                raise ValueError(
                    f'{source} names an image {name}, which may be {meant}; write the folder of '
                    'images into the name, or give images names of their own'
                )
            other = owners.setdefault(images[0], name)
            if other != name:
                raise ValueError(
                    f'an image has one annotation, {self.files[images[0]]} has two in {source}: '
                    f'{other} and {name}; keep one'
                )
        return {name: images[0] for name, images in found.items()}

    def _find(self, parts: tuple[str, ...]) -> list[int]:
        """List the images whose path ends like this."""
        exact, stems = self._tables(len(parts))
        key = '/'.join(parts)
        return exact.get(key) or stems.get(key) or stems.get(without_suffix(key)) or []

    def _make_tables(self, depth: int) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """Number images by the last parts of their paths, with and without suffix."""
        exact: dict[str, list[int]] = {}
        stems: dict[str, list[int]] = {}
        for image, parts in enumerate(self._parts):
            if len(parts) >= depth:
                key = '/'.join(parts[-depth:])
                exact.setdefault(key, []).append(image)
                stems.setdefault(without_suffix(key), []).append(image)
        return exact, stems


def split(name: str) -> tuple[str, ...]:
    """Split a path of any system into its parts.

    A letter with its accent is one sign, as tables have it; macOS and archives made there write two.
    """
    return PurePosixPath(unicodedata.normalize('NFC', name).replace('\\', '/')).parts


def without_suffix(name: str) -> str:
    """Leave the suffix of a file name out."""
    stem, dot, suffix = name.rpartition('.')
    return stem if dot and '/' not in suffix else name


def name_images(files: Sequence[str]) -> dict[str, str]:
    """Say which image each label file is about: by its path inside the folder of all, as a stem."""
    folder = os.path.commonpath([os.path.dirname(os.path.abspath(file)) for file in files])
    return {file: without_suffix(os.path.relpath(file, folder)) for file in files}


def report_missing(
    names: Sequence[str], found: dict[str, int], files: Sequence[str], *, source: str
) -> None:
    """Say which images of a source are not there, and which are that it does not name.

    Raises:
        ValueError: If none is there.

    Warns:
        UserWarning: If some are not, or some are left out.
    """
    missing = [name for name in names if name not in found]
    if not found:
        raise ValueError(
            f'none of the {len(names)} images that {source} names is among the {len(files)} images: '
            f'it names {name_some(names, most=3)}, and there are {name_some(files, most=3)}; pass '
            'the images that it was made for'
        )
    if missing:
        rank_zero_warn(
            f'{len(missing)} of the {len(names)} images that {source} names are not among the '
            f'images: {name_some(missing, most=3)}'
        )
    warn_of_unknown(sorted(set(range(len(files))) - set(found.values())), files, source=source)


def warn_of_unknown(images: Sequence[int], files: Sequence[str], *, source: str) -> None:
    """Say which images nobody looked at."""
    if images:
        named = name_some([files[image] for image in images], most=3)
        rank_zero_warn(
            f'{len(images)} of {len(files)} images are left out, as {source} says nothing about '
            f'them: {named}'
        )
