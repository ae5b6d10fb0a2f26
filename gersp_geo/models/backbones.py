"""Builders of backbones."""

from collections.abc import Sequence
from typing import Any, cast

import timm
from torch import nn

from .loading import load_backbone
from .sources import WeightsSource


def create_backbone(
    model: str, *, in_channels: int, size: int, pretrained: bool = False
) -> nn.Module:
    """Build a timm model without its head.

    Args:
        model: Any classification model of timm.
        in_channels: Number of bands.
        size: Side of the images in pixels; models with position embeddings for one size (most
            vision transformers) are set to it.
        pretrained: Load timm's own weights.

    Returns:
        From images (B, *in_channels*, *size*, *size*) to features, see :func:`count_features`.
    """
    backbone: nn.Module = timm.create_model(
        model, in_chans=in_channels, num_classes=0, pretrained=pretrained
    )
    if hasattr(backbone, 'set_input_size'):
        # after timm has loaded its own weights, which interpolates the embeddings
        cast(Any, backbone).set_input_size(img_size=size)
    return backbone


def count_features(backbone: nn.Module) -> int:
    """Count the features that a timm model without its classifier gives per image."""
    # some have a hidden layer after the last feature map (MobileNetV3, VGG)
    hidden: int | None = getattr(backbone, 'head_hidden_size', None)
    return hidden or cast(int, backbone.num_features)


def gersp_resnet50(
    weights: WeightsSource | None = None,
    in_chans: int = 3,
    *,
    rgb_bands: Sequence[int] = (0, 1, 2),
    **timm_kwargs: Any,
) -> nn.Module:
    """Build timm's ResNet-50, with GeRSP weights if asked for.

    Its stride is in the 3 x 3 convolutions (version 1.5), as in the authors' network.

    If you use this model in your research, please cite https://arxiv.org/abs/2401.04614.

    Args:
        weights: Enum member, its name, a path to any known format, or a state dict; None for
            random weights.
        in_chans: Number of bands; other than three, see :func:`.stems.adapt_stem`.
        rgb_bands: Bands where red, green and blue are, 0-based.
        **timm_kwargs: Passed on to ``timm.create_model``.

    Returns:
        The model, in training mode.

    Raises:
        FileNotFoundError: If *weights* do not exist.
        ValueError: If *weights* are not those of a ResNet-50.
    """
    model: nn.Module = timm.create_model('resnet50', in_chans=in_chans, **timm_kwargs)
    if weights is not None:
        load_backbone(model, weights, in_channels=in_chans, rgb_bands=rgb_bands)
    return model
