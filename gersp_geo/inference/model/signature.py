"""What a model takes and what it returns, told from its task or its graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .task_bases import is_lightning, tasks_of

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

type Scores = Literal['classes', 'labels', 'values']
"""Logits of classes that exclude each other, of labels that do not, or quantities."""

SCORES_KEY = 'scores'
"""Metadata of an ONNX file: what its scores are, besides the record."""

TASK_KEY = 'task_class'
"""Metadata of an ONNX file: which task it was."""

# models of change detection that take dates apart; torchgeo's tasks join them for all others
_TAKE_DATES_APART = ('fcsiamdiff', 'fcsiamconc', 'changevit')


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """How many dates of a place a model takes, and how."""

    count: int = 1
    """1, or 2 for change."""

    apart: bool = False
    """Whether each has a place of its own, (B, 2, C, H, W), rather than bands side by side,
    (B, 2 * C, H, W)."""


def scores_of(model: Any) -> Scores:
    """Say what a model returns."""
    # that of pixels is one of these
    if 'Regression' in tasks_of(model):
        return 'values'
    if is_lightning(model) and model.hparams.get('task') == 'multilabel':
        return 'labels'
    return 'classes'


def dates_of(model: Any, *, given: int) -> Dates:
    """Say how many dates a model takes.

    Args:
        model: A task, or any module or function.
        given: Dates that there are, 1 or 2, which a model that does not tell has to take.

    Returns:
        What it takes; two dates apart if it is no task that tells.
    """
    tasks = tasks_of(model)
    if 'ChangeDetection' in tasks:
        return Dates(count=2, apart=model.hparams['model'] in _TAKE_DATES_APART)
    if given == 1 or not {'SemanticSegmentation', 'PixelwiseRegression'}.isdisjoint(tasks):
        return Dates()
    return Dates(count=given, apart=True)


def graph_scores(
    stated: str | None, named: 'str | type[LightningModule] | None', *, path: Path
) -> Scores:
    """Say what an ONNX graph returns; a task is known by its name, nothing is imported.

    Args:
        stated: What the metadata say about it.
        named: Class of the task, or its import path.
        path: Of the file, for messages.

    Returns:
        What it is.

    Raises:
        ValueError: If *stated* is none of these.
    """
    known: dict[str, Scores] = {'classes': 'classes', 'labels': 'labels', 'values': 'values'}
    if stated is not None:
        if stated not in known:
            raise ValueError(
                f'{path} (metadata {SCORES_KEY}) must be one of {", ".join(known)}, got {stated!r}'
            )
        return known[stated]
    name = named.__name__ if isinstance(named, type) else (named or '').rpartition('.')[2]
    return 'values' if name in ('PixelwiseRegression', 'Regression') else 'classes'


def graph_dates(
    shape: Sequence[int | None], bands: Sequence[str], *, given: int, path: Path
) -> Dates:
    """Say how many dates an ONNX graph takes.

    Args:
        shape: Of its input: (B, C, H, W), (B, 2 * C, H, W) or (B, 2, C, H, W); None where any
            number will do.
        bands: Of one date.
        given: Dates that there are, 1 or 2, which a graph for any number of bands has to take.
        path: Of the file, for messages.

    Returns:
        What it takes.

    Raises:
        ValueError: If its input has room for neither one nor two dates.
    """
    count, channels = len(bands), shape[-3]
    if len(shape) == 5:
        if shape[1] in (None, 2) and channels in (None, count):
            return Dates(count=2, apart=True)
    elif channels in (None, count):
        return Dates(count=1 if channels else given)
    elif channels == 2 * count:
        return Dates(count=2)
    dates = '' if len(shape) == 4 else f' of {shape[1] or "any number of"} dates'
    raise ValueError(
        f'{path} takes {channels or "any number of"} channels{dates}, but preprocessing names '
        f'{count} bands: {", ".join(bands)}; two dates are (B, 2, C, H, W) or (B, 2 * C, H, W)'
    )
