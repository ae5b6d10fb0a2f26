"""What ``gersp-geo predict`` and ``plan`` do: one scene or many, made into what the model makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..models.checkpoint_files import PREPROCESSING_KEY, load_pickle
from ..models.task_networks import known_tasks
from .calibration import measure_costs
from .finishing import is_made, refuse_existing
from .job_checks import check_several, keep_apart, keep_inputs
from .model.load import Forward, find_class
from .model.task_bases import tasks_of
from .options import MapOptions, ObjectOptions, PatchOptions, PredictionOptions, take_options
from .output_paths import FileToMake
from .outputs.output import Maker
from .plan import PredictionPlan
from .prepare import prepare
from .preview import check_picture
from .resume.identity import identify
from .run import run_plan
from .scenes import Done, Job, Jobs, ScenesSummary, list_jobs, run_jobs
from .stored_results import (
    check_targets,
    clear,
    deliver,
    fetch,
    has_result,
    made_as,
    name_targets,
    shown,
)

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

type Task = Literal['auto', 'embed']
"""What the checkpoint's task says, or vectors of a backbone."""

type Kind = Literal['maps', 'objects', 'classify', 'embed']
"""Pixels, objects, or patches with classes, values or vectors."""

# by torchgeo's task of the checkpoint; any other makes maps
_KINDS: dict[str, Kind] = {
    'Classification': 'classify',
    'InstanceSegmentation': 'objects',
    'ObjectDetection': 'objects',
    # one of the next
    'PixelwiseRegression': 'maps',
    'Regression': 'classify',
}


def maker_of(kind: Kind) -> tuple[type[Maker], type[PredictionOptions]]:
    """Find what makes results of a kind, and its options; what others need is not imported."""
    match kind:
        case 'maps':
            from .outputs.map_maker import MapMaker

            return MapMaker, MapOptions
        case 'objects':
            from .outputs.objects import ObjectMaker

            return ObjectMaker, ObjectOptions
        case 'classify':
            from .outputs.patches import PatchMaker

            return PatchMaker, PatchOptions
        case 'embed':
            from .outputs.patches import EmbeddingMaker

            return EmbeddingMaker, PatchOptions


def find_kind(
    model: str | PathLike[str],
    task: Task = 'auto',
    task_class: 'str | type[LightningModule] | None' = None,
) -> Kind:
    """Say what a model makes of scenes, without building it.

    Args:
        model: Checkpoint, graph or weights; what cannot be read is refused elsewhere.
        task: 'embed' decides by itself.
        task_class: Goes before what a checkpoint says.

    Returns:
        The kind.
    """
    if task == 'embed':
        return 'embed'
    path = Path(model)
    named: Any = task_class
    try:
        if named is None:
            named = load_pickle(path)[PREPROCESSING_KEY]['task_class']
        tasks = known_tasks(named) or tasks_of(
            find_class(named, trusted=task_class is not None, path=path)
        )
    # what is no record, or none of a task, is refused where the model is loaded
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):
        return 'maps'
    return next((_KINDS[name] for name in tasks if name in _KINDS), 'maps')


def predict(
    kind: Kind,
    model: str | PathLike[str] | Forward,
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    preview: str | PathLike[str] | None = None,
    **options: Any,
) -> ScenesSummary:
    """Make maps of scenes, find the objects in them, or describe their patches.

    Args:
        kind: What the model makes.
        model: Loaded once; as in the functions of :mod:`.api`.
        source: Files, names that GDAL understands, folders or patterns.
        destination: File for a single scene, folder for several.
        preview: Picture of a single scene and what was made of it; a folder for several.
        **options: As in these functions.

    Returns:
        What was produced. A scene of several that fails does not stop the others.

    Raises:
        FileNotFoundError: If a folder or pattern holds no scene, or the model does not exist.
        ValueError: If an option does not fit, or two scenes have one name.
        OSError: If a single scene fails.
    """
    jobs, maker, chosen = _list(kind, source, destination, options, preview=preview)
    if chosen.is_shared:
        from .workers.together import predict_together

        results, failures = predict_together(kind, model, jobs, chosen)
    else:
        work = Work(maker=maker.load(model, chosen), options=chosen, is_single=jobs.is_single)
        results, failures = run_jobs(jobs, work.run)
    verb = 'predicted' if kind == 'maps' else 'done'
    return ScenesSummary(results=results, failures=failures, verb=verb)


def plan(
    kind: Kind,
    model: str | PathLike[str] | Forward,
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    calibrate: bool = False,
    **options: Any,
) -> tuple[str, bool]:
    """Say what :func:`predict` would do with the same arguments.

    Args:
        kind: What the model makes.
        model: Loaded once; as in the functions of :mod:`.api`.
        source: Files, names that GDAL understands, folders or patterns.
        destination: File for a single scene, folder for several.
        calibrate: Decode some pieces of each scene, to know how long reading takes.
        **options: As in the functions of :mod:`.api`.

    Returns:
        One plan per scene, or what is wrong with it, as text; and whether all could be made.

    Raises:
        FileNotFoundError: If a folder or pattern holds no scene, or the model does not exist.
        ValueError: If an option does not fit, or two scenes have one name.
        OSError: If a single scene fails.
    """
    jobs, maker, chosen = _list(kind, source, destination, options)
    work = Work(maker=maker.load(model, chosen), options=chosen, is_single=jobs.is_single)
    plans, failures = run_jobs(jobs, partial(work.plan, calibrate=calibrate))
    failed = [f'{"failed":<10} {scene}: {reason}' for scene, reason in failures]
    return '\n\n'.join([*plans, *failed]), not failures


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
        """
        # parts are never begun anew here: other workers may be at work
        options = replace(self.options, overwrite=False)
        plan = prepare(type(self.maker), self.maker, job.scene, job.final, options, may_exist=True)
        if self.options.overwrite:
            return plan, False
        identity = identify(plan)
        if (may_be_made or not self.is_single) and is_made(plan, identity):
            return plan, True
        refuse_existing(plan, identity)
        return plan, False

    def plan(self, job: Job, *, calibrate: bool) -> str:
        """Say what :meth:`run` would do."""
        plan, was_made = self._prepare(job)
        if was_made:
            made = f'{job.target or job.final}: made before, of the same scene, model and options'
            return f'{"scene":<10} {job.scene}\n{self.maker.result:<10} {made}'
        # a detector takes seconds per patch, and longer on a real one than on zeros
        is_quick = isinstance(self.options, MapOptions)
        text = str(measure_costs(plan, calibrate=calibrate) if is_quick or calibrate else plan)
        for path in plan.output.files:
            text = text.replace(str(path), shown(path, self.options.work))
        return text

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


def _list(
    kind: Kind,
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    given: Mapping[str, Any],
    *,
    preview: str | PathLike[str] | None = None,
) -> tuple[Jobs, type[Maker], PredictionOptions]:
    """List the jobs, and check the options, before the model is loaded."""
    maker, options_of = maker_of(kind)
    work_folder = given.get('work')
    second = {
        name: made_as(given[name], work_folder)
        for name in ('probabilities', 'raster')
        if given.get(name) is not None
    }
    given = {**given, **second}
    jobs = list_jobs(source, destination, suffix=maker.suffix, preview=preview, work=work_folder)
    keep_inputs(jobs, given)
    results = [*second.values(), *(p for job in jobs.scenes for p in (job.final, job.picture))]
    check_targets(results, work_folder)
    options = take_options(options_of, given, made=maker.made)
    if not jobs.is_single:
        check_several(given, len(jobs.scenes))
        keep_apart(jobs, maker, options)
    return jobs, maker, options
