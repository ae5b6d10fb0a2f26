"""Data sets: GeoTIFF patches, folders of images, two joined streams, a sample landscape."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .folders import ImageChips, NaturalImages
    from .geotiff import GeoTIFFPatches

__all__ = ('GeoTIFFPatches', 'ImageChips', 'NaturalImages')

# torchgeo takes seconds to import, and the sample landscape in here needs none of it
_HOMES = {'GeoTIFFPatches': 'geotiff', 'ImageChips': 'folders', 'NaturalImages': 'folders'}


def __getattr__(name: str) -> object:
    """Import a public name on its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_HOMES[name]}', __name__), name)


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
