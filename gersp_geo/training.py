"""LightningCLI over torchgeo's and our classes."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torchgeo.datamodules
import torchgeo.tasks
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningCLI
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask

from . import __version__, datamodules, models, tasks
from .callbacks import PreprocessingRecord
from .callbacks.atomic_checkpoint import AtomicCheckpointIO
from .callbacks.stop_between_steps import StopBetweenSteps
from .geoio.write import NO_ROOM
from .stopping import StopRequest, stoppable
from .tasks.targets import TargetCheck

# importing these packages makes their classes known by name alone, and registers our weights
NAMED = (datamodules, models, tasks, torchgeo.datamodules, torchgeo.tasks)


class TrainingCLI(LightningCLI):
    """LightningCLI whose checkpoints are whole, and say how their input was prepared."""

    def __init__(self, *arguments: Any, request: StopRequest | None = None, **more: Any) -> None:
        """Initialize a new TrainingCLI instance, and run the command.

        Args:
            *arguments: LightningCLI's.
            request: Asks for a stop; signals are Lightning's to handle when None.
            **more: LightningCLI's.
        """
        self.request = request
        words = more.get('args')
        self.words: list[str] = words if isinstance(words, list) else []
        super().__init__(*arguments, **more)

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # static there
        """List the command that is asked for, or all of Lightning's.

        Setting up the options of each adds to the time before a run.
        """
        offered: dict[str, set[str]] = super().subcommands()
        return {name: skip for name, skip in offered.items() if name in self.words[:1]} or offered

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the Trainer.

        It gets a record of preprocessing unless it was given one, writes checkpoints atomically
        unless another way was chosen, and stops between steps.
        """
        trainer = super().instantiate_trainer(**kwargs)
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        if not any(isinstance(callback, PreprocessingRecord) for callback in callbacks):
            # first, so that a checkpoint callback finds the record in place
            callbacks.insert(0, PreprocessingRecord())
        theirs = (torchgeo.tasks.ObjectDetection, torchgeo.tasks.InstanceSegmentation)
        ours = (tasks.ObjectDetection, tasks.InstanceSegmentation)
        if isinstance(self.model, theirs) and not isinstance(self.model, ours):
            # ours bring one along
            callbacks.append(TargetCheck())
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = AtomicCheckpointIO()
        if self.subcommand == 'fit' and self.request is not None:
            callbacks.append(StopBetweenSteps(self.request))
        return trainer


def train_from_arguments(arguments: Sequence[str], request: StopRequest | None = None) -> None:
    """Run ``fit``, ``validate`` or ``test``.

    Args:
        arguments: The command and its options, as LightningCLI reads them. Class names of torchgeo
            work as in torchgeo's own command, and every checkpoint records how its input was
            prepared.
        request: Asks for a stop, where the caller listens to signals.

    Raises:
        OSError: If the disk is full; names the last complete checkpoint.
        SystemExit: With code 143 if SIGTERM stopped the run, 130 if Ctrl-C did.
        ValueError: If options of the trainer, the task and the data do not go together.
    """
    with stoppable() if request is None else nullcontext(request) as listening:
        try:
            run_command(arguments, listening)
        except MisconfigurationException as error:
            raise ValueError(str(error)) from error
        except OSError as error:
            # a checkpoint that fails says so itself; here it may be a log
            if error.errno in NO_ROOM and listening.last is not None:
                raise OSError(
                    f'{error}; the last complete checkpoint is {listening.last}, to go on from '
                    'with --ckpt_path'
                ) from error
            raise


def run_command(arguments: Sequence[str], request: StopRequest) -> None:
    """Hand over to LightningCLI, and say where the result is."""
    command = TrainingCLI(
        model_class=BaseTask,
        datamodule_class=BaseDataModule,
        seed_everything_default=0,
        parser_kwargs={'version': __version__},
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_kwargs={'overwrite': True},
        args=list(arguments),
        request=request,
    )
    writer = command.trainer.strategy.checkpoint_io
    if command.trainer.is_global_zero and isinstance(writer, AtomicCheckpointIO) and writer.saved:
        sys.stdout.write(f'last checkpoint: {writer.saved}\n')
