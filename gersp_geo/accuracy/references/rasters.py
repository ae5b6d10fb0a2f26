"""The pixels of rasters under those of a map, on whatever grid they lie."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...geoio.grids import Grid
from ...geoio.read import BlockDecoder, RasterHeader, Reader, Shown, describe_reader
from ...geoio.warp import (
    advise_place,
    check_common_ground,
    describe_lack,
    find_nearest,
    on_one_grid,
)
from ...windows import Window
from ..reading import read_pixels

# Pixels of a finer raster that are read at once.
_PIXELS_READ = 2**26


class RasterUnderMap:
    """A raster seen on the grid of a map: each pixel is the one that holds its centre."""

    def __init__(
        self,
        src: Reader,
        grid: RasterHeader,
        *,
        name: str,
        bands: Sequence[int] = (1,),
        decoder: BlockDecoder | None = None,
    ) -> None:
        """Initialize a new RasterUnderMap instance.

        Args:
            src: The raster, or the map itself.
            grid: Header of the map.
            name: The file of the map, for messages.
            bands: 1-based indices of the bands that are read.
            decoder: What decodes blocks of the raster in less time.

        Raises:
            ValueError: If it cannot be put on the map, or they have no ground in common.
        """
        self.src, self.bands, self._decoder = src, list(bands), decoder
        self.header = describe_reader(src)
        self._grid, self._source = Grid.of(grid), Grid.of(self.header)
        self.notes: list[str] = []
        self.is_aligned = on_one_grid(grid, self.header) or self._is_of_one_size(grid, name)
        if self.is_aligned:
            return
        if self.header.crs is None:
            raise ValueError(
                f'{src.name} {describe_lack(self.header)} and has another size than {name}, so that '
                f'it cannot be put on it; {advise_place(self.header, has_option=False)}'
            )
        check_common_ground(grid, grid, self.header, name, src.name)
        self.notes.append(
            f'{src.name} lies on another grid than the map: each pixel of the map is compared with '
            'the one that holds its centre.'
        )

    def _is_of_one_size(self, grid: RasterHeader, name: str) -> bool:
        """Say whether it has no place of its own, and as many pixels as the map."""
        own = self.header
        is_picture = own.crs is None and own.transform.is_identity
        if not is_picture or own.georeference.is_place:
            return False
        if (own.height, own.width) != (grid.height, grid.width):
            return False
        self.notes.append(
            f'{self.src.name} has no place of its own, and is taken pixel by pixel for that of '
            f'{name}, which has its size.'
        )
        return True

    def read(self, window: Window) -> tuple[NDArray[np.generic], Shown]:
        """Read what lies under a window of the map.

        Args:
            window: Pixels of the map.

        Returns:
            Pixels, shape (bands, rows, cols), and where there is an observation, shape (rows,
            cols); None means everywhere.

        Raises:
            UnreadableFileError: If the file is damaged there.
        """
        if self.is_aligned:
            return self._observed(window)
        found = find_nearest(self._source, self._grid, window)
        if found is None:
            shape = len(self.bands), window.height, window.width
            return np.zeros(shape, dtype=self.header.dtype), np.zeros(shape[1:], dtype=np.bool_)
        part = found.window
        if part.height * part.width > _PIXELS_READ and window.height * window.width > 1:
            return self._read_halves(window)
        pixels, valid = self._observed(part)
        inside = found.inside
        if valid is not None:
            inside = inside & valid[found.rows, found.cols]
        return pixels[:, found.rows, found.cols], inside

    def _observed(self, window: Window) -> tuple[NDArray[np.generic], Shown]:
        """Read pixels of the raster itself."""
        return read_pixels(
            self.src, window, bands=self.bands, header=self.header, decoder=self._decoder
        )

    def _read_halves(self, window: Window) -> tuple[NDArray[np.generic], Shown]:
        """Read a window in two pieces, where a finer raster has too many pixels below it."""
        is_tall = window.height >= window.width
        whole = window.height if is_tall else window.width
        pieces = []
        for start, stop in ((0, whole // 2), (whole // 2, whole)):
            piece = Window(
                row_off=window.row_off + start * is_tall,
                col_off=window.col_off + start * (not is_tall),
                height=stop - start if is_tall else window.height,
                width=window.width if is_tall else stop - start,
            )
            pixels, valid = self.read(piece)
            shown = np.ones(pixels.shape[1:], dtype=np.bool_) if valid is None else valid
            pieces.append((pixels, shown))
        axis = -2 if is_tall else -1
        first, second = (list(some) for some in zip(*pieces, strict=True))
        return np.concatenate(first, axis=axis), np.concatenate(second, axis=axis)

    def read_at(
        self, rows: NDArray[np.int64], cols: NDArray[np.int64]
    ) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read the pixels under some of the map.

        Args:
            rows: Rows of the map, shape (n,).
            cols: Its columns.

        Returns:
            Values, shape (bands, n), and where there is an observation, shape (n,).
        """
        values = np.zeros((len(self.bands), len(rows)), dtype=self.header.dtype)
        valid = np.zeros(len(rows), dtype=np.bool_)
        # pixels of one block come after each other, and it is decoded once
        height, width = self.header.block_shape
        for place in np.lexsort((cols // width, rows // height)).tolist():
            pixel = Window(row_off=int(rows[place]), col_off=int(cols[place]), height=1, width=1)
            found, shown = self.read(pixel)
            values[:, place] = found[:, 0, 0]
            valid[place] = shown is None or bool(shown[0, 0])
        return values, valid
