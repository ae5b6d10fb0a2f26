"""Object detection from any weights, any number of bands, freezing what it says."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import nn
from torchgeo import tasks
from torchvision.ops import FrozenBatchNorm2d

from ..models import load_backbone
from ..models.loading import LoadReport
from .targets import CheckedDetector, has_background

# Stages of a ResNet in the order in which torchvision unfreezes them:
# https://github.com/pytorch/vision/blob/v0.20.0/torchvision/models/detection/backbone_utils.py
STAGES = ('layer4', 'layer3', 'layer2', 'layer1', 'conv1')

# what torchvision calls the limits of what a detector returns, and our options
LIMITS = {
    'nms_thresh': 'iou_threshold',
    'score_thresh': 'score_threshold',
    'detections_per_img': 'detections_per_image',
}


class ObjectDetection(CheckedDetector, tasks.ObjectDetection):
    """torchgeo's ObjectDetection, started from any weights.

    Batches, losses and metrics are torchgeo's. What differs: *weights* may be whatever
    :func:`~gersp_geo.load_backbone` takes; *trainable_layers* and *freeze_backbone* hold for the
    first layer too; BatchNorm of the backbone is frozen with weights and trained without, in all
    three models alike, as in torchvision; and a batch that no detector can learn from is refused.
    """

    report: LoadReport | None
    """What was loaded; None without weights."""

    def __init__(
        self,
        model: Literal['faster-rcnn', 'fcos', 'retinanet'] = 'faster-rcnn',
        backbone: str = 'resnet50',
        # WeightsSource; the parser of configurations would open a file to look for its mapping
        weights: Any | None = None,
        in_channels: int = 3,
        *,
        rgb_bands: Sequence[int] = (0, 1, 2),
        iou_threshold: float | None = None,
        score_threshold: float | None = None,
        detections_per_image: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Initialize a new ObjectDetection instance.

        Args:
            model: Detector of torchvision.
            backbone: ResNet of torchvision.
            weights: Enum member, its name, a path to any known format, or a state dict; None for
                random weights.
            in_channels: Number of bands.
            rgb_bands: Bands where red, green and blue are, 0-based.
            iou_threshold: Of two objects of a class that overlap by more, in [0, 1], the one with
                the lower score is dropped. Defaults, as the next two, to torchvision's of *model*.
            score_threshold: Objects with a score up to it, in [0, 1), are dropped.
            detections_per_image: So many objects of an image are kept, those with the best scores.
            **kwargs: The other arguments of torchgeo's task. ``trainable_layers``, in [0, 5], are
                the stages of the backbone that are trained, from the last one; without weights all
                are, since nothing would ever train the others. ``freeze_backbone`` trains the head
                alone; the feature pyramid is part of the backbone.

        Raises:
            FileNotFoundError: If *weights* do not exist.
            ValueError: If they do not fit *backbone*, *model* or *backbone* are unknown, or
                ``trainable_layers`` or a threshold is out of range.
        """
        check_limits(iou_threshold, score_threshold, detections_per_image)
        self.rgb_bands, self.report = tuple(rgb_bands), None
        super().__init__(model, backbone, weights, in_channels, **kwargs)

    def configure_models(self) -> None:
        """Build the detector, fill its backbone, and freeze what is asked for."""
        # torchgeo would hand them to torchvision, which takes its own alone
        weights, self.weights = self.weights, None
        super().configure_models()
        self.weights = weights
        prepare_backbone(self, weights, trainable_layers=self.hparams['trainable_layers'])
        keeper: Any = self.model.roi_heads if has_background(self.model) else self.model
        for name, option in LIMITS.items():
            if self.hparams.get(option) is not None:
                setattr(keeper, name, self.hparams[option])

    def configure_metrics(self) -> None:
        """Keep torchgeo's metrics, of 100 objects per image, from saying so where more are wanted."""
        super().configure_metrics()
        for metrics in (self.val_metrics, self.test_metrics):
            metrics['MeanAveragePrecision'].warn_on_many_detections = False


def check_limits(iou: float | None, score: float | None, most: int | None) -> None:
    """Refuse limits of what a detector returns that are out of range."""
    if not 0 <= (iou or 0) <= 1:
        raise ValueError(f'iou_threshold must be in [0, 1], got {iou}')
    if not 0 <= (score or 0) < 1:
        raise ValueError(f'score_threshold must be in [0, 1), got {score}')
    if most is not None and most < 1:
        raise ValueError(f'detections_per_image must be >= 1, got {most}')


def prepare_backbone(
    task: Any, weights: Any | None, *, is_loaded: bool = False, trainable_layers: int = len(STAGES)
) -> None:
    """Fill the ResNet of a detector, and freeze parts of its backbone, in place.

    BatchNorm of a ResNet with weights keeps statistics, scale and offset; without, all of it is
    trained.

    Args:
        task: Has a detector of torchvision, with a ResNet in ``model.backbone.body``.
        weights: Of the ResNet, as :func:`~gersp_geo.load_backbone` takes them; None loads none.
        is_loaded: Whether it has weights already.
        trainable_layers: Stages of a ResNet with weights that are trained, from the last one.
    """
    backbone: nn.Module = task.model.backbone
    body, frozen = backbone.get_submodule('body'), task.hparams['freeze_backbone']
    if weights is not None:
        task.report = load_backbone(
            body, weights, in_channels=task.hparams['in_channels'], rgb_bands=task.rgb_bands
        )
        is_loaded = True
    replace_norm(body, frozen=is_loaded or frozen)
    trained = STAGES[:trainable_layers] if is_loaded else ('',)
    for name, parameter in body.named_parameters():
        parameter.requires_grad_(name.startswith(trained))
    if frozen:
        backbone.requires_grad_(False)


def replace_norm(module: nn.Module, *, frozen: bool) -> None:
    """Make BatchNorm frozen or trainable everywhere below a module, keeping its values."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d):
            kind = FrozenBatchNorm2d if frozen else nn.BatchNorm2d
            fresh = kind(len(child.weight), eps=child.eps)
            fresh.load_state_dict(child.state_dict(), strict=False)
            setattr(module, name, fresh)
        else:
            replace_norm(child, frozen=frozen)
