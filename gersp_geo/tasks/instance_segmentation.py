"""Instance segmentation from any weights, any number of bands."""

from collections.abc import Sequence
from typing import Any, Literal

from torchgeo import tasks

from ..models.loading import LoadReport
from .detection import prepare_backbone
from .targets import CheckedDetector


class InstanceSegmentation(CheckedDetector, tasks.InstanceSegmentation):
    """torchgeo's InstanceSegmentation, with a backbone from any weights.

    Batches, losses and metrics are torchgeo's. What differs: *weights_backbone* may be whatever
    :func:`~gersp_geo.load_backbone` takes; BatchNorm of the backbone is frozen with weights and
    trained without; and a batch that no detector can learn from is refused.
    """

    report: LoadReport | None
    """What was loaded; None without weights."""

    def __init__(
        self,
        model: Literal['mask-rcnn'] = 'mask-rcnn',
        backbone: Literal['resnet50'] = 'resnet50',
        weights: Any | None = None,
        # WeightsSource; the parser of configurations would open a file to look for its mapping
        weights_backbone: Any | None = None,
        in_channels: int = 3,
        *,
        rgb_bands: Sequence[int] = (0, 1, 2),
        **kwargs: Any,
    ) -> None:
        """Initialize a new InstanceSegmentation instance.

        Args:
            model: Detector of torchvision.
            backbone: Its ResNet.
            weights: torchvision's weights of the whole detector, or None.
            weights_backbone: Enum member, its name, a path to any known format, or a state dict;
                None for random weights.
            in_channels: Number of bands.
            rgb_bands: Bands where red, green and blue are, 0-based.
            **kwargs: The other arguments of torchgeo's task. ``freeze_backbone`` trains the heads
                alone; the feature pyramid is part of the backbone.

        Raises:
            FileNotFoundError: If *weights_backbone* do not exist.
            ValueError: If they do not fit the backbone, or *weights* are given as well.
        """
        if weights is not None and weights_backbone is not None:
            raise ValueError('pass either weights, of a whole detector, or weights_backbone')
        self.rgb_bands, self.report = tuple(rgb_bands), None
        super().__init__(model, backbone, weights, weights_backbone, in_channels, **kwargs)

    def configure_models(self) -> None:
        """Build the detector, fill its backbone, and freeze what is asked for."""
        # torchgeo would hand them to torchvision, which takes its own alone
        weights, self.weights_backbone = self.weights_backbone, None
        super().configure_models()
        self.weights_backbone = weights
        prepare_backbone(self, weights, is_loaded=self.weights is not None)
