"""What an airborne camera sees of a terrain."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from .drawing import (
    Field,
    Image,
    blend,
    distance_to,
    distance_to_border,
    pixel_grid,
    smooth_step,
    tint,
    turn,
)
from .terrain import FOREST, MAIN_ROAD, TRACK, Terrain

# red, green, blue and near infrared; contrast of rows, and pixels from one to the next;
# contrast of uneven growth, and of the paths that machines use
_CROPS = np.array([
    (0.72, 0.65, 0.45, 0.66, 0.012, 3.5, 0.03, 0.10),  # grain
    (0.73, 0.66, 0.51, 0.60, 0.035, 8.0, 0.03, 0.00),  # stubble
    (0.39, 0.49, 0.26, 0.82, 0.015, 3.5, 0.04, 0.07),  # young grain
    (0.29, 0.40, 0.20, 0.80, 0.035, 4.0, 0.05, 0.00),  # maize
    (0.45, 0.52, 0.31, 0.76, 0.000, 4.0, 0.08, 0.00),  # meadow
    (0.55, 0.59, 0.38, 0.72, 0.040, 11., 0.03, 0.00),  # mown meadow
    (0.58, 0.48, 0.38, 0.50, 0.030, 4.5, 0.06, 0.00),  # dry soil
    (0.45, 0.37, 0.30, 0.42, 0.030, 4.5, 0.05, 0.00),  # wet soil
    (0.75, 0.72, 0.28, 0.80, 0.010, 3.5, 0.03, 0.12),  # rape
    (0.58, 0.56, 0.40, 0.62, 0.000, 4.0, 0.09, 0.00),  # fallow
], dtype=np.float32)  # fmt: skip
# percent of each crop
_SEASONS = {
    'spring': (0, 0, 35, 0, 18, 0, 14, 10, 15, 8),
    'summer': (26, 8, 12, 17, 15, 8, 8, 0, 0, 6),
    'autumn': (0, 22, 14, 0, 14, 5, 20, 16, 0, 9),
}
# broad-leaved trees and conifers
_TREES = {
    'spring': ((0.33, 0.43, 0.20, 0.80), (0.19, 0.28, 0.18, 0.56)),
    'summer': ((0.27, 0.36, 0.18, 0.78), (0.17, 0.26, 0.17, 0.56)),
    'autumn': ((0.46, 0.38, 0.19, 0.66), (0.18, 0.26, 0.17, 0.55)),
}
_ROADS = np.array([(0.50, 0.50, 0.51, 0.36), (0.56, 0.55, 0.54, 0.40), (0.66, 0.59, 0.48, 0.52)])
_ROOFS = np.array([
    (0.60, 0.33, 0.25, 0.48), (0.55, 0.29, 0.22, 0.46), (0.66, 0.41, 0.31, 0.50),
    (0.47, 0.33, 0.27, 0.42), (0.38, 0.38, 0.40, 0.34), (0.46, 0.45, 0.45, 0.38),
    (0.70, 0.70, 0.70, 0.55), (0.58, 0.59, 0.60, 0.48), (0.47, 0.46, 0.45, 0.40),
    (0.62, 0.58, 0.53, 0.50),
])  # fmt: skip
# this many roofs have a ridge, the others are flat
_RIDGED = 6
_ROOF_SHARES = np.repeat((0.14, 0.04), (6, 4))
_LUSH, _SHADE, _HAZE = np.array(
    [(1.2, 0.75, 1.0, -0.6), (0.50, 0.54, 0.62, 0.45), (0.021, 0.023, 0.026, 0.015)],
    dtype=np.float32,
)


def render(
    terrain: Terrain, *, seed: int, season: str = 'summer', southern: bool = False
) -> NDArray[np.float32]:
    """Photograph a terrain from above in 'spring', 'summer' or 'autumn'.

    The seed decides crops, light, noise and colour cast; in the south the sun stands in the north.

    Returns:
        Red, green, blue and near infrared in [0, 1], shape (4, rows, cols).
    """
    rng = np.random.default_rng([seed, 2])
    toward_sun = rng.uniform(-0.9, 0.9) + (0 if southern else np.pi)
    # (rows, cols) from the ground to the sun; rows grow southwards
    sun = np.array([-np.cos(toward_sun), np.sin(toward_sun)], dtype=np.float32)
    image = _paint_land(rng, terrain, season=season)
    image = _paint_water(image, terrain)
    image = _paint_roads(image, terrain)
    image = _paint_trees(rng, image, terrain, sun, colors=_TREES[season])
    _paint_roofs(rng, image, terrain, sun)
    # the sky still lights a shadow, more blue than red
    image = blend(image, image * _SHADE, _shadows(terrain, sun))
    # uneven light, a colour cast, haze, the blur of the lens and the noise of the sensor
    image *= rng.normal(1, (0.03, 0.03, 0.03, 0)).astype(np.float32)
    image *= 1 + 0.04 * np.roll(terrain.noise[0], 99, axis=0)[..., None]
    image = np.clip(image, 0, None) ** np.float32(rng.uniform(0.82, 0.92))
    image = 0.97 * image + _HAZE
    image = ndimage.gaussian_filter(image, (0.55, 0.55, 0))
    image += 0.011 * rng.standard_normal(image.shape, dtype=np.float32)
    return np.moveaxis(np.clip(image, 0, 1), -1, 0)


def _paint_land(rng: Generator, terrain: Terrain, *, season: str) -> Image:
    """Paint crops in rows, grassy verges between them, and gardens around buildings."""
    broad, patches, grain = terrain.noise
    crops = rng.choice(_CROPS, int(terrain.parcel.max()) + 1, p=np.array(_SEASONS[season]) / 100)
    crops[:, :4] += rng.normal(0, 0.035, (len(crops), 1)) + rng.normal(0, 0.011, (len(crops), 4))
    rows, period, growth, paths = crops.T[4:, terrain.parcel]
    edge = distance_to_border(terrain.parcel)
    # machines turn on the headlands
    angle = terrain.angle + np.float32(np.pi / 2) * (edge < 7)
    _, across = turn(*pixel_grid(edge.shape), angle)
    across += 1.5 * broad
    light = growth * (broad + 0.4 * patches) + 0.018 * grain
    light += rows * np.sin(2 * np.pi * across / period)
    light -= paths * np.exp(-((np.abs(np.mod(across, 22) - 5.5) - 1.5) ** 2))
    # lusher patches are darker, and greener more than red or blue
    image = crops[terrain.parcel, :4] + light[..., None] * _LUSH
    grass = tint((0.44, 0.51, 0.30, 0.72), 0.04 * (grain + patches))
    image = blend(grass, image, smooth_step(edge + 0.8 * patches, low=0.4, high=2.4))
    home = distance_to(terrain.built > 0)
    yard = smooth_step(patches, low=0.7, high=1.0) * smooth_step(-home, low=-14, high=-6)
    garden = blend(grass, tint((0.60, 0.57, 0.52, 0.45), 0.025 * grain), yard)
    return blend(image, garden, smooth_step(3 * patches - home, low=-26, high=-17))


def _paint_water(image: Image, terrain: Terrain) -> Image:
    """Paint reeds or sand on the shore, shallows, and darker deep water."""
    broad, _, grain = terrain.noise
    bank = smooth_step(terrain.depth + 1.5 * broad, low=-5.5, high=-1)
    image = blend(image, tint((0.47, 0.45, 0.33, 0.6), 0.03 * grain), 0.8 * bank)
    ripples = 0.008 * grain + 0.012 * broad
    deep = smooth_step(terrain.depth, low=0, high=13)
    water = blend((0.33, 0.39, 0.33, 0.16), (0.15, 0.23, 0.25, 0.05), deep) + ripples[..., None]
    return blend(image, water, smooth_step(terrain.depth, low=-0.6, high=0.8))


def _paint_roads(image: Image, terrain: Terrain) -> Image:
    """Paint verges, surfaces and markings."""
    broad, _, grain = terrain.noise
    middle = np.exp(-((terrain.road / 0.6) ** 2))
    dashes = middle * ((terrain.kind == MAIN_ROAD) & (np.mod(terrain.along, 12) < 5))
    surface = _ROADS[terrain.kind] + (0.015 * grain + 0.02 * broad + 0.16 * dashes)[..., None]
    # wheels keep a track bare on both sides of a green middle
    surface = blend(surface, (0.5, 0.52, 0.36, 0.66), 0.5 * middle * (terrain.kind == TRACK))
    verge = smooth_step(terrain.paved + 0.5 * grain, low=-3.5, high=-1) * (terrain.depth < 0)
    image = blend(image, tint((0.49, 0.50, 0.34, 0.68), 0.04 * grain), 0.7 * verge)
    return blend(image, surface, smooth_step(terrain.paved, low=-0.6, high=0.6))


def _paint_trees(
    rng: Generator,
    image: Image,
    terrain: Terrain,
    sun: NDArray[np.float32],
    *,
    colors: tuple[tuple[float, ...], tuple[float, ...]],
) -> Image:
    """Paint crowns, lit from one side, each in a green of its own."""
    _, _, grain = terrain.noise
    tree, dome = terrain.crowns
    count = len(terrain.trees) + 1
    stands = np.append(terrain.stands, 0) + rng.normal(0, 0.25, count)
    color = blend(*colors, stands > 0.55)
    color += rng.normal(0, 0.03, (count, 1)) + rng.normal(0, 0.015, (count, 4))
    down, right = np.gradient(ndimage.gaussian_filter(6 * dome + 0.35 * grain, 0.6))
    slope = np.clip(-(down * sun[0] + right * sun[1]), -1.5, 1.5)
    light = 0.66 + 0.36 * dome + 0.17 * slope + 0.05 * grain
    # half a pixel of softness, so that crowns do not look cut out
    share = ndimage.gaussian_filter((terrain.classes == FOREST).astype(np.float32), 0.5)
    return blend(image, color[tree] * light[..., None], share)


def _paint_roofs(rng: Generator, image: Image, terrain: Terrain, sun: NDArray[np.float32]) -> None:
    """Paint roofs into *image*, the slope towards the sun brighter."""
    rows, cols = np.nonzero(terrain.built)
    number = terrain.built[rows, cols] - 1
    count = len(terrain.buildings)
    angle, length, width, _ = terrain.buildings[number].T
    row, col = (np.bincount(number, at) / np.bincount(number) for at in (rows, cols))
    along, across = turn(rows - row[number], cols - col[number], angle)
    # how far the slope on the positive side faces the sun
    facing = np.cos(angle) * sun[0] - np.sin(angle) * sun[1]
    to_eaves = width / 2 - np.abs(across)
    ridged = 1 + 0.2 * facing * np.sign(across) + 0.1 * (np.abs(across) < 0.6)
    flat = 1 - 0.025 * (np.mod(along, 5) < 1) + 0.06 * (to_eaves < 1.2)
    roof = rng.choice(len(_ROOFS), count, p=_ROOF_SHARES)[number]
    light = np.where(roof < _RIDGED, ridged, flat) + rng.normal(0, 0.025, len(rows))
    light += rng.normal(0, 0.05, count)[number]
    colors = _ROOFS[roof] * light[:, None]
    panels = (rng.uniform(size=count) < 0.18)[number] & (roof < _RIDGED)
    panels &= (across * facing > 1.2) & (to_eaves > 1) & (np.abs(along) < 0.32 * length)
    colors[panels] = (0.20, 0.24, 0.34, 0.2)
    image[rows, cols] = colors


def _shadows(terrain: Terrain, sun: NDArray[np.float32]) -> Field:
    """Find the shade on every pixel: 0 in the sun, 1 in the shade, with soft rims."""
    heights = terrain.heights
    shaded = np.zeros(heights.shape, dtype=np.bool_)
    reach = int(heights.max()) + 1
    padded = np.pad(heights, reach)
    for step in range(1, reach + 1):
        down, right = np.rint(step * sun).astype(np.int64) + reach
        caster = padded[down : down + heights.shape[0], right : right + heights.shape[1]]
        # a tree within a wood stands only in the shade of clearly taller ones
        shaded |= caster - step > heights + 0.5 * (heights > 0)
    return np.asarray(ndimage.gaussian_filter(shaded.astype(np.float32), 0.7))
