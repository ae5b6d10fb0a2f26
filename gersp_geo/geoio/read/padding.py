"""Windows that hang over the sides of a raster: which pixel inside stands for one outside."""

import numpy as np
from numpy.typing import NDArray

from ...windows import Window


def padded_window(
    window: Window, *, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Window]:
    """Find, for every row and column of a window, the pixel inside a raster it comes from.

    What lies outside is mirrored at the border pixel, as often as it takes.

    Args:
        window: Pixels wanted; it may hang over any side.
        height: Rows of the raster.
        width: Columns of the raster.

    Returns:
        Rows and columns, counted within the smallest window inside the raster that holds them
        all, and that window.

    Raises:
        ValueError: If the window is empty.
    """
    if window.height < 1 or window.width < 1:
        raise ValueError(f'window must have at least one pixel, got {window}')
    rows = _mirror(np.arange(window.row_off, window.row_stop), height)
    cols = _mirror(np.arange(window.col_off, window.col_stop), width)
    inside = Window(
        row_off=int(rows.min()),
        col_off=int(cols.min()),
        height=int(rows.max() - rows.min()) + 1,
        width=int(cols.max() - cols.min()) + 1,
    )
    return rows - inside.row_off, cols - inside.col_off, inside


def _mirror(indices: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Map indices outside [0, length) to indices inside."""
    # reflection has period 2 * (length - 1): a b c | b a | b c ...; a single pixel has none
    period = max(2 * (length - 1), 1)
    phase = indices % period
    return np.minimum(phase, period - phase) if length > 1 else phase


def take[Pixel: np.generic](
    pixels: NDArray[Pixel], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[Pixel]:
    """Pick rows and columns of the last two axes; no copy where nothing is padded."""
    if pixels.shape[-2:] == (len(rows), len(cols)) and rows[0] == 0 and cols[0] == 0:
        return pixels
    return pixels[..., rows[:, None], cols]
