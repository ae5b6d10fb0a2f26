"""Data sets: GeoTIFF patches, folders of images, two joined streams, a sample landscape."""

from .folders import ImageChips, NaturalImages
from .geotiff import GeoTIFFPatches

__all__ = ('GeoTIFFPatches', 'ImageChips', 'NaturalImages')
