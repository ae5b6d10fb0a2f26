"""A measurement of how long training waits for data."""

from time import monotonic
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

METRIC = 'train_data_wait'

# What Lightning tells its profiler when it asks the loader for a batch of training
_ACTION = '.train_dataloader_next'


class DataWait(Callback):
    """Log which share of an epoch's time was spent waiting for the loader.

    ``train_data_wait`` is near 0 where data come as fast as they are used, and near 1 where nothing
    but the loader sets the pace: then more workers, smaller patches or files that decode faster
    help, and no better GPU. The time of an epoch includes its validation.
    """

    def __init__(self) -> None:
        """Initialize a new DataWait instance."""
        self.waited = 0.0
        self.began = self.asked = 0.0
        self.profiler: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to what the trainer tells its profiler, which goes on as it is."""
        profiler: Any = trainer.profiler  # type: ignore[attr-defined]  # set dynamically
        start, stop = profiler.start, profiler.stop

        def begin(action: str) -> None:
            start(action)
            if action.endswith(_ACTION):
                self.asked = monotonic()

        def end(action: str) -> None:
            if action.endswith(_ACTION):
                self.waited += monotonic() - self.asked
            stop(action)

        profiler.start, profiler.stop = begin, end
        self.profiler = profiler

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to measure."""
        self.began, self.waited = monotonic(), 0.0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the share of this epoch, the mean over processes."""
        # a clock may not have moved
        share = self.waited / max(monotonic() - self.began, 1e-9)
        pl_module.log(METRIC, min(share, 1.0), sync_dist=trainer.world_size > 1)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the profiler as it was."""
        for name in ('start', 'stop'):
            if self.profiler is not None:
                # the methods of its class come back
                vars(self.profiler).pop(name, None)
        self.profiler = None
