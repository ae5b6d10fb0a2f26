"""What a name means: one rule for the scenes of prediction and the images and masks of training."""

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from glob import escape, glob, has_magic
from os import PathLike, fspath
from pathlib import Path
from typing import Literal

from ..geoio.formats import IMAGE_SUFFIXES, LIST_SUFFIXES, SCENE_SUFFIXES
from ..geoio.read import find_owner
from ..geoio.storage import ObjectName, is_remote, list_objects, object_read
from .hidden import is_hidden, list_files, list_folders

type Name = str | PathLike[str]

type Paths = Name | Iterable[Name]
"""One name or several, each as :func:`find_rasters` takes it."""

# NETCDF:"a.nc":b and GTIFF_DIR:1:a.tif, but no drive of Windows
_DRIVER = re.compile(r'\w{2,}:')

RASTERS = (SCENE_SUFFIXES, IMAGE_SUFFIXES)
"""Rasters, and where there are none pictures."""


def find_rasters(
    paths: Paths, *, kinds: Sequence[Sequence[str]] = RASTERS, without: Sequence[Name] = ()
) -> list[str]:
    """List the files that are meant, sorted and each once, however often and in whatever way named.

    A name is the first of these that fits:

    - a file that exists, whatever is in its name; one that ends in ``.txt`` lists further names,
      one per line;
    - a folder: its files of the first of *kinds* that it holds, at any depth, without what is
      hidden; so is a name in a store (``s3://bucket/scenes/``) that ends in a slash;
    - a name that only GDAL understands: with ``://``, of ``/vsi``, or of a driver;
    - a pattern with ``*``, ``?``, ``[]``, or ``**`` for any depth: the files that follow it, of
      *kinds* unless it says how they end; where none does, what is in the folders that follow it.

    What GDAL reads beside a raster (``.msk``, ``.ovr``, ``.aux.xml``) is never one.

    Args:
        paths: Names.
        kinds: Endings in folders and patterns; where there is none of the first kind, those of the
            next one count.
        without: Folders of results, which are left out where they lie inside what is searched.

    Raises:
        FileNotFoundError: If a file does not exist, or a folder, list or pattern holds none.
        ValueError: If a file is what GDAL reads beside another one, or a list holds no text, or a
            list.

    Warns:
        UserWarning: If a folder or pattern holds files of the next kind too, which are left out.
    """
    found: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name, place in _unfold(paths):
        for file in _find(name, place, kinds, without):
            found.setdefault(_identify(file, folders), file)
    if not found:
        raise FileNotFoundError('no raster given; name at least one file or folder')
    return sorted(found.values())


def split_names(paths: Paths) -> list[str]:
    """Take one name for a list of it."""
    return [fspath(path) for path in ([paths] if isinstance(paths, str | PathLike) else paths)]


def names_one(paths: Paths) -> bool:
    """Say whether a single file is named, rather than what may hold or mean several."""
    given = split_names(paths)
    return len(given) == 1 and _tell(given[0]) in ('file', 'of GDAL', 'missing')


def _tell(name: str) -> Literal['file', 'list', 'folder', 'of GDAL', 'pattern', 'missing']:
    """Say what a name is."""
    if os.path.isdir(name) or (is_remote(name) and name.endswith('/')):
        return 'folder'
    if os.path.exists(name):
        return 'list' if name.lower().endswith(LIST_SUFFIXES) else 'file'
    if _is_of_gdal(name):
        return 'of GDAL'
    return 'pattern' if has_magic(name) else 'missing'


def _is_of_gdal(name: str) -> bool:
    """Say whether a name that is no file means something to GDAL alone."""
    return '://' in name or name.startswith('/vsi') or _DRIVER.match(name) is not None


def _unfold(paths: Paths) -> Iterator[tuple[str, str]]:
    """Put the names in lists in the place of the lists, each with where it stands."""
    for name in split_names(paths):
        if _tell(name) != 'list':
            yield name, ''
            continue
        try:
            # programs of Windows mark UTF-8 by a first character
            lines = Path(name).read_text(encoding='utf-8-sig').splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(
                f'{name} must list names in UTF-8, one per line: {error.reason}; a raster needs '
                'another ending'
            ) from error
        named = {number: line.strip() for number, line in enumerate(lines, 1) if line.strip()}
        if not named:
            raise FileNotFoundError(f'{name} lists no name; write one per line')
        for number, line in named.items():
            place = f' (line {number} of {name})'
            if _tell(line) == 'list':
                raise ValueError(f'{line} is a list in a list{place}; name its files')
            yield line, place


def _find(
    name: str, place: str, kinds: Sequence[Sequence[str]], without: Sequence[Name]
) -> list[str]:
    """List the files that one name means."""
    match _tell(name):
        case 'folder':
            return _find_inside(name, kinds, without)
        case 'pattern':
            return _follow(name, place, kinds, without)
        case 'missing':
            raise FileNotFoundError(
                f'{name or "an empty name"} does not exist{place}; check the path'
            )
    if owner := find_owner(name):
        raise ValueError(
            f'{name} is no image, but belongs to {owner}{place}; leave it out, or quote the '
            'pattern that it follows'
        )
    return [name]


