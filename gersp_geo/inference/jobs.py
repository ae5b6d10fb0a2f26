"""What ``gersp-geo predict`` and ``plan`` do: one scene or many, made into what the model makes."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..datasets.scene_names import Paths
from ..models.checkpoint_files import PREPROCESSING_KEY, load_pickle
from ..models.remote_files import localize
from ..models.task_networks import known_tasks
from .job_checks import check_several, keep_apart, keep_inputs
from .model.load import Forward, find_class
from .model.object_graph import OBJECTS_KEY
from .model.onnx import OnnxGraph
from .model.signature import SCORES_KEY
from .model.task_bases import tasks_of
from .options import MapOptions, ObjectOptions, PatchOptions, PredictionOptions, take_options
from .outputs.output import Maker
from .planned import PlansSummary
from .prepare import prepare
from .run import run_plan
from .scenes import Job, Jobs, ScenesSummary, list_jobs, run_jobs
from .stored_results import check_targets, clear, made_as, name_targets, refuse_scenes, target_of
from .work import Work

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
    path = Path(_localize('maps', model))
    named: Any = task_class
    if named is None and path.suffix.lower() == '.onnx':
        return _kind_of_graph(path)
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


def _localize(kind: Kind, model: Any) -> Any:
    """Bring a model that lies elsewhere, before several processes open it."""
    return localize(model, purpose='backbone' if kind == 'embed' else 'model')


def _kind_of_graph(path: Path) -> Kind:
    """Say what a graph makes of scenes: one that says what its vectors mean describes patches."""
    try:
        graph = OnnxGraph(path)
    # what is no graph is refused where the model is loaded
    except (OSError, ValueError):
        return 'maps'
    if OBJECTS_KEY in graph.metadata:
        return 'objects'
    return 'classify' if graph.returns_vectors and SCORES_KEY in graph.metadata else 'maps'


def predict(
    kind: Kind,
    model: str | PathLike[str] | Forward,
    source: Paths,
    destination: str | PathLike[str],
    *,
    preview: str | PathLike[str] | None = None,
    **options: Any,
) -> ScenesSummary:
    """Make maps of scenes, find the objects in them, or describe their patches.

    Args:
        kind: What the model makes.
        model: Loaded once; as in the functions of :mod:`.api`.
        source: As in :func:`~gersp_geo.datasets.scene_names.find_rasters`.
        destination: File for a single scene, folder for several.
        preview: Picture of a single scene and what was made of it; a folder for several.
        **options: As in these functions.

    Returns:
        What was produced. A scene of several that fails does not stop the others.

    Raises:
        FileNotFoundError: If a scene or the model does not exist, or a folder, list or pattern
            holds no scene.
        ValueError: If an option does not fit, or two scenes have one name.
        OSError: If a single scene fails.
    """
    jobs, maker, chosen = _list(kind, source, destination, options, preview=preview)
    model = _localize(kind, model)
    if chosen.is_shared:
        from .workers.together import predict_together

        results, failures = predict_together(kind, model, jobs, chosen)
    else:
        work = Work(maker=maker.load(model, chosen), options=chosen, is_single=jobs.is_single)
        results, failures = run_jobs(jobs, work.run)
    verb = 'predicted' if kind == 'maps' else 'done'
    return ScenesSummary(results=results, failures=failures, verb=verb)


def predict_one(
    kind: Kind,
    model: Any,
    source: str | PathLike[str],
    destination: str | PathLike[str],
    options: Any,
    picture: Path | None = None,
) -> Any:
    """Make what the functions of :mod:`.api` ask for of one scene, and its picture.

    Args:
        kind: What the model makes.
        model: As in these functions.
        source: The scene.
        destination: The file.
        options: Those of this kind.
        picture: File for a picture on a disk; None means none.

    Returns:
        What was produced.

    Raises:
        FileExistsError: If a file exists and may not be replaced.
        OSError: If a file cannot be read or written, or a store not be reached.
        ValueError: If something does not fit together.
    """
    work, maker = options.work, maker_of(kind)[0]
    second = {
        name: made_as(getattr(options, name), work)
        for name in ('probabilities', 'raster')
        if getattr(options, name, None) is not None
    }
    final, options = made_as(destination, work), replace(options, **second)
    files = [file.path for file in maker.list_files(final, options)]
    check_targets(files, work)
    if options.overwrite:
        refuse_scenes(files, work, inputs=[source, options.after, options.area])
    model = _localize(kind, model)
    summary: Any
    if options.is_shared:
        from .workers.together import predict_together

        job = Job(scene=fspath(source), final=final, target=target_of(final, work), picture=picture)
        jobs = Jobs(scenes=(job,), is_single=True)
        done = predict_together(kind, model, jobs, options)[0][0]
        summary, drawn = done.summary, done.picture
    else:
        plan = prepare(maker, model, source, final, options)
        made = run_plan(plan, progress=options.progress)
        drawn = None
        if picture is not None and made.complete:
            drawn = str(plan.output.draw(plan, made, picture))
        clear(files, work)
        summary = name_targets(made, work)
    return summary if drawn is None or summary is None else replace(summary, picture=drawn)


def plan(
    kind: Kind,
    model: str | PathLike[str] | Forward,
    source: Paths,
    destination: str | PathLike[str],
    *,
    calibrate: bool = False,
    **options: Any,
) -> PlansSummary:
    """Say what :func:`predict` would do with the same arguments.

    Args:
        kind: What the model makes.
        model: Loaded once; as in the functions of :mod:`.api`.
        source: As in :func:`~gersp_geo.datasets.scene_names.find_rasters`.
        destination: File for a single scene, folder for several.
        calibrate: Decode some pieces of each scene, to know how long reading takes.
        **options: As in the functions of :mod:`.api`.

    Returns:
        One plan per scene, or what is wrong with it.

    Raises:
        FileNotFoundError: If a scene or the model does not exist, or a folder, list or pattern
            holds no scene.
        ValueError: If an option does not fit, or two scenes have one name.
        OSError: If a single scene fails.
    """
    jobs, maker, chosen = _list(kind, source, destination, options)
    model = _localize(kind, model)
    work = Work(maker=maker.load(model, chosen), options=chosen, is_single=jobs.is_single)
    plans, failures = run_jobs(jobs, partial(work.plan, calibrate=calibrate))
    return PlansSummary(results=plans, failures=failures)


def _list(
    kind: Kind,
    source: Paths,
    destination: str | PathLike[str],
    given: Mapping[str, Any],
    *,
    preview: str | PathLike[str] | None = None,
) -> tuple[Jobs, type[Maker], PredictionOptions]:
    """List the jobs, and check the options, before the model is loaded."""
    maker, options_of = maker_of(kind)
    work = given.get('work')
    second: dict[str, Any] = {
        name: made_as(given[name], work)
        for name in ('probabilities', 'raster')
        if given.get(name) is not None
    }
    jobs = list_jobs(source, destination, suffix=maker.suffix, preview=preview, work=work)
    keep_inputs(jobs, {**given, **second})
    options = replace(take_options(options_of, given, made=maker.made), **second)
    if not jobs.is_single:
        check_several(given, len(jobs.scenes))
    keep_apart(jobs, maker, options)
    results = [*second.values(), *(p for job in jobs.scenes for p in (job.final, job.picture))]
    # last, since stores are asked
    check_targets(results, work)
    return jobs, maker, options
