"""A stop between two steps, with a checkpoint to go on from."""

import os
import shlex
import signal
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from ..stopping import StopRequest, is_stop
from .atomic_checkpoint import AtomicCheckpointIO

STOPPED = 'stopped'
"""The checkpoint of a stop, where no checkpoint is named after the last step."""


class Stopped(SIGTERMException):
    """Training was asked to stop, and has come to a place where it can."""


class StopBetweenSteps(Checkpoint):
    """End training between two steps when a signal asks for it, and save where it stands.

    What Lightning does on SIGTERM alone is not enough: the last step of an epoch is taken twice, a
    validation is finished with half its batches, several processes may wait for each other for
    ever, and nothing is saved unless a callback saves after errors too. Of Ctrl-C it makes an error
    within a step.

    A stop within an epoch waits for the optimiser, so that no accumulated gradient is lost. After
    the last step of an epoch it comes before the validation, which the resumed run then does, or
    after the end of the epoch if there is none. A validation at hand is left, and done anew.

    A batch system may end the processes that read data together with this one. Where the next batch
    then does not come, this is between two steps as well.

    As a checkpoint callback, it comes after all others: states that they turn back at the end of a
    step are right by then.
    """

    def __init__(self, request: StopRequest) -> None:
        """Initialize a new StopBetweenSteps instance.

        Args:
            request: Says whether to stop, and is told what was saved.
        """
        self.request = request
        self.leaves_validation = False
        self.in_step = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Look where checkpoints will go before any work is done.

        Raises:
            OSError: If nothing can be written there.
        """
        self.request.speaks = trainer.is_global_zero
        for saver in savers(trainer):
            if stage == 'fit' and trainer.is_global_zero:
                check_writable(str(saver.dirpath))

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen in Lightning's place."""
        self.listen()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wait for good places from now on."""
        self.listen()
        self.request.waits = True
        if trainer.world_size > 1:
            # what one process of several fails at leaves the others in the middle of a step, where
            # none answers: a save would wait for them, or hold half a step
            for saver in savers(trainer):
                saver.save_on_exception = False

    def listen(self) -> None:
        """Take signals that Lightning has turned to itself in the meantime.

        It sends SIGTERM around between processes while these may be talking of something else.
        """
        if signal.getsignal(signal.SIGINT) is self.request:
            signal.signal(signal.SIGTERM, self.request)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note that a step begins."""
        self.in_step = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop here, unless gradients accumulate, a validation follows or the epoch ends."""
        self.in_step = False
        between = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        more = trainer.is_last_batch or validation_follows(trainer, batch_idx)
        if between and not more and not is_done(trainer):
            self.stop_if_asked(trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop here rather than validate."""
        if not trainer.sanity_checking:
            self.leaves_validation = True
            self.stop_if_asked(trainer)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *arguments: Any, **more: Any
    ) -> None:
        """Leave the validation."""
        # processes may have different numbers of batches, and must not wait for each other here
        if not trainer.sanity_checking and trainer.world_size == 1:
            self.stop_if_asked(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the validation is done."""
        self.leaves_validation = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop here, unless this was all."""
        last = trainer.max_epochs is not None and trainer.current_epoch + 1 == trainer.max_epochs
        if not last and not is_done(trainer):
            self.stop_if_asked(trainer)

    def stop_if_asked(self, trainer: Trainer) -> None:
        """Stop all processes if one was asked to.

        Raises:
            Stopped: If a signal asked for it.
        """
        asked = self.request.number is not None
        if trainer.world_size > 1:
            asked = trainer.strategy.reduce_boolean_decision(asked, all=False)
        if asked:
            self.request.number = self.request.number or signal.SIGTERM
            for saver in savers(trainer):
                # this callback saves, once and under one name
                saver.save_on_exception = False
            raise Stopped

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save where training stands, and say where to go on.

        Raises:
            OSError: If the checkpoint cannot be written.
        """
        asked = isinstance(exception, Stopped) or self.lost_readers(trainer, exception)
        place = find_place(trainer) if asked else None
        if place is not None:
            trainer.save_checkpoint(place)
        self.request.last = place or last_complete(trainer)
        if not self.request.waits:
            return
        self.request.advice = (
            f'go on with the same command and --ckpt_path {shlex.quote(self.request.last)}'
            if self.request.last
            else 'nothing was saved: the same command begins anew'
        )

    def lost_readers(self, trainer: Trainer, exception: BaseException) -> bool:
        """Say whether readers of data ended, between steps, as this process was asked to stop."""
        of_readers = isinstance(exception, RuntimeError) and is_stop(exception)
        noted = self.request.waits and self.request.number is not None
        # all processes save together, and the others may be within a step
        return of_readers and noted and not self.in_step and trainer.world_size == 1

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Let a validation that is left be done anew, in whole.

        Lightning would go on in its middle with a fresh loader and skip as many batches at the end,
        or skip it altogether if it was just between two batches.
        """
        if not self.leaves_validation or self.request.number is None:
            return
        progress = checkpoint['loops']['fit_loop']['epoch_loop.val_loop.batch_progress']
        # by this Lightning knows that a validation was left: a batch that was started, not
        # processed
        begun = max(1, progress['total']['ready'])
        progress['total'] |= {
            'ready': begun, 'started': begun, 'processed': begun - 1, 'completed': begun - 1
        }  # fmt: skip
        progress['current'] |= dict.fromkeys(('ready', 'started', 'processed', 'completed'), 0)


def savers(trainer: Trainer) -> list[ModelCheckpoint]:
    """List the callbacks that save; in a trial run they do not."""
    trial: bool = trainer.fast_dev_run  # type: ignore[attr-defined]  # set dynamically
    found = [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]
    return [] if trial else found


def validation_follows(trainer: Trainer, batch_idx: int) -> bool:
    """Say whether a validation within the epoch comes next, which a run resumed here would omit."""
    every: float | None = getattr(trainer, 'val_check_batch', None)
    if not trainer.enable_validation or not every:
        return False
    whole_epochs = trainer.check_val_every_n_epoch is not None
    done = batch_idx if whole_epochs else trainer.fit_loop.total_batch_idx
    return (done + 1) % every == 0


def is_done(trainer: Trainer) -> bool:
    """Say whether this was the last step of the run, so that it ends by itself."""
    return trainer.should_stop or trainer.global_step == trainer.max_steps


def find_place(trainer: Trainer) -> str | None:
    """Choose where to save, as the checkpoint callbacks of the trainer say.

    Returns:
        ``last.ckpt`` of the callback that has one, as it names it; else ``stopped.ckpt`` beside the
        checkpoints of the first; None if there is none.
    """
    found = sorted(savers(trainer), key=lambda saver: not saver.save_last)
    if not found:
        return None
    saver = found[0]
    name = saver.CHECKPOINT_NAME_LAST if saver.save_last else STOPPED
    place = (saver.last_model_path if saver.save_last else '') or free_place(saver, name, trainer)
    if saver.save_last:
        # part of its state, so that a resumed run replaces this file
        saver.last_model_path = place
    return place


def free_place(saver: ModelCheckpoint, name: str, trainer: Trainer) -> str:
    """Name a file as Lightning does, which replaces another run's file only if that is wanted."""
    place = saver.format_checkpoint_name({}, filename=name)
    # not public, but there is no other way to ask
    counts = saver._enable_version_counter  # noqa: SLF001
    version = saver.STARTING_VERSION
    while counts and Path(place).exists() and place != str(trainer.ckpt_path):
        place = saver.format_checkpoint_name({}, filename=name, ver=version)
        version += 1
    return place


def last_complete(trainer: Trainer) -> str | None:
    """Find the last checkpoint that was saved, else the one that this run began with."""
    writer = trainer.strategy.checkpoint_io
    if isinstance(writer, AtomicCheckpointIO) and writer.complete:
        return writer.complete[-1]
    return None if trainer.ckpt_path is None else str(trainer.ckpt_path)


def check_writable(folder: str) -> None:
    """Refuse, by an OSError, a folder in which no file can be written; ask no remote one."""
    if '://' in folder:
        return
    place = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(
            f'checkpoints cannot be written to {folder}: {place} is no folder; pass another dirpath'
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(
            f'checkpoints cannot be written to {folder}: {place} may not be written to; pass '
            'another dirpath'
        )
