"""Small results that take long to find, remembered on disk between runs."""

import json
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..write.atomic import new_file
from .reader import list_files
from .sidecars import names_beside, ways_of_looking

FOLDER_VARIABLE = 'GERSP_GEO_CACHE'

# raised whenever the same files would lead to other results than before
VERSION = 2

# files of one folder; from here on, listing it takes less than asking for what lies beside each
LIST_FROM = 32


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
        What was passed to :func:`remember`, as JSON gives it back; None where nothing can be read.
    """
    try:
        return json.loads(_place(kind, key).read_text(encoding='utf-8'))
    # RecursionError: brackets within brackets
    except (OSError, ValueError, RecursionError):
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
        Size in bytes and time of the last change in nanoseconds; then number, size and time of
        each file beside it from which GDAL reads masks, overviews and metadata. None for what is no
        local file.
    """
    return _stamp(file, names_beside(file))


def file_stamps(files: Sequence[str]) -> list[list[int] | None]:
    """Tell the content of each of many files from another, see :func:`file_stamp`."""
    used = Counter(map(os.path.dirname, files))
    # asking for all that may lie beside each of 20,000 files takes as long as all the rest
    inside = {folder: _list(folder) for folder, count in used.items() if count >= LIST_FROM}
    stamps = []
    for file in files:
        folder, name = os.path.split(file)
        names = inside.get(folder)
        if names is None:
            stamps.append(file_stamp(file))
            continue
        around = [each if each in names else None for each in names_beside(name)]
        stamps.append(_stamp(file, [each and os.path.join(folder, each) for each in around]))
    return stamps


def hash_stamps(files: Sequence[str]) -> str | None:
    """Tell one set of rasters from another.

    Returns:
        A hash of absolute paths, sizes and times, also of the files that a VRT refers to, and of
        where the user lets GDAL look; None if one of them is not local.
    """
    parts = [
        part
        for file in files
        for part in (list_files(file) if file.lower().endswith('.vrt') else [file])
    ]
    digest = sha256(json.dumps([VERSION, ways_of_looking()]).encode())
    for part, stamp in zip(parts, file_stamps(parts), strict=True):
        if stamp is None:
            return None
        digest.update(json.dumps([os.path.abspath(part), stamp]).encode())
    return digest.hexdigest()


def _stamp(file: str, around: Sequence[str | None]) -> list[int] | None:
    """Take size and time of a file, and of those *around* it that exist."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    stamp = [status.st_size, status.st_mtime_ns]
    for number, name in enumerate(around):
        if name is None:
            continue
        try:
            status = os.stat(name)
        except OSError:
            continue
        stamp += [number, status.st_size, status.st_mtime_ns]
    return stamp


def _list(folder: str) -> frozenset[str] | None:
    """List the names in a folder; None where that cannot be done."""
    try:
        return frozenset(os.listdir(folder or os.curdir))
    except OSError:
        return None


def _place(kind: str, key: str) -> Path:
    """Name the file of a key."""
    return cache_folder() / kind / f'{sha256(key.encode()).hexdigest()[:32]}.json'
