"""Small results that take long to find, remembered on disk between runs."""

import json
import os
import warnings
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from .atomic import new_file

FOLDER_VARIABLE = 'GERSP_GEO_CACHE'


def cache_folder() -> Path:
    """Say where results are remembered.

    Returns:
        ``$GERSP_GEO_CACHE``, else ``gersp_geo`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. It can be
        deleted at any time.
    """
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given)
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'gersp_geo'


def recall(kind: str, key: str) -> Any:
    """Find what was remembered.

    Args:
        kind: Sub-folder of the cache.
        key: Any text.

    Returns:
        What was passed to :func:`remember`, as JSON gives it back; None where there is nothing, or
        nothing that can be read.
    """
    try:
        return json.loads(_place(kind, key).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return None


def remember(kind: str, key: str, value: Any) -> None:
    """Keep a value for later runs; another process may do the same at the same time.

    Args:
        kind: Sub-folder of the cache.
        key: Any text.
        value: Whatever JSON can hold.

    Warns:
        UserWarning: If the folder cannot be written; the work is then done again next time.
    """
    place = _place(kind, key)
    try:
        with new_file(place, overwrite=True) as temporary:
            temporary.write_text(json.dumps(value), encoding='utf-8')
    except OSError as error:
        warnings.warn(
            f'{place} cannot be written ({error}); set {FOLDER_VARIABLE} to a folder that can',
            stacklevel=2,
        )


def file_stamp(file: str) -> list[int] | None:
    """Tell one content of a local file from another without reading it.

    Args:
        file: A path, or a name that only GDAL understands.

    Returns:
        Size in bytes and time of the last change in nanoseconds, also of the file beside it in
        which GDAL keeps metadata; None for what is no local file.
    """
    try:
        status = os.stat(file)
    except OSError:
        return None
    try:
        beside = os.stat(f'{file}.aux.xml')
    except OSError:
        return [status.st_size, status.st_mtime_ns]
    return [status.st_size, status.st_mtime_ns, beside.st_size, beside.st_mtime_ns]


def fingerprint(files: Sequence[str]) -> str | None:
    """Tell one set of files from another.

    Returns:
        A hash of absolute paths, sizes and times; None if one of them is no local file.
    """
    digest = sha256()
    for file in files:
        stamp = file_stamp(file)
        if stamp is None:
            return None
        digest.update(json.dumps([os.path.abspath(file), stamp]).encode())
    return digest.hexdigest()


def _place(kind: str, key: str) -> Path:
    """Name the file of a key."""
    return cache_folder() / kind / f'{sha256(key.encode()).hexdigest()[:32]}.json'
