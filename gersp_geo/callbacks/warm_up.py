"""A learning rate that rises over the first steps, whatever schedule follows."""

from functools import partial
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer


class WarmUp(Callback):
    """Raise the learning rate in a straight line over the first steps of a run.

    YAML can name one schedule, which Lightning steps once per epoch. A step takes a part of what
    that schedule gives, ``1 - (1 - step / steps) * (1 - start)``, as ``warmup='linear'`` of mmcv:
    https://github.com/open-mmlab/mmcv/blob/v1.7.1/mmcv/runner/hooks/lr_updater.py
    """

    def __init__(self, steps: int = 500, start: float = 1 / 3) -> None:
        """Initialize a new WarmUp instance.

        Args:
            steps: Number of steps with a lower rate, >= 0.
            start: Part of the rate in the first step, in [0, 1].

        Raises:
            ValueError: If one is out of range.
        """
        if steps < 0 or not 0 <= start <= 1:
            raise ValueError(f'steps must be >= 0 and start in [0, 1], got {steps} and {start}')
        self.steps, self.start = steps, start
        self.rates: dict[Optimizer, list[Any]] = {}
        self.hooks: list[Any] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lower the rates within each step alone: the schedule is stepped before a batch ends."""
        for optimizer in trainer.optimizers:
            self.hooks += [
                optimizer.register_step_pre_hook(partial(self.lower, trainer)),
                optimizer.register_step_post_hook(self.give_back),
            ]

    def lower(self, trainer: Trainer, optimizer: Optimizer, *_: Any) -> None:
        """Lower the rates of an optimiser for one step."""
        if trainer.global_step < self.steps:
            part = 1 - (1 - trainer.global_step / self.steps) * (1 - self.start)
            self.rates[optimizer] = [group['lr'] for group in optimizer.param_groups]
            for group in optimizer.param_groups:
                group['lr'] = group['lr'] * part

    def give_back(self, optimizer: Optimizer, *_: Any) -> None:
        """Set the rates of an optimiser as they were before the step."""
        rates = self.rates.pop(optimizer, [])
        for group, rate in zip(optimizer.param_groups if rates else [], rates, strict=True):
            group['lr'] = rate

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave no lowered rate to a checkpoint that is saved after an error within a step."""
        for optimizer in [*self.rates]:
            self.give_back(optimizer)
        self.leave()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave optimisers alone."""
        self.leave()

    def leave(self) -> None:
        """Take the hooks off."""
        for hook in self.hooks:
            hook.remove()
        self.hooks = []
