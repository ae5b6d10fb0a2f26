"""How a grid is shown in a picture."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from ...geoio.grids import place_points
from ...geoio.pixel_area import pixel_size_m
from ...geoio.read import RasterHeader

# pixels to which small grids are enlarged
_SMALLEST_SIDE = 600

# beyond, no scale holds for the whole picture
_LONGEST_SIDE_M = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A grid as it is shown: at another size, in the proportions of the ground, north up."""

    header: RasterHeader
    """Of a raster on the grid."""

    shape: tuple[int, int]
    """Rows and columns of the picture of it."""

    metres_per_pixel: float | None
    """Ground that a column of the picture covers; None where that is not known, or differs too much."""

    @classmethod
    def of(cls, header: RasterHeader, *, side: int) -> Self:
        """Choose how a grid is shown.

        Args:
            header: Of a raster on the grid.
            side: Longest side of the picture of it, in pixels, at most.

        Returns:
            Small grids are enlarged by a whole number.
        """
        ground = pixel_size_m(header)
        x, y = ground or (1.0, 1.0)
        height, width = header.height * y, header.width * x
        longest = max(header.height, header.width)
        shown = min(side, longest * -(-min(_SMALLEST_SIDE, side) // longest))
        scale = shown / max(height, width)
        rows, cols = max(1, round(height * scale)), max(1, round(width * scale))
        is_known = ground is not None and max(height, width) <= _LONGEST_SIDE_M
        return cls(
            header=header, shape=(rows, cols), metres_per_pixel=width / cols if is_known else None
        )

    def turn(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn an image of the grid, shape (*shape, 3), so that north is up and east on the right."""
        rows, cols = (-1 if flipped else 1 for flipped in self._flips)
        return pixels[::rows, ::cols]

    def place(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn coordinates in the CRS of the grid into (column, row) of the turned image."""
        rows, cols = self.shape
        to_panel = Affine.scale(cols / self.header.width, rows / self.header.height)
        flips_rows, flips_cols = self._flips
        if flips_rows:
            to_panel = Affine.translation(0, rows) @ Affine.scale(1, -1) @ to_panel
        if flips_cols:
            to_panel = Affine.translation(cols, 0) @ Affine.scale(-1, 1) @ to_panel
        to_panel = to_panel @ ~self.header.transform
        return place_points(to_panel, points)

    @property
    def _flips(self) -> tuple[bool, bool]:
        """Whether rows go north, and whether columns go west."""
        return self.header.transform.e > 0, self.header.transform.a < 0
