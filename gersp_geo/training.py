"""LightningCLI over torchgeo's and our classes."""

import logging
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from typing import Any, NoReturn

import torchgeo.datamodules
import torchgeo.tasks
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask

from . import __version__, datamodules, models, tasks
from .callbacks import (
    DataWait,
    EpochLines,
    EpochMetrics,
    FusedOptimizer,
    PreprocessingRecord,
    ValidationReport,
)
from .callbacks.atomic_checkpoint import AtomicCheckpointIO
from .callbacks.stop_between_steps import StopBetweenSteps
from .command_line import EXAMPLES, TRAINING
from .command_line.speaking import say
from .distributed import meet_anew
from .geoio.write import NO_ROOM
from .stopping import StopRequest, stoppable
from .tasks.targets import TargetCheck
from .tasks.torchgeo_weights import check_torchgeo_weights

# importing these packages makes their classes known by name alone, and registers our weights
NAMED = (datamodules, models, tasks, torchgeo.datamodules, torchgeo.tasks)

# beginnings of what Lightning says in every run, whatever there is to know
_IDLE = ('💡 Tip', 'TPU available: False', '`weights_only` was not set')

# beginning of what jsonargparse 4.53 says where neither of several types takes a value
_NO_SUBTYPE = 'Does not validate against any of the Union subtypes'


# what is no news in the rest: how else a value could be written, and whole configurations
_IDLE_LINES = (
    _NO_SUBTYPE, 'Subtypes:', 'Errors:', "Expected a <class 'NoneType'>", 'Expected a path but',
    'Not a valid subclass of', 'Subclass types expect one of', 'a class path (str)', 'a dict with',
    'Given value type:', 'Given value: {', 'Given value: [{',
)  # fmt: skip


class TrainingParser(LightningArgumentParser):
    """Says what is wrong in one line, as all commands do; its usage has more lines than a screen."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """End with the exit code of wrong words.

        Raises:
            ArgumentError: Of a parser that jsonargparse makes for its own use.
            SystemExit: With code 2.
        """
        if not self.exit_on_error:
            super().error(message, ex)
        parser = getattr(ex, 'subcommand_parser', None) or self
        command = parser.prog.replace(' [options]', '')
        advice = f'`{command} --help` lists what there is'
        if 'arguments are required' in message:
            advice = 'a configuration (--config) has all; `gersp-geo configs` lists some'
        say(f'error: {shorten(message)}; {advice}')
        self.exit(2)


def shorten(message: str) -> str:
    """Take what there is to know from what jsonargparse says of a value that it cannot read."""
    lines = (line.strip().removeprefix('- ') for line in message.splitlines())
    kept = ' '.join(line for line in lines if not line.startswith(_IDLE_LINES))
    return kept.replace(' Given value: ', ', got ').rstrip(' .')


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

    def before_instantiate_classes(self) -> None:
        """Look at weights before a task of torchgeo reads them."""
        model = self._get(self.config, 'model')
        options = getattr(model, 'init_args', None)
        check_torchgeo_weights(
            str(getattr(model, 'class_path', '')), {} if options is None else vars(options)
        )

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the Trainer.

        It gets a record of preprocessing, a report of validation, a measure of waiting for data,
        lines for a log, and what spares time, unless it was given them, logs to TensorBoard or else
        to CSV unless told, writes checkpoints atomically unless another way was chosen, and stops
        between steps.
        """
        options = self._get(self.config_init, 'trainer', default={})
        if options.get('logger') in (None, True) and 'logger' not in kwargs:
            kwargs['logger'] = make_logger(options.get('default_root_dir'))
        trainer = super().instantiate_trainer(**kwargs)
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        if not any(isinstance(callback, PreprocessingRecord) for callback in callbacks):
            # first, so that a checkpoint callback finds the record in place
            callbacks.insert(0, PreprocessingRecord())
        for kind in (DataWait, EpochLines, EpochMetrics, FusedOptimizer):
            if not any(isinstance(callback, kind) for callback in callbacks):
                callbacks.append(kind())
        if not any(isinstance(callback, ValidationReport) for callback in callbacks):
            # last, so that a run that is refused by another one leaves no file
            callbacks.append(ValidationReport())
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

    def test(self, **options: Any) -> None:
        """Test; the table of the report takes the place of Lightning's where there is one."""
        self.trainer.test(**options | self.quiet())

    def validate(self, **options: Any) -> None:
        """Validate, and show the table of the report."""
        self.trainer.validate(**options | self.quiet())

    def quiet(self) -> dict[str, bool]:
        """Say that Lightning shows no table where the report has one."""
        report = find_report(self.trainer)
        return {'verbose': False} if report is not None and report.reads(self.model) else {}


