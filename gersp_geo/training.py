"""LightningCLI over torchgeo's and our classes."""

import signal
from collections.abc import Sequence
from typing import Any

import torchgeo.datamodules
import torchgeo.tasks
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask

from . import __version__, datamodules, models, tasks
from .callbacks import PreprocessingRecord

# importing these packages makes their classes known by name alone, and registers our weights
NAMED = (datamodules, models, tasks, torchgeo.datamodules, torchgeo.tasks)


class TrainingCLI(LightningCLI):
    """LightningCLI whose checkpoints say how their input was prepared."""

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the Trainer, with a record of preprocessing unless it was given one."""
        trainer = super().instantiate_trainer(**kwargs)
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set dynamically
        if not any(isinstance(callback, PreprocessingRecord) for callback in callbacks):
            # first, so that a checkpoint callback finds the record in place
            callbacks.insert(0, PreprocessingRecord())
        return trainer


def train_from_arguments(arguments: Sequence[str]) -> None:
    """Run ``fit``, ``validate`` or ``test``.

    Args:
        arguments: The command and its options, as LightningCLI reads them. Class names of torchgeo
            work as in torchgeo's own command, and every checkpoint records how its input was
            prepared.

    Raises:
        SystemExit: With code 143, if SIGTERM stopped the run.
    """
    try:
        TrainingCLI(
            model_class=BaseTask,
            datamodule_class=BaseDataModule,
            seed_everything_default=0,
            parser_kwargs={'version': __version__},
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_kwargs={'overwrite': True},
            args=list(arguments),
        )
    except SIGTERMException as stop:
        # as a shell reports it, so that a job script can tell a stop from the end of training
        raise SystemExit(128 + signal.SIGTERM) from stop
