"""Builders of backbones."""

from collections.abc import Sequence
from typing import Any, cast

import timm
from torch import nn

from .backbone_weights import BackboneWeights
from .loading import load_backbone
from .weight_sources import WeightsSource, resolve_weights


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


def open_backbone(
    weights: WeightsSource, *, size: int, teacher: bool = False
) -> tuple[nn.Module, BackboneWeights]:
    """Build the backbone that weights belong to, and fill it.

    Args:
        weights: Enum member, its name, a path to any known format, or a state dict.
        size: Side of the images in pixels; models with position embeddings are set to it.
        teacher: Take the teacher instead of the student.

    Returns:
        The backbone, in evaluation mode, for as many bands as the weights read; and the weights.

    Raises:
        FileNotFoundError: If *weights* do not exist.
        ValueError: If the file is damaged or of no known format, or does not tell its architecture.
    """
    found = resolve_weights(weights, teacher=teacher)
    if found.model is None:
        raise ValueError(
            f'{weights} does not say which backbone it holds, and its tensors do not tell; build '
            'the model and call load_backbone'
        )
    module: nn.Module = timm.create_model(found.model, in_chans=found.in_channels, num_classes=0)
    load_backbone(module, found.state_dict, in_channels=found.in_channels)
    if hasattr(module, 'set_input_size'):
        # after loading, which interpolates position embeddings
        cast(Any, module).set_input_size(img_size=size)
    return module.eval(), found


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
        in_chans: Number of bands; other than three, see :func:`.first_layer.adapt_stem`.
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
