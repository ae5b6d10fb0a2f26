"""Parts and files of one plan that several workers carry out together."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from time import time
from typing import Any

from ...messages import one_line
from ..disk_space import advising
from ..engine import predict_parts
from ..finishing import finish_parts
from ..outputs.output import Result
from ..plan import PredictionPlan
from ..resume.entries import Counts, Entry
from ..resume.identity import identify
from ..resume.journal import Journal
from ..resume.parts import PlannedPart, damaged_files, known_entries, list_parts
from .claims import FINISHING, Claim, Claims, Worker
from .part_queue import PartQueue


class SharedPlan:
    """A plan, who works on it, and what of it is done."""

    def __init__(
        self, plan: PredictionPlan, worker: Worker, *, identity: Mapping[str, Any] | None = None
    ) -> None:
        """Look at the claims on a plan.

        Args:
            plan: The plan, whose model is in the form in which it runs.
            worker: Who this is.
            identity: What decides the result; found out unless given.
        """
        self.plan, self.worker = plan, worker
        self.identity = identify(plan) if identity is None else identity
        self.claims = Claims(plan.folder, worker, lease=plan.options.lease)
        self.queue = PartQueue(list_parts(plan), self.claims)

    @property
    def pixels(self) -> int:
        """Pixels of all parts."""
        return sum(part.pixels for part in self.queue.parts)

    @property
    def pixels_done(self) -> int:
        """Pixels of the parts that are done."""
        last = self.claims.survey()
        done = {key for key, claim in last.items() if claim.state == 'done'}
        return sum(part.pixels for part in self.queue.parts if str(part.number) in done)

    def recall(self, journal: Journal) -> None:
        """Take what was done before, maybe by a process that claims nothing, as done."""
        self.claims.folder.mkdir(exist_ok=True)
        # in this order: whoever finishes a part now has claimed it before
        entries = known_entries(self.plan, self.queue.parts, journal)
        last = self.claims.survey()
        for number in entries:
            if str(number) not in last:
                self.claims.note(str(number))

    def is_needed(self) -> bool:
        """Say whether there is something to do that nobody does."""
        last = self.claims.survey()
        if self.queue.is_done(last):
            return self.claims.is_free(last.get(FINISHING))
        return self.queue.has_free(last)

    def predict(
        self, journal: Journal, *, finished: Callable[[PlannedPart], None]
    ) -> tuple[PlannedPart, str] | None:
        """Predict parts as long as any are free.

        Args:
            journal: Of this worker.
            finished: Is told of parts that are complete.

        Returns:
            The part at which that failed, if it did, and why.
        """

        def settle(part: PlannedPart) -> None:
            self.queue.done(part)
            finished(part)

        try:
            predict_parts(self.plan, self.queue.runs(), journal, finished=settle)
        except Exception as error:
            reason = one_line(error)
            part = self.queue.fail(reason)
            if part is None or not isinstance(error, OSError | ValueError):
                raise
            return part, reason
        finally:
            self.queue.release()
        return None

    def make(self, journal: Journal, *, started: float) -> Result | None:
        """Make files of parts.

        Args:
            journal: Of this worker.
            started: When the whole began, in seconds since the epoch.

        Returns:
            What was made, and the claim on that is held; None if parts are missing, or another
            worker makes them.

        Raises:
            OSError: If a file cannot be read or written; the claim is held.
            ValueError: If the file cannot hold what was found; the claim is held.
        """
        last = self.claims.survey()
        finish = last.get(FINISHING)
        if not self.queue.is_done(last) or not self.claims.is_free(finish):
            return None
        claim = self.claims.take(FINISHING, finish)
        if claim is None:
            return None
        begun, parts = time(), self.queue.parts
        entries = known_entries(self.plan, parts, journal)
        if self._reopen(entries, last, journal):
            self.claims.release(FINISHING)
            return None
        with advising(self.plan):
            # whoever was thought dead while it made files makes them elsewhere
            place = self.plan.folder / f'finish-{claim.attempt}'
            facts = finish_parts(self.plan, parts, entries, self.identity, place=place)
        before = journal.entries(without=f'{self.worker.run}-').keys() & entries.keys()
        return Result(
            counts=Counts.total([entry.counts for entry in entries.values()]),
            parts=len(entries) - len(before),
            parts_before=len(before),
            pixels_now=sum(part.pixels for part in parts if part.number not in before),
            seconds=max(time() - started, 1e-3),
            seconds_finishing=time() - begun,
            is_complete=True,
            facts=facts,
        )

    def _reopen(
        self, entries: Mapping[int, Entry], last: Mapping[str, Claim], journal: Journal
    ) -> bool:
        """Have parts made anew whose files are damaged or missing; say whether there are any."""
        parts = self.queue.parts
        wrong = damaged_files(self.plan, parts, entries, journal).keys() | {
            part.number for part in parts if part.number not in entries
        }
        for number in wrong:
            for file in entries[number].files if number in entries else ():
                # else a journal of an earlier process would go on to name it
                (self.plan.folder / file.name).unlink(missing_ok=True)
            self.claims.reopen(last[str(number)])
        if wrong:
            warnings.warn(
                f'{len(wrong)} of {len(parts)} finished parts of {self.plan.destination} are '
                f'damaged, the first is number {min(wrong)}; they are made anew',
                stacklevel=2,
            )
        return bool(wrong)


def share_variations(plan: PredictionPlan, worker: Worker) -> list[SharedPlan]:
    """Look at the claims on the further maps that a map is compared with.

    Args:
        plan: Of the map, whose model is in the form in which it runs.
        worker: Who this is.

    Returns:
        One for each, by the same model, as it runs for the map.
    """
    alike = {
        'batch_size': plan.batch_size, 'runtime': plan.runtime, 'loaded': plan.loaded,
        'torch_threads': plan.torch_threads,
    }  # fmt: skip
    return [
        SharedPlan(
            replace(each, output=each.output.run_by(plan.loaded), **alike),  # type: ignore[arg-type]  # fields of the plan
            worker,
            identity=identify(each),
        )
        for each in plan.variations
    ]
