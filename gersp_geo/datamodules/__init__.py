"""Data modules: two streams for pre-training, own labelled images for fine-tuning."""

from .change import GeoTIFFChangeDetectionDataModule
from .classification import GeoTIFFClassificationDataModule
from .detection import GeoTIFFInstanceSegmentationDataModule, GeoTIFFObjectDetectionDataModule
from .labelled import LabelledDataModule
from .pretraining import GeRSPDataModule
from .published import CroppedLoveDADataModule, FlippedRESISC45DataModule
from .published_boxes import DIORBoxesDataModule, DOTATilesDataModule
from .regression import GeoTIFFRegressionDataModule
from .segmentation import GeoTIFFSegmentationDataModule

__all__ = (
    'CroppedLoveDADataModule', 'DIORBoxesDataModule', 'DOTATilesDataModule', 'FlippedRESISC45DataModule',
    'GeRSPDataModule', 'GeoTIFFChangeDetectionDataModule', 'GeoTIFFClassificationDataModule',
    'GeoTIFFInstanceSegmentationDataModule', 'GeoTIFFObjectDetectionDataModule',
    'GeoTIFFRegressionDataModule', 'GeoTIFFSegmentationDataModule', 'LabelledDataModule',
)  # fmt: skip
