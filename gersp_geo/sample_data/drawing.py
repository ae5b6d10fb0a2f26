"""What both the landscape and the natural images are drawn with: noise, distances, blending."""

import numpy as np
import scipy.fft
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

type Field = NDArray[np.float32]
"""A number per pixel, shape (rows, cols)."""

type Index = NDArray[np.int32]
"""A whole number per pixel, shape (rows, cols)."""

type Image = NDArray[np.float32]
"""The brightness of every band, in [0, 1] once it is exposed, shape (rows, cols, bands)."""

type Points = NDArray[np.float64]
"""Positions in pixels, rows before columns, shape (n, 2)."""

type Shape = tuple[int, ...]
"""(rows, cols)."""

# lines run on beyond the rim of a raster by this many pixels
_MARGIN = 32


def fractal_noise(rng: Generator, shape: Shape, *, scale: float, steepness: float) -> Field:
    """Draw a random field of mean 0 and standard deviation 1.

    Its largest features have *scale* pixels; beyond these, its amplitude falls with the power
    *steepness* of the frequency: 1 is grainy, 4 is very smooth.
    """
    spectrum = scipy.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    across, along = scipy.fft.fftfreq(shape[0]), scipy.fft.rfftfreq(shape[1])
    power = np.add.outer(across**2, along**2) + scale**-2
    spectrum *= power.astype(np.float32) ** np.float32(-steepness / 2)
    field = scipy.fft.irfft2(spectrum, s=shape)
    field -= field.mean()
    # a single pixel has no spread
    return np.asarray(field / max(float(field.std()), 1e-12), dtype=np.float32)


def pixel_grid(shape: Shape) -> tuple[Field, Field]:
    """Give the row and the column of every pixel, broadcastable: shapes (rows, 1), (1, cols)."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return rows.astype(np.float32), cols.astype(np.float32)


def turn(down: ArrayLike, right: ArrayLike, angle: ArrayLike) -> tuple[Field, Field]:
    """Express offsets along and across a direction, whose angle is 0 along the columns."""
    sine, cosine = np.sin(angle, dtype=np.float32), np.cos(angle, dtype=np.float32)
    down, right = np.asarray(down, dtype=np.float32), np.asarray(right, dtype=np.float32)
    return right * cosine + down * sine, down * cosine - right * sine


def smooth_step(values: NDArray[np.floating], *, low: float, high: float) -> Field:
    """Rise from 0 at *low* to 1 at *high* without a kink."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def blend(image: ArrayLike, color: ArrayLike, share: NDArray[np.generic]) -> Image:
    """Lay a colour over an image: *share* is 0 where none of it is seen and 1 where it hides all."""
    below = np.asarray(image, dtype=np.float32)
    cover = share.astype(np.float32)[..., None]
    return below + (np.asarray(color, dtype=np.float32) - below) * cover


def tint(color: ArrayLike, light: Field) -> Image:
    """Make a colour lighter and darker."""
    return np.asarray(color, dtype=np.float32) + light.astype(np.float32)[..., None]


def distance_to(mask: NDArray[np.bool_]) -> Field:
    """Measure how far the nearest True pixel is from each; the distance is large without one."""
    if not mask.any():
        return np.full(mask.shape, sum(mask.shape), dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~mask), dtype=np.float32)


def distance_to_border(index: Index) -> Field:
    """Measure how far the nearest pixel is that has a neighbour of another index."""
    border = np.zeros(index.shape, dtype=np.bool_)
    border[1:] |= index[1:] != index[:-1]
    border[:, 1:] |= index[:, 1:] != index[:, :-1]
    return distance_to(border)


def cells(points: Points, shape: Shape) -> tuple[NDArray[np.int64], ...]:
    """List the rows and the columns of the pixels at some points, or of those nearest to them."""
    return tuple(np.clip(np.rint(points).astype(np.int64), 0, np.array(shape) - 1).T)


def nearest_point(shape: Shape, points: Points) -> tuple[Index, Field]:
    """Find the nearest of the points in a raster for every pixel, and its distance in pixels.

    Without any, the index is 0 and the distance is large.
    """
    owner = np.full(shape, -1, dtype=np.int32)
    cells = np.rint(points).astype(np.int64)
    inside = ((cells >= 0) & (cells < shape)).all(axis=1)
    if not inside.any():
        return np.zeros(shape, dtype=np.int32), np.full(shape, sum(shape), dtype=np.float32)
    owner[tuple(cells[inside].T)] = np.flatnonzero(inside)
    nearest = ndimage.distance_transform_edt(owner < 0, return_distances=False, return_indices=True)
    index = owner[tuple(nearest)]
    rows, cols = pixel_grid(shape)
    row, col = points.T.astype(np.float32)
    return index, np.hypot(row[index] - rows, col[index] - cols, dtype=np.float32)


def nearest_line(shape: Shape, lines: list[Points]) -> tuple[Index, Field, Field]:
    """Find the nearest of some lines for every pixel, given by points half a pixel apart.

    Returns:
        The index of the nearest point, counted over all lines; the pixels along the lines; and
        those beside the nearest one, exact to a fraction of a pixel nearby, negative on its left.
    """
    points = np.concatenate(lines)
    padded = tuple(side + 2 * _MARGIN for side in shape)
    index = nearest_point(padded, points + _MARGIN)[0][_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    tangents = np.concatenate([np.gradient(line, axis=0) for line in lines])
    heading = np.arctan2(*tangents.T).astype(np.float32)
    rows, cols = pixel_grid(shape)
    row, col = points.T.astype(np.float32)
    ahead, beside = turn(rows - row[index], cols - col[index], heading[index])
    # a line ends where it ends: two pixels late at most
    steps = [np.arange(len(line)) for line in lines]
    is_end = np.concatenate([np.minimum(step, step[::-1]) < 4 for step in steps])
    distance = np.hypot(beside, is_end[index] * np.maximum(np.abs(ahead) - 2, 0))
    along = ahead + index.astype(np.float32) / np.float32(2)
    return index, along, np.copysign(distance, beside)
