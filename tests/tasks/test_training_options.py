"""What a Trainer and torch can be asked for, with real runs on a CPU."""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from gersp_geo import GeRSPTask
from gersp_geo.batch_types import JointBatch

SIDE, CLASSES, QUEUE, PAIRS = 32, 5, 64, 4


def make_task(**arguments: Any) -> GeRSPTask:
    defaults: dict[str, Any] = {
        # 0.4 million parameters, which a compiler is done with in seconds
        'model': 'test_resnet',
        'hidden_dim': 16,
        'output_dim': 8,
        'memory_bank_size': QUEUE,
        'num_classes': CLASSES,
        'size': SIDE,
    }
    torch.manual_seed(0)
    return GeRSPTask(**(defaults | arguments))


def make_batches(count: int, *, natural: bool = True) -> list[JointBatch]:
    generator = torch.Generator().manual_seed(1)
    shape = (PAIRS, 3, SIDE, SIDE)

    def images() -> Tensor:
        return torch.randint(256, shape, dtype=torch.uint8, generator=generator)

    label = torch.arange(PAIRS) % CLASSES
    batches: list[JointBatch] = []
    for _ in range(count):
        batch: JointBatch = {'remote_sensing': {'image': images()}}
        if natural:
            batch['natural'] = {'image': images(), 'label': label}
        batches.append(batch)
    return batches


def fit(
    task: GeRSPTask, batches: list[JointBatch], *callbacks: Callback, **options: Any
) -> Trainer:
    trainer = Trainer(
        accelerator='cpu', devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=list(callbacks), **options,
    )  # fmt: skip
    torch.manual_seed(2)
    # a bare list would be taken for several loaders
    trainer.fit(task, DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    return trainer


def parameters_of(*modules: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for m in modules for p in m.parameters()])


class TeacherHistory(Callback):
    """Keep student and teacher as they are after each batch."""

    def __init__(self) -> None:
        self.students: list[Tensor] = []
        self.teachers: list[Tensor] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.keep(pl_module)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: JointBatch,
        batch_idx: int,
    ) -> None:
        self.keep(pl_module)

    def keep(self, task: Any) -> None:
        self.students.append(parameters_of(task.backbone, task.projection_head))
        self.teachers.append(parameters_of(task.backbone_momentum, task.projection_head_momentum))


@pytest.mark.parametrize('accumulated', [1, 2])
def test_the_teacher_moves_once_for_each_move_of_the_student(accumulated: int) -> None:
    task, history = make_task(moco_momentum=0.9), TeacherHistory()
    trainer = fit(task, make_batches(6), history, accumulate_grad_batches=accumulated)
    assert trainer.global_step == 6 // accumulated
    assert int(task.queue_ptr) == 6 * PAIRS
    teacher = history.teachers[0]
    for batch in range(6):
        if batch % accumulated == 0:
            # towards the student that the previous step left
            teacher = 0.9 * teacher + 0.1 * history.students[batch]
        torch.testing.assert_close(history.teachers[batch + 1], teacher)
    moved = [not torch.equal(a, b) for a, b in pairwise(history.teachers)]
    # at the first batch student and teacher are still equal
    assert moved == [batch > 0 and batch % accumulated == 0 for batch in range(6)]


def test_clipping_bounds_the_length_of_a_step() -> None:
    lr, limit = 0.1, 0.01
    task, history = make_task(lr=lr, momentum=0.0, weight_decay=0.0), TeacherHistory()
    head = parameters_of(task.classification_head)
    fit(task, make_batches(1), history, gradient_clip_val=limit)
    moved = torch.cat(
        [history.students[1] - history.students[0], parameters_of(task.classification_head) - head]
    )
    assert float(moved.norm()) == pytest.approx(lr * limit, rel=1e-2)


def test_mixed_precision_gives_the_loss_of_single_precision() -> None:
    losses = {}
    for precision in ('32-true', 'bf16-mixed'):
        trainer = fit(make_task(), make_batches(1), precision=precision)
        losses[precision] = trainer.callback_metrics['train_loss']
    assert losses['bf16-mixed'].isfinite()
    assert losses['bf16-mixed'] != losses['32-true']
    torch.testing.assert_close(losses['bf16-mixed'], losses['32-true'], rtol=0.02, atol=0)


