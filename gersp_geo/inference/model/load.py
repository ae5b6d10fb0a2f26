"""Bring a model and the record of how its input is prepared, from a checkpoint or as given."""

import inspect
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...evaluation import evaluation_mode
from ...lazy import without_collector
from ...messages import one_line
from ...models.checkpoint_files import (
    PREPROCESSING_KEY,
    load_pickle,
    parse_preprocessing,
    sha256_of,
)
from ...models.task_networks import build_network
from ...preprocessing import Preprocessing
from .exactness import exact_floats
from .graph_form import FORM_KEY, GraphForm
from .object_graph import OBJECTS_KEY, ObjectFacts, ObjectGraph
from .onnx import OnnxGraph, parse_metadata
from .pages import keeping_pages
from .signature import (
    SCORES_KEY,
    TASK_KEY,
    Dates,
    Scores,
    dates_of,
    graph_dates,
    graph_scores,
    scores_of,
)
from .task_bases import is_lightning

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

type Forward = Callable[[Tensor], Tensor]
"""From images (B, C, H, W), or two dates (B, 2, C, H, W), to scores (B, K, H, W)."""

# what torch.jit.save and torch.export.save write beside tensors, and nothing else does
_PROGRAM_PARTS = {'code', 'constants.pkl', 'archive_format', 'serialized_exported_program.json'}

# what a task trips over depends on which of its arguments is wrong
_MISFITS = (
    RuntimeError, TypeError, ValueError, LookupError, AttributeError, AssertionError,
    ArithmeticError, ImportError, MemoryError,
)  # fmt: skip

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

    dates: Dates = field(default_factory=Dates)
    """How many dates of a place it takes, and how."""

    is_channels_last: bool = False
    """Whether its images are to lie in memory with bands last."""

    forms: dict[Any, dict[Any, 'LoadedModel']] = field(
        default_factory=dict, repr=False, compare=False
    )
    """Forms of it that were made to run in, by how they are to run."""

    @property
    def in_channels(self) -> int:
        """Bands of all dates together."""
        return self.dates.count * len(self.preprocessing.bands)

    def score(self, images: Tensor) -> Tensor:
        """Run the model.

        Args:
            images: Normalised, shape (B, in_channels, H, W), the bands of one date after the other.

        Returns:
            What it returns, as a rule scores (B, K, H, W).
        """
        return self.forward(self.arrange(images))

    def arrange(self, images: Tensor) -> Tensor:
        """Lay dates out as the model takes them.

        Args:
            images: As in :meth:`score`.

        Returns:
            The same, or shape (B, dates, C, H, W).
        """
        return images.unflatten(1, (self.dates.count, -1)) if self.dates.apart else images


def load_model(
    model: str | PathLike[str] | Forward,
    *,
    preprocessing: Preprocessing | str | PathLike[str] | None = None,
    task_class: 'str | type[LightningModule] | None' = None,
    dates: int = 1,
) -> LoadedModel:
    """Load a Lightning checkpoint of a task or an ONNX graph, or accept a model that is there.

    Nothing is guessed: what a checkpoint does not say under the key ``gersp_geo`` has to be given.
    A graph has the same record as JSON in its metadata under that key; besides, its metadata may
    say under ``scores`` what it returns, else under ``task_class`` which task it was.

    Args:
        model: Checkpoint file, or .onnx file (extra ``onnx``), or a module or function from
            (B, C, H, W), or two dates (B, 2, C, H, W), to (B, K, H, W).
        preprocessing: Record, or JSON file of one; goes before that of the file.
        task_class: Class of the checkpoint's task, or its import path; goes before that of the
            record. Of a graph, it says what scores mean.
        dates: Dates of a place that there are, 1 or 2, for models that do not tell how many they
            take.

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
        path = Path(model)
        load = _load_graph if path.suffix.lower() == '.onnx' else _load_checkpoint
        return load(path, given=given, task_class=task_class, dates=dates)
    if not callable(model):
        raise TypeError(f'model must be a checkpoint file or callable, got {type(model).__name__}')
    if given is None:
        raise ValueError('a model without a checkpoint needs preprocessing: pass the record of it')
    if task_class is not None:
        raise ValueError('task_class belongs to checkpoint files; the model given has a class')
    name = getattr(model, '__name__', type(model).__name__)
    return LoadedModel(
        forward=model,
        scores=scores_of(model),
        preprocessing=given,
        name=name,
        dates=dates_of(model, given=dates),
    )


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
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{path} does not exist; pass the JSON file of a record (--preprocessing FILE.json)'
        )
    try:
        record = json.loads(Path(path).read_text(encoding='utf-8'))
    # RecursionError: brackets within brackets
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is not a JSON file: {error}') from error
    return parse_preprocessing(record, source=str(path))


@contextmanager
def evaluating(forward: Forward) -> Iterator[None]:
    """Switch a module to exact evaluation without gradients, and back afterwards."""
    with keeping_pages(), evaluation_mode(forward), torch.inference_mode(), exact_floats():
        yield


def _load_checkpoint(
    path: Path,
    *,
    given: Preprocessing | None,
    task_class: 'str | type[LightningModule] | None',
    dates: int,
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
    try:
        task: Any = build_network(named, checkpoint['hyper_parameters'], checkpoint['state_dict'])
    except _MISFITS:
        # the task itself says what is wrong
        task = None
    if task is None:
        cls = find_class(named, trusted=task_class is not None, path=path)
        task = _build_task(cls, checkpoint, path=path)
    return LoadedModel(
        forward=task,
        scores=scores_of(task),
        preprocessing=record,
        name=path.name,
        sha256=sha256_of(path),
        dates=dates_of(task, given=dates),
    )


def _build_task(
    cls: 'type[LightningModule]', checkpoint: Mapping[str, Any], *, path: Path
) -> 'LightningModule':
    """Build a task and fill in its weights."""
    accepted = _arguments_of(cls)
    arguments = {k: v for k, v in checkpoint['hyper_parameters'].items() if k in accepted}
    if 'weights' in accepted:
        # the checkpoint holds every weight: nothing is to be downloaded first
        arguments['weights'] = None
    try:
        task = cls(**arguments)
        task.load_state_dict(checkpoint['state_dict'], strict=True)
    except _MISFITS as error:
        reason = one_line(error) or type(error).__name__
        raise ValueError(f'{path} does not fit {cls.__name__}: {reason}') from error
    return task


def _arguments_of(cls: type) -> set[str]:
    """List the arguments of a class, with those that it hands on to its base as keywords."""
    names: set[str] = set()
    for base in cls.__mro__:
        if '__init__' in vars(base):
            parameters = inspect.signature(vars(base)['__init__']).parameters
            names |= set(parameters)
            if all(p.kind is not p.VAR_KEYWORD for p in parameters.values()):
                break
    return names


def _read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Read a Lightning checkpoint without running code from it."""
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist')
    _refuse_program(path)
    checkpoint = load_pickle(path)
    needed = ('state_dict', 'hyper_parameters')
    if not all(isinstance(checkpoint.get(key), Mapping) for key in needed):
        raise ValueError(f'{path} is not a Lightning checkpoint: it lacks {" or ".join(needed)}')
    return checkpoint


