"""What ``gersp-geo predict`` and ``plan`` do with models that score pixels: maps of scenes."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

from .calibration import measure_costs
from .engine import is_made, run_plan
from .jobs import Done, Job, Jobs
from .model.load import Forward, LoadedModel, load_model
from .options import PredictionOptions
from .output_paths import check_destination
from .plan import PredictionPlan
from .preparing import prepare
from .preview import ShownScene, check_picture, write_preview
from .resume.identity import identify


@dataclass(frozen=True, slots=True, kw_only=True)
class MapWork:
    """Makes maps of scenes, by one model."""

    loaded: LoadedModel
    """The model, loaded once for all scenes."""

    options: PredictionOptions
    """How they are predicted."""

    is_single: bool
    """Whether there is one scene, so that an existing map is refused, whoever made it."""

    @classmethod
    def of(
        cls, model: str | PathLike[str] | Forward, jobs: Jobs, arguments: dict[str, Any]
    ) -> Self:
        """Check the options, and load the model.

        Args:
            model: As in :func:`.engine.predict_geotiff`.
            jobs: What will be done.
            arguments: Options of :func:`.engine.predict_geotiff`, by name.

        Returns:
            What does it.

        Raises:
            FileNotFoundError: If the model does not exist.
            ValueError: If an option does not fit, or names one file beside several scenes.
        """
        options = PredictionOptions.of(arguments)
        if not jobs.is_single:
            _check_several(options, len(jobs.scenes))
        loaded = load_model(
            model,
            preprocessing=options.preprocessing,
            task_class=options.task_class,
            dates=options.dates,
        )
        return cls(loaded=loaded, options=options, is_single=jobs.is_single)

    def run(self, job: Job, *, progress: bool) -> Done:
        """Make a map, unless it was made before, and its picture, unless it is there."""
        placed, plan, was_made = self._prepare(job)
        if was_made:
            is_missing = job.picture is not None and not job.picture.exists()
            return Done(summary=None, picture=_draw(plan, job.picture) if is_missing else None)
        if job.picture is not None:
            check_picture(job.picture, overwrite=self.options.overwrite)
        summary = run_plan(placed, plan, progress=progress)
        if not summary.complete:
            return Done(summary=summary)
        return Done(
            summary=summary, picture=_draw(plan, job.picture, counts=summary.class_pixels or None)
        )

    def plan(self, job: Job, *, calibrate: bool) -> str:
        """Say what :meth:`run` would do."""
        placed, plan, was_made = self._prepare(job)
        if was_made:
            return (
                f'{"scene":<10} {job.scene}\n'
                f'{"map":<10} {job.final}: made before, of the same scene, model and options'
            )
        return str(measure_costs(placed, plan, calibrate=calibrate))

    def _prepare(self, job: Job) -> tuple[LoadedModel, PredictionPlan, bool]:
        """Check that all fits; say whether the map was made before, no error among several."""
        options = self.options
        placed, plan = prepare(
            self.loaded, job.scene, job.final, options, may_exist=not self.is_single
        )
        if self.is_single or options.overwrite:
            return placed, plan, False
        was_made = is_made(plan, identify(placed, plan))
        # of shards, the engine says so, with another advice
        if not was_made and plan.shard is None:
            check_destination(
                job.final, sources=(), suffixes=(job.final.suffix,), holds='a map', overwrite=False
            )
        return placed, plan, was_made


def _check_several(options: PredictionOptions, count: int) -> None:
    """Refuse options that belong to one scene."""
    if options.probabilities is not None:
        raise ValueError(
            "probabilities name one file; for several scenes, pass output='probabilities'"
        )
    if options.after is not None:
        raise ValueError(
            f'after (--after) is the second date of one scene, got {count} scenes from a folder or a '
            'list; predict two dates per call'
        )


def _draw(
    plan: PredictionPlan, picture: Path | None, *, counts: tuple[int, ...] | None = None
) -> Path | None:
    """Draw the scene beside its map, if a picture is wanted."""
    if picture is None:
        return None
    after = plan.after
    return write_preview(
        plan.source,
        plan.destination,
        picture,
        bands=plan.bands,
        nodata=plan.nodata,
        observed=plan.observed,
        after=None
        if after is None
        else ShownScene(
            path=after.path, bands=after.bands, nodata=after.nodata, observed=plan.observed
        ),
        class_pixels=counts,
        overwrite=True,
    )
