"""Small pictures of everyday things, drawn from random numbers: the labelled natural images.

Each picture is a figure of one colour before a ground of another. What draws a class gives the
share of the figure in every pixel and the light on it.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from PIL import ImageColor
from scipy import ndimage

from .drawing import (
    Field,
    Index,
    Shape,
    blend,
    distance_to_border,
    fractal_noise,
    nearest_point,
    pixel_grid,
    smooth_step,
    turn,
)

type _Figure = tuple[NDArray[np.generic], NDArray[np.floating]]


def draw_natural_image(name: str, *, size: int, seed: int, number: int) -> NDArray[np.uint8]:
    """Draw picture *number* of a class in red, green and blue, shape (size, size, 3)."""
    rng = np.random.default_rng([seed, 3, list(NATURAL_CLASSES).index(name), number])
    draw, *palettes = NATURAL_CLASSES[name]
    chosen = [ImageColor.getrgb(rng.choice(palette.split())) for palette in palettes]
    ground, figure = np.array(chosen) / 255 + rng.normal(0, 0.03, (2, 3))
    # drawn at twice the size: scaling down smooths the edges
    shape = (2 * size, 2 * size)
    share, light = draw(rng, shape)
    picture = blend(ground, figure * light[..., None], share)
    picture *= 1 + 0.07 * fractal_noise(rng, shape, scale=60, steepness=2)[..., None]
    small = picture.reshape(size, 2, size, 2, 3).mean(axis=(1, 3))
    exposed = small * rng.normal(rng.uniform(0.9, 1.1), 0.03, 3) + rng.normal(0, 0.01, small.shape)
    return (np.clip(exposed, 0, 1) * 255).round().astype(np.uint8)


def _streaks(rng: Generator, shape: Shape, *, width: float) -> Field:
    """Draw noise that is stretched along the columns."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(noise, (width, 10 * width), mode='wrap')
    return np.asarray(field / field.std())


def _scatter(
    rng: Generator, shape: Shape, *, count: int, room: ArrayLike, size: float, turned: float = 0
) -> tuple[Index, Field, Field]:
    """Place things around the middle of a picture, *room* and *size* being shares of its sides.

    Returns:
        The number of the nearest thing, and where a pixel lies along and across it in units of
        its size; each is turned by an angle up to *turned*.
    """
    points = (0.5 + np.array(room) * rng.uniform(-0.5, 0.5, (count, 2))) * shape
    index, _ = nearest_point(shape, points)
    rows, cols = pixel_grid(shape)
    row, col = points.T.astype(np.float32)
    down, right = (rows - row[index]) / shape[0] / size, (cols - col[index]) / shape[0] / size
    return index, *turn(down, right, rng.uniform(0, turned, count)[index])


def _stones(rng: Generator, stone: Index, *, width: float) -> _Figure:
    """Draw stones side by side, each in a tone of its own, rounded over *width* pixels."""
    inset = distance_to_border(stone)
    dome = ndimage.gaussian_filter(np.sqrt(np.clip(inset / width, 0, 1)), width / 5)
    down, right = np.gradient(dome * width)
    grain = fractal_noise(rng, stone.shape, scale=5, steepness=1.2)
    tone = rng.normal(0.65, 0.15, int(stone.max()) + 1)[stone]
    light = tone + 0.4 * dome + 0.3 * (down + right) + 0.05 * grain
    return smooth_step(inset - 0.5 * grain, low=0.5, high=2.5), light


def _brick_wall(rng: Generator, shape: Shape) -> _Figure:
    """Draw courses of bricks before mortar, slightly tilted."""
    height = shape[0] / rng.uniform(6, 13)
    right, down = turn(*pixel_grid(shape), rng.normal(0, 0.06))
    course = np.floor(down / height + 2)
    brick = np.floor(right / (2.3 * height) + 2 + course % 2 / 2)
    return _stones(rng, (20 * course + brick).astype(np.int32), width=4)


def _pebbles(rng: Generator, shape: Shape) -> _Figure:
    """Draw rounded stones before the dark."""
    count = int(rng.integers(50, 220))
    stone, _, _ = _scatter(rng, shape, count=count, room=1, size=1)
    return _stones(rng, stone, width=0.35 * shape[0] / np.sqrt(count))


def _flower(rng: Generator, shape: Shape) -> _Figure:
    """Draw one to three blossoms before green."""
    count, size = int(rng.integers(1, 4)), rng.uniform(0.2, 0.45)
    _, down, right = _scatter(rng, shape, count=count, room=0.6, size=size)
    radius = np.hypot(down, right)
    wave = np.abs(np.cos(rng.integers(5, 15) * np.arctan2(down, right) / 2))
    rim = 0.5 + 0.5 * wave**0.7
    light = np.where(radius < 0.25, 0.45, 0.62 + 0.38 * radius / rim - 0.25 * (wave < 0.25))
    return radius < rim, light


