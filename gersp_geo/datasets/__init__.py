"""Data sets: GeoTIFF patches, folders of images, two joined streams."""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .folders import ImageChips, NaturalImages
    from .geotiff_patches import GeoTIFFPatches
    from .raster_tiles import RasterTiles

__all__ = ('GeoTIFFPatches', 'ImageChips', 'NaturalImages', 'RasterTiles')

__getattr__, __dir__ = public_names(
    __name__,
    {
        'GeoTIFFPatches': 'geotiff_patches', 'ImageChips': 'folders', 'NaturalImages': 'folders',
        'RasterTiles': 'raster_tiles',
    },
)  # fmt: skip
