"""Files and folders that appear under their name only when they are complete."""

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Self
from uuid import uuid4

from ...messages import one_line

# GDAL keeps statistics, overviews and masks in files beside a raster. Those of an earlier file of
# the same name would describe pixels that no longer exist: they are removed.
STALE_SIDECARS = ('.aux.xml', '.ovr', '.msk')

# GDAL's virtual file systems, and URLs, of whose slashes pathlib leaves one; a single letter is a
# drive of Windows
_ELSEWHERE = re.compile(r'/vsi[a-z0-9_]+(?:/|$)|[A-Za-z][A-Za-z0-9+.-]+:/')

# what is added to the name of an output: .NAME.parts, NAME.aux.xml, NAME-journal
_LONGEST_ENDING = 8

# bytes of a name, where a file system does not say
_LONGEST_NAME = 255


def check_local(path: str | PathLike[str]) -> None:
    """Refuse an output in an object store, or elsewhere than on a disk that this machine has.

    Args:
        path: The file or folder to make.

    Raises:
        ValueError: If it is a URL, or in a virtual file system of GDAL.
    """
    name = os.fspath(path)
    if _ELSEWHERE.match(name):
        shown = name if '://' in name else name.replace(':/', '://', 1)
        raise ValueError(
            f'{shown} is not on a local disk, and nothing is written elsewhere; pass a local path, '
            'and copy what was made there'
        )


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of the errors by which a system says that a file has no room."""


class DiskFullError(OSError):
    """A file that could not be written completely, as a rule for want of room."""

    @classmethod
    def of(cls, path: str | PathLike[str], error: object) -> Self:
        """Word what another library says about a file that it could not write."""
        return cls(f'{path} cannot be written: {one_line(error)}; {describe_room(path)}')


def check_writable(path: str | PathLike[str]) -> None:
    """Refuse an output that could not be made where it is asked for, before any work.

    Args:
        path: The file to make.

    Raises:
        OSError: If its folder is a file or cannot be written to, or a name is too long.
        ValueError: If it is not on a local disk.
    """
    check_local(path)
    final = Path(path).absolute()
    try:
        folder = _existing(final)
        longest = os.pathconf(folder, 'PC_NAME_MAX') if hasattr(os, 'pathconf') else _LONGEST_NAME
    except OSError as error:
        raise OSError(f'{final} cannot be made: {error.strerror}; pass another path') from error
    if not folder.is_dir():
        raise NotADirectoryError(
            f'{folder} is a file, and {final} would lie in it; pass another path'
        )
    length = len(os.fsencode(final.name)) + _LONGEST_ENDING
    if length > longest:
        raise OSError(
            f'{final.name} is too long a name: what is made beside it needs up to {length} bytes, '
            f'and {folder} takes {longest}; pass a shorter one'
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(
            f'{folder} cannot be written to, and {final} would lie in it; pass another path'
        )


def check_absent(path: str | PathLike[str], *, overwrite: bool) -> None:
    """Refuse an output that exists, unless it may be replaced, before work is done in vain.

    Raises:
        FileExistsError: If it does.
    """
    if Path(path).exists() and not overwrite:
        raise FileExistsError(f'{path} exists; pass another path, or overwrite (--overwrite)')


def check_not_read(
    outputs: Iterable[str | PathLike[str] | None], *, read: Iterable[str | PathLike[str] | None]
) -> None:
    """Refuse outputs that would replace a file that is read, or each other.

    Args:
        outputs: Files to make; None stands for none.
        read: Files that are read; None stands for none.

    Raises:
        ValueError: If one is such a file, under whatever name.
    """
    made: dict[Path, str | PathLike[str]] = {}
    known = {Path(path).resolve(): path for path in read if path is not None}
    for path in outputs:
        if path is None:
            continue
        place = Path(path).resolve()
        if place in known:
            raise ValueError(
                f'{path} would replace {known[place]}, which is read; pass another path'
            )
        if place in made:
            raise ValueError(f'two files would be written to {path}; pass another path for one')
        made[place] = path


def free_bytes(path: str | PathLike[str]) -> int:
    """Say how many bytes are free where a file is, or would be."""
    return shutil.disk_usage(_existing(Path(path).absolute())).free


def describe_room(path: str | PathLike[str]) -> str:
    """Ask whether a disk is full, for the message about a file that could not be written."""
    folder = Path(path).absolute().parent
    return f'is the disk full? {free_bytes(path) / 2**20:,.1f} MiB are free in {folder}'


def _existing(path: Path) -> Path:
    """Find the first folder on the way up that exists, or the file that is in its place."""
    # unlike Path.exists, this tells a name that is too long from one that is not there
    for folder in path.parents:
        with suppress(FileNotFoundError, NotADirectoryError):
            folder.stat()
            return folder
    return path


@contextmanager
def new_file(destination: str | PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path that becomes *destination* when the block succeeds.

    The temporary file lies in the same folder, with the same suffix, under a hidden name, so that
    the final rename is atomic and drivers that judge by suffix agree. What the block writes beside
    it under its name plus an ending (``.aux.xml``) is renamed with it. After any exception nothing
    of it is left. The folder of *destination* is created if needed.

    Args:
        destination: The file to make.
        overwrite: Replace an existing file; until the rename, the old one stays whole.

    Yields:
        The path to write to. The file is to be closed before the block ends.

    Raises:
        FileExistsError: If *destination* is a folder, or exists and *overwrite* is False.
        FileNotFoundError: If the block ended without an exception, but wrote nothing.
        ValueError: If *destination* is not on a local disk.
    """
    check_local(destination)
    final = Path(destination)
    if final.is_dir():
        raise FileExistsError(f'{final} is a folder; pass the path of a file')
    check_absent(final, overwrite=overwrite)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = _hidden(final)
    try:
        yield temporary
        if not temporary.exists():
            raise FileNotFoundError(f'nothing was written for {final}')
        publish(temporary, final)
    finally:
        for path in _family(temporary):
            path.unlink(missing_ok=True)


