"""Arrays as files of parts: what is known of objects and patches before they become features."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ...geoio.write import checksum, new_file, sync_folder
from ..resume.entries import PartFile
from ..resume.parts import PlannedPart


def write_arrays(part: PlannedPart, arrays: Mapping[str, NDArray[Any]], folder: Path) -> PartFile:
    """Write what is known of a part; a file of its name is always whole, even after a power cut.

    Args:
        part: The part.
        arrays: Numbers and flags, by name.
        folder: Where its file lies; one that exists is replaced.

    Returns:
        The entry of the file in the journal.

    Raises:
        OSError: If it cannot be written completely.
    """
    path, panel = folder / f'{part.stem}.npz', part.panel
    with new_file(path, overwrite=True) as unfinished, unfinished.open('wb') as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    sync_folder(path.parent)
    return PartFile(
        name=path.name, map=0, col_off=panel.col_off, width=panel.width, crc32=checksum(path)
    )


def read_arrays(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read what :func:`write_arrays` has written.

    Raises:
        OSError: If the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            return dict(found)
    except (BadZipFile, ValueError, EOFError, KeyError) as error:
        raise OSError(
            f'{path} cannot be read: {error}; the same command finds that and makes it anew'
        ) from error


def is_sound(file: PartFile, folder: Path) -> bool:
    """Say whether a file is there, and as it was written."""
    try:
        return checksum(folder / file.name) == file.crc32
    except OSError:
        return False