def make_logger(folder: str | None) -> Logger:
    """Log to TensorBoard where it is installed, as Lightning does, else to CSV without a word."""
    is_there = any(map(find_spec, ('tensorboard', 'tensorboardX')))
    make = TensorBoardLogger if is_there else CSVLogger
    return make(folder or '.')


def find_report(trainer: Trainer) -> ValidationReport | None:
    """Find the callback that reports; None if there is none."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return next((one for one in callbacks if isinstance(one, ValidationReport)), None)


def tells_something(message: logging.LogRecord) -> bool:
    """Say whether a message of Lightning is more than what it says in every run."""
    return not message.getMessage().startswith(_IDLE)


def train_from_arguments(arguments: Sequence[str], request: StopRequest | None = None) -> None:
    """Run ``fit``, ``validate`` or ``test``.

    Args:
        arguments: The command and its options, as LightningCLI reads them. Class names of torchgeo
            work as in torchgeo's own command, and every checkpoint records how its input was
            prepared.
        request: Asks for a stop, where the caller listens to signals.

    Raises:
        OSError: If the disk is full; names the last complete checkpoint.
        SystemExit: With code 143 if SIGTERM stopped the run, 130 if Ctrl-C did, 2 if an option is not
            known or its value cannot be read.
        ValueError: If options of the trainer, the task and the data do not go together.
    """
    for talker in ('utilities.rank_zero', 'trainer.connectors.checkpoint_connector'):
        logging.getLogger(f'lightning.pytorch.{talker}').addFilter(tells_something)
    meet_anew()
    with stoppable() if request is None else nullcontext(request) as listening:
        try:
            run_command(arguments, listening)
        except MisconfigurationException as error:
            raise ValueError(str(error)) from error
        except ValueError as error:
            if (reason := find_reason(error)) is error:
                raise
            raise reason from None
        except OSError as error:
            # a checkpoint that fails says so itself; here it may be a log
            if error.errno in NO_ROOM and listening.last is not None:
                raise OSError(
                    f'{error}; the last complete checkpoint is {listening.last}, to go on from '
                    'with --ckpt_path'
                ) from error
            raise


def find_reason(error: ValueError) -> BaseException:
    """Take what a class said of its options from what jsonargparse wraps around it.

    Options of model and data may be a class or null, and the error of neither lists all options.
    """
    reason: BaseException = error
    while str(reason).startswith(_NO_SUBTYPE) and reason.__cause__ is not None:
        reason = reason.__cause__
    return reason


def describe(command: str = '') -> dict[str, dict[str, str]]:
    """Say what --help says of a command of LightningCLI before its options."""
    if command not in TRAINING:
        return {}
    purpose = TRAINING[command]
    text = f'{purpose[0].upper()}{purpose[1:]}. Example: {EXAMPLES[command]}'
    return {command: {'description': text}}


def name_best(trainer: Trainer) -> str:
    """Name the checkpoint of the best validation in a line; empty if none was chosen by that."""
    saver = trainer.checkpoint_callback
    if not isinstance(saver, ModelCheckpoint) or saver.best_model_score is None:
        return ''
    score = f'{saver.monitor} {float(saver.best_model_score):.3f}'
    return f'best checkpoint: {saver.best_model_path} ({score})\n'


def run_command(arguments: Sequence[str], request: StopRequest) -> None:
    """Hand over to LightningCLI, and say where the result is."""
    command = TrainingCLI(
        model_class=BaseTask,
        datamodule_class=BaseDataModule,
        seed_everything_default=0,
        parser_class=TrainingParser,
        parser_kwargs={'prog': 'gersp-geo', 'version': __version__, **describe(*arguments[:1])},
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_kwargs={'overwrite': True},
        args=list(arguments),
        request=request,
    )
    trainer, report = command.trainer, find_report(command.trainer)
    if not trainer.is_global_zero:
        return
    if report is not None and report.summary is not None and command.subcommand != 'fit':
        sys.stdout.write(f'{report.summary.table()}\n')
    writer = trainer.strategy.checkpoint_io
    if isinstance(writer, AtomicCheckpointIO) and writer.saved:
        sys.stdout.write(f'last checkpoint: {writer.saved}\n')
        sys.stdout.write(name_best(trainer))
    if report is not None and report.written is not None:
        sys.stdout.write(f'report: {report.written}\n')