def _refuse_program(path: Path) -> None:
    """Refuse TorchScript and exported programs, which are code."""
    is_program = path.suffix.lower() == '.pt2'
    if not is_program and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                # at the top, or in the one folder there, whose name may be anything
                parts = {name.split('/')[:2][-1] for name in archive.namelist()}
        # ValueError: a name that is no text
        except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
            raise ValueError(f'{path} is no checkpoint that loads safely: {error}') from error
        is_program = not _PROGRAM_PARTS.isdisjoint(parts)
    if is_program:
        raise ValueError(
            f'{path} is a program (TorchScript or torch.export), which would run its own code when '
            'loaded; pass the checkpoint (.ckpt) of the task, or export it to ONNX (.onnx)'
        )


def _load_graph(
    path: Path,
    *,
    given: Preprocessing | None,
    task_class: 'str | type[LightningModule] | None',
    dates: int,
) -> LoadedModel:
    """Load an ONNX file and what it says about itself."""
    graph = OnnxGraph(path)
    metadata = graph.metadata
    own = None
    if PREPROCESSING_KEY in metadata:
        source = f'{path} (metadata {PREPROCESSING_KEY})'
        own = parse_preprocessing(
            parse_metadata(metadata[PREPROCESSING_KEY], source=source), source=source
        )
    record = given or own
    if record is None:
        raise ValueError(
            f'{path} does not say how its input is prepared; pass preprocessing '
            '(--preprocessing FILE.json)'
        )
    named = task_class or record.task_class or (own and own.task_class) or metadata.get(TASK_KEY)
    if FORM_KEY in metadata:
        source = f'{path} (metadata {FORM_KEY})'
        stated = parse_metadata(metadata[FORM_KEY], source=source)
        form = GraphForm.of(stated, own, source=source)
        form.check_record(record, source=str(path))
        graph = graph.formed(form)
    forward: Any = graph
    if OBJECTS_KEY in metadata:
        source = f'{path} (metadata {OBJECTS_KEY})'
        stated = parse_metadata(metadata[OBJECTS_KEY], source=source)
        forward = ObjectGraph(graph, ObjectFacts.of(stated, source=source))
    return LoadedModel(
        forward=forward,
        dates=graph_dates(graph.shape, record.bands, given=dates, path=path),
        scores=graph_scores(metadata.get(SCORES_KEY), named, path=path),
        preprocessing=record,
        name=path.name,
        sha256=sha256_of(path),
    )


def find_class(
    named: 'str | type[LightningModule] | None', *, trusted: bool, path: Path
) -> 'type[LightningModule]':
    """Import the class of a task; one that only the file names, from known packages only.

    Raises:
        ValueError: If none is named, or it cannot be imported, or is none of a task.
    """
    if named is None:
        raise ValueError(f'{path} does not say which task it is; pass task_class (--task-class)')
    if isinstance(named, type):
        return named
    # the file may hold anything
    module, _, name = named.rpartition('.') if isinstance(named, str) else ('', '', '')
    if not name:
        who = 'task_class (--task-class)' if trusted else str(path)
        raise ValueError(f'{who} must name a task by an import path, got {named!r}')
    if not trusted and module.split('.')[0] not in _TASK_PACKAGES:
        raise ValueError(
            f'{path} names the task {named}, outside {" and ".join(_TASK_PACKAGES)}; '
            'if you trust it, pass task_class (--task-class)'
        )
    try:
        with without_collector():
            found: Any = getattr(import_module(module), name)
    # importlib raises TypeError for a relative name
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(f'task_class {named!r} cannot be imported: {error}') from error
    if isinstance(found, type) and is_lightning(found):
        return found
    raise ValueError(f'task_class {named!r} is not a LightningModule')
