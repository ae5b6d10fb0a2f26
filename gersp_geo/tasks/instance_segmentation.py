"""Instance segmentation from any weights, any number of bands."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from torchgeo import tasks

from ..models import load_backbone
from ..models.loading import LoadReport
from ..models.sources import WeightsSource
from .detection import STAGES, prepare_backbone


class InstanceSegmentation(tasks.InstanceSegmentation):
    """torchgeo's InstanceSegmentation, with a backbone from any weights.

    Batches, losses and metrics are torchgeo's. What differs: *weights_backbone* may be whatever
    :func:`~gersp_geo.load_backbone` takes; BatchNorm of the backbone is frozen with weights and
    trained without.
    """

    report: LoadReport | None
    """What was loaded; None without weights."""

    def __init__(
        self,
        model: str = 'mask-rcnn',
        backbone: str = 'resnet50',
        weights: Any | None = None,
        weights_backbone: WeightsSource | None = None,
        in_channels: int = 3,
        num_classes: int = 91,
        lr: float = 1e-3,
        patience: int = 10,
        freeze_backbone: bool = False,
        rgb_bands: Sequence[int] = (0, 1, 2),
    ) -> None:
        """Initialize a new InstanceSegmentation instance.

        Args:
            model: 'mask-rcnn'.
            backbone: 'resnet50'.
            weights: torchvision's weights of the whole detector, or None.
            weights_backbone: Enum member, its name, a path to any known format, or a state dict;
                None for random weights.
            in_channels: Number of bands.
            num_classes: Number of classes, background included.
            lr: Learning rate.
            patience: Epochs without progress before the learning rate falls.
            freeze_backbone: Train the heads alone; the feature pyramid is part of the backbone.
            rgb_bands: Bands where red, green and blue are, 0-based.

        Raises:
            FileNotFoundError: If *weights_backbone* do not exist.
            ValueError: If they do not fit the backbone, or *weights* are given as well.
        """
        if weights is not None and weights_backbone is not None:
            raise ValueError('pass either weights, of a whole detector, or weights_backbone')
        self.rgb_bands, self.report = tuple(rgb_bands), None
        super().__init__(
            model, backbone, weights, weights_backbone, in_channels, num_classes, lr, patience,
            freeze_backbone,
        )  # fmt: skip

    def configure_models(self) -> None:
        """Build the detector, fill its backbone, and freeze what is asked for."""
        # torchgeo would hand them to torchvision, which takes its own alone
        weights, self.weights_backbone = self.weights_backbone, None
        super().configure_models()
        self.weights_backbone = weights
        backbone: nn.Module = self.model.backbone
        if weights is not None:
            self.report = load_backbone(
                backbone.get_submodule('body'),
                weights,
                in_channels=self.hparams['in_channels'],
                rgb_bands=self.rgb_bands,
            )
        prepare_backbone(
            backbone,
            frozen_norm=weights is not None or self.weights is not None,
            trainable_layers=len(STAGES),
            frozen=self.hparams['freeze_backbone'],
        )
