"""What a journal says of a finished part, and how that is written as a line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a part holds."""

    valid_pixels: int = 0
    """Pixels with an observation of interest."""

    forwarded: int = 0
    """Patches that were given to the model."""

    class_pixels: tuple[int, ...] = ()
    """Per class: pixels."""

    class_areas_m2: tuple[float, ...] = ()
    """Per class: area in square metres; empty where the CRS does not tell."""

    boxes: int = 0
    """Boxes that a detector found, duplicates included."""

    full_patches: int = 0
    """Patches in which it found as many objects as it returns at most."""

    @classmethod
    def total(cls, counted: Sequence['Counts']) -> 'Counts':
        """Sum the counts of parts up, in their order."""
        has_areas = all(len(each.class_areas_m2) == len(each.class_pixels) for each in counted)
        areas = zip(*(each.class_areas_m2 for each in counted), strict=True) if has_areas else ()
        return cls(
            valid_pixels=sum(each.valid_pixels for each in counted),
            forwarded=sum(each.forwarded for each in counted),
            class_pixels=tuple(map(sum, zip(*(c.class_pixels for c in counted), strict=True))),
            class_areas_m2=tuple(map(sum, areas)),
            boxes=sum(each.boxes for each in counted),
            full_patches=sum(each.full_patches for each in counted),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFile:
    """A file with what is known of a part."""

    name: str
    """In the folder of the journal."""

    map: int
    """Number of the map in the plan; 0 where there are none."""

    col_off: int
    """First column of its pixels; its rows are those of the part."""

    width: int
    """Columns."""

    crc32: int | None = None
    """Checksum of the file; None where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finished part."""

    part: int
    """Its number in the plan."""

    files: tuple[PartFile, ...]
    """What is not all nodata."""

    counts: Counts
    """What it holds."""


def to_line(entry: Entry) -> bytes:
    """Write an entry as a line of a file."""
    content = asdict(entry)
    return json.dumps({'entry': content, 'crc32': _checksum(content)}).encode() + b'\n'


def read_entries(path: Path) -> Iterator[Entry]:
    """Read the entries of a file; a line that is none is left out, and its part made anew."""
    for line in path.read_bytes().split(b'\n')[:-1]:
        # a process may have been killed on a system that writes out of order
        with suppress(LookupError, TypeError, ValueError, RecursionError):
            yield _to_entry(json.loads(line))


def _to_entry(record: Mapping[str, Any]) -> Entry:
    """Read an entry.

    Raises:
        LookupError: If something is missing.
        TypeError: If something has another name, or is of another type.
        ValueError: If it is not as it was written.
    """
    content, counts = record['entry'], record['entry']['counts']
    if record['crc32'] != _checksum(content):
        raise ValueError('the line has changed')
    return Entry(
        part=content['part'],
        files=tuple(PartFile(**file) for file in content['files']),
        counts=Counts(
            valid_pixels=counts['valid_pixels'],
            forwarded=counts['forwarded'],
            class_pixels=tuple(counts['class_pixels']),
            class_areas_m2=tuple(counts['class_areas_m2']),
            boxes=counts['boxes'],
            full_patches=counts['full_patches'],
        ),
    )


def _checksum(content: Any) -> int:
    """Compute a checksum of plain JSON, however it is laid out."""
    return crc32(json.dumps(content, sort_keys=True).encode())
