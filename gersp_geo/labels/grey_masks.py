"""Grey masks, of which a level tells two classes apart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..datasets.raster_tiles import RasterTiles
from ..geoio.read import RasterHeader
from ..windows import Window
from .mask_files import MaskFiles, check_bands
from .mask_matching import Masks
from .sources import IGNORE

# levels by which red, green and blue of grey may differ, as they do in a JPEG
GREY = 24


class ThresholdMasks(MaskFiles):
    """Grey masks of two classes: below a level, and from it on."""

    def __init__(
        self,
        images: RasterTiles,
        masks: Masks,
        *,
        threshold: float,
        class_names: Sequence[str] = (),
    ) -> None:
        """Initialize a new ThresholdMasks instance.

        Args:
            images: The images.
            masks: As in :class:`MaskFiles`; of one band of numbers, or of grey as red, green and
                blue.
            threshold: From this value on, a pixel is of the second class.
            class_names: Name of the second class, or of both. The first defaults to 'background',
                the second to 'foreground'.

        Raises:
            FileNotFoundError: If a mask is missing.
            ValueError: As :class:`MaskFiles`; if there are more than two names.
        """
        super().__init__(images, masks)
        if len(class_names) > 2:
            raise ValueError(
                f'threshold makes two classes, got {len(class_names)} class_names; name the second '
                'one, or both'
            )
        self.bands, self.threshold = self.same_bands(), threshold
        names = ('background', *(class_names or ('foreground',)))
        self.class_names, self.class_colors = names[-2:], ()

    def check_type(self, file: str, header: RasterHeader) -> None:
        """Refuse masks that are neither one band nor red, green and blue; both without alpha."""
        check_bands(file, header)

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        Raises:
            ValueError: If a mask is coloured.
        """
        values, valid = self.read_values(tile, window, bands=self.bands)
        grey = values.astype(np.float64)
        coloured = valid & (np.ptp(grey, axis=0) > GREY)
        if coloured.any():
            row, col = np.argwhere(coloured)[0].tolist()
            color = [int(value) for value in values[:, row, col]]
            raise ValueError(
                f'threshold is for grey masks, {self.files[tile]} holds the colour {color}; give '
                'its colours in classes'
            )
        return np.where(valid, grey.mean(axis=0) >= self.threshold, IGNORE).astype(np.uint8)
