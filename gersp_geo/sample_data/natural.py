"""Small pictures of everyday things, drawn from random numbers: the labelled natural images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy import ndimage

from .noise import Field, fractal_noise, nearest_point, pixel_grid, smooth_step

type Picture = NDArray[np.float32]
"""Red, green and blue in [0, 1] (roughly, before exposure), shape (3, rows, cols)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polar:
    """Pixels as seen from one of them."""

    radius: Field
    """Distance in units of the object's size."""

    angle: Field
    """Direction in radians."""


def draw_natural_image(name: str, *, size: int, seed: int, number: int) -> NDArray[np.uint8]:
    """Draw one picture of a class.

    Args:
        name: A key of NATURAL_CLASSES.
        size: Side of the picture in pixels.
        seed: Equal seeds give equal pictures.
        number: Which picture of this class.

    Returns:
        Red, green and blue, shape (size, size, 3).
    """
    rng = np.random.default_rng([seed, 3, list(NATURAL_CLASSES).index(name), number])
    # drawn at twice the size: scaling down smooths the edges
    picture = NATURAL_CLASSES[name](rng, (2 * size, 2 * size))
    rows, cols = _centred(picture, at=(0.5, 0.5), size=size)
    vignette = 1 - rng.uniform(0, 0.25) * (rows**2 + cols**2)
    gains = rng.normal(rng.uniform(0.85, 1.12), 0.03, (3, 1, 1))
    exposed = picture * vignette * gains + rng.normal(0, 0.02, picture.shape)
    pixels = (np.clip(exposed, 0, 1) * 255).round().astype(np.uint8)
    small = Pillow.fromarray(np.moveaxis(pixels, 0, -1)).resize((size, size), Pillow.Resampling.BOX)
    return np.asarray(small, dtype=np.uint8)


def _color(*values: float) -> Picture:
    """Shape a colour for arithmetic with pictures: (3, 1, 1)."""
    return np.array(values, dtype=np.float32)[:, None, None]


def _pick(rng: np.random.Generator, *colors: tuple[float, float, float]) -> Picture:
    """Choose a colour and vary it."""
    return _color(*(np.array(colors[rng.integers(len(colors))]) + rng.normal(0, 0.04, 3)))


def _blend(picture: Picture, color: NDArray[np.floating], share: NDArray[np.floating]) -> Picture:
    """Lay a colour over a picture."""
    return np.asarray(picture * (1 - share) + color * share, dtype=np.float32)


def _centred(picture: Picture, *, at: tuple[float, float], size: float) -> tuple[Field, Field]:
    """Give rows and columns relative to a place (as shares of the sides), in units of *size*."""
    shape = (picture.shape[1], picture.shape[2])
    rows, cols = pixel_grid(shape)
    unit = np.float32(size)
    return (rows - np.float32(at[0] * shape[0])) / unit, (
        cols - np.float32(at[1] * shape[1])
    ) / unit


def _polar(picture: Picture, *, at: tuple[float, float], size: float) -> Polar:
    """Give distance and direction from a place."""
    rows, cols = _centred(picture, at=at, size=size)
    return Polar(radius=np.hypot(rows, cols), angle=np.arctan2(rows, cols))


