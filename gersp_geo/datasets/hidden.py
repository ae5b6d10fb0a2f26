"""Leave out what lies in folders of images but belongs to programs, not to the data set."""

import os
from collections.abc import Iterator
from pathlib import Path

# Beside names that begin with a dot, as .ipynb_checkpoints, .git, and macOS's ._a.tif: of Synology
# and QNAP, of archives made by macOS, of Windows, and of file systems.
_NAMES = frozenset(
    ('@eaDir', '@tmp', '#recycle', '@Recycle', '__MACOSX', '$RECYCLE.BIN',
     'System Volume Information', 'Thumbs.db', 'desktop.ini', 'lost+found')
)  # fmt: skip


def is_hidden(name: str) -> bool:
    """Say whether a file or folder of this name is none of the user's."""
    return name.startswith('.') or name in _NAMES


def list_files(folder: Path) -> Iterator[Path]:
    """List the files in a folder at any depth, without what is hidden or lies in something hidden.

    Links to folders are followed, unless what they lead to is listed already.

    Returns:
        Files in the order of the file system; those that links to folders lead to come last.
    """
    return (file for _, files in _walk(folder) for file in files)


def list_folders(folder: Path) -> Iterator[Path]:
    """List a folder and those in it at any depth, each by one name, links last."""
    return (here for here, _ in _walk(folder))


def _walk(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """List folders that are visible, and the files in each."""
    folders, links, listed = [folder], list[Path](), set[str]()
    while folders or links:
        here = folders.pop() if folders else links.pop()
        if (real := os.path.realpath(here)) in listed:
            continue
        listed.add(real)
        files: list[Path] = []
        with os.scandir(here) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                path, is_link = Path(entry.path), entry.is_symlink()
                # an entry fails where a link leads to itself; a path asks the disk each time
                if path.is_dir() if is_link else entry.is_dir():
                    (links if is_link else folders).append(path)
                else:
                    files.append(path)
        yield here, files
