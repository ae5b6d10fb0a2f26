"""What of the folder of a scene is removed once nobody needs it."""

import shutil
from collections.abc import Collection
from contextlib import suppress
from os import PathLike
from pathlib import Path

from ..resume.journal import is_begun, refuse_busy, work_folder
from ..scenes import Jobs
from .claims import FINISHING, Claims


def remove_made(claims: Claims, *, is_driven: bool) -> None:
    """Remove what nobody needs once a scene is made.

    Args:
        claims: On its parts.
        is_driven: Whether a driver will remove the rest; until then, it leaves word for the other
            workers.
    """
    folder = claims.folder.parent
    if not is_driven:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.is_dir() and path != claims.folder:
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file():
            path.unlink(missing_ok=True)
    for path in claims.folder.iterdir():
        if not path.name.startswith(f'{FINISHING}.'):
            path.unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Remove a folder from which no call could go on, unless somebody is at work there."""
    if is_begun(folder) and any(path.stat().st_size for path in folder.rglob('*.jsonl')):
        return
    with suppress(OSError):
        refuse_busy(folder)
        shutil.rmtree(folder)


def tidy(jobs: Jobs, made: Collection[int], *, root: str | PathLike[str] | None) -> None:
    """Remove folders of what is made, and those in which nothing is that could be gone on from.

    Args:
        jobs: The scenes.
        made: Places of the scenes that are made.
        root: Folder of their work folders; None means beside the results.
    """
    for number, job in enumerate(jobs.scenes):
        folder = work_folder(job.final, root)
        if number in made:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            remove_empty(folder)
