"""The directories of a TIFF, read without GDAL, which is silent about those that it cannot read.

Format: https://www.loc.gov/preservation/digital/formats/content/tiff_tags.shtml and, for BigTIFF,
https://gdal.org/en/stable/drivers/raster/gtiff.html.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

SIGNATURES = {
    b'II*\0': ('<', False),
    b'MM\0*': ('>', False),
    b'II+\0': ('<', True),
    b'MM\0+': ('>', True),
}
"""First bytes of a file: order of the bytes of numbers, and whether it is a BigTIFF."""

KIND = 254
"""Tag of what a directory describes; bit 0 means an overview, bit 2 a mask."""

REDUCED = 1

OFFSETS = (324, 273)
"""Tags of where blocks lie: tiles, strips."""

COUNTS = (325, 279)
"""Tags of how many bytes they have."""

# what decides pixels and their place; GDAL leaves out what it cannot read of these, or all of it
_NEEDED = {
    **dict.fromkeys(OFFSETS, 'the table of where its blocks lie'),
    **dict.fromkeys(COUNTS, 'the table of the sizes of its blocks'),
    **dict.fromkeys((33550, 33922, 34264), 'the place of its pixels'),
    **dict.fromkeys((34735, 34736, 34737), 'its coordinate reference system'),
    **dict.fromkeys((258, 338, 339), 'the types of its bands'),
    320: 'its palette',
    347: 'its JPEG tables',
    42112: 'its metadata',
    42113: 'its nodata value',
    50844: 'its rational polynomials',
}

# bytes per value of each type
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_WHOLE = {1: 'u1', 3: 'u2', 4: 'u4', 13: 'u4', 16: 'u8', 18: 'u8'}


class TruncatedTableError(ValueError):
    """Something of a directory lies beyond the end of the file; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Where the values of one tag lie."""

    offset: int
    """First byte of them in the file."""

    count: int
    """How many there are."""

    kind: int
    """Number of their type in the format."""

    order: str
    """Order of the bytes of a number: '<' or '>'."""

    @property
    def stop(self) -> int:
        """One past the last byte; of a type that is unknown, nothing is said."""
        return self.offset + self.count * _SIZES.get(self.kind, 0)

    def read(self, stream: BinaryIO, start: int, count: int) -> NDArray[np.unsignedinteger]:
        """Read some values that are whole numbers >= 0.

        Args:
            stream: The file.
            start: The first one, counted from 0.
            count: How many, at most.

        Returns:
            Shape (values,).
        """
        size = _SIZES[self.kind]
        stream.seek(self.offset + start * size)
        content = stream.read(min(count, self.count - start) * size)
        return np.frombuffer(content, dtype=f'{self.order}{_WHOLE[self.kind]}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """What one image of a TIFF says about itself."""

    kind: int
    """Value of the tag KIND."""

    tables: Mapping[int, Table]
    """By tag."""

    def table(self, tags: Sequence[int]) -> Table | None:
        """Find the first of some tags that holds whole numbers."""
        found = (self.tables[tag] for tag in tags if tag in self.tables)
        return next((table for table in found if table.kind in _WHOLE), None)

    def number(self, stream: BinaryIO, tag: int) -> int | None:
        """Read the first value of a tag, from a file; None where it holds no whole number."""
        table = self.table([tag])
        values = [] if table is None else table.read(stream, 0, 1).tolist()
        return values[0] if values else None


def read_directories(stream: BinaryIO, size: int) -> Iterator[Directory]:
    """Read all directories of a TIFF: image, overviews, masks, further pages.

    Args:
        stream: The file.
        size: Its bytes.

    Yields:
        One after the other.

    Raises:
        TruncatedTableError: If a directory, or what a tag that matters refers to, lies beyond the
            end of the file.
    """
    stream.seek(0)
    order, is_big = SIGNATURES[stream.read(4)]
    width = 8 if is_big else 4
    offset, seen = _number(stream, 8 if is_big else 4, width, order), set[int]()
    while offset and offset not in seen:
        seen.add(offset)
        count = _number(stream, offset, 8 if is_big else 2, order)
        first, step = offset + (8 if is_big else 2), 20 if is_big else 12
        if first + count * step > size:
            raise TruncatedTableError(f'the end of directory {len(seen)} of its header')
        tables = dict(
            _entry(stream, first + number * step, width=width, order=order)
            for number in range(count)
        )
        for tag, what in _NEEDED.items():
            if tag in tables and tables[tag].stop > size:
                raise TruncatedTableError(what)
        kind = tables.get(KIND)
        value = 0 if kind is None or kind.kind not in _WHOLE else int(kind.read(stream, 0, 1)[0])
        yield Directory(kind=value, tables=tables)
        offset = _number(stream, first + count * step, width, order)


def _entry(stream: BinaryIO, offset: int, *, width: int, order: str) -> tuple[int, Table]:
    """Read a tag, and where its values lie: in the entry itself if they fit."""
    tag, kind = (_number(stream, offset + place, 2, order) for place in (0, 2))
    count = _number(stream, offset + 4, width, order)
    place = offset + 4 + width
    if count * _SIZES.get(kind, 0) > width:
        place = _number(stream, place, width, order)
    return tag, Table(offset=place, count=count, kind=kind, order=order)


def _number(stream: BinaryIO, offset: int, width: int, order: str) -> int:
    """Read a whole number."""
    stream.seek(offset)
    content = stream.read(width)
    if len(content) < width:
        raise TruncatedTableError('the end of its header')
    return int.from_bytes(content, 'little' if order == '<' else 'big')
