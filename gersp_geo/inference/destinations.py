"""Files that are to be made, checked before anything is done."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path


def check_destination(
    path: str | PathLike[str],
    *,
    sources: Sequence[str | PathLike[str] | None],
    suffixes: Sequence[str],
    holds: str,
    overwrite: bool,
) -> Path:
    """Refuse a file that cannot be written, or that must stay.

    Args:
        path: The file to make.
        sources: Scenes it is made from, which must not be replaced.
        suffixes: Its possible endings, in small letters.
        holds: What it holds, for messages: "a map".
        overwrite: Whether an existing file may be replaced.

    Returns:
        *path*.

    Raises:
        FileExistsError: If it is a folder, or exists and may not be replaced.
        ValueError: If its ending names no format, or it is a scene itself.
    """
    final = Path(path)
    if final.is_dir():
        raise FileExistsError(f'{final} is a folder; pass the path of a file')
    if final.suffix.lower() not in suffixes:
        raise ValueError(f'{holds} must end in {", ".join(suffixes)}, got {final}')
    there = [source for source in sources if source is not None and Path(source).exists()]
    if final.exists() and any(final.samefile(source) for source in there):
        raise ValueError(f'{final} is the scene itself; pass another destination')
    if final.exists() and not overwrite:
        raise FileExistsError(f'{final} exists; pass another path, or overwrite (--overwrite)')
    return final


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
        raise ValueError(f'{holds} need a file of their own, got that of the map, {other}')
    if _disk_of(Path(path)) != _disk_of(Path(other)):
        raise ValueError(f'{holds} must lie on the disk of the map, {path}, got {other}')


def _disk_of(path: Path) -> int:
    """Say on which disk a file would lie."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    return folder.stat().st_dev