def test_mixed_precision_keeps_weights_and_unit_keys_in_single_precision() -> None:
    task = make_task()
    fit(task, make_batches(1), precision='bf16-mixed')
    assert {p.dtype for p in task.parameters()} == {torch.float32}
    assert task.queue.dtype == torch.float32
    torch.testing.assert_close(task.queue.norm(dim=1), torch.ones(QUEUE))


def test_mixed_precision_leaves_the_views_alone() -> None:
    task, images = make_task(), make_batches(1)[0]['remote_sensing']['image']
    views = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled):
            views.append(task.two_views(images))
    for single, mixed in zip(*views, strict=True):
        torch.testing.assert_close(single, mixed)


def losses_of(task: GeRSPTask, *, steps: int = 2) -> list[float]:
    """Losses of a plain loop."""
    optimizer = torch.optim.SGD((p for p in task.parameters() if p.requires_grad), lr=0.01)
    losses = []
    torch.manual_seed(4)
    for step, batch in enumerate(make_batches(steps)):
        loss = task.training_step(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_channels_last_gives_the_same_losses() -> None:
    task = make_task()
    task.to(memory_format=torch.channels_last)
    assert losses_of(task) == pytest.approx(losses_of(make_task()), rel=1e-4)
    for module in (task.backbone, task.backbone_momentum):
        kernel = module.get_parameter('layer1.0.conv1.weight')
        assert kernel.is_contiguous(memory_format=torch.channels_last)


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    """What one test compiles does not count towards the limit of another."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.quick('eager')
@pytest.mark.parametrize('backend', ['eager', 'aot_eager'])
@pytest.mark.usefixtures('fresh_compiler')
def test_compiled_backbones_give_the_same_losses_under_the_same_keys(backend: str) -> None:
    task = make_task()
    keys = list(task.state_dict())
    task.backbone.compile(backend=backend, dynamic=False)
    task.backbone_momentum.compile(backend=backend, dynamic=False)
    assert losses_of(task) == pytest.approx(losses_of(make_task()), rel=1e-4)
    assert list(task.state_dict()) == keys


@pytest.mark.usefixtures('fresh_compiler')
def test_a_compiled_task_gives_the_same_features() -> None:
    task, images = make_task().eval(), torch.rand(2, 3, SIDE, SIDE)
    compiled: Callable[[Tensor], Tensor] = torch.compile(task, backend='eager')
    torch.testing.assert_close(compiled(images), task(images))


@pytest.mark.usefixtures('fresh_compiler')
def test_all_options_work_together() -> None:
    task = make_task()
    task.to(memory_format=torch.channels_last)
    task.backbone.compile(backend='eager', dynamic=False)
    task.backbone_momentum.compile(backend='eager', dynamic=False)
    options: dict[str, Any] = {'accumulate_grad_batches': 2, 'gradient_clip_val': 1.0}
    trainer = fit(task, make_batches(2), precision='bf16-mixed', **options)
    assert trainer.global_step == 1
    assert trainer.callback_metrics['train_loss'].isfinite()


class GradientCheck(Callback):
    """Name the parameters that a backward pass left out."""

    def __init__(self) -> None:
        self.unused: list[str] | None = None

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        named = pl_module.named_parameters()
        self.unused = [name for name, p in named if p.requires_grad and p.grad is None]


@pytest.mark.parametrize('natural', [True, False])
def test_no_trainable_parameter_is_left_out_of_a_step(natural: bool) -> None:
    # otherwise distributed training would have to look for unused parameters
    task, check = make_task(supervised_weight=float(natural)), GradientCheck()
    trainer = fit(task, make_batches(2, natural=natural), check)
    assert trainer.global_step == 2
    assert check.unused == []
    assert ('train_supervised_loss' in trainer.callback_metrics) == natural
