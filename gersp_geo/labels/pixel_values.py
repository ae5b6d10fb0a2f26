"""Values of pixels, such as heights, as a task of regression learns them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..datasets.file_pool import HandlePool
from ..datasets.raster_tiles import RasterTiles
from ..geoio.read import RasterHeader, read_valid, read_window
from ..geoio.warp import open_aligned
from ..windows import Window
from .mask_files import MaskFiles
from .mask_matching import NEAREST, Masks
from .sources import ANCHORS, BlockLabels, Colors, Sample, observe
from .value_counts import ValueCount

type Resampling = Literal['nearest', 'bilinear']
"""What becomes of targets on another grid than their image."""


class ValueFiles(MaskFiles):
    """Rasters with one band of numbers; what is nodata, NaN or infinite is no value."""

    word: ClassVar[str] = 'target raster'
    option: ClassVar[str] = 'targets'

    def __init__(
        self, images: RasterTiles, targets: Masks, *, resampling: Resampling = 'nearest'
    ) -> None:
        """Initialize a new ValueFiles instance.

        Args:
            images: The images.
            targets: Rasters, or folders of them, with the file names of the images without suffix;
                as masks are given.
            resampling: How those on another grid are read: 'nearest' takes values as they are,
                'bilinear' blends neighbours.

        Raises:
            FileNotFoundError: If a raster is missing.
            ValueError: If one holds no single band of numbers, or cannot be put on its image.
        """
        if resampling not in ('nearest', 'bilinear'):
            raise ValueError(f"resampling must be 'nearest' or 'bilinear', got {resampling!r}")
        self.how = NEAREST if resampling == 'nearest' else 'bilinearly'
        super().__init__(images, targets)
        self.resampling, self._tiles = resampling, images.tiles
        self._aligned: HandlePool[int, Any] = HandlePool(self.open_aligned)

    def check_type(self, file: str, header: RasterHeader) -> None:
        """Refuse rasters that are not one band of real numbers.

        Raises:
            ValueError: Names the file.
        """
        count = header.count - len(header.alpha)
        if count != 1 or np.dtype(header.dtype).kind not in 'iuf':
            raise ValueError(
                f'{file} must be one band of numbers, got {count} of {header.dtype}; cut out the '
                'band (gdal_translate -b 1)'
            )

    @contextmanager
    def open_aligned(self, tile: int) -> Iterator[Any]:
        """Open the raster of an image, resampled bilinearly onto its grid."""
        with open_aligned(self.files[tile], self._tiles[tile]) as src:
            yield src

    def read(self, tile: int, window: Window) -> NDArray[np.float32]:  # type: ignore[override]  # no classes
        """Read the values of a window inside image *tile*, NaN where there is none."""
        if self.resampling == 'bilinear' and self._grids[tile] is not None:
            src = self._aligned.get(tile)
            values = read_window(src, window, bands=[1])
            valid = read_valid(src, window, bands=[1])
        else:
            values, valid = self.read_values(tile, window)
        return np.where(valid, values[0], np.nan).astype(np.float32)


class PixelValues:
    """Values of pixels, NaN where there is none to learn."""

    class_colors: Colors = ()

    def __init__(
        self,
        images: RasterTiles,
        files: ValueFiles,
        *,
        size: int,
        scale: float = 1.0,
        whole: bool = False,
        name: str | None = None,
        nodata: float | None = None,
    ) -> None:
        """Initialize a new PixelValues instance.

        Args:
            images: The images.
            files: Their values.
            size: Side of the patches in pixels.
            scale: Factor from the values of files to those that are learned.
            whole: Take only patches with a value in each pixel.
            name: What is measured.
            nodata: Value of images that means "no observation", beside what files say themselves.
        """
        self.images, self.files, self.size = images, files, size
        self.scale, self.whole, self.nodata = scale, whole, nodata
        self.class_names = () if name is None else (name,)
        self.found: dict[tuple[int, Window], ValueCount] = {}

    def read_values(
        self, tile: int, window: Window, *, valid: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Read the values of a window, which may hang over the edges of image *tile*.

        Args:
            tile: Number of the image.
            window: Pixels of it.
            valid: Which of them are observations, in the shape of the window, if that is known.

        Returns:
            Shape (window.height, window.width); NaN where there is no value, no observation or no
            image.
        """
        inside, place, observed = observe(
            self.images, tile, window, valid=valid, nodata=self.nodata
        )
        values = np.full((window.height, window.width), np.nan, dtype=np.float32)
        scaled = self.files.read(tile, inside) * np.float32(self.scale)
        values[place] = np.where(observed, scaled, np.nan)
        return values

    def read(
        self, sample: Sample, tile: int, window: Window, *, valid: NDArray[np.bool_]
    ) -> Sample:
        """Add 'mask': float32, shape (H, W), NaN where there is no value."""
        return {**sample, 'mask': torch.from_numpy(self.read_values(tile, window, valid=valid))}

    def scan(self, tile: int, window: Window, *, seed: Sequence[int]) -> BlockLabels:
        """Count the values of a block, and remember where patches may lie, which *seed* decides."""
        values = self.read_values(tile, window)
        known = np.isfinite(values)
        self.found[tile, window] = ValueCount.of(values[known])
        generator = np.random.default_rng(np.random.SeedSequence(seed))
        anchors = (
            whole_patches(known, size=self.size, generator=generator)
            if self.whole
            else some_pixels(known, generator)
        )
        anchors += np.tile((window.row_off, window.col_off), 2)
        count = int(known.sum()) if len(anchors) else 0
        return BlockLabels(counts=np.array([count]), anchors={0: anchors} if len(anchors) else {})

    def holds(self, tile: int, window: Window) -> bool:
        """Say whether a patch has a value, or, if patches must be whole, one in each pixel."""
        known = np.isfinite(self.read_values(tile, window))
        return bool(known.all() if self.whole else known.any())


def some_pixels(known: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.int64]:
    """Choose some pixels with a value: top, left, bottom and right of each, shape (n, 4)."""
    places = np.argwhere(known)
    if len(places):
        places = places[np.unique(generator.integers(len(places), size=ANCHORS))]
    return np.concatenate([places, places + 1], axis=1)


def whole_patches(
    known: NDArray[np.bool_], *, size: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Choose some squares of *size* pixels all of which have a value, shape (n, 4).

    Where all of a block has one, the block stands for all of its squares.
    """
    height, width = known.shape
    if min(height, width) < size:
        return np.zeros((0, 4), dtype=np.int64)
    if known.all():
        return np.array([[0, 0, height, width]])
    sums = np.zeros((height + 1, width + 1), dtype=np.int64)
    sums[1:, 1:] = known.cumsum(axis=0).cumsum(axis=1)
    counts = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    corners = np.argwhere(counts == size**2)
    if len(corners):
        corners = corners[np.unique(generator.integers(len(corners), size=ANCHORS))]
    return np.concatenate([corners, corners + size], axis=1)
