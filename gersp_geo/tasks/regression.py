"""Pixelwise regression from any weights, on rasters with gaps."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchgeo import tasks
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

from .encoder_weights import EncoderWeights

type ValueModel = Literal['unet', 'deeplabv3+', 'fcn', 'upernet', 'segformer', 'dpt']


class PixelwiseRegression(EncoderWeights, tasks.PixelwiseRegression):
    """torchgeo's PixelwiseRegression, which leaves out pixels whose target is NaN.

    Batches and steps are torchgeo's. What differs: loss and metrics heed only targets that are
    finite, and *weights* may be whatever :func:`~gersp_geo.load_backbone` takes.
    """

    def __init__(
        self,
        model: ValueModel = 'unet',
        backbone: str = 'resnet50',
        # WeightsSource | bool; the parser of configurations would open a file to look for its
        # mapping
        weights: Any | None = None,
        in_channels: int = 3,
        *,
        rgb_bands: Sequence[int] = (0, 1, 2),
        **kwargs: Any,
    ) -> None:
        """Initialize a new PixelwiseRegression instance.

        Args:
            model: Name of the model.
            backbone: Encoder of segmentation_models_pytorch.
            weights: Enum member, its name, a path to any known format, or a state dict; True for
                ImageNet, None for random weights.
            in_channels: Number of bands.
            rgb_bands: Bands where red, green and blue are, 0-based.
            **kwargs: The other arguments of torchgeo's task.

        Raises:
            FileNotFoundError: If *weights* do not exist.
            ValueError: If they do not fit, or *model* has no backbone for them.
        """
        if model == 'fcn' and weights is not None and not isinstance(weights, bool):
            raise ValueError('fcn takes no weights of a backbone: it has no backbone')
        self.rgb_bands, self.report = tuple(rgb_bands), None
        super().__init__(model, backbone, weights, in_channels, **kwargs)

    def configure_losses(self) -> None:
        """Choose the loss."""
        super().configure_losses()
        self.criterion = KnownLoss(self.criterion)

    def configure_metrics(self) -> None:
        """Prepare torchgeo's metrics, of targets that are known."""
        metrics = MetricCollection(
            {
                'RMSE': KnownSquaredError(squared=False),
                'MSE': KnownSquaredError(squared=True),
                'MAE': KnownAbsoluteError(),
            }
        )
        self.train_metrics = metrics.clone(prefix='train_')
        self.val_metrics = metrics.clone(prefix='val_')
        self.test_metrics = metrics.clone(prefix='test_')


class KnownLoss(nn.Module):
    """A mean over targets that are finite; 0 where none is."""

    def __init__(self, loss: nn.Module) -> None:
        """Initialize a new KnownLoss instance of *loss*, which takes the mean."""
        super().__init__()
        self.loss = loss

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of two tensors of one shape."""
        known = target.isfinite()
        if not known.any():
            # as long as the graph, so that all processes step
            return predicted.sum() * 0
        loss: Tensor = self.loss(predicted[known], target[known])
        return loss


class KnownSquaredError(MeanSquaredError):
    """Of targets that are finite."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch."""
        known = torch.isfinite(target)
        super().update(preds[known], target[known])


class KnownAbsoluteError(MeanAbsoluteError):
    """Of targets that are finite."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch."""
        known = torch.isfinite(target)
        super().update(preds[known], target[known])
