"""Average precision of a whole set of images, for the detectors of torchgeo."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningModule
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torchgeo.tasks import BaseTask
from torchmetrics import MetricCollection


class WholeSetMetrics(BaseTask, LightningModule):
    """Logs average precision once per validation or test, over all images of it.

    torchgeo 0.10 logs the mean over batches, in which a batch without any object counts as -1, keeps
    all boxes of all epochs, and lowers the learning rate when precision has not *fallen*.
    """

    val_metrics: MetricCollection
    test_metrics: MetricCollection

    def log_dict(  # type: ignore[override]  # the other arguments are passed on as they are
        self, dictionary: Mapping[str, Any], *args: Any, **options: Any
    ) -> None:
        """Log values, but for the average precision of one batch, which is of no use."""
        if not any(name.startswith(('val_', 'test_')) for name in dictionary):
            super().log_dict(dictionary, *args, **options)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of all images that were validated."""
        self._log_whole(self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the metrics of all images that were tested."""
        self._log_whole(self.test_metrics)

    def _log_whole(self, metrics: MetricCollection) -> None:
        """Log metrics, and forget what they were computed from."""
        found = metrics.compute()
        # per-class values and class numbers are no scalars
        scalars = {name: value for name, value in found.items() if value.ndim == 0}
        super().log_dict({name: v for name, v in scalars.items() if not name.endswith('classes')})
        metrics.reset()

    def configure_optimizers(self) -> Any:
        """Lower the learning rate when precision has not risen."""
        configured: Any = super().configure_optimizers()
        scheduler = configured['lr_scheduler']
        scheduler['scheduler'] = ReduceLROnPlateau(
            configured['optimizer'], mode='max', patience=self.hparams['patience']
        )
        return configured
