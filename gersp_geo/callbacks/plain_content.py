"""Checkpoints hold plain data alone, so that prediction reads them without running code."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn


def make_plain(value: Any) -> Any:
    """Replace what is as good as a plain value by that value, at any depth.

    Returns:
        NumPy's scalars and arrays as Python's numbers, text and lists, paths as text, mappings of
        other classes as dictionaries. What needs no change is returned itself.
    """
    match value:
        case np.ndarray() | np.generic():
            listed = value.tolist()
            # an array of objects, or a kind of number that Python does not have
            return value if isinstance(listed, np.generic) else make_plain(listed)
        case PurePath():
            return str(value)
        case Mapping():
            items = {make_plain(key): make_plain(item) for key, item in value.items()}
            same = type(value) in (dict, OrderedDict) and all(
                old is new for pair in zip(value.items(), items.items(), strict=True)
                for old, new in zip(*pair, strict=True)
            )  # fmt: skip
            return value if same else items
        case list() | tuple() | set() if type(value) in (list, tuple, set):
            changed = [make_plain(item) for item in value]
            same = all(old is new for old, new in zip(value, changed, strict=True))
            return value if same else type(value)(changed)
    return value


def make_checkpoint_plain(checkpoint: dict[str, Any]) -> None:
    """Replace in a checkpoint what is as good as a plain value; the run goes on with its own."""
    # the state dict holds tensors by name, which are plain
    for key in checkpoint.keys() - {'state_dict'}:
        checkpoint[key] = make_plain(checkpoint[key])


def check_hyperparameters(trainer: Trainer, pl_module: LightningModule) -> None:
    """Refuse arguments of task and data module with which no checkpoint would load safely."""
    for owner in (pl_module, getattr(trainer, 'datamodule', None)):
        for name, value in dict(getattr(owner, 'hparams', {})).items():
            refuse_unsafe(value, f'hyperparameter {name}', of=owner, fix=fix_of(name, value))


def check_states(trainer: Trainer) -> None:
    """Refuse states of what takes part in training with which no checkpoint would load safely."""
    fix = 'return numbers, text, tensors, and lists and dictionaries of them from state_dict'
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # set dynamically
    schedules = [config.scheduler for config in trainer.lr_scheduler_configs]
    data = getattr(trainer, 'datamodule', None)
    for owner in (*callbacks, *schedules, *([data] if data is not None else [])):
        refuse_unsafe(owner.state_dict(), 'state', of=owner, fix=fix)
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            options = {name: option for name, option in group.items() if name != 'params'}
            refuse_unsafe(options, 'options', of=optimizer, fix='pass plain numbers')


def refuse_unsafe(value: Any, name: str, *, of: object, fix: str) -> None:
    """Refuse a value that cannot be read back safely once it is made plain; tell place and type."""
    for place, found in unsafe_parts(make_plain(value), name):
        kind = f'{type(found).__module__}.{type(found).__qualname__}'
        raise ValueError(
            f'{type(of).__name__}: {place} is of type {kind}, and a checkpoint with it could not '
            f'be opened for prediction, which reads plain data and no code; {fix}'
        )


def fix_of(name: str, value: object) -> str:
    """Say what to do about a hyperparameter."""
    if isinstance(value, nn.Module):
        return f"leave it out, with save_hyperparameters(ignore=['{name}'])"
    if isinstance(value, Enum):
        return f'pass {value.name!r}, or leave it out with save_hyperparameters(ignore=[{name!r}])'
    return (
        'pass numbers, text, tensors, or lists and dictionaries of them, or leave it out with '
        f'save_hyperparameters(ignore=[{name!r}])'
    )


def unsafe_parts(value: Any, name: str) -> Iterator[tuple[str, object]]:
    """Find the innermost parts of a value that cannot be read back safely, and where they are."""
    if loads_safely(value):
        return
    parts: list[tuple[str, object]] = []
    if isinstance(value, Mapping):
        parts = [(f'{name}[{key!r}]', part) for key, part in value.items()]
    elif type(value) in (list, tuple):
        parts = [(f'{name}[{index}]', part) for index, part in enumerate(value)]
    inner = [found for place, part in parts for found in unsafe_parts(part, place)]
    yield from inner or [(name, value)]


def loads_safely(value: object) -> bool:
    """Say whether torch reads a value back without running code, as prediction does."""
    if isinstance(value, nn.Module):
        # no module does, and saving one may take long
        return False
    stream = io.BytesIO()
    try:
        torch.save(value, stream)
        stream.seek(0)
        torch.load(stream, weights_only=True)
    # what cannot be pickled fails in as many ways as there are types
    except (pickle.PickleError, RuntimeError, TypeError, AttributeError, ValueError):
        return False
    return True
