"""Data modules: two streams for pre-training, own GeoTIFFs and masks for fine-tuning."""

from .pretraining import GeRSPDataModule
from .segmentation import GeoTIFFSegmentationDataModule

__all__ = ('GeRSPDataModule', 'GeoTIFFSegmentationDataModule')
