"""Weights and models that are named instead of lying in a file: on the Hugging Face hub, or a URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

HUB = 'hf-hub:'

# such as https://; GDAL's names and drives of Windows have no such letters before the slashes
_URL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]+://')

type Purpose = Literal['backbone', 'model']
"""What is looked for in a repository where no file is named; a model has a head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file that is on this computer now, complete and checked."""

    path: Path
    """The file in its cache; the folder where it is a backbone of timm with its configuration."""

    origin: str
    """Where it comes from, without passwords: of the hub, with the commit."""

    sha256: str
    """Checksum of the file, or of the weights in the folder."""

    def __str__(self) -> str:
        """Say in one line what was taken."""
        return f'{self.origin} is {self.path}, SHA-256 {self.sha256}'

    @property
    def provenance(self) -> dict[str, str]:
        """What goes into records."""
        return {'downloaded_from': self.origin, 'downloaded_sha256': self.sha256}


def is_elsewhere(source: object) -> bool:
    """Say whether something names a file elsewhere; a path that exists is a path.

    Args:
        source: Whatever a user may pass.
    """
    if not isinstance(source, str | PathLike):
        return False
    text = fspath(source)
    is_named = text.startswith(HUB) or _URL.match(text) is not None
    return is_named and not Path(text).exists()


def obtain_file(source: str, *, purpose: Purpose = 'backbone') -> RemoteFile:
    """Find a file in its cache, or download it.

    What was downloaded once is taken from the cache, without network.

    Args:
        source: ``hf-hub:ORG/NAME[@REVISION][/FILE]``, or an https URL.
        purpose: What is looked for in a repository where no file is named.

    Returns:
        The file, complete and checked.

    Raises:
        FileNotFoundError: If it is not here and cannot be downloaded; says where to put it.
        ValueError: If *source* is no such name, or the file is not the one that its checksum tells.
    """
    # the clients of networks take a while to import, and files do without
    if source.startswith(HUB):
        from .hub_files import obtain_from_hub

        return obtain_from_hub(source, purpose=purpose)
    from .url_files import obtain_from_url

    return obtain_from_url(source)


def localize(model: Any, *, purpose: Purpose = 'model') -> Any:
    """Turn the name of a file elsewhere into the path of it here, and leave all else as it is.

    Raises:
        FileNotFoundError: As :func:`obtain_file`.
        ValueError: As :func:`obtain_file`.
    """
    return obtain_file(fspath(model), purpose=purpose).path if is_elsewhere(model) else model


def tell_download(provenance: Mapping[str, str]) -> str:
    """Say where weights were downloaded from, in words to append to reports; '' for a file."""
    origin = provenance.get('downloaded_from')
    if origin is None:
        return ''
    return f', from {origin} with SHA-256 {provenance.get("downloaded_sha256")}'