def _find_inside(folder: str, kinds: Sequence[Sequence[str]], without: Sequence[Name]) -> list[str]:
    """List the files of the first kind that a folder holds."""
    endings = tuple(suffix for kind in kinds for suffix in kind)
    if is_remote(folder):
        start = len(_place(folder))
        files = [
            name
            for name in list_objects(folder, endings)
            if not any(map(is_hidden, name[start:].split('/')))
        ]
    else:
        files = [str(file) for file in list_files(Path(folder)) if _ends(file, endings)]
    inside = _choose(_leave_out(files, folder, without), kinds, place=folder)
    if not inside:
        raise FileNotFoundError(
            f'no image ({", ".join(endings)}) in {folder}; name a folder that holds some'
        )
    return inside


def _follow(
    pattern: str, place: str, kinds: Sequence[Sequence[str]], without: Sequence[Name]
) -> list[str]:
    """List the files that follow a pattern."""
    parts = Path(pattern).parts
    # folders that exist are no patterns either
    depth = max(n for n in range(len(parts)) if n == 0 or Path(*parts[:n]).is_dir())
    root = str(Path(*parts[:depth]))
    hits = [str(Path(hit)) for hit in _expand(root, parts[depth:])]
    hits = [hit for hit in hits if not _is_of_programs(hit, parts)]
    folders = {hit for hit in hits if os.path.isdir(hit)}
    files = [hit for hit in hits if hit not in folders and find_owner(hit) is None]
    # a slash at the end is that of folders
    files = [] if pattern.endswith(('/', os.sep)) else _leave_out(files, root, without)
    suffix = Path(pattern).suffix
    if not suffix or has_magic(suffix):
        files = _choose(files, kinds, place=pattern)
    if not files:
        inside = [str(f) for hit in sorted(folders) for f in list_files(Path(hit))]
        files = _choose(_leave_out(inside, root, without), kinds, place=pattern)
    if not files:
        raise FileNotFoundError(
            f'no image follows the pattern {pattern}{place}; check the path, ** means any depth'
        )
    return files


def _expand(root: str, parts: Sequence[str]) -> Iterator[str]:
    """List what follows a pattern below a folder, also what is hidden and named.

    The ``**`` of glob does not end where links lead to folders above them.
    """
    if '**' not in parts:
        yield from glob(os.path.join(escape(root), *parts))
        return
    depth = parts.index('**')
    # at the end of a pattern it means files too
    further = parts[depth + 1 :] or ['*']
    for start in filter(os.path.isdir, _expand(root, parts[:depth])):
        for folder in list_folders(Path(start)):
            yield from _expand(str(folder), further)


def _is_of_programs(hit: str, named: Sequence[str]) -> bool:
    """Say whether a program has left a file; of names that begin with a dot, patterns know."""
    return any(
        is_hidden(part) and part not in named
        for part in Path(hit).parts
        if not part.startswith('.')
    )


def _ends(file: Name, endings: tuple[str, ...]) -> bool:
    """Say whether a file ends so."""
    return fspath(file).lower().endswith(endings)


def _choose(files: Sequence[str], kinds: Sequence[Sequence[str]], *, place: str) -> list[str]:
    """Take the files of the first kind that there is, and say which of another one are not."""
    groups = [[file for file in files if _ends(file, tuple(kind))] for kind in kinds]
    found, *rest = [group for group in groups if group] or [[]]
    if others := [file for group in rest for file in group]:
        warnings.warn(
            f'{place} holds {len(found)} files such as {found[0]}, which are read, and '
            f'{len(others)} such as {others[0]}, which are not; name the files to read both',
            stacklevel=6,
        )
    return found


def _leave_out(files: list[str], root: str, without: Sequence[Name]) -> list[str]:
    """Leave out what lies in folders of results, unless all of what is searched lies in them."""
    start = _place(root)
    results = tuple(place for each in without if not start.startswith(place := _place(each)))
    places = {folder: _place(folder) for folder in {os.path.dirname(file) for file in files}}
    return [file for file in files if not places[os.path.dirname(file)].startswith(results)]


def _place(name: Name) -> str:
    """Say where something lies, with a slash behind it."""
    if is_remote(name):
        return f'{ObjectName.of(name)}'.rstrip('/') + '/'
    return os.path.join(os.path.realpath(name), '')


def _identify(file: str, folders: dict[str, str]) -> str:
    """Write all names of one file alike; *folders* are those whose place is known."""
    if _is_of_gdal(file) and not os.path.exists(file):
        return object_read(file) or file
    folder, name = os.path.split(file)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return os.path.join(folders[folder], name)
