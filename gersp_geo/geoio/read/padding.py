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


def middle_of[Pixel: np.generic](
    out: NDArray[Pixel], window: Window, inside: Window
) -> NDArray[Pixel] | None:
    """View the part of a window that lies in a raster, where all of it is made of that part.

    Args:
        out: Pixels of *window*, shape (bands, window.height, window.width).
        window: Hangs over sides of the raster.
        inside: What it is made of, as :func:`padded_window` says.

    Returns:
        Shape (bands, inside.height, inside.width); None where the window needs more than that part.
    """
    top, left = inside.row_off - window.row_off, inside.col_off - window.col_off
    if (
        top < 0
        or left < 0
        or inside.row_stop > window.row_stop
        or inside.col_stop > window.col_stop
    ):
        return None
    return out[:, top : top + inside.height, left : left + inside.width]


def mirror_around(
    out: NDArray[np.generic],
    window: Window,
    inside: Window,
    *,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
) -> None:
    """Fill what hangs over, once :func:`middle_of` is filled; most pixels stay where they are.

    Args:
        out: As there.
        window: As there.
        inside: As there.
        rows: Of :func:`padded_window`.
        cols: Of :func:`padded_window`.
    """
    top, left = inside.row_off - window.row_off, inside.col_off - window.col_off
    bottom, right = top + inside.height, left + inside.width
    beside = out[:, top:bottom]
    for part in (slice(0, left), slice(right, window.width)):
        beside[:, :, part] = beside[:, :, left + cols[part]]
    for part in (slice(0, top), slice(bottom, window.height)):
        out[:, part] = out[:, top + rows[part]]
