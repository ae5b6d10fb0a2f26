"""Backbones: published weights, checkpoint formats, any backbone into any model."""

from .backbones import gersp_resnet50
from .exporting import export_backbone
from .loading import load_backbone
from .weights import GeRSP_Weights, register

__all__ = ('GeRSP_Weights', 'export_backbone', 'gersp_resnet50', 'load_backbone')

register()
