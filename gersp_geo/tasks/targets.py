"""Check that boxes, labels and masks are what a detector of torchvision learns from."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import RunningStage
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torchgeo import tasks
from torchvision.models.detection import FCOS, RetinaNet

from .detection_metrics import WholeSetMetrics
from .object_faults import Labels, refuse_impossible

# keys of torchgeo's batches, and what torchvision and COCO call the same
_KEYS = {'bbox_xyxy': ('boxes', 'bbox', 'bboxes'), 'label': ('labels',), 'mask': ('masks',)}

_PURPOSES: dict[RunningStage | None, str] = {
    RunningStage.TRAINING: 'training',
    RunningStage.SANITY_CHECKING: 'validation',
    RunningStage.VALIDATING: 'validation',
    RunningStage.TESTING: 'test',
}


def has_background(network: object) -> bool:
    """Say whether label 0 of a detector of torchvision means that there is nothing.

    It does in those that choose one of all classes for a box. RetinaNet and FCOS score each class
    on its own: label 0 is a class like any other, and the background has no label.
    """
    return not isinstance(network, RetinaNet | FCOS)


class TargetCheck(Callback):
    """Refuse the first batch from which a detector would learn nothing, or something else.

    Every batch is looked at as the model gets it, behind augmentations, in training, validation and
    test. Tasks that are no detectors of torchgeo are left alone. It costs one transfer of a few
    bytes from the device per batch. An epoch without any object ends in a warning.
    """

    def __init__(self) -> None:
        """Initialize a new TargetCheck instance."""
        self.objects: int | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self.objects = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Check a batch before it is learned from."""
        if (found := check_batch(pl_module, batch, purpose='training')) is not None:
            self.objects = (self.objects or 0) + found

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Warn if there was nothing to find."""
        if self.objects == 0:
            rank_zero_warn(
                'no image of the epoch has an object, of which nothing can be learned: are the '
                'labels of this data set read?'
            )

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, *place: Any, **more: Any
    ) -> None:
        """Check a batch before it is validated on; some are, before training begins."""
        check_batch(pl_module, batch, purpose='validation')

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, *place: Any, **more: Any
    ) -> None:
        """Check a batch before it is tested on."""
        check_batch(pl_module, batch, purpose='test')


class CheckedDetector(WholeSetMetrics):
    """A detector of torchgeo that checks every batch: as it is loaded, and as the model gets it."""

    def configure_callbacks(self) -> list[Callback]:
        """Have every batch checked that the model gets."""
        return [TargetCheck()]

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Check every batch as it is loaded, too: augmentations trip over impossible boxes."""
        check_loaded(self, batch)
        return batch


def check_loaded(task: LightningModule, batch: Mapping[str, Any]) -> None:
    """Check a batch of torchgeo before it leaves the CPU, but for prediction."""
    if purpose := _PURPOSES.get(task.trainer.state.stage):
        check_batch(task, batch, purpose=purpose, is_loaded=True)


def check_batch(
    task: LightningModule, batch: Mapping[str, Any], *, purpose: str, is_loaded: bool = False
) -> int | None:
    """Check what a detector of torchgeo gets; refuse what is missing, misshapen or impossible.

    Args:
        task: Other tasks are left alone.
        batch: Under 'image': shape (B, C, H, W); under 'bbox_xyxy' and 'label', and 'mask' for
            instances, one tensor per image.
        purpose: Of the batch, named in errors.
        is_loaded: Whether it is as the data set gave it: an augmentation may move an object out.

    Returns:
        Number of objects; None for other tasks.
    """
    if not isinstance(task, tasks.ObjectDetection | tasks.InstanceSegmentation):
        return None
    masks = ('mask',) if isinstance(task, tasks.InstanceSegmentation) else ()
    keys = ('bbox_xyxy', 'label', *masks)
    images: Tensor = batch['image']
    refuse_missing(batch, keys, purpose=purpose)
    targets = [{key: batch[key][i] for key in keys} for i in range(len(images))]
    sides = images.shape[-2], images.shape[-1]
    for index, target in enumerate(targets):
        refuse_misshapen(target, sides=sides, where=f'image {index} of a {purpose} batch')
    known = Labels(
        model=task.hparams['model'],
        first=int(has_background(task.model)),
        classes=task.hparams['num_classes'],
    )
    refuse_impossible(targets, known=known, sides=sides, purpose=purpose, is_loaded=is_loaded)
    return sum(len(target['label']) for target in targets)


def refuse_missing(batch: Mapping[str, Any], keys: Sequence[str], *, purpose: str) -> None:
    """Refuse a batch without boxes, labels or masks of each image; tell other names for them."""
    count = len(batch['image'])
    for key in keys:
        if key in batch and len(batch[key]) == count:
            continue
        if key in batch:
            raise ValueError(
                f'a {purpose} batch of {count} images must have {key!r} of as many, '
                f'got {len(batch[key])}'
            )
        others = [name for name in _KEYS[key] if name in batch]
        advice = f'rename {others[0]!r}' if others else 'the data set has to give it'
        if others and others[0].startswith('bbox'):
            advice += ', which must hold left, top, right, bottom'
        raise ValueError(
            f'a {purpose} batch must have {", ".join(map(repr, keys))}, as in torchgeo, got '
            f'{", ".join(map(repr, batch))}; {advice}'
        )


def refuse_misshapen(target: Mapping[str, Tensor], *, sides: tuple[int, int], where: str) -> None:
    """Refuse boxes, labels and masks of one image that do not go together.

    *sides* are rows and columns of the image; *where* begins the message.
    """
    boxes, labels = target['bbox_xyxy'], target['label']
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f'{where}: boxes must be of shape (n, 4), (0, 4) without any object, '
            f'got {tuple(boxes.shape)}'
        )
    if labels.shape != boxes.shape[:1]:
        raise ValueError(
            f'{where}: {len(boxes)} boxes need labels of shape ({len(boxes)},), '
            f'got {tuple(labels.shape)}'
        )
    if labels.dtype != torch.int64 or not boxes.is_floating_point():
        raise ValueError(
            f'{where}: boxes must be floats and labels int64, got {boxes.dtype} and '
            f'{labels.dtype}; convert with .float() and .long()'
        )
    mask = target.get('mask')
    if mask is not None and mask.shape != (len(boxes), *sides):
        raise ValueError(
            f'{where}: {len(boxes)} boxes need as many masks, of shape '
            f'({len(boxes)}, {sides[0]}, {sides[1]}), got {tuple(mask.shape)}'
        )
