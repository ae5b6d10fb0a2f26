"""The parts of a prediction: which there are, and how they reach the disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from ...geoio.gdal import enter_gdal
from ...windows import Panel
from .entries import Entry, PartFile
from .journal import Journal

if TYPE_CHECKING:
    from ..outputs.output import Settled
    from ..plan import PredictionPlan


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

    attempt: int = 0
    """How often it was given out before, by claims: each writes files of its own."""

    @property
    def stem(self) -> str:
        """How the names of its files begin."""
        return f'{self.number:06}{f"-{self.attempt}" if self.attempt else ""}'

    @property
    def pixels(self) -> int:
        """Pixels that it settles."""
        return (self.row_stop - self.row_off) * self.panel.width


def list_parts(plan: 'PredictionPlan') -> list[PlannedPart]:
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
    """Collects what was settled into parts, and writes these in a thread of its own."""

    def __init__(
        self,
        plan: 'PredictionPlan',
        journal: Journal,
        *,
        finished: Callable[[PlannedPart], None] | None = None,
    ) -> None:
        """Set up; nothing is written yet.

        Args:
            plan: The plan.
            journal: Is told of every part that is complete.
            finished: Is told of it then.
        """
        self.plan = plan
        self.journal = journal
        self._finished = finished
        self._settled: list[Settled[Any]] = []
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

    def add(self, part: PlannedPart, settled: 'Settled[Any]') -> None:
        """Take what a row of patches settled in a part, from top to bottom.

        Raises:
            OSError: If an earlier part could not be written.
        """
        self._settled.append(settled)
        if settled.row != part.rows[-1]:
            return
        collected, self._settled = self._settled, []
        if self._pending is not None:
            # one part waits at most: memory is bounded
            self._pending.result()
        self._pending = self._pool.submit(self._write, part, collected)

    def _write(self, part: PlannedPart, collected: Sequence['Settled[Any]']) -> None:
        """Write one part, and then say so."""
        plan, journal = self.plan, self.journal
        files, counts = plan.output.write(plan, part, collected, journal.folder)
        # its pixels were read before: what is said to be done is of one content
        plan.watch.check()
        journal.append(Entry(part=part.number, files=files, counts=counts))
        if self._finished is not None:
            self._finished(part)


def known_entries(
    plan: 'PredictionPlan', planned: Sequence[PlannedPart], journal: Journal
) -> dict[int, Entry]:
    """Read what a journal says of the parts of a plan; what says something else is no entry."""
    return {
        number: entry
        for number, entry in journal.entries().items()
        if number < len(planned)
        and plan.output.fits(entry)
        and all(_lies_in(file, planned[number].panel) for file in entry.files)
    }


def _lies_in(file: PartFile, panel: Panel) -> bool:
    """Say whether the columns of a file are some of a panel."""
    return panel.col_off <= file.col_off and 0 < file.width <= panel.col_stop - file.col_off


def damaged_files(
    plan: 'PredictionPlan',
    parts: Sequence[PlannedPart],
    entries: Mapping[int, Entry],
    journal: Journal,
) -> dict[int, str]:
    """Read the files of finished parts, and find those that are not as they were written.

    Args:
        plan: The plan.
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
            if not plan.output.is_sound(part, file, journal.folder):
                found.setdefault(part.number, file.name)
    return found
