"""What ``gersp-geo predict`` and ``plan`` do, by the kind of model: maps, objects, patches."""

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule
from torchgeo import tasks

from ..geoio.write import check_writable
from ..models.checkpoint_files import PREPROCESSING_KEY, load_pickle
from .command import MapWork
from .detection.command import ObjectWork
from .jobs import Job, Jobs, ScenesSummary, list_jobs, run_jobs
from .model.load import Forward, find_class
from .output_paths import refuse_inputs
from .patches.command import PatchWork

type Task = Literal['auto', 'embed']
"""What the checkpoint's task says, or vectors of a backbone."""

type Kind = Literal['maps', 'objects', 'classify', 'embed']
"""Pixels, objects, or patches with classes or vectors."""

# by the task of the checkpoint; any other makes maps
_KINDS: tuple[tuple[type[LightningModule], Kind], ...] = (
    (tasks.ObjectDetection, 'objects'),
    (tasks.InstanceSegmentation, 'objects'),
    (tasks.Classification, 'classify'),
)


# of files in a folder, by what is made
_SUFFIXES: dict[Kind, str] = {
    'maps': '.tif', 'objects': '.gpkg', 'classify': '.parquet', 'embed': '.parquet',
}  # fmt: skip


def find_kind(
    model: str | PathLike[str],
    task: Task = 'auto',
    task_class: str | type[LightningModule] | None = None,
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
        found = find_class(named, trusted=task_class is not None, path=path)
    # what is no record, or none of a task, is refused where the model is loaded
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):
        return 'maps'
    return next((kind for base, kind in _KINDS if issubclass(found, base)), 'maps')


def predict(
    kind: Kind,
    model: str | PathLike[str] | Forward,
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    preview: str | PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> ScenesSummary:
    """Make maps of scenes, find the objects in them, or describe their patches.

    Args:
        kind: What the model makes.
        model: Loaded once; as in :func:`.engine.predict_geotiff`,
            :func:`.detection.engine.detect_objects`, :func:`.patches.engine.classify_scene` or
            :func:`.patches.engine.embed_scene`.
        source: Files, names that GDAL understands, folders or patterns.
        destination: File for a single scene, folder for several.
        preview: Picture of a single scene and what was made of it; a folder for several.
        progress: Whether to show a progress bar per scene.
        **options: As in these functions.

    Returns:
        What was produced. A scene of several that fails does not stop the others.

    Raises:
        FileNotFoundError: If a folder or pattern holds no scene, or the model does not exist.
        ValueError: If an option does not fit, or two scenes have one name.
        OSError: If a single scene fails.
    """
    jobs = list_jobs(source, destination, suffix=_SUFFIXES[kind], preview=preview)
    _keep_inputs(jobs, options)
    work = _prepare(kind, model, jobs, options)
    results, failures = run_jobs(jobs, partial(work.run, progress=progress))
    verb = 'predicted' if kind == 'maps' else 'done'
    return ScenesSummary(results=results, failures=failures, verb=verb)


def plan(
    kind: Kind,
    model: str | PathLike[str] | Forward,
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    calibrate: bool = False,
    progress: bool = True,
    **options: Any,
) -> tuple[str, bool]:
    """Say what :func:`predict` would do with the same arguments.

    Args:
        kind: As there.
        model: As there.
        source: As there.
        destination: As there.
        calibrate: As in :func:`.preparing.plan_prediction`; for maps alone, as nothing else tells
            time.
        progress: Accepted so that one set of arguments serves both.
        **options: As there.

    Returns:
        One plan per scene, or what is wrong with it, as text; and whether all could be made.

    Raises:
        FileNotFoundError: As there.
        ValueError: As there, or if *calibrate* does not fit.
        OSError: As there.
    """
    if calibrate and kind != 'maps':
        raise ValueError(
            'calibrate is for maps of pixels, and nothing else tells time; leave it out'
        )
    jobs = list_jobs(source, destination, suffix=_SUFFIXES[kind])
    _keep_inputs(jobs, options)
    work = _prepare(kind, model, jobs, options)
    describe: Callable[[Job], str] = (
        partial(work.plan, calibrate=calibrate) if isinstance(work, MapWork) else work.plan
    )
    plans, failures = run_jobs(jobs, describe)
    failed = [f'{"failed":<10} {scene}: {reason}' for scene, reason in failures]
    return '\n\n'.join([*plans, *failed]), not failures


def _keep_inputs(jobs: Jobs, options: dict[str, Any]) -> None:
    """Refuse outputs that cannot be made, or that would replace a file that is read."""
    for job in jobs.scenes:
        for path in (job.final, job.picture):
            if path is not None:
                check_writable(path)
    for path in (options.get('probabilities'), options.get('raster')):
        if path is not None:
            check_writable(path)
    if not options.get('overwrite'):
        # whatever exists is refused
        return
    outputs = [path for job in jobs.scenes for path in (job.final, job.picture)]
    outputs += [options.get('probabilities'), options.get('raster')]
    refuse_inputs(outputs, inputs=[*(job.scene for job in jobs.scenes), options.get('after')])
    refuse_inputs(outputs, inputs=[options.get('area')], role='the area')


def _prepare(
    kind: Kind, model: str | PathLike[str] | Forward, jobs: Jobs, options: dict[str, Any]
) -> MapWork | ObjectWork | PatchWork:
    """Check the options, and load the model."""
    if kind == 'maps':
        return MapWork.of(model, jobs, options)
    if kind == 'objects':
        return ObjectWork.of(model, options)
    return PatchWork.of(kind, model, jobs, options)
