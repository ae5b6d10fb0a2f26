"""One scene that several workers make together."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Literal

from ...messages import one_line
from ..device_memory import fit_batch, naming_shortage
from ..disk_space import check_room
from ..finishing import is_made
from ..plan import PredictionPlan
from ..resume.identity import identify, running, trials_of
from ..resume.journal import Journal, begin, is_begun, refuse_other, work_folder
from ..resume.parts import PlannedPart
from ..runtime import choose_runtime
from ..scenes import Job
from ..work import Work
from .claims import BEGINNING, FINISHING, Claim, Claims, Worker
from .events import Begun, Event, PartDone, PartFailed, SceneDone, SceneFailed
from .leftovers import remove_made
from .shared_plan import SharedPlan, share_variations

type Progress = Literal['settled', 'moved', 'waiting']
"""Whether a visit leaves nothing to do here, has done something, or could do nothing now."""

# seconds for which a worker that failed somewhere leaves that to others
_OTHERS_FIRST = 5.0


class UnfitWorkerError(ValueError):
    """This process cannot go on with what others have begun."""


class SharedScene:
    """What one worker knows of a scene that several make.

    A scene is begun by one worker, which prepares everything that is decided once, and writes it
    down as a header; the others wait for that. Its parts are taken by all. Whoever finds all parts
    done makes the file.
    """

    def __init__(
        self,
        number: int,
        job: Job,
        work: Work,
        worker: Worker,
        *,
        report: Callable[[Event], None],
        is_driven: bool,
        started: float,
    ) -> None:
        """Set up; nothing is read yet.

        Args:
            number: Place among the scenes.
            job: What is made of it.
            work: Makes it.
            worker: Who this is.
            report: Is told of what happens.
            is_driven: Whether a driver removes what nobody needs any more.
            started: When the whole began, in seconds since the epoch.
        """
        self.number, self.job, self.work, self.worker = number, job, work, worker
        self.report, self.is_driven, self.started = report, is_driven, started
        self.folder = work_folder(job.final, work.options.work)
        self.claims = Claims(self.folder, worker, lease=work.options.lease)
        self._shared: SharedPlan | None = None
        self._variations: list[SharedPlan] = []
        self._rests_until = 0.0
        self._is_made = False
        self._parts = 0

    def visit(self) -> Progress:
        """Do what can be done now.

        Returns:
            What came of it.

        Raises:
            UnfitWorkerError: If this process cannot go on with what others have begun.
        """
        last = self.claims.survey()
        if self._is_over(last):
            return 'settled'
        if monotonic() < self._rests_until or not self._is_needed(last):
            return 'waiting'
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:
            raise OSError(f'{self.folder} cannot be made; pass another path') from error
        self.claims.folder.mkdir(exist_ok=True)
        with Journal(self.folder, name=self.worker.name) as journal, self.claims.beating():
            shared = self._shared or self._prepare(last, journal)
            if shared is None:
                # nobody else may be asked whether it is made
                return 'moved' if self._is_made else 'waiting'
            if not self.work.options.overwrite and is_made(shared.plan, shared.identity):
                # by others meanwhile
                self._report_made(shared.plan)
                return 'moved'
            before = self._parts
            varied = [self._vary(each) for each in self._variations]
            self._predict(shared, journal)
            if all(varied):
                self._finish(shared, journal)
        return 'moved' if all(varied) or self._parts > before else 'waiting'

    def is_forgotten(self, error: Exception) -> bool:
        """Say whether an error means that others have made all, and removed the folder."""
        name = error.filename if isinstance(error, FileNotFoundError) else None
        return name is not None and Path(name).is_relative_to(self.folder)

    def _is_over(self, last: Mapping[str, Claim]) -> bool:
        """Say whether the scene is made, or given up; say so if it is."""
        finish = last.get(FINISHING)
        if self._is_made:
            return True
        if finish is not None and finish.state == 'done' and self.claims.is_of_this_run(finish):
            return True
        found = [(self.claims, claim) for claim in last.values()]
        for claims in (each.claims for each in self._variations):
            found += [(claims, claim) for claim in claims.survey().values()]
        for claims, claim in found:
            if claim.state in ('failed', 'refused') and not claims.is_free(claim):
                attempts = claims.attempts(claim)
                often = f' ({attempts} attempts)' if attempts > 1 else ''
                place = f'part {claim.key}{often}: ' if claim.key.isdecimal() else ''
                reason = f'{place}{claims.reason_of(claim)}'
                self.report(SceneFailed(scene=self.number, reason=reason))
                return True
        return False

    def _is_needed(self, last: Mapping[str, Claim]) -> bool:
        """Say whether there is something to do that nobody does."""
        if not is_begun(self.folder):
            begun = last.get(BEGINNING)
            return begun is None or begun.state == 'done' or self.claims.is_free(begun)
        if self._shared is None:
            return True
        return self._shared.is_needed() or any(each.is_needed() for each in self._variations)

    def _prepare(self, last: Mapping[str, Claim], journal: Journal) -> SharedPlan | None:
        """Read the scene, as whoever begins or with what that one has decided.

        Returns:
            What is to be predicted; None if there is nothing, or not yet.
        """
        if is_begun(self.folder):
            plan = self._join()
        elif self.claims.take(BEGINNING, last.get(BEGINNING)) is None:
            return None
        else:
            try:
                plan = self._begin()
            except (OSError, ValueError) as error:
                self._fail(self.claims, BEGINNING, error)
                return None
        if plan is None:
            return None
        self._variations = share_variations(plan, self.worker)
        shared = self._shared = SharedPlan(plan, self.worker, identity=self._identity)
        shared.recall(journal)
        every = [shared, *self._variations]
        self.report(
            Begun(
                scene=self.number,
                pixels=sum(each.pixels for each in every),
                pixels_before=sum(each.pixels_done for each in every),
            )
        )
        return shared

    def _begin(self) -> PredictionPlan | None:
        """Decide what is decided once, and write it down; None if the file was made before."""
        plan, was_made = self.work.share(self.job, may_be_made=not self.is_driven)
        if was_made:
            self._report_made(plan)
            self.claims.release(BEGINNING)
            return None
        self.work.check_picture(plan, self.job)
        check_room(plan)
        self._identity = identify(plan)
        plan = fit_batch(plan)
        with naming_shortage(plan):
            plan = choose_runtime(plan, key=self._identity['model_sha256'], progress=False)
        begin(plan.folder, self._identity | running(plan), notes=trials_of(plan))
        self.claims.settle(BEGINNING, 'done')
        return plan

    def _join(self) -> PredictionPlan | None:
        """Take what was decided; None if there is nothing to do any more."""
        try:
            with warnings.catch_warnings():
                # said by whoever has begun
                warnings.simplefilter('ignore')
                # while this worker loaded the model, others may have made the file
                plan, was_made = self.work.share(self.job, may_be_made=True)
                if was_made:
                    self._report_made(plan)
                    return None
                self._identity = identify(plan)
                refuse_other(self.folder, self._identity)
                return self._form(plan)
        except (OSError, ValueError):
            if is_begun(self.folder):
                raise
            # made by others meanwhile
            return None

    def _form(self, plan: PredictionPlan) -> PredictionPlan:
        """Bring the model into the form that was chosen."""
        try:
            plan = choose_runtime(plan, key=None, progress=False)
            refuse_other(self.folder, running(plan))
        except ValueError as error:
            raise UnfitWorkerError(one_line(error)) from error
        return plan

    def _vary(self, shared: SharedPlan) -> bool:
        """Work on a further map that the scene's is compared with; say whether it is made."""
        plan = shared.plan
        if is_made(plan, shared.identity):
            return True
        begin(plan.folder, {**shared.identity, **running(plan)}, notes=trials_of(plan))
        with Journal(plan.folder, name=self.worker.name) as journal, shared.claims.beating():
            if is_made(plan, shared.identity):
                # by others, meanwhile
                journal.remove()
                return True
            shared.recall(journal)
            self._predict(shared, journal)
            try:
                result = shared.make(journal, started=self.started)
            except (OSError, ValueError) as error:
                self._fail(shared.claims, FINISHING, error)
                return False
            if result is not None:
                journal.remove()
        return result is not None

    def _predict(self, shared: SharedPlan, journal: Journal) -> None:
        """Predict parts as long as any are free."""

        def finished(part: PlannedPart) -> None:
            self._parts += 1
            self.report(PartDone(scene=self.number, pixels=part.pixels))

        failed = shared.predict(journal, finished=finished)
        if failed is not None:
            part, reason = failed
            claim = shared.claims.survey().get(str(part.number))
            # whoever was thought dead may fail at what others have made, and forgotten
            if claim is not None and claim.state != 'done':
                self._rests_until = monotonic() + _OTHERS_FIRST
                self.report(PartFailed(scene=self.number, part=claim.key, reason=reason))

    def _finish(self, shared: SharedPlan, journal: Journal) -> None:
        """Make the files of the scene, if all parts are there and nobody else does."""
        try:
            result = shared.make(journal, started=self.started)
            if result is None:
                return
            summary = shared.plan.output.summarize(shared.plan, result)
            done = self.work.conclude(shared.plan, summary, self.job)
        except (OSError, ValueError) as error:
            self._fail(shared.claims, FINISHING, error)
            return
        self.report(SceneDone(scene=self.number, done=done))
        shared.claims.settle(FINISHING, 'done')
        self._clear()

    def _fail(self, claims: Claims, step: str, error: Exception) -> None:
        """Say that a step has failed; what is wrong with the data is so for everybody."""
        if self.is_forgotten(error):
            claims.release(step)
            return
        reason = one_line(error)
        if step == BEGINNING or not isinstance(error, OSError):
            claims.settle(step, 'refused', reason)
            return
        claims.settle(step, 'failed', reason)
        self._rests_until = monotonic() + _OTHERS_FIRST
        self.report(PartFailed(scene=self.number, part=step, reason=reason))

    def _report_made(self, plan: PredictionPlan) -> None:
        """Say that there was nothing to do, to the driver and to all workers."""
        last = self.claims.survey().get(FINISHING)
        if not self.claims.is_free(last) or self.claims.take(FINISHING, last) is None:
            return
        self.report(SceneDone(scene=self.number, done=self.work.keep(plan, self.job)))
        self.claims.settle(FINISHING, 'done')
        self._clear()

    def _clear(self) -> None:
        """Remove what nobody needs."""
        self._is_made = True
        remove_made(self.claims, is_driven=self.is_driven)
