"""Checkpoints that Lightning writes for tasks of torchgeo and for modules of anybody."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torchgeo.tasks import (
    BYOL,
    Classification,
    MoCo,
    ObjectDetection,
    PixelwiseRegression,
    SemanticSegmentation,
    SimCLR,
)
from torchvision.models import resnet18

from gersp_geo.models.backbone_weights import read_checkpoint

# how each task is built, its format, and where its student and teacher are
TASKS: dict[str, tuple[Callable[[], LightningModule], str, str, str | None]] = {
    'moco': (
        lambda: MoCo('resnet18', memory_bank_size=16, size=32),
        'torchgeo-moco', 'backbone', 'backbone_momentum',
    ),
    'simclr': (lambda: SimCLR('resnet18', size=32), 'torchgeo-simclr', 'backbone', None),
    'byol': (
        lambda: BYOL('resnet18'),
        'torchgeo-byol', 'model.backbone.model', 'model.target.model',
    ),
    'classification': (lambda: Classification('resnet18', num_classes=3), 'torchgeo', 'model', None),
    'segmentation': (
        lambda: SemanticSegmentation('unet', 'resnet18', num_classes=2),
        'torchgeo', 'model.encoder', None,
    ),
    'regression': (
        lambda: PixelwiseRegression('unet', 'resnet18', num_outputs=1),
        'torchgeo', 'model.encoder', None,
    ),
    'detection': (
        lambda: ObjectDetection('retinanet', 'resnet18', num_classes=2),
        'torchgeo', 'model.backbone.body', None,
    ),
    'anything': (lambda: Anything(('network',)), 'lightning', 'network', None),
}  # fmt: skip


class Anything(LightningModule):
    """Keeps ResNets under names of its own."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        for name in names:
            self.add_module(name, resnet18(num_classes=3))
        self.decoder = nn.Conv2d(4, 4, 3)


def save(task: LightningModule, path: Path) -> Path:
    trainer = Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path)
    return path


@pytest.mark.quick('simclr', 'segmentation', 'anything')
@pytest.mark.parametrize('name', TASKS)
def test_the_backbone_is_found(name: str, tmp_path: Path) -> None:
    build, form, student, teacher = TASKS[name]
    task = build()
    path = save(task, tmp_path / 'task.ckpt')
    for part, of_teacher in ((student, False), (teacher, True)):
        if part is None:
            continue
        weights = read_checkpoint(path, teacher=of_teacher)
        assert (weights.format, weights.model) == (form, 'resnet18')
        wanted = task.get_submodule(part).state_dict()
        shared = [key for key in wanted if not key.startswith('fc.')]
        # frozen BatchNorm has no counters
        assert [key for key in weights.state_dict if key in wanted] == shared
        assert all(torch.equal(weights.state_dict[key], wanted[key]) for key in shared)


def test_two_backbones_are_one_too_many(tmp_path: Path) -> None:
    path = save(Anything(('left', 'right')), tmp_path / 'task.ckpt')
    with pytest.raises(ValueError, match=r'holds 2 backbones, left\., right\.'):
        read_checkpoint(path)
