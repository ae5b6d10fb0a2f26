"""Results in stores of objects: files in the work folder until they are complete, then uploaded."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

from ..geoio.read import list_files
from ..geoio.storage import (
    ObjectName,
    check_stores,
    download,
    is_remote,
    local_copy,
    look_up,
    object_of,
    object_read,
    upload,
)
from ..geoio.write import STALE_SIDECARS, check_local

# in the work folder, with a folder per kind of store and bucket
_FOLDER = '.objects'

# how QGIS draws a map, beside it
_STYLE = '.qml'

type Name = str | PathLike[str]
"""Of a file or an object."""


def made_as(name: Name, work: Name | None) -> Path:
    """Name the file as which a result is made.

    Args:
        name: What was asked for.
        work: Folder for what is made until it is complete.

    Returns:
        The same on a disk; for an object in a store, a file in *work*.

    Raises:
        ValueError: If it is neither, or an object and there is no such folder.
    """
    if not is_remote(name):
        check_local(name)
        return Path(name)
    place = ObjectName.of(name)
    if work is None:
        raise ValueError(
            f'{place} is not on a local disk; pass a folder in which it is made until it is '
            'complete (--work DIR)'
        )
    return local_copy(name, Path(work, _FOLDER))


def target_of(path: Path, work: Name | None) -> str | None:
    """Name the object that a file of :func:`made_as` becomes; None for a file that stays."""
    return None if work is None else object_of(path, Path(work, _FOLDER))


def goes_to_store(paths: Iterable[Path], work: Name | None) -> bool:
    """Say whether any file becomes an object."""
    return any(target_of(path, work) is not None for path in paths)


def shown(path: Path, work: Name | None) -> str:
    """Name a result as it was asked for."""
    return target_of(path, work) or str(path)


def check_targets(paths: Iterable[Path | None], work: Name | None) -> None:
    """Refuse results in stores that cannot be reached, before any work.

    Raises:
        OSError: If a store does not answer, forbids it, or has no such bucket.
        ValueError: If the package that writes to stores is not installed.
    """
    targets = [target_of(path, work) for path in paths if path is not None]
    check_stores([target for target in targets if target is not None])


def refuse_scenes(
    paths: Iterable[Path | None], work: Name | None, *, inputs: Iterable[Name | None]
) -> None:
    """Refuse objects that would replace a scene, or a file that a scene refers to.

    Raises:
        ValueError: If one would.
    """
    targets = {target_of(path, work) for path in paths if path is not None} - {None}
    for source in inputs if targets else ():
        names = [] if source is None else [source]
        # what cannot be read is refused elsewhere
        with suppress(OSError, ValueError):
            names += [] if source is None else list_files(source)
        for name in names:
            if object_read(name) in targets:
                raise ValueError(
                    f'{object_read(name)} is {source} itself, or belongs to it; pass another '
                    'destination'
                )


def has_result(path: Path, work: Name | None) -> bool:
    """Say whether a result is there, where it was asked for.

    Raises:
        OSError: If a store does not answer, or forbids it.
    """
    target = target_of(path, work)
    return path.exists() if target is None else look_up(target) is not None


def stored_fingerprint(path: Path, work: Name | None) -> str | None:
    """Say what the object was made of that a file becomes; None where there is none, or no object.

    Raises:
        OSError: If a store does not answer, or forbids it.
    """
    target = target_of(path, work)
    stored = None if target is None else look_up(target)
    return None if stored is None else stored.fingerprint


def fetch(paths: Iterable[Path], work: Name | None) -> None:
    """Bring back the files of objects that are there, to look at them.

    Raises:
        OSError: If that fails.
    """
    for path in paths:
        if (target := target_of(path, work)) is not None and not path.exists():
            download(target, path)


def deliver(paths: Sequence[Path], work: Name | None, *, fingerprint: str | None = None) -> None:
    """Upload finished files for stores, the first one last: where it is, all are.

    Args:
        paths: Files of :func:`made_as`; those that stay where they are are left alone.
        work: As there.
        fingerprint: What they were made of.

    Raises:
        OSError: If an upload fails; the files are still there then.
    """
    for path in reversed(paths):
        for file in (path.with_suffix(_STYLE), path):
            target = target_of(file, work)
            if target is not None and file.exists():
                upload(file, target, fingerprint=fingerprint)


def clear(paths: Iterable[Path], work: Name | None) -> None:
    """Remove the files that are objects now, and the folders that they leave empty."""
    for path in paths:
        if work is None or target_of(path, work) is None:
            continue
        for ending in ('', *STALE_SIDECARS):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        path.with_suffix(_STYLE).unlink(missing_ok=True)
        for folder in path.parents:
            # not empty, or not there
            with suppress(OSError):
                folder.rmdir()
            if folder == Path(work, _FOLDER):
                break


def name_targets[Summary: Any](summary: Summary, work: Name | None) -> Summary:
    """Name objects in place of the files that they were made as."""
    if work is None or summary is None:
        return summary

    def renamed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(renamed, value))
        return shown(Path(value), work) if isinstance(value, str) else value

    found = {each.name: getattr(summary, each.name) for each in fields(summary)}
    names = {n: v for n, v in found.items() if n in ('destination', 'destinations', 'picture')}
    return replace(summary, **{name: renamed(value) for name, value in names.items()})
