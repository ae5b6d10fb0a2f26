"""The released variant reproduces the official implementation, number by number.

`fixtures/official_trace.json` holds what the authors' code gave over six steps in float64; weights
and inputs are drawn from generators that are seeded by the name of each tensor.
"""

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gersp_geo import GeRSPTask
from gersp_geo.batch_types import LabelledBatch

TRACE = json.loads((Path(__file__).parent.parent / 'fixtures' / 'official_trace.json').read_text())
PAIRS, SIDE, QUEUE, CLASSES, DIMENSIONS = 8, 64, 64, 10, 128


def generator(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def draw(name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(generator(name).standard_normal(shape))


def initial_value(name: str, like: Tensor) -> Tensor:
    shape = tuple(like.shape)
    if 'running' in name or 'num_batches' in name:
        return torch.full_like(like, 1 if 'var' in name else 0)
    values = draw(name, shape)
    match len(shape):
        case 4:
            return values * math.sqrt(2 / math.prod(shape[1:]))
        case 2:
            return values * math.sqrt(1 / shape[1])
    is_norm_weight = name.startswith('backbone') and name.endswith('weight')
    return values * 0.1 + (1 if is_norm_weight else 0)


def fill(module: nn.Module, prefix: str) -> None:
    values = {key: initial_value(f'{prefix}.{key}', v) for key, v in module.state_dict().items()}
    module.load_state_dict(values)


class Training:
    """The official run, as far as it was asked for."""

    def __init__(self) -> None:
        self.task = make_task()
        self.optimizer = torch.optim.SGD(
            [p for p in self.task.parameters() if p.requires_grad],
            lr=0.007, momentum=0.9, weight_decay=5e-4,
        )  # fmt: skip
        self.steps: list[dict[str, float]] = []

    def take(self, count: int) -> None:
        """Go on to so many steps."""
        for step in range(len(self.steps), count):
            self.steps.append(train_one_step(self.task, self.optimizer, step))


@pytest.fixture(scope='module')
def training() -> Training:
    return Training()


def make_task() -> GeRSPTask:
    task = GeRSPTask(
        model='resnet50',
        num_classes=CLASSES,
        memory_bank_size=QUEUE,
        moco_momentum=0.999,
        teacher_projector='frozen',
        augmentation1=nn.Identity(),
        augmentation2=nn.Identity(),
        augmentation_natural=nn.Identity(),
    ).double()
    for module in (task.backbone, task.backbone_momentum):
        fill(module, 'backbone')
    for module in (task.projection_head, task.projection_head_momentum):
        fill(module, 'projector')
    fill(task.classification_head, 'classifier')
    queue = draw('queue', (DIMENSIONS, QUEUE))
    task.queue.copy_((queue / queue.norm(dim=0)).T)
    return task.train()


def train_one_step(
    task: GeRSPTask, optimizer: torch.optim.Optimizer, step: int
) -> dict[str, float]:
    shape = (PAIRS, 3, SIDE, SIDE)
    views = [draw(f'step{step}.{view}', shape) for view in ('query', 'key')]
    label = torch.from_numpy(generator(f'step{step}.label').integers(0, CLASSES, PAIRS))
    natural: LabelledBatch = {'image': draw(f'step{step}.natural', shape), 'label': label}
    logged: dict[str, Tensor] = {}
    task.log_step = lambda values, **_: logged.update(values)  # type: ignore[method-assign]
    optimizer.zero_grad()
    total = task.training_step(
        {'remote_sensing': {'image': torch.cat(views, 1)}, 'natural': natural}, step
    )
    total.backward()
    gradients = [p.grad for p in task.parameters() if p.grad is not None]
    optimizer.step()
    return {
        'contrastive': logged['train_contrastive_loss'].item(),
        'supervised': logged['train_supervised_loss'].item(),
        'total': total.item(),
        'grad_norm': torch.stack([g.norm() for g in gradients]).norm().item(),
        'queue_ptr': task.queue_ptr.item(),
    }


# the second step shows what the first has done to weights, teacher, momentum and queue
QUICK, COUNT = 2, len(TRACE['steps'])


@pytest.mark.parametrize(
    'step', [*range(QUICK), *(pytest.param(i, marks=pytest.mark.slow) for i in range(QUICK, COUNT))]
)
def test_each_step_equals_the_official_one(training: Training, step: int) -> None:
    training.take(step + 1)
    assert training.steps[step] == pytest.approx(TRACE['steps'][step], rel=1e-6)


def official_tensors(task: GeRSPTask) -> dict[str, Tensor]:
    parts: dict[str, nn.Module] = {
        'student': task.backbone,
        'teacher': task.backbone_momentum,
        'student_projector': task.projection_head,
        'teacher_projector': task.projection_head_momentum,
        'classifier': task.classification_head,
    }
    named = {f'{part}.{k}': v for part, m in parts.items() for k, v in m.state_dict().items()}
    return named | {'queue': task.queue.T}


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(TRACE['final']))
def test_each_tensor_after_the_last_step_equals_the_official_one(
    training: Training, name: str
) -> None:
    training.take(COUNT)
    values = official_tensors(training.task)[name]
    summary: dict[str, Any] = {
        'mean': values.mean().item(),
        'mean_abs': values.abs().mean().item(),
        'norm': values.norm().item(),
    }
    assert summary == pytest.approx(TRACE['final'][name], rel=1e-6)
