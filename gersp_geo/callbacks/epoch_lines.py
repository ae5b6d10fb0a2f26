"""How far a training is, where no bar can be drawn: in a log file."""

import sys
from math import isfinite
from time import monotonic
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich import get_console


class EpochLines(Callback):
    """Write one line per epoch, and one per minute within long epochs, to a log.

    Lightning's bar is drawn on terminals alone: a run whose output goes to a file or a pipe would
    say nothing for hours. A line has the losses, and what checkpoints are chosen by. On a terminal,
    and without a bar (``enable_progress_bar: false``), nothing is written.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        """Initialize a new EpochLines instance.

        Args:
            seconds: So much time passes between two lines of an epoch, at least.
        """
        self.seconds = seconds
        self.began = self.wrote = 0.0
        self.is_asked = self.is_validated = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See whether anybody needs lines."""
        bar: Any = trainer.progress_bar_callback
        self.is_asked = (
            trainer.is_global_zero
            # tqdm writes to a log by itself
            and isinstance(bar, RichProgressBar)
            and bar.is_enabled
            and not get_console().is_terminal
        )
        self.began = self.wrote = monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write a line where the last one is long ago."""
        if monotonic() - self.wrote >= self.seconds:
            batches = trainer.num_training_batches
            of = f' of {batches:,}' if isfinite(batches) else ''
            self.write(trainer, f', batch {batch_idx + 1:,}{of}')

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that its metrics are new."""
        self.is_validated = not trainer.sanity_checking

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a line."""
        self.write(trainer, '')

    def write(self, trainer: Trainer, place: str) -> None:
        """Write where training is, and the newest metrics."""
        if not self.is_asked:
            return
        savers: list[Any] = trainer.checkpoint_callbacks
        monitors = [getattr(saver, 'monitor', None) for saver in savers]
        metrics = ', '.join(
            f'{name} {float(value):.3g}'
            for name, value in sorted(trainer.callback_metrics.items())
            if (name.endswith('loss') or name in monitors)
            # those of an earlier validation stay in this mapping
            and (self.is_validated or not name.startswith('val_'))
        )
        most = trainer.max_epochs or -1
        of = f' of {most:,}' if most > 0 else ''
        self.wrote = monotonic()
        self.is_validated = False
        sys.stderr.write(
            f'epoch {trainer.current_epoch + 1:,}{of}{place}, {self.wrote - self.began:,.0f} s'
            f'{": " * bool(metrics)}{metrics}\n'
        )
        sys.stderr.flush()
