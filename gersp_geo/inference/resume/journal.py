"""What of a prediction is finished, on disk, so that it can be stopped at any moment and go on."""

import json
import os
import shutil
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import Any, BinaryIO, Self
from uuid import uuid4
from zlib import crc32

from ...geoio.write import sync_folder
from .entries import Entry, read_entries, to_line

try:
    import fcntl
except ImportError:  # not on Windows: there, nobody notices a second process
    fcntl = None  # type: ignore[assignment]

# raised whenever the meaning of what is written changes
VERSION = 3

PARTS = 'parts'
"""Name of the journal of a process that works alone."""

_HEADER = 'prediction.json'

# seconds between tries to lock: who looks whether a file is locked holds it for a moment
_GLANCES = (0.01, 0.05, 0.1)


def work_folder(destination: str | PathLike[str], root: str | PathLike[str] | None = None) -> Path:
    """Name the hidden folder in which the parts of a result lie until it is complete.

    Args:
        destination: The result.
        root: Folder in which it lies; None means beside the result.
    """
    final = Path(destination)
    if root is None:
        return final.with_name(f'.{final.name}.parts')
    # results of one name may lie in several folders
    place = crc32(os.fsencode(final.absolute()))
    return Path(root, f'.{final.name}.{place:08x}.parts')


