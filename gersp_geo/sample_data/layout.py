"""Where fields, water and roads lie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from .noise import Field, Points, distance_to, fractal_noise, nearest_line, pixel_grid

MAIN_ROAD, STREET, TRACK = 0, 1, 2
"""Kinds of road: asphalt with markings, plain asphalt, trodden earth."""

_HALF_WIDTHS = {MAIN_ROAD: (3.6, 4.3), STREET: (2.5, 3.0), TRACK: (1.6, 2.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcels:
    """Fields that share a border with their neighbours."""

    index: NDArray[np.int32]
    """Which parcel a pixel belongs to, shape (rows, cols)."""

    angle: Field
    """Direction of the rows of each parcel in radians, shape (parcels,)."""

    edge: Field
    """Pixels to the nearest border between two parcels, shape (rows, cols)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roads:
    """A network of lines with widths."""

    lines: tuple[Points, ...]
    """Points half a pixel apart."""

    kinds: tuple[int, ...]
    """Per line: MAIN_ROAD, STREET or TRACK."""

    half_widths: tuple[float, ...]
    """Per line, in pixels."""

    centre: tuple[float, float]
    """(row, col) of the settlement."""

    reach: float
    """Pixels from *centre* to the end of the settlement."""


def make_parcels(rng: np.random.Generator, shape: tuple[int, int]) -> Parcels:
    """Divide the land into fields: districts of one direction each, cut into strips, cut into parcels.

    Args:
        rng: Source of randomness.
        shape: (rows, cols).

    Returns:
        Parcels with sides of roughly 40 to 250 pixels.
    """
    rows, cols = pixel_grid(shape)
    count = max(2, round(shape[0] * shape[1] / 290**2))
    centres = rng.uniform(0, 1, (count, 2)) * shape
    distances = [np.hypot(rows - r, cols - c) for r, c in centres]
    district = np.argmin(distances, axis=0)
    bend = 6 * fractal_noise(rng, shape, scale=180, steepness=4)
    index = np.zeros(shape, dtype=np.int32)
    angles: list[float] = []
    extent = 2 * sum(shape)
    for number in range(count):
        angle = rng.uniform(0, np.pi)
        size = rng.choice([0.55, 1.0, 1.35])
        inside = np.flatnonzero(district == number)
        across = (rows * np.cos(angle) - cols * np.sin(angle) + bend).ravel()[inside]
        along = (rows * np.sin(angle) + cols * np.cos(angle) + bend).ravel()[inside]
        strip_ends = np.cumsum(size * rng.uniform(60, 130, extent // 30)) - extent / 2
        strip = np.searchsorted(strip_ends, across)
        for number_of_strip in np.unique(strip):
            here = strip == number_of_strip
            ends = np.cumsum(rng.uniform(90, 240, extent // 90)) - extent / 2
            parcel = np.searchsorted(ends, along[here])
            _, compact = np.unique(parcel, return_inverse=True)
            index.flat[inside[here]] = compact + len(angles)
            # most farmers work along the longer side
            turned = rng.uniform() < 0.25
            angles += [angle + np.pi / 2 * turned] * (int(compact.max()) + 1)
    border = np.zeros(shape, dtype=np.bool_)
    border[1:] |= index[1:] != index[:-1]
    border[:, 1:] |= index[:, 1:] != index[:, :-1]
    return Parcels(index=index, angle=np.array(angles, dtype=np.float32), edge=distance_to(border))


def make_river(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Let a river meander across the land.

    Args:
        rng: Source of randomness.
        shape: (rows, cols).

    Returns:
        Pixels inside the shore, negative on land, shape (rows, cols).
    """
    side = min(shape)
    angle = rng.uniform(0, np.pi)
    heading = np.array([np.sin(angle), np.cos(angle)])
    # beside the middle, where the settlement wants to be
    push = rng.choice([-1, 1]) * rng.uniform(0.18, 0.3) * side
    t = np.arange(-0.8 * sum(shape), 0.8 * sum(shape), 0.5)
    swing = np.zeros_like(t)
    for height, length in ((0.06 * side, 460), (0.03 * side, 210), (3, 80)):
        wave = np.sin(2 * np.pi * (t / length + rng.uniform()))
        swing += rng.uniform(0.6, 1.0) * height * wave
    middle = np.array(shape) / 2
    line = middle + t[:, None] * heading + (push + swing)[:, None] * heading[::-1] * (-1, 1)
    proximity = nearest_line(shape, [line])
    width = rng.uniform(9, 14) + 2.5 * np.sin(proximity.along / rng.uniform(35, 60))
    return np.asarray(
        width + 1.2 * fractal_noise(rng, shape, scale=14) - proximity.distance, dtype=np.float32
    )


def make_lakes(rng: np.random.Generator, shape: tuple[int, int], *, taken: Field) -> Field:
    """Put lakes where there is room.

    Args:
        rng: Source of randomness.
        shape: (rows, cols).
        taken: Pixels to the nearest road or settlement.

    Returns:
        Pixels inside the shore (roughly), negative on land, shape (rows, cols).
    """
    rows, cols = pixel_grid(shape)
    depth = np.full(shape, -1000, dtype=np.float32)
    for _ in range(max(1, round(shape[0] * shape[1] / 480**2))):
        tries = (rng.uniform(0.05, 0.95, (12, 2)) * shape).astype(np.int64)
        row, col = tries[np.argmax(taken[tries[:, 0], tries[:, 1]])]
        radius = min(rng.uniform(28, 62), 0.75 * float(taken[row, col]))
        stretch = rng.uniform(0.6, 1.6)
        shape_noise = 0.3 * radius * fractal_noise(rng, shape, scale=60, steepness=3.5)
        distance = np.hypot((rows - row) * stretch, (cols - col) / stretch)
        depth = np.maximum(depth, np.minimum(radius + shape_noise - distance, taken - 10))
    return depth


def make_roads(rng: np.random.Generator, shape: tuple[int, int], *, river: Field) -> Roads:
    """Lay roads from a settlement to the edges, and streets within it.

    Args:
        rng: Source of randomness.
        shape: (rows, cols).
        river: From :func:`make_river`; the settlement keeps away from it, main roads cross it.

    Returns:
        The network.
    """
    side = min(shape)
    tries = (rng.uniform(0.3, 0.7, (16, 2)) * shape).astype(np.int64)
    centre = tries[np.argmin(river[tries[:, 0], tries[:, 1]])].astype(np.float64)
    reach = 0.27 * side
    heading = rng.uniform(0, 2 * np.pi)
    rays = [
        _ray(rng, centre, heading + turn + rng.normal(0, 0.2), shape)
        for turn in (0, np.pi, np.pi / 2, -np.pi / 2)
    ]
    main = np.concatenate([rays[0][::-1], rays[1][1:]])
    found = [(line, MAIN_ROAD) for line in (main, *rays[2:])]
    found += [(line, STREET) for line in _streets(rng, main, centre=centre, reach=reach)]
    from_centre = np.hypot(*(main - centre).T)
    starts = main[(from_centre > reach) & (from_centre < 0.6 * side)]
    for start in rng.permutation(starts)[: max(1, round(side / 260))]:
        away = np.arctan2(*(start - centre)) + rng.choice([-1, 1]) * rng.uniform(0.6, 1.2)
        found.append((_ray(rng, start, away, shape), TRACK))
    bridged = [(line if kind == MAIN_ROAD else _dry(line, river), kind) for line, kind in found]
    kept = [(line, kind) for line, kind in bridged if len(line) > 20]
    return Roads(
        lines=tuple(line for line, _ in kept),
        kinds=tuple(kind for _, kind in kept),
        half_widths=tuple(float(rng.uniform(*_HALF_WIDTHS[kind])) for _, kind in kept),
        centre=(float(centre[0]), float(centre[1])),
        reach=reach,
    )


def _curve(controls: Points) -> Points:
    """Draw a smooth line through some points, half a pixel per step."""
    chords = np.concatenate([[0], np.hypot(*np.diff(controls, axis=0).T).cumsum()])
    at = np.arange(0, chords[-1], 0.5)
    return np.asarray(CubicSpline(chords, controls)(at), dtype=np.float64)


def _ray(rng: np.random.Generator, start: Points, heading: float, shape: tuple[int, int]) -> Points:
    """Draw a gently winding line from a point out of the raster."""
    ends = np.arange(0, max(shape) * 1.5 + 170, 170.0)
    drift = np.concatenate([[0, 0], rng.normal(0, 22, max(len(ends) - 2, 0))]).cumsum() * 0.7
    along = np.array([np.sin(heading), np.cos(heading)])
    aside = np.array([np.cos(heading), -np.sin(heading)])
    return _curve(start + ends[:, None] * along + drift[: len(ends), None] * aside)


def _streets(
    rng: np.random.Generator, main: Points, *, centre: Points, reach: float
) -> list[Points]:
    """Lay streets beside the main road, and lanes that join them to it."""
    village = main[np.hypot(*(main - centre).T) < reach]
    if len(village) < 2:
        return []
    tangents = np.gradient(village, axis=0)
    aside = tangents[:, ::-1] * (1, -1) / np.hypot(*tangents.T)[:, None]
    offsets = [sign * rng.uniform(56, 70) for sign in (-1, 1)]
    streets = []
    for offset in offsets:
        first, last = rng.uniform(0, 0.12), rng.uniform(0.88, 1)
        part = slice(int(first * len(village)), int(last * len(village)))
        streets.append((village + offset * aside)[part])
    at = int(rng.uniform(10, 60))
    while at < len(village) - 10:
        ends = [rng.choice([0, 1, 1.7], p=[0.25, 0.4, 0.35]) * offset for offset in offsets]
        controls = village[at] + np.array([[ends[0]], [ends[1]]]) * aside[at]
        if np.ptp(ends) > 0:
            streets.append(_curve(controls))
        at += int(2 * rng.uniform(70, 110))
    return streets


def _dry(line: Points, river: Field) -> Points:
    """Cut a line where it comes near the river."""
    cells = np.clip(np.rint(line).astype(np.int64), 0, np.array(river.shape) - 1)
    wet = np.flatnonzero(river[cells[:, 0], cells[:, 1]] > -5)
    return line[: wet[0]] if len(wet) else line
