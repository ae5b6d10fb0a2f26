"""Names of objects in stores, and of the files that they are made as."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Self

SCHEMES = ('s3', 'gs', 'az')
"""Kinds of stores: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage."""

# pathlib leaves one slash of two
_NAME = re.compile(rf'({"|".join(SCHEMES)}):/+([^/?]+)(?:/([^?]*))?(\?.*)?', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectName:
    """Name of an object, or of the folder that several have in common."""

    scheme: str
    """One of :data:`SCHEMES`."""

    bucket: str
    """Bucket, or container of Azure."""

    key: str
    """Name in it, without a slash at either end; empty for all of it."""

    @classmethod
    def of(cls, name: str | PathLike[str]) -> Self:
        """Take a name apart.

        Raises:
            ValueError: If it names no object, or carries a query, which may hold a password.
        """
        match = _NAME.fullmatch(os.fspath(name))
        if match is None:
            raise ValueError(
                f'{os.fspath(name).partition("?")[0]} names no object; pass s3://BUCKET/NAME, '
                'gs://BUCKET/NAME or az://CONTAINER/NAME'
            )
        scheme, bucket, key, query = match.groups()
        found = cls(scheme=scheme, bucket=bucket, key=(key or '').strip('/'))
        if query:
            raise ValueError(
                f'{found} is followed by a query (?); leave it out, and pass what gives access by '
                'environment variables'
            )
        # such names are files and folders while they are made
        if not {'', '.', '..'}.isdisjoint(found.key.split('/')) and found.key:
            raise ValueError(
                f'{found} has an empty name, "." or ".." between slashes; leave it out'
            )
        return found

    def __str__(self) -> str:
        """Write it as users do."""
        return f'{self.scheme}://{self.bucket}/{self.key}'


def is_remote(name: str | PathLike[str]) -> bool:
    """Say whether a name means an object in a store, by its beginning."""
    return os.fspath(name).startswith(tuple(f'{scheme}:/' for scheme in SCHEMES))


def local_copy(name: str | PathLike[str], folder: str | PathLike[str]) -> Path:
    """Name the file that an object is made as, before it is uploaded.

    Args:
        name: Of the object.
        folder: Where such files lie; different objects are different files there.

    Returns:
        A path that ends like the name.

    Raises:
        ValueError: If it names no object.
    """
    place = ObjectName.of(name)
    return Path(folder, place.scheme, place.bucket, *PurePosixPath(place.key).parts)


def object_of(path: Path, folder: str | PathLike[str]) -> str | None:
    """Name the object that a file of :func:`local_copy` becomes; None for any other file."""
    with suppress(ValueError):
        scheme, bucket, *key = path.relative_to(folder).parts
        if scheme in SCHEMES and key:
            return str(ObjectName(scheme=scheme, bucket=bucket, key='/'.join(key)))
    return None


def object_read(name: str | PathLike[str]) -> str | None:
    """Name the object that GDAL reads under a name; None for anything else."""
    text = os.fspath(name)
    for scheme in SCHEMES:
        for beginning in (f'/vsi{scheme}/', f'/vsi{scheme}_streaming/'):
            text = text.replace(beginning, f'{scheme}://') if text.startswith(beginning) else text
    with suppress(ValueError):
        return str(ObjectName.of(text))
    return None