def _streaks(rng: np.random.Generator, shape: tuple[int, int], *, scale: float) -> Field:
    """Draw noise that is stretched six times along the columns."""
    narrow = fractal_noise(rng, (shape[0], shape[1] // 6 + 2), scale=scale, steepness=2)
    return np.asarray(ndimage.zoom(narrow, (1, 6), order=1)[:, : shape[1]], dtype=np.float32)


def _sunset(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """The sun over the sea or over hills, under streaks of cloud."""
    rows, cols = pixel_grid(shape)
    horizon = rng.uniform(0.55, 0.8)
    height = np.broadcast_to(rows / shape[0] / np.float32(horizon), shape).astype(np.float32)
    top = _pick(rng, (0.20, 0.22, 0.45), (0.35, 0.22, 0.42), (0.15, 0.25, 0.5))
    low = _pick(rng, (0.98, 0.6, 0.25), (0.98, 0.45, 0.3), (0.98, 0.75, 0.4))
    sky = _blend(np.broadcast_to(top, (3, *shape)), low, np.clip(height, 0, 1) ** 1.8)
    at = (horizon - rng.uniform(-0.02, 0.2), rng.uniform(0.2, 0.8))
    sun = _polar(sky, at=at, size=shape[0])
    sky += 0.5 * np.exp(-8 * sun.radius) * _color(1, 0.8, 0.4)
    clouds = smooth_step(_streaks(rng, shape, scale=30), low=0.2, high=1.6) * (height < 1)
    lit = _pick(rng, (0.85, 0.45, 0.4), (0.45, 0.3, 0.4))
    sky = _blend(sky, lit, (0.8 * clouds).astype(np.float32))
    disc = smooth_step(-sun.radius, low=-0.075, high=-0.06)
    sky = _blend(sky, _color(1, 0.93, 0.7), disc)
    if rng.uniform() < 0.6:
        waves = _streaks(rng, shape, scale=6)
        glitter = np.exp(-(((cols / shape[1] - at[1]) / 0.09) ** 2)) * (waves > 0.1)
        ground = 0.45 * _color(0.3, 0.3, 0.4) + 0.04 * waves + 0.75 * glitter * low
        edge = height - 1
    else:
        ridge = 0.12 * fractal_noise(rng, (1, shape[1]), scale=60, steepness=2)
        ground = np.broadcast_to(_color(0.07, 0.06, 0.09), (3, *shape))
        edge = height - 1 + np.float32(0.8) * ridge
    return _blend(sky, ground.astype(np.float32), smooth_step(edge, low=-0.005, high=0.005))


def _flower(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """One to three blossoms before blurred green."""
    blur = fractal_noise(rng, shape, scale=50, steepness=3.5)
    picture = _pick(rng, (0.25, 0.4, 0.2), (0.18, 0.3, 0.15), (0.4, 0.5, 0.3)) + 0.08 * blur
    petal = _pick(
        rng, (0.85, 0.2, 0.25), (0.9, 0.5, 0.7), (0.95, 0.8, 0.2), (0.93, 0.92, 0.9),
        (0.55, 0.35, 0.8),
    )  # fmt: skip
    petals, sharpness = rng.integers(5, 15), rng.uniform(0.4, 1.1)
    for _ in range(rng.integers(1, 4)):
        size = shape[0] * rng.uniform(0.22, 0.42)
        at = (rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7))
        polar = _polar(picture, at=at, size=size)
        phase = petals * polar.angle / 2 + np.float32(rng.uniform(0, np.pi))
        rim = 0.5 + 0.5 * np.abs(np.cos(phase)) ** sharpness
        veins = np.sin(polar.angle * 70) * 0.03
        shade = 0.62 + 0.38 * polar.radius / rim + veins - 0.25 * (np.abs(np.cos(phase)) < 0.25)
        share = smooth_step(rim - polar.radius, low=-0.02, high=0.02)
        picture = _blend(picture, (petal * shade).astype(np.float32), share)
        heart = _pick(rng, (0.85, 0.65, 0.15), (0.4, 0.25, 0.12))
        grain = 0.8 + 0.2 * np.sin(polar.radius * 90) * np.sin(polar.angle * 21)
        disc = smooth_step(-polar.radius, low=-0.27, high=-0.23)
        picture = _blend(picture, (heart * grain).astype(np.float32), disc)
    return picture


def _foliage(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Leaves over leaves, the upper ones brighter."""
    picture = np.array(np.broadcast_to(_color(0.06, 0.1, 0.05), (3, *shape)))
    base = _pick(rng, (0.3, 0.5, 0.15), (0.2, 0.42, 0.2), (0.45, 0.5, 0.15), (0.55, 0.35, 0.12))
    length = shape[0] * rng.uniform(0.12, 0.24)
    count = int(4.5 * shape[0] * shape[1] / length**2)
    slimness = np.float32(rng.uniform(1.7, 3.2))
    for number in range(count):
        row, col = rng.uniform(0, 1, 2) * shape
        top, left = max(int(row - length), 0), max(int(col - length), 0)
        window = picture[:, top : int(row + length) + 1, left : int(col + length) + 1]
        rows, cols = pixel_grid((window.shape[1], window.shape[2]))
        down, right = (rows + (top - row)) / length, (cols + (left - col)) / length
        turn = rng.uniform(0, 2 * np.pi)
        along = down * np.sin(turn) + right * np.cos(turn)
        across = down * np.cos(turn) - right * np.sin(turn)
        half = np.clip(1 - along**2, 0, None) / slimness
        inside = smooth_step(half - np.abs(across), low=-0.01, high=0.05)
        depth = 0.35 + 0.65 * number / count
        ribs = 0.06 * np.sin((along + np.abs(across)) * 22) - 0.16 * (np.abs(across) < 0.035)
        light = depth * (1 + rng.normal(0, 0.12) + 0.22 * np.sign(across) + ribs)
        window[:] = _blend(window, base * light, inside)
    return picture


def _fruit(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Balls of fruit on a table, lit from one side."""
    rows, _ = pixel_grid(shape)
    wall = _pick(rng, (0.75, 0.72, 0.66), (0.35, 0.38, 0.42), (0.55, 0.6, 0.55))
    wood = _pick(rng, (0.5, 0.34, 0.2), (0.62, 0.48, 0.32), (0.85, 0.84, 0.82))
    picture = wall + 0.03 * fractal_noise(rng, shape, scale=80, steepness=3)
    grain = 0.06 * _streaks(rng, shape, scale=10)
    edge = np.broadcast_to(rows / shape[0] - np.float32(rng.uniform(0.35, 0.5)), shape)
    picture = _blend(picture, wood + grain, smooth_step(edge, low=-0.005, high=0.005))
    kinds = ((0.75, 0.12, 0.12), (0.5, 0.65, 0.15), (0.95, 0.55, 0.1), (0.95, 0.85, 0.2),
             (0.45, 0.12, 0.25))  # fmt: skip
    sun = rng.choice([-1, 1])
    for place in np.sort(rng.uniform(0.55, 0.75, rng.integers(1, 5))):
        radius = shape[0] * rng.uniform(0.13, 0.23)
        at = (float(place), rng.uniform(0.2, 0.8))
        skin = _pick(rng, *kinds)
        rows_of, cols_of = _centred(picture, at=at, size=radius)
        fall = np.hypot((rows_of - 0.95) * 3, cols_of + 0.5 * sun)
        picture = picture * (1 - 0.5 * smooth_step(-fall, low=-1.2, high=-0.4))
        squared = rows_of**2 + cols_of**2
        bulge = np.sqrt(np.clip(1 - squared, 0, None))
        light = 0.3 + 0.75 * np.clip(0.55 * bulge - 0.5 * rows_of + 0.5 * sun * cols_of, 0, None)
        gloss = np.exp(-14 * ((rows_of + 0.4) ** 2 + (cols_of - 0.4 * sun) ** 2))
        spots = 0.03 * fractal_noise(rng, shape, scale=6, steepness=1.5)
        ball = skin * (light + spots) + 0.55 * gloss
        inside = smooth_step(1 - np.sqrt(squared), low=-0.015, high=0.015)
        picture = _blend(picture, ball.astype(np.float32), inside)
    return picture


def _brick_wall(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Courses of bricks, slightly tilted."""
    rows, cols = pixel_grid(shape)
    tilt = np.float32(rng.normal(0, 0.06))
    down, right = rows + tilt * cols + 500, cols - tilt * rows + 500
    height = np.float32(shape[0] / rng.uniform(6, 13))
    course = np.floor(down / height)
    right = right + (course % 2) * height * 1.15
    brick = np.floor(right / (2.3 * height))
    tone = rng.normal(0, 1, (64, 64)).astype(np.float32)
    tones = tone[course.astype(np.int64) % 64, brick.astype(np.int64) % 64]
    base = _pick(rng, (0.58, 0.28, 0.2), (0.66, 0.42, 0.3), (0.5, 0.36, 0.32), (0.72, 0.62, 0.5))
    grain = fractal_noise(rng, shape, scale=5, steepness=1.2)
    bricks = base * (1 + 0.13 * tones + 0.07 * grain)
    gap = np.minimum(down % height, height - down % height)
    side = right % (2.3 * height)
    gap = np.minimum(gap, np.minimum(side, 2.3 * height - side)) + 0.5 * grain
    mortar = _pick(rng, (0.7, 0.68, 0.64), (0.4, 0.38, 0.36)) + 0.03 * grain
    is_mortar = 1 - smooth_step(gap, low=1.2, high=2.8)
    stains = 1 + 0.08 * fractal_noise(rng, shape, scale=90, steepness=3)
    return _blend(bricks.astype(np.float32), mortar, is_mortar) * stains


def _pebbles(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Rounded stones side by side."""
    spacing = shape[0] / rng.uniform(7, 15)
    axes = [np.arange(-spacing, side + spacing, spacing) for side in shape]
    seeds = np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 2)
    seeds += rng.uniform(-0.45, 0.45, seeds.shape) * spacing
    stone, distance = nearest_point(shape, seeds)
    border = np.zeros(shape, dtype=np.bool_)
    border[1:] |= stone[1:] != stone[:-1]
    border[:, 1:] |= stone[:, 1:] != stone[:, :-1]
    inset = ndimage.distance_transform_edt(~border).astype(np.float32) / np.float32(spacing)
    dome = ndimage.gaussian_filter(np.sqrt(np.clip(inset, 0, 0.35)), spacing / 14)
    down, right = np.gradient(dome * np.float32(spacing))
    warm = rng.normal(0, 0.05, (len(seeds), 1)) * np.array([1.0, 0.2, -0.9])
    hues = np.array([0.55, 0.52, 0.48]) + rng.normal(0, 0.13, (len(seeds), 1)) + warm
    colors = np.moveaxis(hues.astype(np.float32)[stone], -1, 0)
    grain = fractal_noise(rng, shape, scale=4, steepness=1.2)
    light = 0.45 + 1.15 * dome + 0.35 * (down + right) + 0.05 * grain - 0.1 * distance / spacing
    return np.asarray(colors * np.clip(light, 0.1, 1.4), dtype=np.float32)


def _clouds(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Cumulus in a blue sky."""
    rows, _ = pixel_grid(shape)
    height = np.broadcast_to(rows / shape[0], shape).astype(np.float32)
    deep = _pick(rng, (0.2, 0.42, 0.75), (0.3, 0.5, 0.8), (0.25, 0.38, 0.6))
    sky = _blend(np.broadcast_to(deep, (3, *shape)), _color(0.72, 0.83, 0.92), 0.75 * height)
    billows = fractal_noise(rng, shape, scale=rng.uniform(40, 90), steepness=1.9)
    cover = rng.uniform(-0.5, 0.8)
    share = smooth_step(billows, low=cover, high=cover + 0.7)
    below = ndimage.gaussian_filter(np.roll(billows, 8, axis=0), 5)
    light = np.clip(0.93 - 0.10 * (below - cover) * share + 0.02 * billows, 0.5, 1.02)
    return _blend(sky, (light * _color(1, 1, 1.02)).astype(np.float32), share)


def _tabby(rng: np.random.Generator, shape: tuple[int, int]) -> Picture:
    """Striped fur."""
    rows, cols = pixel_grid(shape)
    turn = rng.uniform(0, np.pi)
    across = rows * np.float32(np.cos(turn)) - cols * np.float32(np.sin(turn))
    warp = fractal_noise(rng, shape, scale=60, steepness=3.5)
    period = shape[0] / rng.uniform(4, 8)
    stripes = np.sin(2 * np.pi * across / period + 1.6 * warp)
    hairs = _streaks(rng, shape, scale=5)
    hairs = ndimage.rotate(np.pad(hairs, shape[0] // 2, mode='reflect'), 90 - np.degrees(turn),
                           reshape=False, order=1)  # fmt: skip
    edge = shape[0] // 2
    hairs = hairs[edge : edge + shape[0], edge : edge + shape[1]]
    light_fur, dark_fur = (
        ((0.78, 0.55, 0.33), (0.5, 0.27, 0.12)), ((0.62, 0.57, 0.5), (0.2, 0.18, 0.17)),
        ((0.85, 0.6, 0.25), (0.12, 0.09, 0.07)),
    )[rng.integers(3)]  # fmt: skip
    share = smooth_step((stripes + 0.35 * hairs).astype(np.float32), low=-0.1, high=0.6)
    fur = _blend(np.broadcast_to(_color(*light_fur), (3, *shape)), _color(*dark_fur), share)
    return np.asarray(fur * (1 + 0.14 * hairs + 0.12 * warp), dtype=np.float32)


NATURAL_CLASSES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Picture]] = {
    'brick_wall': _brick_wall,
    'clouds': _clouds,
    'flower': _flower,
    'foliage': _foliage,
    'fruit': _fruit,
    'pebbles': _pebbles,
    'sunset': _sunset,
    'tabby': _tabby,
}
"""Per class: what draws it, given randomness and (rows, cols)."""
