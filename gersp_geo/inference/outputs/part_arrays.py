"""Arrays as files of parts: what is known of objects and patches before they become features."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ...geoio.write import checksum, new_file, sync_folder
from ...windows import Panel
from ..resume.journal import PartFile


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, panel: Panel) -> PartFile:
    """Write arrays; a file of that name is always whole, even after a power cut.

    Args:
        path: File to write, replaced where it exists.
        arrays: Numbers and flags, by name.
        panel: Columns of the part.

    Returns:
        The entry of the file in the journal.

    Raises:
        OSError: If it cannot be written completely.
    """
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
