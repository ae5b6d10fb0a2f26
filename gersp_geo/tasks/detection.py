"""Object detection from any weights, any number of bands, freezing what it says."""

from collections.abc import Sequence
from typing import Literal

from torch import nn
from torchgeo import tasks
from torchvision.ops import FrozenBatchNorm2d

from ..models import load_backbone
from ..models.loading import LoadReport
from ..models.sources import WeightsSource

# Stages of a ResNet in the order in which torchvision unfreezes them:
# https://github.com/pytorch/vision/blob/v0.20.0/torchvision/models/detection/backbone_utils.py
STAGES = ('layer4', 'layer3', 'layer2', 'layer1', 'conv1')


class ObjectDetection(tasks.ObjectDetection):
    """torchgeo's ObjectDetection, started from any weights.

    Batches, losses and metrics are torchgeo's. What differs: *weights* may be whatever
    :func:`~gersp_geo.load_backbone` takes; *trainable_layers* and *freeze_backbone* hold for the
    first layer too; and BatchNorm of the backbone is frozen with weights and trained without, in all
    three models alike, as in torchvision.
    """

    def __init__(
        self,
        model: Literal['faster-rcnn', 'fcos', 'retinanet'] = 'faster-rcnn',
        backbone: str = 'resnet50',
        weights: WeightsSource | None = None,
        in_channels: int = 3,
        num_classes: int = 1000,
        trainable_layers: int = 3,
        lr: float = 1e-3,
        patience: int = 10,
        freeze_backbone: bool = False,
        rgb_bands: Sequence[int] = (0, 1, 2),
    ) -> None:
        """Initialize a new ObjectDetection instance.

        Args:
            model: Detector of torchvision.
            backbone: ResNet of torchvision.
            weights: Enum member, its name, a path to any known format, or a state dict; None for
                random weights.
            in_channels: Number of bands.
            num_classes: Number of classes, background included.
            trainable_layers: Stages of the backbone that are trained, from the last one, in [0, 5].
                Without weights all are: nothing would ever train the others.
            lr: Learning rate.
            patience: Epochs without progress before the learning rate falls.
            freeze_backbone: Train the head alone; the feature pyramid is part of the backbone.
            rgb_bands: Bands where red, green and blue are, 0-based.

        Raises:
            FileNotFoundError: If *weights* do not exist.
            ValueError: If they do not fit *backbone*, or a number is out of range.
        """
        if not 0 <= trainable_layers <= len(STAGES):
            raise ValueError(f'trainable_layers must be in [0, 5], got {trainable_layers}')
        self.rgb_bands, self.report = tuple(rgb_bands), None
        super().__init__(
            model, backbone, weights, in_channels, num_classes, trainable_layers, lr, patience,
            freeze_backbone,
        )  # fmt: skip

    report: LoadReport | None
    """What was loaded; None without weights."""

    def configure_models(self) -> None:
        """Build the detector, fill its backbone, and freeze what is asked for."""
        # torchgeo would hand them to torchvision, which takes its own alone
        weights, self.weights = self.weights, None
        super().configure_models()
        self.weights = weights
        backbone: nn.Module = self.model.backbone
        if weights is not None:
            self.report = load_backbone(
                backbone.get_submodule('body'),
                weights,
                in_channels=self.hparams['in_channels'],
                rgb_bands=self.rgb_bands,
            )
        train = self.hparams['trainable_layers'] if weights is not None else len(STAGES)
        prepare_backbone(
            backbone,
            frozen_norm=weights is not None,
            trainable_layers=train,
            frozen=self.hparams['freeze_backbone'],
        )


def prepare_backbone(
    backbone: nn.Module, *, frozen_norm: bool, trainable_layers: int, frozen: bool
) -> None:
    """Freeze parts of a detector's backbone, in place.

    Args:
        backbone: Of torchvision, with a ResNet in ``body``.
        frozen_norm: BatchNorm of the ResNet keeps its statistics, scale and offset.
        trainable_layers: Stages of the ResNet that are trained, from the last one.
        frozen: Train nothing in *backbone*.
    """
    body = backbone.get_submodule('body')
    replace_norm(body, frozen=frozen_norm)
    trained = STAGES[:trainable_layers] + (('bn1',) if trainable_layers == len(STAGES) else ())
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(name.startswith(trained))
    if frozen:
        backbone.requires_grad_(False)


def replace_norm(module: nn.Module, *, frozen: bool) -> None:
    """Make BatchNorm frozen or trainable everywhere below a module, keeping its values."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d):
            features = (
                child.num_features if isinstance(child, nn.BatchNorm2d) else len(child.weight)
            )
            fresh = (FrozenBatchNorm2d if frozen else nn.BatchNorm2d)(features, eps=child.eps)
            fresh.load_state_dict(child.state_dict(), strict=False)
            setattr(module, name, fresh)
        else:
            replace_norm(child, frozen=frozen)
