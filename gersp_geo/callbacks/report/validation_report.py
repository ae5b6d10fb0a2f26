"""A report of what validation and test found, per class and by name."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from ...preprocessing import Preprocessing
from ..online_knn import find_record
from ..stop_between_steps import Stopped
from .figures import draw_matrix, draw_patches
from .files import write_figure, write_splits, write_summary
from .patches import Patch, Reading
from .summary import Summary
from .tasks import choose_colors, read_task
from .watch import Watch

FOLDER = 'report'
"""Where a report lies, below the folder of the logger."""

# Seconds between two times that the report of a better epoch is written; the last one always is
_SPACING = 30.0

# torchgeo logs these under the same names
_THEIRS = ('RMSE', 'MAE')


class ValidationReport(Callback):
    """Log metrics of each class by its name, and write tables and pictures of what was found.

    For torchgeo's tasks of segmentation, change detection, classification, object detection,
    instance segmentation and regression, and those derived from them; others are left alone.

    Logged are ``val_IoU_NAME``, and Precision, Recall and F1, of pixels and images; ``val_AP_NAME``
    and ``val_AP50_NAME`` of boxes (``MaskAP`` of masks); ``val_Bias`` and ``val_R2`` of values; and
    without a name the mean over classes: for early stopping and checkpoints, beside the metrics
    that torchgeo logs. In a test they begin with ``test_``. A class that is nowhere true is NaN.

    ``report/val`` in the folder of the logger holds the best epoch by what the first checkpoint
    callback monitors, else the last; ``report/test`` the test; ``report/splits.gpkg`` which ground
    belongs to which split. Without a logger no file is written.
    """

    def __init__(self, patches: int = 8) -> None:
        """Initialize a new ValidationReport instance.

        Args:
            patches: So many are drawn; 0 draws none.

        Raises:
            ValueError: If *patches* is negative.
        """
        if patches < 0:
            raise ValueError(f'patches must be >= 0, got {patches}')
        self.patches = patches
        self.folder: Path | None = None
        self.summary: Summary | None = None
        """Of the last validation or test."""

        self.written: Path | None = None
        """The folder that was written last."""

        self.record: Preprocessing | None = None
        self.reading: Reading | None = None
        self.watch: Watch | None = None
        self.shown: list[Patch] = []
        self.best = math.inf
        self.pending: Callable[[], None] | None = None
        self.wrote_at = -math.inf

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find out what the task returns, and where the report goes."""
        # absent when loaders are passed to the trainer directly
        data: Any = getattr(trainer, 'datamodule', None)
        if stage == 'predict' or not self.reads(pl_module):
            return
        self.record, self.best = None, math.inf
        # where a checkpoint needs it, its absence is an error elsewhere
        with suppress(ValueError):
            self.record = find_record(trainer, pl_module)
        self.reading = read_task(pl_module, self.record, data)
        # asks all processes, as not all may do later
        folder = str(trainer.log_dir)
        trial: bool = trainer.fast_dev_run  # type: ignore[attr-defined]  # set dynamically
        # without a logger, none is asked for
        wanted = bool(trainer.loggers) and not trial and '://' not in folder
        self.folder = Path(folder) / FOLDER if wanted else None
        if self.folder is not None and trainer.is_global_zero and hasattr(data, 'split_table'):
            table = data.split_table()
            if table is not None and len(table):
                write_splits(self.folder / 'splits.gpkg', table)

    def reads(self, task: LightningModule) -> bool:
        """Say whether this is a task that can be reported on."""
        return read_task(task, None, None) is not None

    def begin(self, trainer: Trainer, pl_module: LightningModule, batches: Any) -> None:
        """Begin to count; *batches* are the numbers of them of each loader."""
        if trainer.sanity_checking or self.reading is None:
            return
        draws = trainer.is_global_zero and self.folder is not None
        first = batches[0] if isinstance(batches, list) and batches else math.inf
        self.watch = Watch(
            pl_module, self.reading, batches=first, patches=self.patches if draws else 0
        )

    def finish(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compute the metrics over all processes, and log them."""
        watch = self.unwatch()
        if watch is None:
            return
        add = partial(trainer.strategy.reduce, reduce_op='sum')
        self.summary, self.shown = watch.tally.summary(add), watch.patches
        for name, value in self.summary.flat().items():
            if name.split('_')[0] not in _THEIRS:
                pl_module.log(f'{stage}_{name}', value, sync_dist=trainer.world_size > 1)

    def unwatch(self) -> Watch | None:
        """Stop counting, and leave the task as it was."""
        watch, self.watch = self.watch, None
        if watch is not None:
            watch.close()
        return watch

    def report(self, trainer: Trainer, stage: str) -> None:
        """Write the report of this validation, or let it wait, if it is the best so far."""
        summary, folder = self.summary, self.folder
        if trainer.sanity_checking or summary is None or folder is None:
            return
        fitting = trainer.state.fn == TrainerFn.FITTING
        if not trainer.is_global_zero or (fitting and not self.is_best(trainer)):
            return
        facts: dict[str, Any] = {'stage': stage}
        if fitting:
            facts |= {'epoch': trainer.current_epoch, 'step': trainer.global_step}
        elif trainer.ckpt_path is not None:
            # a test does not know how long its weights were trained
            facts |= {'checkpoint': str(trainer.ckpt_path)}
        self.pending = partial(self.write, trainer, summary, self.shown, folder / stage, facts)
        if not fitting or time.monotonic() - self.wrote_at > _SPACING:
            self.write_pending()

    def is_best(self, trainer: Trainer) -> bool:
        """Compare with former epochs as the first checkpoint callback that monitors something."""
        savers = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
        chosen = next((saver for saver in savers if saver.monitor), None)
        score = None if chosen is None else trainer.callback_metrics.get(chosen.monitor or '')
        if chosen is None or score is None:
            return True
        value = float(score) if chosen.mode == 'min' else -float(score)
        # until there is any number, the last epoch is the best
        better = value < self.best or (math.isnan(value) and math.isinf(self.best))
        self.best = min(self.best, value)
        return better

    def write_pending(self) -> None:
        """Write the report that waits, if there is one."""
        if self.pending is not None:
            self.pending()
            self.pending, self.wrote_at = None, time.monotonic()

    def write(
        self,
        trainer: Trainer,
        summary: Summary,
        shown: list[Patch],
        place: Path,
        facts: dict[str, Any],
    ) -> None:
        """Write tables and figures into the folder *place*."""
        units: Any = getattr(self.record, 'units', None)
        write_summary(place, summary, facts | ({'units': units} if units else {}))
        if summary.matrix is not None:
            figure = draw_matrix(summary.matrix, unit=summary.unit)
            write_figure(place / 'confusion_matrix.png', figure)
        if shown and self.reading is not None:
            parts = [f'{k} {Path(str(v)).name}' for k, v in facts.items() if k != 'step']
            colors = choose_colors(self.reading, self.record)
            figure = draw_patches(shown, colors, title=', '.join(parts).removeprefix('stage '))
            write_figure(place / 'patches.png', figure)
            for logger in trainer.loggers:
                experiment: Any = getattr(logger, 'experiment', None)
                if hasattr(experiment, 'add_figure'):
                    experiment.add_figure('patches', figure, global_step=trainer.global_step)
        self.written = place

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self.begin(trainer, pl_module, trainer.num_val_batches)

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self.begin(trainer, pl_module, trainer.num_test_batches)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, *place: Any, **more: Any
    ) -> None:
        """Look at a batch."""
        if self.watch is not None:
            self.watch.take_batch(batch)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        *place: Any,
        **more: Any,
    ) -> None:
        """Count a batch."""
        if self.watch is not None:
            self.watch.count(batch_idx)

    on_test_batch_start = on_validation_batch_start
    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics."""
        self.finish(trainer, pl_module, 'val')

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the metrics."""
        self.finish(trainer, pl_module, 'test')

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the report."""
        self.report(trainer, 'val')

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the report."""
        self.report(trainer, 'test')

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the report of the best epoch, if it waits."""
        self.write_pending()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the task as it was; write what waits if the run was asked to stop."""
        self.unwatch()
        if isinstance(exception, KeyboardInterrupt | Stopped):
            try:
                self.write_pending()
            except OSError as error:
                rank_zero_warn(f'the report of the best epoch is not written: {error}')
