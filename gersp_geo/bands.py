"""Band names and value statistics per sensor, each with its source."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """What is known about the values of one kind of image."""

    bands: tuple[str, ...]
    """Band names in file order."""

    scale: float
    """Factor from integer file values to the unit of *mean* and *std*."""

    mean: tuple[float, ...]
    """Per band, after scaling."""

    std: tuple[float, ...]
    """Per band, after scaling."""


# Statistics of ImageNet-1K in [0, 1], the convention of every torchvision and timm backbone:
# https://github.com/pytorch/vision/blob/v0.20.0/torchvision/transforms/_presets.py#L44
RGB = Sensor(
    bands=('red', 'green', 'blue'),
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)

# Digital numbers are reflectance x 10,000:
# https://sentiwiki.copernicus.eu/web/s2-products (quantification value).
# Statistics of SSL4EO-S12, level 1C, divided by that value:
# https://github.com/zhu-xlab/SSL4EO-S12/blob/d2868adfada65e40910bfcedfc49bc3b20df2248/src/benchmark/transfer_classification/datasets/EuroSat/eurosat_dataset.py#L97
# fmt: off
SENTINEL2 = Sensor(
    bands=('B1', 'B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8', 'B8A', 'B9', 'B10', 'B11', 'B12'),
    scale=1e-4,
    mean=(
        0.16129, 0.13976, 0.13223, 0.13731, 0.15610, 0.21084, 0.23907, 0.23187, 0.25810,
        0.08377, 0.00220, 0.21952, 0.15374,
    ),
    std=(
        0.07910, 0.08543, 0.08787, 0.11449, 0.11275, 0.11642, 0.12760, 0.12495, 0.13459,
        0.05775, 0.00475, 0.13400, 0.11429,
    ),
)
# fmt: on
