"""Tasks: GeRSP pre-training, and those of torchgeo that take no weights but torchvision's."""

from .change import ChangeDetection
from .detection import ObjectDetection
from .gersp import GeRSPTask
from .instance_segmentation import InstanceSegmentation
from .regression import PixelwiseRegression

__all__ = (
    'ChangeDetection', 'GeRSPTask', 'InstanceSegmentation', 'ObjectDetection', 'PixelwiseRegression',
)  # fmt: skip
