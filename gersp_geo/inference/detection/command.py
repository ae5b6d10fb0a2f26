"""What ``gersp-geo predict`` and ``plan`` do: find objects if the model is a detector, else make a map."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from torchgeo import tasks

from ...models.containers import PREPROCESSING_KEY, load_pickle
from ..loading import find_class, load_model
from ..preview import check_picture
from ..scenes import (
    ScenesSummary,
    check_names,
    find_scenes,
    names_one,
    picture_of,
    plan_scenes,
    predict_scenes,
)
from .engine import run_detection
from .options import OWN, DetectionOptions
from .preparing import prepare_detection
from .summary import DetectionSummary

# of the file of a scene, where several are predicted into a folder
_SUFFIX = '.gpkg'

_DETECTORS = (tasks.ObjectDetection, tasks.InstanceSegmentation)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsSummary:
    """What became of some scenes."""

    summaries: tuple[DetectionSummary, ...]
    """Of those in which objects were looked for."""

    failures: tuple[tuple[str, str], ...] = ()
    """Of the others: scene, and what was wrong with it."""

    def __str__(self) -> str:
        """Lay the summaries out for a terminal, failures last."""
        lines = [str(summary) for summary in self.summaries]
        count = len(self.summaries) + len(self.failures)
        if count > 1:
            lines.append(f'{len(self.summaries)} of {count} scenes done')
        lines += [f'failed   {scene}: {reason}' for scene, reason in self.failures]
        return '\n'.join(lines)


def predict(
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    **options: Any,
) -> ScenesSummary | ObjectsSummary:
    """Make maps of scenes, or find the objects in them, as the checkpoint's task says.

    Args:
        model: Checkpoint or ONNX graph.
        source: Files, names that GDAL understands, folders or patterns.
        destination: File for a single scene, folder for several.
        **options: Of :func:`..scenes.predict_scenes`, or of :func:`.engine.detect_objects`.

    Returns:
        What was produced.

    Raises:
        ValueError: If an option is for the other kind of model, or as those functions do.
        OSError: As those functions do.
    """
    if names_detector(model, options.get('task_class')):
        return _detect_scenes(model, source, destination, **options)
    _refuse_own(model, options)
    return predict_scenes(model, source, destination, **options)


def plan(
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    **options: Any,
) -> tuple[str, bool]:
    """Say what :func:`predict` would do with the same arguments.

    Args:
        model: As in :func:`predict`.
        source: As in :func:`predict`.
        destination: As in :func:`predict`.
        **options: As in :func:`predict`, without a preview; and *calibrate*, for maps.

    Returns:
        One plan per scene, or what is wrong with it, as text; and whether all could be made.

    Raises:
        ValueError: As :func:`predict`.
        OSError: If there is a single scene, and it fails.
    """
    if names_detector(model, options.get('task_class')):
        return _plan_scenes(model, source, destination, **options)
    _refuse_own(model, options)
    return plan_scenes(model, source, destination, **options)


def names_detector(
    model: str | PathLike[str], task_class: str | type[LightningModule] | None = None
) -> bool:
    """Say whether a checkpoint is one of a detection task, without reading its weights.

    Args:
        model: The checkpoint; what cannot be read is none, and is refused elsewhere.
        task_class: Goes before what the checkpoint says.

    Returns:
        Whether its task is torchgeo's ObjectDetection or InstanceSegmentation, or made of these.
    """
    path = Path(model)
    named: Any = task_class
    try:
        if named is None:
            named = load_pickle(path)[PREPROCESSING_KEY]['task_class']
        found = find_class(named, trusted=task_class is not None, path=path)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return issubclass(found, _DETECTORS)


def _detect_scenes(
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    preview: str | PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> ObjectsSummary:
    """Find the objects in scenes; one of several that fails does not stop the others."""
    chosen = DetectionOptions.of(options)
    cutting = chosen.cutting
    jobs = _list_jobs(source, destination)
    is_single = len(jobs) == 1 and names_one(source)
    loaded = load_model(model, preprocessing=cutting.preprocessing, task_class=cutting.task_class)
    done, failed = [], []
    for scene, file in jobs.items():
        picture = picture_of(preview, file, is_single=is_single)
        try:
            if picture is not None:
                check_picture(picture, overwrite=cutting.overwrite or not is_single)
            detection = prepare_detection(loaded, scene, file, chosen)
            done.append(run_detection(detection, picture=picture, progress=progress))
        except (OSError, ValueError) as error:
            if len(jobs) == 1:
                raise
            failed.append((scene, ' '.join(str(error).split())))
    return ObjectsSummary(summaries=tuple(done), failures=tuple(failed))


def _plan_scenes(
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    calibrate: bool = False,
    progress: bool = True,
    **options: Any,
) -> tuple[str, bool]:
    """Say what would be done with the checkpoint of a detector."""
    if calibrate:
        raise ValueError('calibrate is for maps, and a plan of objects tells no time; leave it out')
    chosen = DetectionOptions.of(options)
    cutting = chosen.cutting
    jobs = _list_jobs(source, destination)
    loaded = load_model(model, preprocessing=cutting.preprocessing, task_class=cutting.task_class)
    plans, failures = [], []
    for scene, file in jobs.items():
        try:
            planned = prepare_detection(loaded, scene, file, chosen).plan
            plans.append(f'{planned}\n{"objects":<10} {file}')
        except (OSError, ValueError) as error:
            if len(jobs) == 1:
                raise
            failures.append(f'failed     {scene}: {" ".join(str(error).split())}')
    return '\n\n'.join([*plans, *failures]), not failures


def _list_jobs(
    source: Sequence[str | PathLike[str]], destination: str | PathLike[str]
) -> dict[str, Path]:
    """Say which scene becomes which file."""
    scenes = find_scenes(source)
    if len(scenes) == 1 and names_one(source):
        return {scenes[0]: Path(destination)}
    jobs = {scene: Path(destination, Path(scene).stem + _SUFFIX) for scene in scenes}
    check_names(jobs)
    return jobs


def _refuse_own(model: str | PathLike[str], options: dict[str, Any]) -> None:
    """Refuse options of detection for any other model."""
    for name in OWN:
        if name in options:
            raise ValueError(f'{name} is for detectors, and {fspath(model)} is none; leave it out')
