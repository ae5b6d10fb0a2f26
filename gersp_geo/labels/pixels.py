"""Classes of pixels as a task of segmentation learns them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ..datasets.raster_tiles import RasterTiles
from ..windows import Window
from .sources import ANCHORS, IGNORE, BlockLabels, Colors, LabelSource, Sample, observe


class PixelLabels:
    """Masks of classes: one value per pixel, :data:`IGNORE` where there is none to learn."""

    def __init__(
        self, images: RasterTiles, source: LabelSource, *, nodata: float | None = None
    ) -> None:
        """Initialize a new PixelLabels instance.

        Args:
            images: The images.
            source: Their classes.
            nodata: Value that means "no observation", beside what the files themselves say.
        """
        self.images, self.source, self.nodata = images, source, nodata

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty where nothing tells."""
        return self.source.class_names

    @property
    def class_colors(self) -> Colors:
        """Colours of the classes; empty where nothing tells."""
        return self.source.class_colors

    def read_mask(
        self, tile: int, window: Window, *, valid: NDArray[np.bool_] | None = None
    ) -> NDArray[np.uint8]:
        """Read the classes of a window, which may hang over the edges of image *tile*.

        Args:
            tile: Number of the image.
            window: Pixels of it.
            valid: Which of them are observations, in the shape of the window, if that is known.

        Returns:
            Shape (window.height, window.width); :data:`IGNORE` where there is no class, no
            observation or no image.
        """
        inside, place, observed = observe(
            self.images, tile, window, valid=valid, nodata=self.nodata
        )
        mask = np.full((window.height, window.width), IGNORE, dtype=np.uint8)
        mask[place] = np.where(observed, self.source.read(tile, inside), IGNORE)
        return mask

    def read(
        self, sample: Sample, tile: int, window: Window, *, valid: NDArray[np.bool_]
    ) -> Sample:
        """Add 'mask': int64, shape (H, W)."""
        mask = self.read_mask(tile, window, valid=valid)
        return {**sample, 'mask': torch.from_numpy(mask).long()}

    def scan(self, tile: int, window: Window, *, seed: Sequence[int]) -> BlockLabels:
        """Count the classes of a block, and remember some pixels of each, which *seed* decides."""
        mask = self.read_mask(tile, window)
        counts = np.bincount(mask.ravel(), minlength=256)
        counts[IGNORE] = 0
        generator = np.random.default_rng(np.random.SeedSequence(seed))
        corner = (window.row_off, window.col_off)
        anchors = {}
        for value in np.flatnonzero(counts).tolist():
            places = np.argwhere(mask == value)
            chosen = np.unique(generator.integers(len(places), size=ANCHORS))
            pixels = places[chosen] + corner
            anchors[value] = np.concatenate([pixels, pixels + 1], axis=1)
        return BlockLabels(counts=counts, anchors=anchors)

    def holds(self, tile: int, window: Window) -> bool:
        """Say whether any pixel of a patch has a class."""
        return bool((self.read_mask(tile, window) != IGNORE).any())
