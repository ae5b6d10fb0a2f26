"""Bring a model and the record of how its input is prepared, from a checkpoint or as given."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchgeo.tasks import PixelwiseRegression

from ..models.containers import PREPROCESSING_KEY, load_pickle, parse_preprocessing, sha256_of
from ..records import Preprocessing

type Forward = Callable[[Tensor], Tensor]
"""From images (B, C, H, W) to scores (B, K, H, W)."""

type Scores = Literal['classes', 'labels', 'values']
"""Logits of classes that exclude each other, of labels that do not, or quantities."""

# a checkpoint is not trusted: the class it names is imported from these packages only
_TASK_PACKAGES = ('torchgeo', 'gersp_geo')


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that is ready to be planned for."""

    forward: Forward
    """The model itself."""

    scores: Scores
    """What it returns."""

    preprocessing: Preprocessing
    """How its input is prepared, and what its output means."""

    name: str
    """File name of the checkpoint, or class or function name of the model."""

    sha256: str | None = None
    """Checksum of the checkpoint; None where there is no file."""


def load_model(
    model: str | PathLike[str] | Forward,
    *,
    preprocessing: Preprocessing | str | PathLike[str] | None = None,
    task_class: str | type[LightningModule] | None = None,
) -> LoadedModel:
    """Load a Lightning checkpoint of a task, or accept a model that is there already.

    Nothing is guessed: what a checkpoint does not say under the key ``gersp_geo`` has to be given.

    Args:
        model: Checkpoint file, or a module or function from (B, C, H, W) to (B, K, H, W).
        preprocessing: Record, or JSON file of one; goes before that of the checkpoint.
        task_class: Class of the checkpoint's task, or its import path; goes before that of the
            record.

    Returns:
        The model, on the device where it was or on the CPU.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is damaged or of another kind, or something is not said anywhere.
        TypeError: If *model* is neither a path nor callable.
    """
    given = (
        preprocessing
        if preprocessing is None or isinstance(preprocessing, Preprocessing)
        else read_preprocessing(preprocessing)
    )
    if isinstance(model, str | PathLike):
        return _load_checkpoint(Path(model), given=given, task_class=task_class)
    if not callable(model):
        raise TypeError(f'model must be a checkpoint file or callable, got {type(model).__name__}')
    if given is None:
        raise ValueError('a model without a checkpoint needs preprocessing: pass the record of it')
    if task_class is not None:
        raise ValueError('task_class belongs to checkpoint files; the model given has a class')
    name = getattr(model, '__name__', type(model).__name__)
    return LoadedModel(forward=model, scores=_scores(model), preprocessing=given, name=name)


def read_preprocessing(path: str | PathLike[str]) -> Preprocessing:
    """Read the record of how input is prepared from a JSON file.

    Args:
        path: File that holds what ``Preprocessing.to_dict`` returns.

    Returns:
        The record.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such record.
    """
    try:
        record = json.loads(Path(path).read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is not a JSON file: {error}') from error
    return parse_preprocessing(record, source=str(path))


@contextmanager
def evaluating(forward: Forward) -> Iterator[None]:
    """Switch a module to evaluation without gradients, and back afterwards."""
    modules = list(forward.modules()) if isinstance(forward, nn.Module) else []
    modes = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def _load_checkpoint(
    path: Path, *, given: Preprocessing | None, task_class: str | type[LightningModule] | None
) -> LoadedModel:
    """Build the task of a checkpoint and fill in its weights."""
    checkpoint = _read_checkpoint(path)
    own = None
    if PREPROCESSING_KEY in checkpoint:
        own = parse_preprocessing(checkpoint[PREPROCESSING_KEY], source=str(path))
    record = given or own
    if record is None:
        raise ValueError(
            f'{path} does not say how its input is prepared, nor which task it is; pass '
            'preprocessing (--preprocessing FILE.json) and task_class (--task-class)'
        )
    named = task_class or record.task_class or (None if own is None else own.task_class)
    cls = _find_class(named, trusted=task_class is not None, path=path)
    accepted = inspect.signature(cls.__init__).parameters
    arguments = {k: v for k, v in checkpoint['hyper_parameters'].items() if k in accepted}
    if 'weights' in accepted:
        # the checkpoint holds every weight: nothing is to be downloaded first
        arguments['weights'] = None
    try:
        task = cls(**arguments)
        task.load_state_dict(checkpoint['state_dict'], strict=True)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise ValueError(f'{path} does not fit {cls.__name__}: {reason}') from error
    return LoadedModel(
        forward=task,
        scores=_scores(task),
        preprocessing=record,
        name=path.name,
        sha256=sha256_of(path),
    )


def _read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Read a Lightning checkpoint without running code from it."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist')
    checkpoint = load_pickle(path)
    needed = ('state_dict', 'hyper_parameters')
    if not all(isinstance(checkpoint.get(key), Mapping) for key in needed):
        raise ValueError(f'{path} is not a Lightning checkpoint: it lacks {" or ".join(needed)}')
    return checkpoint


def _find_class(
    named: str | type[LightningModule] | None, *, trusted: bool, path: Path
) -> type[LightningModule]:
    """Import the class of a task; one that only the file names, from known packages only."""
    if named is None:
        raise ValueError(f'{path} does not say which task it is; pass task_class (--task-class)')
    if not isinstance(named, str):
        return named
    module, _, name = named.rpartition('.')
    if not trusted and module.split('.')[0] not in _TASK_PACKAGES:
        raise ValueError(
            f'{path} names the task {named}, outside {" and ".join(_TASK_PACKAGES)}; '
            'if you trust it, pass task_class (--task-class)'
        )
    try:
        found: object = getattr(import_module(module), name)
    # importlib raises TypeError for a relative name
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(f'task_class {named!r} cannot be imported: {error}') from error
    if isinstance(found, type) and issubclass(found, LightningModule):
        return found
    raise ValueError(f'task_class {named!r} is not a LightningModule')


def _scores(model: object) -> Scores:
    """Say what a model returns."""
    if isinstance(model, PixelwiseRegression):
        return 'values'
    if isinstance(model, LightningModule) and model.hparams.get('task') == 'multilabel':
        return 'labels'
    return 'classes'
