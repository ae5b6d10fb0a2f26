"""Random fields and distances: what every part of the landscape is made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

type Field = NDArray[np.float32]
"""A number per pixel, shape (rows, cols)."""

type Points = NDArray[np.float64]
"""Positions in pixels, shape (n, 2), rows before columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proximity:
    """How every pixel lies to the nearest of some lines."""

    line: NDArray[np.int32]
    """Index of that line."""

    distance: Field
    """Pixels to it."""

    along: Field
    """Pixels from its first point to the place that is nearest."""


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], *, scale: float, steepness: float = 2.5
) -> Field:
    """Draw a random field whose amplitude falls with frequency as a power law.

    Args:
        rng: Source of randomness.
        shape: (rows, cols).
        scale: Largest features in pixels.
        steepness: Exponent of the fall beyond *scale*; 1 is grainy, 4 is very smooth.

    Returns:
        Mean 0, standard deviation 1.
    """
    rows, cols = shape
    spectrum = scipy.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    squared = scipy.fft.fftfreq(rows)[:, None] ** 2 + scipy.fft.rfftfreq(cols)[None, :] ** 2
    spectrum *= ((squared + scale**-2) ** (-steepness / 2)).astype(np.float32)
    field = scipy.fft.irfft2(spectrum, s=shape).astype(np.float32)
    field -= field.mean()
    # a single pixel has no spread
    return np.asarray(field / max(float(field.std()), 1e-12), dtype=np.float32)


def pixel_grid(shape: tuple[int, int]) -> tuple[Field, Field]:
    """Give the row and the column of every pixel, broadcastable: shapes (rows, 1), (1, cols)."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return rows.astype(np.float32), cols.astype(np.float32)


def smooth_step(values: NDArray[np.floating], *, low: float, high: float) -> Field:
    """Rise from 0 at *low* to 1 at *high* without a kink."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), dtype=np.float32)


def distance_to(mask: NDArray[np.bool_]) -> Field:
    """Distance of every pixel to the nearest True one; far away where there is none."""
    if not mask.any():
        return np.full(mask.shape, sum(mask.shape), dtype=np.float32)
    return np.asarray(ndimage.distance_transform_edt(~mask), dtype=np.float32)


def nearest_point(shape: tuple[int, int], points: Points) -> tuple[NDArray[np.int32], Field]:
    """Find the nearest of some points for every pixel.

    Args:
        shape: (rows, cols).
        points: Those outside the raster do not count.

    Returns:
        The index of the point (0 where none counts), and its distance (far away where none counts).
    """
    owner = np.full(shape, -1, dtype=np.int32)
    cells = np.rint(points).astype(np.int64)
    inside = ((cells >= 0) & (cells < shape)).all(axis=1)
    owner[cells[inside, 0], cells[inside, 1]] = np.flatnonzero(inside)
    if not inside.any():
        return np.zeros(shape, dtype=np.int32), np.full(shape, sum(shape), dtype=np.float32)
    nearest = ndimage.distance_transform_edt(owner < 0, return_distances=False, return_indices=True)
    index = owner[nearest[0], nearest[1]]
    rows, cols = pixel_grid(shape)
    at = points.astype(np.float32)[index]
    return index, np.hypot(rows - at[..., 0], cols - at[..., 1])


def nearest_line(shape: tuple[int, int], lines: Sequence[Points]) -> Proximity:
    """Find the nearest of some lines for every pixel.

    Args:
        shape: (rows, cols).
        lines: Points about half a pixel apart.

    Returns:
        Distances that are exact to a fraction of a pixel near the lines.
    """
    points = np.concatenate([*lines, np.empty((0, 2))])
    steps = [np.gradient(line, axis=0) for line in lines]
    tangents = np.concatenate([*steps, np.empty((0, 2))])
    tangents /= np.maximum(np.hypot(*tangents.T), 1e-9)[:, None]
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    travelled = [np.hypot(*step.T).cumsum() for step in steps]
    index, distance = nearest_point(shape, points)
    if not len(points):
        zeros = np.zeros(shape, dtype=np.float32)
        return Proximity(line=index, distance=distance, along=zeros)
    rows, cols = pixel_grid(shape)
    at, tangent = points.astype(np.float32)[index], tangents.astype(np.float32)[index]
    ahead = (rows - at[..., 0]) * tangent[..., 0] + (cols - at[..., 1]) * tangent[..., 1]
    beside = (rows - at[..., 0]) * tangent[..., 1] - (cols - at[..., 1]) * tangent[..., 0]
    # lines end where their ends are, but run on beyond the rim of the raster
    is_end = np.concatenate([_ends(line) for line in lines])[index]
    past = is_end * np.maximum(np.abs(ahead) - 2, 0)
    along = np.concatenate(travelled).astype(np.float32)[index] + ahead
    near = distance < sum(shape)
    return Proximity(
        line=owner.astype(np.int32)[index],
        distance=np.where(near, np.hypot(beside, past), distance),
        along=along,
    )


def _ends(line: Points) -> NDArray[np.bool_]:
    """Mark the points in the first and the last two pixels of a line."""
    step = np.arange(len(line))
    return np.minimum(step, step[::-1]) < 4
