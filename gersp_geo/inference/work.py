"""What a model makes of one scene after the other, from the header to the picture."""

from dataclasses import dataclass, replace
from typing import Any

from .calibration import measure_costs
from .finishing import is_made, refuse_existing, refuse_files
from .options import MapOptions, PredictionOptions
from .output_paths import FileToMake
from .outputs.output import Maker
from .plan import PredictionPlan
from .planned import PlannedScene
from .prepare import prepare
from .preview import check_picture
from .resume.identity import identify
from .run import run_plan
from .scenes import Done, Job
from .stored_results import clear, deliver, fetch, has_result, name_targets, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Makes one kind of result of scenes, by one model."""

    maker: Maker
    """Has loaded the model, once for all scenes."""

    options: PredictionOptions
    """How it is made."""

    is_single: bool
    """Whether there is one scene, so that an existing file is refused, whoever made it."""

    def run(self, job: Job) -> Done:
        """Make a file, unless it was made before, and its picture, unless it is there."""
        plan, was_made = self._prepare(job)
        if was_made:
            return self.keep(plan, job)
        self.check_picture(plan, job)
        return self.conclude(plan, run_plan(plan, progress=self.options.progress), job)

    def conclude(self, plan: PredictionPlan, summary: Any, job: Job) -> Done:
        """Do what is to be done once the files are made."""
        drawn = _draw(plan, summary, job) if summary.complete else None
        clear(plan.output.files, self.options.work)
        return Done(summary=name_targets(summary, self.options.work), picture=drawn)

    def keep(self, plan: PredictionPlan, job: Job) -> Done:
        """Draw the picture of a file that was made before, unless it is there."""
        work = self.options.work
        is_missing = job.picture is not None and not has_result(job.picture, work)
        if is_missing:
            fetch(plan.output.files, work)
        drawn = _draw(plan, None, job) if is_missing else None
        clear(plan.output.files, work)
        return Done(summary=None, picture=drawn)

    def check_picture(self, plan: PredictionPlan, job: Job) -> None:
        """Refuse a picture that is there, or of what cannot be drawn."""
        if job.picture is None:
            return
        check_picture(job.picture, overwrite=self.options.overwrite)
        if not self.options.overwrite and has_result(job.picture, self.options.work):
            name = shown(job.picture, self.options.work)
            raise FileExistsError(f'{name} exists; pass another path, or overwrite (--overwrite)')
        plan.output.check_drawing()

    def share(self, job: Job, *, may_be_made: bool) -> tuple[PredictionPlan, bool]:
        """Check that all fits where several workers make a file.

        Args:
            job: The scene.
            may_be_made: Whether a file that was made before is no error.

        Returns:
            The plan, and whether the file was made before.

        Raises:
            FileExistsError: If a file is there and may not be replaced.
        """
        # parts are never begun anew here: other workers may be at work
        options = replace(self.options, overwrite=False)
        plan = prepare(type(self.maker), self.maker, job.scene, job.final, options, may_exist=True)
        if self.options.overwrite:
            return plan, False
        identity = identify(plan)
        if (may_be_made or not self.is_single) and is_made(plan, identity):
            return plan, True
        # with the folder, the claims of this worker and others would go
        refuse_files(plan, identity)
        return plan, False

    def plan(self, job: Job, *, calibrate: bool) -> PlannedScene:
        """Say what :meth:`run` would do."""
        plan, was_made = self._prepare(job)
        name = str(job.target or job.final)
        if was_made:
            made = f'{name}: made before, of the same scene, model and options'
            text = f'{"scene":<10} {job.scene}\n{self.maker.result:<10} {made}'
            return PlannedScene.of(plan, destination=name, text=text, was_made=True)
        # a detector takes seconds per patch, and longer on a real one than on zeros
        is_quick = isinstance(self.options, MapOptions)
        if is_quick or calibrate:
            plan = measure_costs(plan, calibrate=calibrate)
        text = str(plan)
        for path in plan.output.files:
            text = text.replace(str(path), shown(path, self.options.work))
        return PlannedScene.of(plan, destination=name, text=text, was_made=False)

    def _prepare(self, job: Job) -> tuple[PredictionPlan, bool]:
        """Check that all fits; say whether the file was made before, no error among several."""
        plan = prepare(
            type(self.maker), self.maker, job.scene, job.final, self.options,
            may_exist=not self.is_single,
        )  # fmt: skip
        if self.is_single and not self.options.overwrite and job.target is not None:
            refuse_existing(plan, identify(plan))
        if self.is_single or self.options.overwrite:
            return plan, False
        was_made = is_made(plan, identify(plan))
        # of shards, the engine says so, with another advice
        if not was_made and plan.shard is None and job.target is not None:
            refuse_existing(plan, identify(plan))
        elif not was_made and plan.shard is None:
            file = FileToMake(path=job.final, suffixes=(job.final.suffix,), holds='a result')
            file.check(sources=(), overwrite=False)
        return plan, was_made


def _draw(plan: PredictionPlan, summary: Any, job: Job) -> str | None:
    """Draw the scene and what was made of it, if a picture is wanted; name the picture."""
    if job.picture is None:
        return None
    work, drawn = plan.options.work, plan.output.draw(plan, summary, job.picture)
    deliver([drawn], work)
    clear([drawn], work)
    return shown(drawn, work)
