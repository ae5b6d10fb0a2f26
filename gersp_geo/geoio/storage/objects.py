"""Objects in stores: looked up, and written whole."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..write.atomic import STALE_SIDECARS, new_file
from .names import ObjectName
from .settings import open_store

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# bytes that are sent at once; S3 takes 10,000 pieces of an object, and at least 5 MiB of each
_PIECE, _MOST_PIECES = 8 * 2**20, 10_000

# pieces on their way at the same time, so that memory is bounded
_AT_ONCE = 4

# metadata of an object: what it was made of
_FINGERPRINT = 'prediction'

# what says who a machine of a cloud is; elsewhere nothing answers there
_METADATA = re.compile(r'169\.254\.\d+\.\d+|metadata\.google\.internal')

_STATUS = re.compile(r'status code: (\d{3})')
_CODE = re.compile(r'<Code>(\w+)</Code>')


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What a store says of an object."""

    size: int
    """Bytes."""

    e_tag: str | None
    """Changes with the content."""

    fingerprint: str | None
    """What it was made of, as :func:`upload` was told; None for objects of others."""


def check_stores(names: Sequence[str | PathLike[str]]) -> None:
    """Refuse names in stores that cannot be reached, once for each bucket, before any work.

    Raises:
        OSError: If a store does not answer, forbids it, or has no such bucket.
        ValueError: If one names no object.
    """
    for place in {(p.scheme, p.bucket): p for p in map(ObjectName.of, names)}.values():
        with _reaching(place):
            # the first page is enough; a missing object of a missing bucket is just missing
            next(iter(open_store(place).list(place.key or None, chunk_size=1)), None)


def look_up(name: str | PathLike[str]) -> StoredObject | None:
    """Ask for an object; None where there is none.

    Raises:
        OSError: If the store does not answer, or forbids it.
        ValueError: If it names no object.
    """
    place = ObjectName.of(name)
    with suppress(FileNotFoundError), _reaching(place):
        found = open_store(place).get(place.key, options={'head': True})
        return StoredObject(
            size=found.meta['size'],
            e_tag=found.meta['e_tag'],
            fingerprint=found.attributes.get(_FINGERPRINT),
        )
    return None


def list_objects(name: str | PathLike[str], suffixes: Sequence[str]) -> list[str]:
    """List the objects of a folder by their endings, at any depth and sorted.

    Raises:
        OSError: If the store does not answer, or forbids it.
        ValueError: If it names no folder.
    """
    place = ObjectName.of(name)
    with _reaching(place):
        pages = open_store(place).list(place.key or None)
        keys = sorted(each['path'] for page in pages for each in page)
    return [
        str(ObjectName(scheme=place.scheme, bucket=place.bucket, key=key))
        for key in keys
        if PurePosixPath(key).suffix.lower() in suffixes
    ]


def upload(path: Path, name: str | PathLike[str], *, fingerprint: str | None = None) -> None:
    """Write a finished file to a store, as a whole: until then, an older object stays as it is.

    What GDAL reads beside it goes before it; what lies there of an older object is removed.

    Args:
        path: The file.
        name: Of the object, which is replaced if it exists.
        fingerprint: What the file was made of, for :func:`look_up`.

    Raises:
        OSError: If it fails; the store is then told to forget what it has of the file.
        ValueError: If it names no object, or obstore is not installed.
    """
    place = ObjectName.of(name)
    with _reaching(place):
        store = open_store(place)
        for ending in STALE_SIDECARS:
            beside = path.with_name(path.name + ending)
            if beside.exists():
                _put(store, place.key + ending, beside, None)
            else:
                with suppress(FileNotFoundError):
                    store.head(place.key + ending)
                    store.delete(place.key + ending)
        _put(store, place.key, path, fingerprint)


def _put(store: 'ObjectStore', key: str, path: Path, fingerprint: str | None) -> None:
    """Write one object."""
    size = path.stat().st_size
    piece = max(_PIECE, -(-size // _MOST_PIECES))
    with path.open('rb') as stream:
        store.put(
            key,
            # read here, piece by piece, an upload ends when somebody presses Ctrl-C
            stream.read() if size <= piece else iter(lambda: stream.read(piece), b''),
            attributes={} if fingerprint is None else {_FINGERPRINT: fingerprint},
            chunk_size=piece,
            max_concurrency=_AT_ONCE,
        )


def download(name: str | PathLike[str], path: Path) -> None:
    """Copy an object into a file, which appears when it is complete.

    Raises:
        FileExistsError: If the file exists.
        OSError: If it fails, or there is no such object.
        ValueError: If it names no object.
    """
    place = ObjectName.of(name)
    with _reaching(place), new_file(path) as unfinished, unfinished.open('wb') as stream:
        for piece in open_store(place).get(place.key).stream(min_chunk_size=_PIECE):
            stream.write(piece)


@contextmanager
def _reaching(place: ObjectName) -> Iterator[None]:
    """Say in one line what is wrong with a store; its own words hold addresses with passwords."""
    try:
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise ValueError(
            f"{place} needs obstore, which is not installed: pip install 'gersp-geo[storage]'"
        ) from error
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f'{place} does not exist, or its bucket does not') from None
    except BaseError as error:
        raise OSError(f'{place} cannot be reached: {_reason(str(error), place)}') from None


def _reason(text: str, place: ObjectName) -> str:
    """Word what a store has answered."""
    if 'NoSuchBucket' in text or 'ContainerNotFound' in text:
        return f'there is no bucket {place.bucket}; make it first, or pass another'
    if _METADATA.search(text):
        return 'no credentials are set; pass them by environment variables, as GDAL reads them'
    status, code = _STATUS.search(text), _CODE.search(text)
    if status is not None:
        said = ' '.join(match[1] for match in (status, code) if match)
        if status[1] in ('401', '403'):
            return f'the store forbids it ({said}); check credentials and region'
        return f'the store answers {said}'
    return 'no store answers, or the connection broke; check network, endpoint and AWS_HTTPS'
