"""Refuse a task that does not fit its classes, or would learn from pixels without one."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torchgeo.tasks import BaseTask, ChangeDetection, PixelwiseRegression, SemanticSegmentation

from ..labels.sources import IGNORE
from ..messages import name_some, one_line

type PixelTask = SemanticSegmentation | ChangeDetection
"""Tasks of torchgeo that learn a class, or labels, of each pixel."""

# Batch and side of the small maps that a loss is tried on.
BATCH, SIDE = 2, 8


def check_task(
    task: LightningModule,
    class_names: Sequence[str],
    *,
    present: Sequence[int],
    unlabelled: float,
    numbered: bool = False,
) -> None:
    """Refuse a task that would learn something else than these classes, before it is trained.

    What torchgeo's segmentation and change detection do with labels is known; of other tasks, only the number of
    classes is compared.

    Args:
        task: Any task.
        class_names: Names of the classes 0, 1, ...
        present: Classes that have pixels.
        unlabelled: Share of the pixels of patches that have no class and hold 255, in [0, 1].
        numbered: Whether nothing names the classes, so that they are counted by the values of
            masks.

    Raises:
        ValueError: Names what does not fit, and a combination that does.
    """
    if isinstance(task, PixelwiseRegression):
        if unlabelled:
            raise ValueError(
                f'{type(task).__name__} would learn the value {IGNORE} from the pixels without a '
                f'label, {unlabelled:.2%} of these; it knows no value to ignore: cut the images to '
                'what is labelled'
            )
        return
    values = present if numbered else ()
    if not isinstance(task, SemanticSegmentation | ChangeDetection):
        check_logits(task, class_names, values=values)
        return
    if task.hparams['task'] == 'multiclass':
        check_logits(task, class_names, values=values)
        check_per_class(task, class_names)
    else:
        check_single_logit(task, class_names)
    # a task with a step of its own may do what the loss alone does not
    own = (SemanticSegmentation.training_step, ChangeDetection.training_step)
    if type(task).training_step in own:
        check_ignore_index(task, class_names, present=present, unlabelled=unlabelled)
        check_loss(task, len(class_names), unlabelled=unlabelled)


def check_logits(
    task: LightningModule, class_names: Sequence[str], *, values: Sequence[int] = ()
) -> None:
    """Refuse a task with more or fewer logits than there are classes.

    *values* are those of masks whose classes nothing names; the error advises to choose them.
    """
    wanted, count = task.hparams.get('num_classes'), len(class_names)
    if wanted is not None and wanted != count:
        other = f', or name all {wanted} with class_names' if wanted > count else ''
        if len(values) == wanted:
            # between them, values are missing
            other = f', or mask_values={list(values)} for classes of these values alone'
        raise ValueError(
            f'num_classes of the task must be the {count} classes of the labels '
            f'({name_some(class_names)}), got {wanted}; pass num_classes={count}{other}'
        )


def check_detector(task: LightningModule, class_names: Sequence[str]) -> None:
    """Refuse a detector with another number of classes than there are, with the background."""
    wanted, count = task.hparams.get('num_classes'), len(class_names) + 1
    if wanted is not None and wanted != count:
        raise ValueError(
            f'num_classes of the task must be {count}: the background and the {count - 1} classes '
            f'of the labels ({name_some(class_names)}), got {wanted}; pass num_classes={count}'
        )


def check_per_class(task: PixelTask, class_names: Sequence[str]) -> None:
    """Refuse weights and labels of a task that are not one per class."""
    for name in ('class_weights', 'labels'):
        values, count = task.hparams.get(name), len(class_names)
        if values is not None and len(values) != count:
            raise ValueError(
                f'{name} of the task must be one per class ({name_some(class_names)}), got '
                f'{len(values)} for {count}'
            )


def check_single_logit(task: PixelTask, class_names: Sequence[str]) -> None:
    """Refuse a binary task for other than two classes, and one that wants a mask per label."""
    kind, count = task.hparams['task'], len(class_names)
    multiclass = f"pass task='multiclass' with num_classes={count}"
    if kind != 'binary':
        raise ValueError(
            f'task={kind!r} needs a mask per label, these masks hold one class per pixel; '
            f'{multiclass}'
        )
    if count != 2:
        raise ValueError(
            f"task='binary' needs two classes, the labels have {count} "
            f'({name_some(class_names)}); {multiclass}'
        )
    for name in ('num_classes', 'num_labels'):
        if task.hparams[name] not in (None, 1):
            raise ValueError(
                f"task='binary' needs one logit, got {name}={task.hparams[name]}; leave {name} out"
            )


def check_ignore_index(
    task: PixelTask, class_names: Sequence[str], *, present: Sequence[int], unlabelled: float
) -> None:
    """Refuse to ignore a class, or not to ignore what has no class; say what the value means."""
    ignored = task.hparams['ignore_index']
    if ignored in present:
        raise ValueError(
            f'ignore_index={ignored} is the class {class_names[ignored]} of the labels, which '
            f'would not be learned; pass ignore_index={IGNORE}, and make {ignored} the nodata '
            'value of the masks if it means no label'
        )
    if unlabelled and ignored != IGNORE:
        raise ValueError(
            f'ignore_index of the task must be {IGNORE}, which {unlabelled:.2%} of the pixels hold '
            f'because they have no label or no observation, got {ignored}; pass '
            f'ignore_index={IGNORE}, and {working_loss(task, len(class_names))}'
        )


def check_loss(task: PixelTask, classes: int, *, unlabelled: float) -> None:
    """Try the loss on small maps, and refuse it if it fails or learns from pixels without a label.

    The ``criterion`` of the task is tried, so that losses of subclasses are judged as well. The
    error names a combination that works. *unlabelled* is the share of pixels that have no label.
    """
    settings = {name: task.hparams[name] for name in ('task', 'loss', 'ignore_index')}
    given = ', '.join(f'{name}={value!r}' for name, value in settings.items())
    fix = f'{working_loss(task, classes)} and ignore_index={IGNORE}'
    try:
        gradient = gradient_without_label(task, classes, holes=unlabelled > 0)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = one_line(error)
        raise ValueError(
            f'{given} cannot be trained on masks with one class per pixel'
            f'{f", {unlabelled:.2%} of them without a label," if unlabelled else ""} ({reason}); '
            f'pass {fix}'
        ) from error
    if not bool((gradient == 0).all()):
        raise ValueError(
            f'{given} would learn from the pixels without a label, {unlabelled:.2%} of these: this '
            f'loss takes {IGNORE} for a target; pass {fix}'
        )


def gradient_without_label(task: PixelTask, classes: int, *, holes: bool) -> Tensor:
    """Take the gradient of the loss for the logits of pixels without a label, if there are *holes*.

    Returns:
        Their gradients, which are 0 if the loss leaves them out; of no pixel, if there are none.
    """
    channels = task.hparams['num_classes'] or task.hparams['num_labels'] or 1
    # not torch's own generator, whose draws are the run's
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(BATCH, channels, SIDE, SIDE, generator=generator)
    logits = drawn.to(next(task.parameters()))
    logits.requires_grad_()
    mask = (torch.arange(BATCH * SIDE**2) % classes).view(BATCH, SIDE, SIDE).to(task.device)
    if holes:
        mask[:, 0] = IGNORE
    target = mask.float() if task.hparams['loss'] == 'bce' else mask
    with torch.enable_grad():
        loss: Tensor = task.criterion(logits.squeeze(1), target)
        (gradient,) = torch.autograd.grad(loss, logits)
    return gradient.movedim(1, -1)[mask == IGNORE]


def working_loss(task: Any, classes: int) -> str:
    """Name a loss that leaves out pixels without a label, for the kind of task."""
    if task.hparams['task'] == 'binary':
        return "loss='dice'"
    return f"task='multiclass', num_classes={classes}, loss='ce'"


def check_dates(task: LightningModule, dates: int) -> None:
    """Refuse a task of torchgeo that takes another number of dates, 1 or 2, than there are.

    Raises:
        ValueError: Names what fits.
    """
    compares = isinstance(task, ChangeDetection)
    if dates == 1 and compares:
        raise ValueError(
            f'{type(task).__name__} compares two dates, and these images are one; pass '
            'GeoTIFFChangeDetectionDataModule with before and after'
        )
    if dates == 2 and isinstance(task, BaseTask) and not compares:
        raise ValueError(
            'two dates of a place are for torchgeo.tasks.ChangeDetection or '
            f'gersp_geo.tasks.ChangeDetection, got {type(task).__name__}'
        )
