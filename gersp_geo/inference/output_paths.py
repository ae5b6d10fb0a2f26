"""Files that are to be made, checked before anything is done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from ..geoio.read import list_files
from ..geoio.write import STALE_SIDECARS, check_writable


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToMake:
    """A file that somebody asked for."""

    path: Path
    """Its name."""

    suffixes: Sequence[str]
    """Its possible endings, in small letters."""

    holds: str
    """What it holds, for messages: "a map"."""

    def check(self, *, sources: Sequence[str | PathLike[str] | None], overwrite: bool) -> None:
        """Refuse a file that cannot be written, or that must stay.

        Args:
            sources: Scenes it is made from, which must not be replaced; None stands for none.
            overwrite: Whether an existing file may be replaced.

        Raises:
            FileExistsError: If it is a folder, or exists and may not be replaced.
            OSError: If its folder cannot be written to, or its name is too long.
            ValueError: If it is not on a local disk, its ending names no format, or it is a scene
                itself, or a file that a scene is made of.
        """
        path = self.path
        check_writable(path)
        if path.is_dir():
            raise FileExistsError(f'{path} is a folder; pass the path of a file')
        if path.suffix.lower() not in self.suffixes:
            raise ValueError(f'{self.holds} must end in {", ".join(self.suffixes)}, got {path}')
        refuse_inputs([path], inputs=sources)
        if path.exists() and not overwrite:
            raise FileExistsError(f'{path} exists; pass another path, or overwrite (--overwrite)')


def beside(path: str | PathLike[str], what: str) -> Path:
    """Name a further file that is made beside one: a.tif and 'uncertainty' give a_uncertainty.tif."""
    final = Path(path)
    return final.with_name(f'{final.stem}_{what}{final.suffix}')


def refuse_inputs(
    outputs: Sequence[str | PathLike[str] | None],
    *,
    inputs: Sequence[str | PathLike[str] | None],
    role: str = 'the scene',
) -> None:
    """Refuse outputs that would take the place of a file that is read.

    Args:
        outputs: Files to make; None stands for none. What GDAL reads beside them is removed too.
        inputs: Scenes and other files that are read; None stands for none. Of a virtual raster, and
            of what it refers to, all files count.
        role: What they are, for messages.

    Raises:
        ValueError: If one is an input, under whatever name.
    """
    known = {place: path for path in outputs if path is not None for place in _places_of(path)}
    if not known:
        return
    for source in inputs:
        if source is None:
            continue
        if (found := _find(known, source)) is not None:
            raise ValueError(f'{found} is {role} itself; pass another destination')
        for file in _files_of(source):
            if (found := _find(known, file)) is not None:
                raise ValueError(
                    f'{found} would replace {file}, which {source} refers to; pass another '
                    'destination'
                )


def _find(
    known: Mapping[tuple[int, int], str | PathLike[str]], path: str | PathLike[str]
) -> str | PathLike[str] | None:
    """Look up the output that is a file, if any is."""
    place = _place(path)
    return None if place is None else known.get(place)


def _places_of(path: str | PathLike[str]) -> Iterator[tuple[int, int]]:
    """Name the files that the making of one removes, if they exist."""
    for name in (Path(path), *(Path(f'{Path(path)}{ending}') for ending in STALE_SIDECARS)):
        if (place := _place(name)) is not None:
            yield place


def _place(path: str | PathLike[str]) -> tuple[int, int] | None:
    """Tell files apart, whatever they are called; None for what is no local file."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _files_of(source: str | PathLike[str]) -> list[str]:
    """List the files of a raster; what is none, or damaged, is refused elsewhere."""
    try:
        return list_files(source)
    except (OSError, ValueError):
        return []


def check_apart(
    path: str | PathLike[str], other: str | PathLike[str] | None, *, holds: str
) -> None:
    """Refuse two outputs in one file, or on two disks: both appear at the same time, by renaming.

    Args:
        path: The file asked for.
        other: The second one; None means that there is none.
        holds: What the second one holds, for messages.

    Raises:
        ValueError: If they cannot both be made.
    """
    if other is None:
        return
    if Path(path).resolve() == Path(other).resolve():
        raise ValueError(f'{holds} need a file of their own, got {other} for both')
    if _disk_of(Path(path)) != _disk_of(Path(other)):
        raise ValueError(f'{holds} must lie on the disk of {path}, got {other}')


def _disk_of(path: Path) -> int:
    """Say on which disk a file would lie."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    return folder.stat().st_dev
