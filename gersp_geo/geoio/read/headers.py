"""Headers of many rasters, read once and remembered on disk."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

from affine import Affine
from rasterio.crs import CRS
from rich.console import Console
from rich.progress import track

from ..crs import crs_text
from .cache import file_stamps, recall, remember
from .georeference import Georeference
from .reader import RasterHeader, UnreadableFileError, read_header
from .sidecars import ways_of_looking

KIND = 'headers'

# raised whenever the records below change, so that older ones are read anew
VERSION = 3

# seconds; headers that took less are read anew each time
WORTH_KEEPING = 1.0

# files; from here on, reading takes seconds
SHOW_PROGRESS_FROM = 500

type Found = RasterHeader | UnreadableFileError


def read_headers(files: Sequence[str]) -> list[Found]:
    """Read the headers of rasters, those that have not changed from the cache.

    Where there are many, a bar is shown.

    Args:
        files: Paths, or names that only GDAL understands; these are read each time.

    Returns:
        One per file; the error in place of the header of a file that cannot be read.

    Raises:
        ValueError: If a file holds no bands of its own.
    """
    paths = [os.path.abspath(file) for file in files]
    key = ' '.join([os.path.commonpath(paths) if paths else '', *ways_of_looking()])
    known = Headers.load(key)
    stamps = file_stamps(files)
    new = [
        place
        for place, (path, stamp) in enumerate(zip(paths, stamps, strict=True))
        if stamp is None or known.stamp(path) != stamp
    ]
    begin = monotonic()
    failed: dict[int, UnreadableFileError] = {}
    shown: Iterable[int] = new
    if len(new) >= SHOW_PROGRESS_FROM:
        shown = track(
            new, 'Reading headers of rasters', console=Console(stderr=True), transient=True
        )
    for place in shown:
        try:
            known.add(paths[place], read_header(files[place]), stamp=stamps[place])
        except UnreadableFileError as error:
            failed[place] = error
    if monotonic() - begin > WORTH_KEEPING:
        known.save(key)
    return [failed.get(place) or known.records[path][1] for place, path in enumerate(paths)]


class Headers:
    """Headers by absolute path, with each CRS held once."""

    def __init__(self) -> None:
        """Initialize a new Headers instance."""
        self.records: dict[str, tuple[list[int] | None, RasterHeader]] = {}
        self.crs: dict[str | None, CRS | None] = {None: None}

    @classmethod
    def load(cls, key: str) -> 'Headers':
        """Read what was remembered under *key*; nothing, where it cannot be understood."""
        headers = cls()
        saved = recall(KIND, key)
        if not isinstance(saved, dict) or saved.get('version') != VERSION:
            return headers
        crs = [text and CRS.from_wkt(text) for text in saved['crs']]
        headers.crs |= dict(zip(saved['crs'], crs, strict=True))
        for path, (stamp, number, record) in saved['files'].items():
            headers.records[path] = stamp, from_record(record, crs=crs[number])
        return headers

    def save(self, key: str) -> None:
        """Remember everything under *key*, but what has no stamp."""
        numbers = {id(crs): number for number, crs in enumerate(self.crs.values())}
        files = {
            path: (stamp, numbers[id(header.crs)], to_record(header))
            for path, (stamp, header) in self.records.items()
            if stamp is not None and os.path.exists(path)
        }
        remember(KIND, key, {'version': VERSION, 'crs': list(self.crs), 'files': files})

    def stamp(self, path: str) -> list[int] | None:
        """Say which content of a file is known."""
        return self.records[path][0] if path in self.records else None

    def add(self, path: str, header: RasterHeader, *, stamp: list[int] | None) -> None:
        """Keep a header."""
        text = None if header.crs is None else crs_text(header.crs)
        crs = self.crs.setdefault(text, header.crs)
        self.records[path] = stamp, replace(header, crs=crs)


# in the order of the records on disk
_FIELDS = (
    'height', 'width', 'count', 'dtype', 'nodata', 'descriptions', 'alpha', 'masks',
    'interpretations', 'scales', 'offsets',
)  # fmt: skip


def to_record(header: RasterHeader) -> list[Any]:
    """Turn all but the CRS into what JSON holds exactly."""
    plain = [getattr(header, name) for name in _FIELDS]
    place = header.georeference.to_record()
    return [*plain, list(header.block_shape), list(header.transform)[:6], place]


def from_record(record: Sequence[Any], *, crs: CRS | None) -> RasterHeader:
    """Turn a record back into a header."""
    *plain, block_shape, transform, place = record
    # JSON has no tuples
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in zip(_FIELDS, plain, strict=True)
    }
    return RasterHeader(
        block_shape=(block_shape[0], block_shape[1]),
        transform=Affine(*transform),
        crs=crs,
        georeference=Georeference.from_record(place),
        **fields,
    )
