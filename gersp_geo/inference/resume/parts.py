"""The parts of a prediction: which there are, and how they reach the disk."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...geoio.gdal import enter_gdal
from ...geoio.write import Part, checksum, is_sound, write_part
from ...windows import Panel
from ..outputs.map_counts import count_pixels
from ..plan import MapPlan, PredictionPlan
from ..streaming import FinishedRows
from .journal import Entry, Journal, PartFile


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPart:
    """What is predicted and written together, and done once."""

    number: int
    """Place among all parts."""

    panel: Panel
    """Columns."""

    rows: range
    """Rows of patches that settle its rows of pixels."""

    row_off: int
    """First row of pixels."""

    row_stop: int
    """One past the last."""

    @property
    def pixels(self) -> int:
        """Pixels of the map."""
        return (self.row_stop - self.row_off) * self.panel.width


def list_parts(plan: PredictionPlan) -> list[PlannedPart]:
    """List the parts of a prediction, panel by panel, from top to bottom."""
    count, settled = len(plan.tiles.row_offs), plan.weighting.rows.settled
    starts = [*range(0, count, plan.rows_per_part), count]
    groups = [(panel, range(*rows)) for panel in plan.panels for rows in pairwise(starts)]
    return [
        PlannedPart(
            number=number,
            panel=panel,
            rows=rows,
            row_off=settled[rows[0]][0],
            row_stop=settled[rows[-1]][1],
        )
        for number, (panel, rows) in enumerate(groups)
    ]


def runs_of(parts: Sequence[PlannedPart]) -> Iterator[list[PlannedPart]]:
    """Group parts of one panel that follow each other: what is open between them is kept.

    Args:
        parts: In their order; some may be missing.

    Yields:
        Parts without a gap between them.
    """
    run: list[PlannedPart] = []
    for part in parts:
        if run and (part.panel != run[-1].panel or part.number != run[-1].number + 1):
            yield run
            run = []
        run.append(part)
    if run:
        yield run


class PartWriter:
    """Collects finished rows into parts, and writes these in a thread of its own."""

    def __init__(self, plan: PredictionPlan, journal: Journal) -> None:
        """Set up; nothing is written yet.

        Args:
            plan: The plan.
            journal: Is told of every part that is complete.
        """
        self.plan = plan
        self.journal = journal
        self._rows: list[FinishedRows] = []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix='writer', initializer=enter_gdal)
        self._pending: Future[None] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Wait for the part that is being written."""
        self._pool.shutdown()
        if kind is None and self._pending is not None:
            self._pending.result()

    def add(self, part: PlannedPart, rows: FinishedRows) -> None:
        """Take finished rows of a part, from top to bottom.

        Raises:
            OSError: If an earlier part could not be written.
        """
        self._rows.append(rows)
        if rows.row != part.rows[-1]:
            return
        collected, self._rows = self._rows, []
        if self._pending is not None:
            # one part waits at most: memory is bounded
            self._pending.result()
        self._pending = self._pool.submit(self._write, part, collected)

    def _write(self, part: PlannedPart, collected: Sequence[FinishedRows]) -> None:
        """Write one part of every map, and then say so."""
        files = []
        for left, right in merge_columns(collected):
            for number, made in enumerate(self.plan.maps):
                pixels = _join(collected, number, made, left=left, right=right)
                name = f'{part.number:06}-{left:08}-{made.output}.tif'
                write_part(
                    self.journal.folder / name,
                    pixels,
                    nodata=made.layout.nodata,
                    threads=self.plan.threads,
                )
                place = PartFile(
                    name=name, map=number, col_off=left, width=right - left,
                    crc32=checksum(self.journal.folder / name),
                )  # fmt: skip
                files.append(place)
        counts = count_pixels(self.plan, collected)
        # its pixels were read before: what is said to be done is of one content
        self.plan.watch.check()
        self.journal.append(Entry(part=part.number, files=tuple(files), counts=counts))


def known_entries(
    plan: PredictionPlan, planned: Sequence[PlannedPart], journal: Journal
) -> dict[int, Entry]:
    """Read what a journal says of the parts of a plan; what says something else is no entry."""
    return {
        number: entry
        for number, entry in journal.entries().items()
        if number < len(planned) and _fits(plan, planned[number], entry)
    }


def _fits(plan: PredictionPlan, part: PlannedPart, entry: Entry) -> bool:
    """Say whether an entry is one of a part."""
    classes = len(plan.layout.class_names) if plan.output == 'classes' else 0
    counts = entry.counts
    return (
        len(counts.class_pixels) == classes
        and len(counts.class_areas_m2) in (0, classes)
        and all(
            file.map < len(plan.maps)
            and part.panel.col_off <= file.col_off
            and 0 < file.width <= part.panel.col_stop - file.col_off
            for file in entry.files
        )
    )


def damaged_files(
    parts: Sequence[PlannedPart], entries: Mapping[int, Entry], journal: Journal
) -> dict[int, str]:
    """Read the files of finished parts, and find those that are not as they were written.

    Args:
        parts: Those to look at.
        entries: What the journal says.
        journal: The journal.

    Returns:
        Number of the part to the first of its files that is damaged.
    """
    found: dict[int, str] = {}
    for part in parts:
        entry = entries.get(part.number)
        for file in () if entry is None else entry.files:
            if not is_sound(_place(part, file, journal), crc=file.crc32):
                found.setdefault(part.number, file.name)
    return found


def locate(
    planned: Sequence[PlannedPart], entries: dict[int, Entry], journal: Journal, number: int
) -> list[Part]:
    """Say where the files of one map lie in it.

    Args:
        planned: All parts.
        entries: What the journal says of each.
        journal: The journal.
        number: Of the map in the plan.

    Returns:
        Its files.
    """
    return [
        _place(part, file, journal)
        for part in planned
        for file in entries[part.number].files
        if file.map == number
    ]


def _place(part: PlannedPart, file: PartFile, journal: Journal) -> Part:
    """Say where a file of a part lies in its map."""
    return Part(
        path=str(journal.folder / file.name),
        row_off=part.row_off,
        col_off=file.col_off,
        height=part.row_stop - part.row_off,
        width=file.width,
    )


def merge_columns(collected: Sequence[FinishedRows]) -> list[tuple[int, int]]:
    """Join the ranges of columns in which any of some rows hold something."""
    merged: list[tuple[int, int]] = []
    for left, right in sorted((p.col_off, p.col_stop) for rows in collected for p in rows.pieces):
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(right, merged[-1][1]))
        else:
            merged.append((left, right))
    return merged


def _join(
    collected: Sequence[FinishedRows], number: int, made: MapPlan, *, left: int, right: int
) -> NDArray[np.generic]:
    """Put the pieces of some rows in a range of columns together; the rest is nodata."""
    pieces = [(rows, p) for rows in collected for p in rows.pieces if left <= p.col_off < right]
    first = collected[0].row_off
    height = sum(rows.height for rows in collected)
    if len(pieces) == 1 and pieces[0][1].maps[number].shape[1:] == (height, right - left):
        return pieces[0][1].maps[number]
    shape = (len(made.layout.descriptions), height, right - left)
    joined = np.full(shape, made.layout.nodata, dtype=made.layout.dtype)
    for rows, piece in pieces:
        place = (
            slice(rows.row_off - first, rows.row_off - first + rows.height),
            slice(piece.col_off - left, piece.col_stop - left),
        )
        joined[:, *place] = piece.maps[number]
    return joined
