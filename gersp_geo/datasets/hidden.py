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


def list_visible(folder: Path) -> Iterator[Path]:
    """List what lies in a folder at any depth, without what is hidden or lies in something hidden.

    Yields:
        Files and folders, in the order of the file system.
    """
    # what lies in the working directory is named without it
    start = 0 if folder == Path() else len(os.path.join(folder, ''))
    for path in folder.rglob('*'):
        # a tenth of the time of relative_to, of which there may be a million
        if not any(map(is_hidden, str(path)[start:].split(os.sep))):
            yield path