def _foliage(rng: Generator, shape: Shape) -> _Figure:
    """Draw leaves over leaves, the upper ones brighter."""
    light, size = np.zeros(shape), rng.uniform(0.13, 0.22)
    for depth in np.linspace(0.3, 1, 6):
        count = int(0.7 / size**2)
        leaf, along, across = _scatter(rng, shape, count=count, room=1.2, size=size, turned=6.3)
        ribs = 0.06 * np.sin((along + np.abs(across)) * 22) - 0.16 * (np.abs(across) < 0.035)
        tone = depth * (rng.normal(1, 0.12, count)[leaf] + 0.22 * np.sign(across) + ribs)
        light = np.where(np.abs(across) < 0.4 * (1 - along**2), tone, light)
    return light > 0, light


def _fruit(rng: Generator, shape: Shape) -> _Figure:
    """Draw balls on wood, lit from one side."""
    count, size = int(rng.integers(1, 5)), rng.uniform(0.14, 0.24)
    _, down, right = _scatter(rng, shape, count=count, room=0.6, size=size)
    to_sun = np.hypot(down + 0.4, right - rng.choice([-0.4, 0.4]))
    ball = np.hypot(down, right) < 1
    shadow = 0.5 * smooth_step(-np.hypot(down - 0.5, right), low=-1.2, high=-0.6)
    light = 1.1 - 0.55 * to_sun + np.exp(-14 * to_sun**2)
    return np.where(ball, 1, shadow), np.where(ball, light, 0.1)


def _clouds(rng: Generator, shape: Shape) -> _Figure:
    """Draw cumulus before a sky that is paler further down."""
    height = np.mgrid[: shape[0], : shape[1]][0] / shape[0]
    billows = fractal_noise(rng, shape, scale=rng.uniform(40, 90), steepness=1.9)
    billows -= np.float32(rng.uniform(-0.5, 0.8))
    share = smooth_step(billows, low=0, high=0.7)
    shade = ndimage.gaussian_filter(np.roll(billows, 8, axis=0), 5)
    return np.maximum(share, 0.6 * height), 1 - 0.1 * shade * share


def _sunset(rng: Generator, shape: Shape) -> _Figure:
    """Draw the glow of the sun on the sky, on streaks of cloud and on the sea."""
    rows, cols = np.mgrid[: shape[0], : shape[1]] / shape[0]
    horizon, middle = rng.uniform((0.55, 0.2), 0.8)
    sun = np.hypot(rows - horizon * rng.uniform(0.7, 1), cols - middle)
    streaks, waves = (_streaks(rng, shape, width=width) for width in (4, 1))
    sky = np.clip(rows / horizon, 0, 1) ** 1.8 + 0.25 * smooth_step(streaks, low=0.2, high=1.6)
    glitter = np.exp(-(((cols - middle) / 0.09) ** 2)) * (waves > 0.1)
    light = 1 + 0.4 * np.exp(-7 * sun) + 0.4 * (sun < 0.07)
    share = np.maximum(sky, np.exp(-6 * sun)).clip(0, 1)
    is_sky = rows < horizon
    return np.where(is_sky, share, 1), np.where(is_sky, light, 0.15 + 0.03 * waves + 0.8 * glitter)


def _tabby(rng: Generator, shape: Shape) -> _Figure:
    """Draw dark stripes before light fur."""
    along, across = turn(*pixel_grid(shape), rng.uniform(0, np.pi))
    warp = fractal_noise(rng, shape, scale=60, steepness=3.5)
    stripes = np.sin(2 * np.pi * rng.uniform(4, 8) * along / shape[0] + 1.6 * warp)
    hairs = _streaks(rng, shape, width=1)
    hairs = hairs[along.astype(np.int64) % shape[0], across.astype(np.int64) % shape[1]]
    return smooth_step(stripes + 0.35 * hairs, low=-0.1, high=0.6), 1 + 0.2 * hairs


NATURAL_CLASSES: dict[str, tuple[Callable[[Generator, Shape], _Figure], str, str]] = {
    'brick_wall': (_brick_wall, '#b3ada3 #66615c', '#944733 #a86b4d #805c52 #b89e80'),
    'clouds': (_clouds, '#336bbf #4d80cc #406199', '#ffffff'),
    'flower': (_flower, '#406633 #2e4d26 #66804d', '#e04d66 #f2cc33 #8c59cc #edebe6'),
    'foliage': (_foliage, '#0d140a', '#4d8026 #336b33 #738026 #8c591f'),
    'fruit': (_fruit, '#805733 #9e7a52 #d9d6d1', '#bf1a1a #80a626 #f28c1a #661a40'),
    'pebbles': (_pebbles, '#2b2926', '#918a80 #807366'),
    'sunset': (_sunset, '#333873 #59386b #264080', '#fa9940 #fa734d #fabf66'),
    'tabby': (_tabby, '#c78c54 #9e9180 #d99940', '#66381a #332e2b #1a140f'),
}
"""Per class: what draws it, and the colours to choose from for ground and figure."""