class Journal:
    """Lists the finished parts of one prediction, in a folder beside its result.

    ``prediction.json`` says what is predicted, how and by which model. Every process appends to a
    file of its own: one line per part, written once the files of the part have their names. A line
    that a kill has cut off, or that is not as it was written, is no line. Several processes may
    share a folder, each with its own shard.
    """

    def __init__(self, folder: Path, *, name: str) -> None:
        """Set up; nothing is read or written yet.

        Args:
            folder: Of the journal and its parts.
            name: Of the file of this process.
        """
        self.folder = folder
        self.path = folder / f'{name}.jsonl'
        self._stream: Any = None

    @classmethod
    def open(
        cls,
        folder: Path,
        header: Mapping[str, Any],
        *,
        notes: Mapping[str, Any] | None = None,
        name: str = PARTS,
        overwrite: bool = False,
    ) -> Self:
        """Begin a prediction, or go on with one.

        Args:
            folder: Made if it does not exist.
            header: Says what is predicted; plain JSON. What it leaves out is not compared.
            notes: What else is kept of whoever begins; no matter who goes on.
            name: Of the file of this process.
            overwrite: Begin anew whatever is there.

        Returns:
            The journal, to be used in a ``with`` statement.

        Raises:
            ValueError: If the folder belongs to another prediction; names what differs.
            OSError: If it cannot be written, or another process is at work there.
        """
        if overwrite and folder.exists():
            refuse_busy(folder)
            shutil.rmtree(folder)
        begin(folder, header, notes=notes)
        return cls(folder, name=name)

    def __enter__(self) -> Self:
        """Lock the file of this process, and cut a torn line off its end."""
        self._stream = self.path.open('ab+')
        try:
            _lock(self._stream, self.folder)
        except OSError:
            self._stream.close()
            raise
        self._stream.seek(0)
        whole = self._stream.read().rpartition(b'\n')[0]
        self._stream.truncate(len(whole) + 1 if whole else 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let others go on."""
        self._stream.close()

    def append(self, entry: Entry) -> None:
        """Write down a part, whose files are complete, so that it survives a power cut.

        Raises:
            OSError: If there is no room.
        """
        self._stream.write(to_line(entry))
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def entries(self, *, without: str | None = None) -> dict[int, Entry]:
        """Read what all processes have finished, by number of the part; other lines say nothing.

        Args:
            without: How the names of those files begin that are left out.
        """
        found: dict[int, Entry] = {}
        for path in sorted(self.folder.glob('*.jsonl')):
            if without is not None and path.name.startswith(without):
                continue
            for entry in read_entries(path):
                if all((self.folder / file.name).is_file() for file in entry.files):
                    found[entry.part] = entry
        return dict(sorted(found.items()))

    def writer_of(self, part: int) -> str:
        """Name the call that has finished a part, for messages."""
        for path in sorted(self.folder.glob('*.jsonl'), reverse=True):
            if any(entry.part == part for entry in read_entries(path)):
                index, _, count = path.stem.removeprefix('shard-').partition('-of-')
                return f'the shard --shard {index}/{count}' if count else 'the command that made it'
        return 'the command that made it'

    def clear_fragments(self) -> None:
        """Remove files that a killed process did not finish, while nobody else is at work."""
        for path in self.folder.glob('.*.partial*'):
            path.unlink()

    def remove(self) -> None:
        """Remove journal and parts: the files are complete, or nothing is worth keeping."""
        shutil.rmtree(self.folder)


def begin(
    folder: Path, header: Mapping[str, Any], *, notes: Mapping[str, Any] | None = None
) -> None:
    """Say what is predicted in a folder, unless it says so.

    Args:
        folder: Made if it does not exist.
        header: As in :meth:`Journal.open`.
        notes: As there.

    Raises:
        ValueError: If the folder belongs to another prediction; names what differs.
        OSError: If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _HEADER
    wanted = {'version': VERSION, **header}
    if not path.exists():
        _write_once(path, json.dumps(wanted | dict(notes or {}), indent=2))
    # of shards that begin at the same time, the first one says what is predicted
    refuse_other(folder, wanted)


def _lock(stream: BinaryIO, folder: Path) -> None:
    """Lock a journal until it is closed."""
    if fcntl is not None:
        for patience in (*_GLANCES, 0):
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if not patience:
                    raise OSError(
                        f'another process is predicting into {folder}; wait for it, or stop it '
                        'first'
                    ) from error
                sleep(patience)
            else:
                return


def is_locked(path: Path) -> bool:
    """Say whether a process of this machine writes a journal; True where that cannot be known."""
    found = True
    if fcntl is not None:
        try:
            with path.open('rb+') as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = False
        except FileNotFoundError:
            found = False
        # locked, or a file system that does not lock
        except OSError:
            found = True
    return found


def refuse_busy(folder: Path, name: str = '*') -> None:
    """Refuse to touch a folder in which a process is at work.

    Args:
        folder: Of journals and parts; it may be missing.
        name: Of the journals to look at.

    Raises:
        OSError: If one is written.
    """
    for path in folder.glob(f'{name}.jsonl'):
        # some network file systems lock only what may be written
        with path.open('rb+') as stream:
            _lock(stream, folder)


def remove_leftover(folder: Path, identity: Mapping[str, Any]) -> None:
    """Remove the parts of a prediction whose files are complete; parts of any other stay.

    Args:
        folder: Of the journal and its parts.
        identity: What the files were made of.
    """
    # without a header, what is there belongs to nothing that could go on
    if is_begun(folder):
        try:
            header = read_header(folder)
            refuse_busy(folder)
        except (OSError, ValueError):
            return
        if not json.loads(json.dumps(dict(identity))).items() <= header.items():
            return
    shutil.rmtree(folder, ignore_errors=True)


def _write_once(path: Path, text: str) -> None:
    """Write a file that appears complete, unless another process was faster."""
    unfinished = path.with_name(f'.{path.stem}.{uuid4().hex[:8]}.partial{path.suffix}')
    try:
        with unfinished.open('w', encoding='utf-8') as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            # other than renaming, this replaces nothing
            os.link(unfinished, path)
        except OSError:
            # there already, or a file system without links
            if not path.exists():
                unfinished.replace(path)
        sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


def is_begun(folder: Path) -> bool:
    """Say whether a folder says what it predicts."""
    return (folder / _HEADER).exists()


def read_header(folder: Path) -> dict[str, Any]:
    """Read what a folder says it predicts.

    Raises:
        ValueError: If its file is damaged.
    """
    path = folder / _HEADER
    try:
        header = json.loads(path.read_text(encoding='utf-8'))
        # a list of pairs would make a mapping too
        header = dict(**header)
    # TypeError: anything but an object; RecursionError: brackets within brackets
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f'{path} is no record of a prediction: {error}; begin anew (--overwrite), or remove '
            f'{folder}'
        ) from error
    return header


def refuse_other(folder: Path, header: Mapping[str, Any]) -> None:
    """Compare what is predicted with what was begun.

    Args:
        folder: Of a journal that has begun.
        header: As in :meth:`Journal.open`, or some of it.

    Raises:
        ValueError: If the folder belongs to another prediction; names what differs.
    """
    found, wanted = read_header(folder), json.loads(json.dumps(dict(header)))
    names = [name for name in wanted if found.get(name) != wanted[name]]
    if names:
        listed = '; '.join(
            f'{name} was {_short(found.get(name))}, is {_short(wanted[name])}' for name in names
        )
        raise ValueError(
            f'{folder} holds the parts of another prediction: {listed}; go on with what it was, '
            'or remove that folder to begin anew (--overwrite does)'
        )


def _short(value: object) -> str:
    """Write a value in a few words."""
    text = json.dumps(value)
    return text if len(text) <= _MOST_CHARACTERS else f'{text[:_MOST_CHARACTERS]}...'


_MOST_CHARACTERS = 80
