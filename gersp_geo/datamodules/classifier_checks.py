"""Refuse labels and tasks of classification that do not fit, before anything is trained."""

from collections.abc import Sequence

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torchgeo.tasks import Classification

from ..labels.patch_classes import PatchClasses
from ..messages import name_some, one_line
from .class_balance import weigh_classes
from .ground import Split
from .patches import ScannedBlocks

# Labels that a loss is tried on.
BATCH = 4


def check_labels(
    scanned: ScannedBlocks, labels: PatchClasses, *, at_least: int, source: str
) -> None:
    """Refuse labels of which no model can learn to tell classes apart.

    Args:
        scanned: Blocks with their labels.
        labels: What was opened.
        at_least: Classes that must occur.
        source: What the user named.
    """
    counts = scanned.counts[:, : len(labels.class_names)].sum(axis=0)
    present = np.flatnonzero(counts)
    if len(present) >= at_least:
        return
    held = [f'{labels.class_names[i]} ({counts[i]:,})' for i in present.tolist()]
    fix = 'give the folder that holds one folder per class' if labels.unit == 'image' else (
        'check that they lie on observed ground, half a patch from the border of an image'
    )  # fmt: skip
    word = 'two classes' if at_least > 1 else 'a class'
    raise ValueError(
        f'{source}: training needs labels of {word}, got {"only " + held[0] if held else "none"}; '
        f'{fix}'
    )


def report_labels(scanned: ScannedBlocks, split: Split, labels: PatchClasses) -> None:
    """Say how many labels each class has in each split, and warn of those that are not learned."""
    names = labels.class_names
    balance = weigh_classes(scanned, split, names, unit=labels.unit)
    rank_zero_info(f'labelled {labels.unit}s per class:\n{balance.table()}')
    total, training = balance.total, balance.labels['training']
    for chosen, fault in (
        (total == 0, f'no {labels.unit} is labelled'),
        ((total > 0) & (training == 0), f'no {labels.unit} of the training split is labelled'),
    ):
        if chosen.any():
            lacking = name_some([names[i] for i in np.flatnonzero(chosen)])
            rank_zero_warn(
                f'{fault} {lacking}, which the model thus cannot learn; check labels and class_names, '
                'or pass another seed'
            )
    if alone := [n for n, c in zip(names, total.tolist(), strict=True) if c == 1]:
        rank_zero_warn(
            f'{name_some(alone)} have one {labels.unit} each, which can be trained on or tested, '
            'not both'
        )


def warn_of_small_images(scanned: ScannedBlocks, *, size: int) -> None:
    """Warn if most images are smaller than a patch, which would show their reflections."""
    sides = [min(tile.height, tile.width) for tile in scanned.tiles.images.tiles]
    if (small := sum(side < size for side in sides)) * 2 > len(sides):
        rank_zero_warn(
            f'{small} of {len(sides)} images are smaller than a patch of {size} px, which are '
            f'filled by reflection, also in prediction; pass size={int(np.median(sides))}'
        )


def check_classifier(
    task: LightningModule, class_names: Sequence[str], *, multilabel: bool
) -> None:
    """Refuse a task that would learn something else than these classes.

    Args:
        task: Any task; what torchgeo's ``Classification`` does with labels is known, others are
            taken as they are.
        class_names: Names of the classes 0, 1, ...
        multilabel: Whether a patch may have several.

    Raises:
        ValueError: Names what does not fit, and what does.
    """
    if not isinstance(task, Classification):
        return
    hparams, count = task.hparams, len(class_names)
    kind, names = hparams['task'], name_some(class_names)
    fix = (
        f"task='multilabel', num_labels={count}, num_classes=None and loss='bce'"
        if multilabel
        else f"task='multiclass', num_classes={count}, num_labels=None and loss='ce'"
    )
    if multilabel != (kind == 'multilabel'):
        held = 'any number of labels' if multilabel else 'one class'
        raise ValueError(f'task={kind!r} does not fit patches with {held} each; pass {fix}')
    wanted = {'multilabel': (None, count), 'multiclass': (count, None)}.get(kind, (None, None))
    got = hparams['num_classes'], hparams['num_labels']
    if kind == 'binary' and count != 2:
        raise ValueError(
            f"task='binary' needs two classes, the labels have {count} ({names}); {fix}"
        )
    # torchgeo makes as many outputs as the first says, and measures by that of the task
    allowed = {None, 1} if kind == 'binary' else {None, count}
    own = got[1] if kind == 'multilabel' else got[0]
    if not set(got) <= allowed or (kind != 'binary' and own != count):
        raise ValueError(
            f'the labels have {count} classes ({names}), got num_classes={got[0]} and '
            f'num_labels={got[1]}; pass num_classes={wanted[0]} and num_labels={wanted[1]}'
        )
    for name in ('class_weights', 'labels'):
        if (values := hparams.get(name)) is not None and len(values) != count:
            raise ValueError(
                f'{name} of the task must be one per class ({names}), got {len(values)} for {count}'
            )
    ignored = hparams['ignore_index']
    if not multilabel and ignored is not None and 0 <= ignored < count:
        raise ValueError(
            f'ignore_index={ignored} is the class {class_names[ignored]} of the labels, which would '
            'not be learned; leave it out'
        )
    check_loss(task, count, multilabel=multilabel)


def check_loss(task: Classification, classes: int, *, multilabel: bool) -> None:
    """Try the loss on a few labels, and refuse it if it fails, with one that does not."""
    if type(task).training_step is not Classification.training_step:
        return
    kind, loss = task.hparams['task'], task.hparams['loss']
    labels = torch.arange(BATCH, device=task.device) % classes
    if multilabel:
        labels = torch.stack([labels == i for i in range(classes)], dim=1).long()
    outputs = 1 if kind == 'binary' else classes
    logits = torch.zeros(BATCH, outputs, device=task.device).squeeze(1)
    try:
        task.criterion(logits, labels.float() if loss == 'bce' else labels)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        fits = 'ce' if kind == 'multiclass' else 'bce'
        raise ValueError(
            f'task={kind!r} cannot be trained with loss={loss!r} ({one_line(error)}); pass '
            f'loss={fits!r}'
        ) from error
