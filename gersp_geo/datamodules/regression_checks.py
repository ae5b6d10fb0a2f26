"""Refuse a task that does not fit its values, and find out what it does with gaps."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torchgeo.tasks import BaseTask, PixelwiseRegression, Regression

# Batch and side of the small maps that a loss is tried on.
BATCH, SIDE = 2, 4


def check_regression(task: LightningModule, *, pixelwise: bool, whole: bool) -> None:
    """Refuse a task of torchgeo that learns something else.

    Args:
        task: Any task; of those that are none of torchgeo's, nothing is known.
        pixelwise: Whether there is a value per pixel, rather than per patch.
        whole: Whether each pixel of a patch has one.

    Raises:
        ValueError: Names a task that fits.
    """
    if not isinstance(task, BaseTask):
        return
    fits = isinstance(task, Regression) and isinstance(task, PixelwiseRegression) == pixelwise
    if not fits:
        what = 'a value per pixel' if pixelwise else 'values at points'
        names = 'PixelwiseRegression' if pixelwise else 'Regression'
        raise ValueError(f'{what} is for torchgeo.tasks.{names}, got {type(task).__name__}')
    if task.hparams['num_outputs'] != 1:
        raise ValueError(
            f'num_outputs of the task must be 1, as each place has one value, got '
            f'{task.hparams["num_outputs"]}'
        )
    if pixelwise and not whole and learns_from_gaps(task):
        raise ValueError(
            f'{type(task).__name__} with loss={task.hparams["loss"]!r} would learn NaN where there '
            'is no value; leave whole_patches out, or pass gersp_geo.tasks.PixelwiseRegression'
        )


def learns_from_gaps(task: Any) -> bool:
    """Say whether the loss of a task heeds pixels without a value, which are NaN.

    The ``criterion`` is tried on a small map; of a task without one, nothing is known, and it is
    taken to do so.
    """
    criterion = getattr(task, 'criterion', None)
    if criterion is None:
        return True
    predicted = torch.zeros(BATCH, 1, SIDE, SIDE, device=task.device, requires_grad=True)
    truth = torch.ones(BATCH, 1, SIDE, SIDE, device=task.device)
    truth[:, :, 0] = torch.nan
    with torch.enable_grad():
        loss = criterion(predicted, truth)
        (gradient,) = torch.autograd.grad(loss, predicted)
    known = bool(torch.isfinite(loss)) and bool(torch.isfinite(gradient).all())
    return not (known and bool((gradient[:, :, 0] == 0).all()))
