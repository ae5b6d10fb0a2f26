"""Where published weights lie on this computer, and how they get there."""

import os
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import torch

from ..geoio.write import new_file
from .checkpoint_files import sha256_of

FOLDER_VARIABLE = 'GERSP_WEIGHTS_DIR'
LARGEST_VARIABLE = 'GERSP_GEO_DOWNLOAD_GIB'

# that of a backbone of 7 billion parameters in single precision, and some more
_LARGEST_GIB = 32


def weight_folders() -> list[Path]:
    """List the folders that are searched for weights, the one for downloads first.

    They are the folder that the environment variable GERSP_WEIGHTS_DIR names, if it is set, and
    that of torch hub.

    Raises:
        FileNotFoundError: If the variable names no folder.
    """
    hub = Path(torch.hub.get_dir()) / 'checkpoints'
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return [hub]
    if not Path(named).is_dir():
        raise FileNotFoundError(f'{FOLDER_VARIABLE}={named} is not a folder')
    return [Path(named), hub]


def check_download(size: int) -> None:
    """Refuse to download more than was agreed to.

    That is 32 GiB, or as many as the environment variable GERSP_GEO_DOWNLOAD_GIB says.

    Args:
        size: Bytes that there will be, or have come so far.

    Raises:
        OSError: If it is more.
        ValueError: If the variable is no number greater than 0.
    """
    told = os.environ.get(LARGEST_VARIABLE) or str(_LARGEST_GIB)
    try:
        largest = float(told)
    except ValueError:
        largest = 0
    if not largest > 0:
        raise ValueError(f'{LARGEST_VARIABLE} must be a number of GiB > 0, got {told}')
    if size > largest * 2**30:
        raise OSError(
            f'it has {size} bytes or more, and {told} GiB at most are downloaded; '
            f'{LARGEST_VARIABLE} raises that'
        )


def find_file(names: Sequence[str]) -> Path | None:
    """Find the first of several file names, best first, in the first folder that has one."""
    candidates = (folder / name for folder in weight_folders() for name in names)
    return next((path for path in candidates if path.is_file()), None)


def download_from_drive(
    file_id: str, name: str, *, check: Callable[[Path], object], progress: bool
) -> Path:
    """Download a file from Google Drive.

    Args:
        file_id: What Google Drive calls it.
        name: Its name here.
        check: Raises ValueError for a file that is not what it should be; Google Drive answers with
            a page when too many people download.
        progress: Show progress.

    Returns:
        The file, complete and checked.

    Raises:
        FileNotFoundError: If it cannot be downloaded; says how to do it by hand.
        ValueError: If what arrives fails the check.
    """
    destination = weight_folders()[0] / name
    by_hand = (
        f'download https://drive.google.com/file/d/{file_id}/view by hand and save it as '
        f'{destination}, or in the folder that {FOLDER_VARIABLE} names'
    )
    try:
        gdown = import_module('gdown')
    except ImportError as error:
        raise FileNotFoundError(
            f"{name} is not here: pip install 'gersp-geo[drive]' to download it, or {by_hand}"
        ) from error
    with new_file(destination) as temporary:
        try:
            gdown.download(id=file_id, output=str(temporary), quiet=not progress)
        # OSError is what requests raises
        except (gdown.exceptions.FileURLRetrievalError, OSError) as error:
            raise FileNotFoundError(f'{name} cannot be downloaded: {by_hand}') from error
        if not temporary.exists():
            raise FileNotFoundError(f'{name} cannot be downloaded: {by_hand}')
        try:
            check(temporary)
        except ValueError as error:
            raise ValueError(f'what was downloaded is not {name}: {error}; {by_hand}') from error
    return destination


def refuse_changed(path: Path) -> None:
    """Refuse a file that has changed since its checksum was remembered, when it was first used.

    The checksum is beside the file, under its name plus ``.sha256``.
    """
    sidecar = _sidecar(path)
    if not sidecar.is_file():
        return
    known = sidecar.read_text(encoding='ascii', errors='replace').split()
    digest = sha256_of(path)
    if known[:1] != [digest]:
        raise ValueError(
            f'{path} has changed: its SHA-256 is {digest}, {sidecar.name} says '
            f'{" ".join(known[:1]) or "nothing"}; restore the file, or remove {sidecar.name} if '
            'the change is wanted'
        )


def remember_checksum(path: Path) -> None:
    """Write the checksum of a file beside it, as ``sha256sum`` does, unless it is there.

    In a folder that cannot be written to, a warning is all that happens.
    """
    sidecar = _sidecar(path)
    if sidecar.is_file():
        return
    try:
        with new_file(sidecar, overwrite=True) as temporary:
            temporary.write_text(f'{sha256_of(path)}  {path.name}\n', encoding='ascii')
    # a folder on a read-only file system gives no PermissionError
    except OSError as error:
        warnings.warn(
            f'{sidecar} cannot be written ({error.strerror or error}); a later change of '
            f'{path.name} will go unnoticed',
            stacklevel=2,
        )


def _sidecar(path: Path) -> Path:
    """Name the file that holds the checksum."""
    return path.with_name(f'{path.name}.sha256')
