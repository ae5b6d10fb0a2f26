from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import SGD
from torch.optim.lr_scheduler import MultiStepLR, OneCycleLR
from torch.utils.data import DataLoader

from gersp_geo.callbacks import WarmUp

LR, STEPS, START = 0.6, 7, 0.25


class Line(LightningModule):
    """One weight, whose gradient is 1: each step moves it by the rate."""

    def __init__(self, interval: str = 'epoch') -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.interval = interval
        self.places: list[float] = [0.0]

    def training_step(self, batch: Tensor) -> Tensor:
        return -self.weight * torch.ones(())

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.places.append(float(self.weight.detach()))

    def configure_optimizers(self) -> Any:
        optimizer = SGD(self.parameters(), lr=LR)
        schedule = MultiStepLR(optimizer, [1, 3], gamma=0.1)
        if self.interval == 'step':
            schedule = OneCycleLR(optimizer, max_lr=LR, total_steps=100)  # type: ignore[assignment]
        return [optimizer], [{'scheduler': schedule, 'interval': self.interval}]


class Fail(Callback):
    def on_before_optimizer_step(self, trainer: Trainer, *arguments: Any) -> None:
        if trainer.global_step == 2:
            raise RuntimeError('stopped in a step')


def fit(task: Line, *callbacks: Callback, **more: Any) -> Trainer:
    path = more.pop('ckpt_path', None)
    trainer = Trainer(
        callbacks=[*callbacks], accelerator='cpu', logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, **more,
    )  # fmt: skip
    trainer.fit(task, DataLoader(torch.zeros(4)), ckpt_path=path)  # type: ignore[arg-type]
    return trainer


def mmcv_rates(epochs: int) -> Iterator[float]:
    """``LrUpdaterHook`` with ``policy='step'`` and ``warmup='linear'``, four steps per epoch."""
    for step in range(4 * epochs):
        regular = LR * 0.1 ** sum(step // 4 >= milestone for milestone in (1, 3))
        k = (1 - step / STEPS) * (1 - START) if step < STEPS else 0.0
        yield regular * (1 - k)


def test_steps_are_those_of_mmcv_also_across_a_milestone_and_a_stop(tmp_path: Path) -> None:
    task = Line()
    trainer = fit(task, WarmUp(STEPS, START), max_epochs=1)
    trainer.save_checkpoint(tmp_path / 'one.ckpt')
    again = Line()
    fit(again, WarmUp(STEPS, START), max_epochs=4, ckpt_path=tmp_path / 'one.ckpt')
    taken = [task.places, again.places]
    steps = [value for places in taken for value in torch.tensor(places).diff().tolist()]
    # the weight of the checkpoint is where the first run ended
    steps[4] -= task.places[-1]
    assert steps == pytest.approx([*mmcv_rates(4)], rel=1e-4)


def test_an_error_within_a_step_leaves_the_rate_of_the_schedule() -> None:
    task = Line()
    with pytest.raises(RuntimeError, match='stopped in a step'):
        fit(task, WarmUp(STEPS, START), Fail(), max_epochs=1)
    optimizer: Any = task.optimizers()
    assert optimizer.param_groups[0]['lr'] == LR


def test_a_schedule_of_steps_goes_on_beneath() -> None:
    tasks = [Line('step'), Line('step')]
    fit(tasks[0], max_epochs=4)
    fit(tasks[1], WarmUp(STEPS, START), max_epochs=4)
    alone, lowered = (torch.tensor(task.places).diff() for task in tasks)
    parts = [1 - (1 - step / STEPS) * (1 - START) for step in range(STEPS)]
    expected = torch.ones(16)
    expected[:STEPS] = torch.tensor(parts)
    torch.testing.assert_close(lowered / alone, expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize(('steps', 'start'), [(-1, 0.5), (3, 1.5)])
def test_other_numbers_are_refused(steps: int, start: float) -> None:
    with pytest.raises(ValueError, match=rf'got {steps} and {start}'):
        WarmUp(steps, start)
