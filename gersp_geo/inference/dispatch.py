"""What ``gersp-geo predict`` and ``plan`` do, by the task of the model: maps, objects, patches."""

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, Protocol

from lightning.pytorch import LightningModule
from torchgeo import tasks

from ..models.containers import PREPROCESSING_KEY, load_pickle
from .detection import command as objects
from .detection.options import OWN
from .loading import find_class
from .patches import command as patches
from .scenes import plan_scenes, predict_scenes

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


class Summary(Protocol):
    """What became of some scenes; prints as text."""

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """Scenes that failed, and what was wrong with each."""


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
    except (OSError, ValueError, KeyError, TypeError):
        return 'maps'
    return next((kind for base, kind in _KINDS if issubclass(found, base)), 'maps')


def predict(
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    task: Task = 'auto',
    **options: Any,
) -> Summary:
    """Make maps of scenes, find the objects in them, or describe their patches.

    Args:
        model: Checkpoint or ONNX graph; to embed, weights in any known format or their name.
        source: Files, names that GDAL understands, folders or patterns.
        destination: File for a single scene, folder for several.
        task: What is wanted.
        **options: Of :func:`.scenes.predict_scenes`, :func:`.detection.command.detect_scenes` or
            :func:`.patches.command.describe_scenes`.

    Returns:
        What was produced.

    Raises:
        ValueError: If an option is for another kind of model, or as those functions do.
        OSError: As those functions do.
    """
    kind = find_kind(model, task, options.get('task_class'))
    if kind in ('embed', 'classify'):
        return patches.describe_scenes(kind, model, source, destination, **options)
    _refuse_raster(model, options)
    if kind == 'objects':
        return objects.detect_scenes(model, source, destination, **options)
    _refuse_thresholds(model, options)
    return predict_scenes(model, source, destination, **options)


def plan(
    model: str | PathLike[str],
    source: Sequence[str | PathLike[str]],
    destination: str | PathLike[str],
    *,
    task: Task = 'auto',
    **options: Any,
) -> tuple[str, bool]:
    """Say what :func:`predict` would do with the same arguments.

    Args:
        model: As there.
        source: As there.
        destination: As there.
        task: As there.
        **options: As there, and ``calibrate``.

    Returns:
        One plan per scene, or what is wrong with it, as text; and whether all could be made.

    Raises:
        ValueError: As there.
        OSError: As there.
    """
    kind = find_kind(model, task, options.get('task_class'))
    if kind in ('embed', 'classify'):
        return patches.plan_scenes(kind, model, source, destination, **options)
    _refuse_raster(model, options)
    if kind == 'objects':
        return objects.plan_detections(model, source, destination, **options)
    _refuse_thresholds(model, options)
    return plan_scenes(model, source, destination, **options)


def _refuse_raster(model: str | PathLike[str], options: dict[str, Any]) -> None:
    """Refuse a map of patches beside anything else."""
    if 'raster' in options:
        raise ValueError(
            f'raster is a map of patches, and {fspath(model)} describes none; leave it out, or embed '
            'patches (--task embed)'
        )


def _refuse_thresholds(model: str | PathLike[str], options: dict[str, Any]) -> None:
    """Refuse options of detection for any other model."""
    for name in OWN:
        if name in options:
            raise ValueError(f'{name} is for detectors, and {fspath(model)} is none; leave it out')
