"""Backbones: published weights, checkpoint formats, any backbone into any model."""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .exporting import export_backbone
    from .loading import load_backbone
    from .weights import GeRSP_Weights, gersp_resnet50

__all__ = ('GeRSP_Weights', 'export_backbone', 'gersp_resnet50', 'load_backbone')

__getattr__, __dir__ = public_names(
    __name__,
    {
        'GeRSP_Weights': 'weights',
        'export_backbone': 'exporting',
        # there, torchgeo learns of it
        'gersp_resnet50': 'weights',
        'load_backbone': 'loading',
    },
)
