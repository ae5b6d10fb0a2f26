"""What is known about the ground of some images: classes of pixels, and objects."""

from typing import TYPE_CHECKING

from ..lazy import public_names

if TYPE_CHECKING:
    from .pixels import PixelLabels
    from .sources import BlockLabels, LabelSource, PatchLabels

__all__ = ('BlockLabels', 'LabelSource', 'PatchLabels', 'PixelLabels')

__getattr__, __dir__ = public_names(
    __name__,
    {
        'BlockLabels': 'sources', 'LabelSource': 'sources', 'PatchLabels': 'sources',
        'PixelLabels': 'pixels',
    },
)  # fmt: skip
