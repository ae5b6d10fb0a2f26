"""Change detection from any weights, with early fusion too."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from torchgeo import tasks

from .encoder_weights import EncoderWeights

type ChangeModel = Literal[
    'unet', 'deeplabv3+', 'fcn', 'upernet', 'segformer', 'dpt', 'fcsiamdiff', 'fcsiamconc',
    'changevit', 'btc',
]  # fmt: skip

# Models of torchgeo without a place for weights of a backbone, and why.
WITHOUT_BACKBONE = {
    'fcn': 'it has no backbone',
    'btc': 'it is built on a Swin transformer of torchvision that it alone can fill',
    'changevit': 'it is built on a vision transformer that it alone can fill',
}


class ChangeDetection(EncoderWeights, tasks.ChangeDetection):
    """torchgeo's ChangeDetection, with a backbone from any weights.

    Batches, losses and metrics are torchgeo's. What differs: *weights* may be whatever
    :func:`~gersp_geo.load_backbone` takes, and models that read two dates as one image get them as
    well: each date the filters, divided by two.
    """

    def __init__(
        self,
        model: ChangeModel = 'unet',
        backbone: str = 'resnet50',
        # WeightsSource | bool; the parser of configurations would open a file to look for its
        # mapping
        weights: Any | None = None,
        in_channels: int = 3,
        *,
        rgb_bands: Sequence[int] = (0, 1, 2),
        **kwargs: Any,
    ) -> None:
        """Initialize a new ChangeDetection instance.

        Args:
            model: 'unet', 'deeplabv3+', 'upernet', 'segformer', 'dpt' (with a backbone of timm,
                'tu-resnet50'), 'fcsiamdiff' or 'fcsiamconc'; without weights also torchgeo's
                others.
            backbone: Encoder of segmentation_models_pytorch.
            weights: Enum member, its name, a path to any known format, or a state dict; True for
                ImageNet, None for random weights.
            in_channels: Number of bands of one date.
            rgb_bands: Bands where red, green and blue are, 0-based.
            **kwargs: The other arguments of torchgeo's task.

        Raises:
            FileNotFoundError: If *weights* do not exist.
            ValueError: If they do not fit, or *model* is unknown or has no place for them.
        """
        models = get_args(ChangeModel.__value__)
        if model not in models:
            raise ValueError(f'model must be one of {", ".join(models)}, got {model!r}')
        named = weights is not None and not isinstance(weights, bool)
        if named and model in WITHOUT_BACKBONE:
            raise ValueError(f'{model} takes no weights of a backbone: {WITHOUT_BACKBONE[model]}')
        self.rgb_bands, self.report = tuple(rgb_bands), None
        super().__init__(model, backbone, weights, in_channels, **kwargs)