@contextmanager
def new_folder(destination: str | PathLike[str]) -> Iterator[Path]:
    """Yield an empty temporary folder that becomes *destination* when the block succeeds.

    Args:
        destination: The folder to make; it may exist if it is empty.

    Yields:
        A hidden folder beside *destination*, removed with its content after any exception.

    Raises:
        FileExistsError: If *destination* is a file, or a folder that is not empty.
        ValueError: If *destination* is not on a local disk.
    """
    check_local(destination)
    final = Path(destination).absolute()
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise FileExistsError(f'{final} exists and is not an empty folder; pass a new folder')
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = _hidden(final)
    try:
        # here, since a signal may end this as soon as the folder is there
        temporary.mkdir()
        yield temporary
        if final.is_dir():
            # a folder cannot be renamed over an existing one on every system
            final.rmdir()
        temporary.replace(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync_folder(folder: str | PathLike[str]) -> None:
    """Wait until the names of the files in a folder are on the disk, where a system can say so."""
    # Windows opens no folders
    if not hasattr(os, 'O_DIRECTORY'):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hidden(final: Path) -> Path:
    """Name a temporary neighbour that no other process uses."""
    ending = f'.{uuid4().hex[:8]}.partial{final.suffix}'
    stem = os.fsencode(final.stem)[: _LONGEST_NAME - _LONGEST_ENDING - len(os.fsencode(ending)) - 1]
    return final.with_name(f'.{stem.decode(errors="ignore")}{ending}')


def _family(path: Path) -> list[Path]:
    """List a file and its sidecars: whatever lies beside it under its name plus an ending."""
    return [other for other in path.parent.iterdir() if other.name.startswith(path.name)]


def publish(temporary: Path, final: Path) -> None:
    """Give a finished file and its sidecars their names, the file last, replacing older ones.

    Args:
        temporary: The file, on the disk of *final*.
        final: Its name; its folder is made if needed.
    """
    with temporary.open('rb+') as stream:
        # a power cut after the rename could else leave a file of the right name and no content
        os.fsync(stream.fileno())
    # not before what takes time: another process may remove folders that it has left empty
    final.parent.mkdir(parents=True, exist_ok=True)
    for ending in STALE_SIDECARS:
        final.with_name(final.name + ending).unlink(missing_ok=True)
    for path in _family(temporary):
        if path != temporary:
            path.replace(final.with_name(final.name + path.name.removeprefix(temporary.name)))
    temporary.replace(final)
