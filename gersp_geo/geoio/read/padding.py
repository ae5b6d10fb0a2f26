"""Windows that hang over the sides of a raster: which pixel inside stands for one outside."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...windows import Window

type Pad = Literal['reflect', 'edge']
"""How pixels outside a raster are made from those inside."""


def padded_window(
    window: Window, *, height: int, width: int, pad: Pad = 'reflect'
) -> tuple[NDArray[np.int64], NDArray[np.int64], Window]:
    """Find, for every row and column of a window, the pixel inside a raster it comes from.

    Args:
        window: Pixels wanted; may hang over any side.
        height: Rows of the raster.
        width: Columns of the raster.
        pad: 'reflect' mirrors at the border pixel, as often as it takes, and 'edge' repeats the border
            pixel.

    Returns:
        Rows and columns, counted within the smallest window inside the raster that holds them
        all, and that window.

    Raises:
        ValueError: If the window is empty.
    """
    if window.height < 1 or window.width < 1:
        raise ValueError(f'window must have at least one pixel, got {window}')
    rows = _inside(np.arange(window.row_off, window.row_stop), height, pad=pad)
    cols = _inside(np.arange(window.col_off, window.col_stop), width, pad=pad)
    inside = Window(
        row_off=int(rows.min()),
        col_off=int(cols.min()),
        height=int(rows.max() - rows.min()) + 1,
        width=int(cols.max() - cols.min()) + 1,
    )
    return rows - inside.row_off, cols - inside.col_off, inside


def _inside(indices: NDArray[np.int64], length: int, *, pad: Pad) -> NDArray[np.int64]:
    """Map indices outside [0, length) to indices inside."""
    if pad == 'edge':
        return np.clip(indices, 0, length - 1)
    if pad != 'reflect':
        raise ValueError(f"pad must be 'reflect' or 'edge', got {pad!r}")
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
