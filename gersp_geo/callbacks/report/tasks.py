"""What the tasks of torchgeo return, and what their classes are called."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torchgeo import tasks

from ...geoio.write import class_color
from ...preprocessing import CHANGE_CLASSES, Preprocessing
from .objects import ObjectTally
from .patches import Reading
from .tallies import ClassTally, LabelTally, Tally, ValueTally

# those whose lowest label, 0, is a class, and not the background
_WITHOUT_BACKGROUND = ('fcos', 'retinanet')

type Colors = dict[str, tuple[int, int, int]]


def read_task(task: LightningModule, record: Preprocessing | None, data: Any) -> Reading | None:
    """Say how the output of a task is to be read.

    Args:
        task: Any task; subclasses are read as their bases are.
        record: How its input was prepared, and what classes are called; None where that is unknown.
        data: The data module; its ``mean`` and ``std`` lead from model input to file values.

    Returns:
        None for tasks that are not supervised ones of torchgeo with one image or two dates.
    """
    # a subclass of torchgeo's, such as ours, is one as well
    if isinstance(task, tasks.ObjectDetection | tasks.InstanceSegmentation):
        kind, target = 'objects', 'label'
    elif isinstance(task, tasks.Regression):
        kind, target = 'values', task.target_key
    elif isinstance(
        task, tasks.SemanticSegmentation | tasks.ChangeDetection | tasks.Classification
    ):
        kind = 'labels' if task.hparams['task'] == 'multilabel' else 'classes'
        target = 'label' if isinstance(task, tasks.Classification) else 'mask'
    else:
        return None
    mean: Any = getattr(data, 'mean', None)
    std: Any = getattr(data, 'std', None)
    known = mean is not None and std is not None
    return Reading(
        kind=kind,
        target=target,
        names=name_outputs(task, record),
        bands=() if record is None else record.bands,
        mean=mean if known else 0.0,
        std=std if known else 1.0,
    )


def make_tally(task: LightningModule, reading: Reading, device: torch.device) -> Tally:
    """Make what counts the outputs of a task."""
    names = list(reading.names.values())
    match reading.kind:
        case 'objects':
            masks = isinstance(task, tasks.InstanceSegmentation)
            return ObjectTally(reading.names, with_masks=masks, device=device)
        case 'values':
            return ValueTally(names, target=reading.target, device=device)
    make = LabelTally if reading.kind == 'labels' else ClassTally
    ignore: int | None = task.hparams['ignore_index']
    return make(names, target=reading.target, ignore=ignore, device=device)


def name_outputs(task: LightningModule, record: Preprocessing | None) -> dict[int, str]:
    """Name the classes, labels or values of a task, each in its own way.

    The task's own ``labels`` come first, then what the data module calls them; else they are
    numbered.
    """
    hparams, known = task.hparams, () if record is None else record.class_names
    own: Sequence[str] = hparams.get('labels') or ()
    if isinstance(task, tasks.ObjectDetection | tasks.InstanceSegmentation):
        return name_labels(
            known, hparams['num_classes'], background=hparams['model'] not in _WITHOUT_BACKGROUND
        )
    if isinstance(task, tasks.Regression):
        count, what = int(hparams['num_outputs']), 'output'
    else:
        what = 'class'
        sort = hparams['task']
        # torchgeo takes the number of labels from either
        count = 2 if sort == 'binary' else hparams['num_classes'] or hparams['num_labels'] or 1
        if sort == 'multilabel':
            count = hparams['num_labels'] or count
    if count == 2 and len(known) == 1 and what == 'class':
        known = (f'no {known[0]}', known[0])
    names = next((names for names in (own, known) if len(names) == count), [''] * count)
    return dict(enumerate(distinct(names, what=what)))


def name_labels(known: Sequence[str], count: int, *, background: bool) -> dict[int, str]:
    """Name the labels of a detector; names may begin at label 0, or at 1 behind the background.

    Args:
        known: Names.
        count: Number of classes of the detector, the background included where it has one.
        background: Whether it has one.
    """
    first = 1 if len(known) == count - 1 else int(background)
    if len(known) != count - first:
        known = known[first:] if len(known) == count else [''] * (count - first)
    return dict(enumerate(distinct(known, what='class', first=first), start=first))


def distinct(names: Sequence[str], *, what: str, first: int = 0) -> list[str]:
    """Name what has no name by its number, and tell equal names apart by theirs."""
    often = Counter(names)
    return [
        f'{name or what}_{number}' if not name or often[name] > 1 else name
        for number, name in enumerate(names, start=first)
    ]


def choose_colors(reading: Reading, record: Preprocessing | None) -> Colors:
    """Choose the colours of classes: those of the record, or of maps of the same classes."""
    given = () if record is None else record.class_colors
    names = reading.names.values()
    if len(given) == len(names):
        return dict(zip(names, given, strict=True))
    colors = {name: class_color(i) for i, name in enumerate(names)}
    if tuple(names) == CHANGE_CLASSES:
        # Red would say change; previews of change show the ground in grey as well.
        colors[CHANGE_CLASSES[0]] = (160, 160, 160)
    return colors
