"""What an airborne camera sees of a terrain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .ground import Image, paint_fields, paint_gardens
from .layout import MAIN_ROAD, STREET, TRACK
from .noise import Field, distance_to, fractal_noise, smooth_step
from .settlement import FLAT, Building, outline
from .terrain import Canopy, Terrain, building_index, make_canopy

_ROOFS = (
    (0.60, 0.33, 0.25, 0.48), (0.55, 0.29, 0.22, 0.46), (0.66, 0.41, 0.31, 0.50),
    (0.47, 0.33, 0.27, 0.42), (0.38, 0.38, 0.40, 0.34), (0.46, 0.45, 0.45, 0.38),
)  # fmt: skip
"""Tiles from bright to dark, and slate."""

_FLAT_ROOFS = (
    (0.70, 0.70, 0.70, 0.55), (0.58, 0.59, 0.60, 0.48), (0.47, 0.46, 0.45, 0.40),
    (0.62, 0.58, 0.53, 0.50),
)  # fmt: skip
"""Metal, felt and gravel."""

_SURFACES = {
    MAIN_ROAD: (0.50, 0.50, 0.51, 0.36),
    STREET: (0.56, 0.55, 0.54, 0.40),
    TRACK: (0.66, 0.59, 0.48, 0.52),
}
_TREES = {
    'spring': ((0.33, 0.43, 0.20, 0.80), (0.19, 0.28, 0.18, 0.56)),
    'summer': ((0.27, 0.36, 0.18, 0.78), (0.17, 0.26, 0.17, 0.56)),
    'autumn': ((0.46, 0.38, 0.19, 0.66), (0.18, 0.26, 0.17, 0.55)),
}
"""Per season: broad-leaved trees and conifers."""

_NOISE = 0.011


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Season, light and camera of one flight."""

    seed: int
    """Equal seeds give equal crops, noise and colour cast."""

    season: str = 'summer'
    """'spring', 'summer' or 'autumn'."""

    southern: bool = False
    """The sun stands in the north."""


def render(terrain: Terrain, look: Look) -> Image:
    """Photograph a terrain from above.

    Args:
        terrain: The land.
        look: Season, light and camera.

    Returns:
        Red, green, blue and near infrared in [0, 1], shape (4, rows, cols).
    """
    rng = np.random.default_rng([look.seed, 2])
    shape = terrain.shape
    canopy = make_canopy(shape, terrain.trees)
    index = building_index(shape, terrain.buildings)
    built = index > 0
    toward_sun = rng.uniform(-0.9, 0.9) + (0 if look.southern else np.pi)
    # (rows, cols): from the ground to the sun; rows grow southwards
    sun = np.array([-np.cos(toward_sun), np.sin(toward_sun)])
    image = paint_fields(rng, terrain, season=look.season)
    image = paint_gardens(rng, image, village=distance_to(built))
    image = _paint_water(rng, image, depth=terrain.depth)
    image = _paint_roads(rng, image, terrain)
    image = _paint_trees(rng, image, terrain, canopy, season=look.season, sun=sun)
    _paint_roofs(rng, image, terrain.buildings, sun=sun)
    heights = np.where(canopy.dome > 0, 4 + 5 * canopy.dome, 0).astype(np.float32)
    heights[(terrain.depth > 0) | (terrain.paved > 0)] = 0
    roofs = np.array([b.height for b in terrain.buildings], dtype=np.float32)
    heights[built] = roofs[index[built] - 1]
    shade = _shadows(heights, sun=sun, steepness=float(rng.uniform(0.75, 1.25)))
    # the sky still lights a shadow, more blue than red
    dark = np.array([0.50, 0.46, 0.38, 0.55], dtype=np.float32)[:, None, None]
    return _expose(rng, image * (1 - dark * shade))


def _blend(image: Image, color: Image | Field, share: Field) -> Image:
    """Lay a colour over an image."""
    return np.asarray(image * (1 - share) + color * share, dtype=np.float32)


def _swatch(color: tuple[float, ...]) -> Image:
    """Shape a colour for arithmetic with images: (4, 1, 1)."""
    return np.array(color, dtype=np.float32)[:, None, None]


def _paint_water(rng: np.random.Generator, image: Image, *, depth: Field) -> Image:
    """Paint reeds or sand on the shore, shallows, and darker deep water."""
    shape = (depth.shape[0], depth.shape[1])
    ripples = fractal_noise(rng, shape, scale=6, steepness=1.4)
    wind = fractal_noise(rng, shape, scale=120, steepness=3)
    shore = smooth_step(depth + 1.5 * wind, low=-5.5, high=-1)
    bank = _swatch((0.47, 0.45, 0.33, 0.6)) + 0.04 * ripples
    image = _blend(image, bank, 0.8 * shore)
    shallow = _swatch(tuple(np.array((0.33, 0.39, 0.33, 0.16)) + rng.normal(0, 0.015, 4)))
    deep = _swatch(tuple(np.array((0.15, 0.23, 0.25, 0.05)) + rng.normal(0, 0.015, 4)))
    fall = smooth_step(depth, low=0, high=13)
    water = shallow * (1 - fall) + deep * fall + 0.008 * ripples + 0.012 * wind
    return _blend(image, water, smooth_step(depth, low=-0.6, high=0.8))


def _paint_roads(rng: np.random.Generator, image: Image, terrain: Terrain) -> Image:
    """Paint verges, surfaces and markings."""
    shape = terrain.shape
    paved, road = terrain.paved, terrain.road
    grain = fractal_noise(rng, shape, scale=4, steepness=1.0)
    wear = fractal_noise(rng, shape, scale=60, steepness=2)
    kinds = np.array([*terrain.roads.kinds, TRACK])[road.line]
    surfaces = np.array([_SURFACES[kind] for kind in sorted(_SURFACES)], dtype=np.float32)
    shades = rng.normal(0, 0.03, len(terrain.roads.lines) + 1).astype(np.float32)
    surface = np.moveaxis(surfaces[kinds], -1, 0) + shades[road.line]
    surface = surface + 0.015 * grain + 0.02 * wear
    # wheels keep a track bare on both sides of a green middle
    middle = (kinds == TRACK) * np.exp(-((road.distance / 0.6) ** 2))
    surface = _blend(surface, _swatch((0.5, 0.52, 0.36, 0.66)), (0.5 * middle).astype(np.float32))
    dashes = (np.mod(road.along, 12) < 5) & (kinds == MAIN_ROAD) & (road.distance < 0.5)
    surface = surface + 0.16 * dashes.astype(np.float32)
    verge = _swatch((0.49, 0.50, 0.34, 0.68)) + 0.04 * grain
    on_land = smooth_step(-terrain.depth, low=0, high=2)
    image = _blend(
        image, verge, 0.7 * on_land * smooth_step(paved + 0.5 * grain, low=-3.5, high=-1)
    )
    return _blend(image, surface, smooth_step(paved, low=-0.6, high=0.6))


def _paint_trees(
    rng: np.random.Generator,
    image: Image,
    terrain: Terrain,
    canopy: Canopy,
    *,
    season: str,
    sun: NDArray[np.float64],
) -> Image:
    """Paint crowns, lit from one side, each in a green of its own."""
    shape = terrain.shape
    count = len(terrain.trees) + 1
    stands = fractal_noise(rng, shape, scale=110, steepness=3)
    cells = np.clip(np.rint(terrain.trees[:, :2]).astype(np.int64), 0, np.array(shape) - 1)
    stand = np.append(stands[cells[:, 0], cells[:, 1]], 0)
    conifer = (stand + rng.normal(0, 0.25, count) > 0.55)[:, None]
    leafy, needles = (np.array(color) for color in _TREES[season])
    hue = rng.normal(0, 1, (count, 1)) * np.array([0.028, 0.012, 0.008, 0.02])
    color = np.where(conifer, needles, leafy) + hue + rng.normal(0, 0.03, (count, 1))
    crowns = np.moveaxis(color.astype(np.float32)[canopy.tree], -1, 0)
    leaves = fractal_noise(rng, shape, scale=3, steepness=1.2)
    relief = ndimage.gaussian_filter(6 * canopy.dome + 0.35 * leaves, 0.6)
    down, right = np.gradient(relief)
    slope = np.clip(-(down * sun[0] + right * sun[1]), -1.5, 1.5)
    light = 0.62 + 0.38 * canopy.dome + 0.17 * slope + 0.05 * leaves
    crowns = crowns * light.astype(np.float32)
    here = canopy.inside & (terrain.depth <= 0) & (terrain.paved <= 0)
    # half a pixel of softness, so that crowns do not look cut out
    return _blend(image, crowns, ndimage.gaussian_filter(here.astype(np.float32), 0.5))


def _paint_roofs(
    rng: np.random.Generator,
    image: Image,
    buildings: tuple[Building, ...],
    *,
    sun: NDArray[np.float64],
) -> None:
    """Paint roofs into *image*, the slope towards the sun brighter."""
    shape = (image.shape[1], image.shape[2])
    for building in buildings:
        roof = outline(building, shape)
        palette = _FLAT_ROOFS if building.roof == FLAT else _ROOFS
        base = np.array(palette[int(building.tone * len(palette))]) + rng.normal(0, 0.025)
        # rows and columns of the direction across the ridge
        normal = np.array([np.cos(building.angle), -np.sin(building.angle)])
        facing = float(normal @ sun)
        if building.roof == FLAT:
            seams = 0.025 * (np.mod(roof.along, 5) < 1)
            rim = np.abs(roof.across) > building.width / 2 - 1.2
            light = 1 - seams + 0.06 * rim
        else:
            light = 1 + 0.20 * facing * np.sign(roof.across)
            light = light + 0.10 * (np.abs(roof.across) < 0.6)
            light = light - 0.03 * (np.mod(roof.across, 2.4) < 1)
        light = light + rng.normal(0, 0.025, roof.inside.shape)
        colors = base[:, None, None] * light
        if building.roof != FLAT and building.length > 11 and rng.uniform() < 0.18:
            panels = (roof.across * facing > 1.2) & (np.abs(roof.along) < building.length * 0.32)
            panels &= np.abs(roof.across) < building.width / 2 - 1
            colors = np.where(panels, np.array((0.20, 0.24, 0.34, 0.2))[:, None, None], colors)
        window = image[:, roof.rows, roof.cols]
        window[:, roof.inside] = colors.astype(np.float32)[:, roof.inside]


def _shadows(heights: Field, *, sun: NDArray[np.float64], steepness: float) -> Field:
    """Find the shade on every pixel.

    Args:
        heights: Of trees and buildings, in pixels.
        sun: (rows, cols) towards the sun, length 1.
        steepness: Tangent of the sun's elevation.

    Returns:
        0 in the sun, 1 in the shade, with soft rims.
    """
    shaded = np.zeros(heights.shape, dtype=np.bool_)
    reach = int(heights.max() / steepness) + 1
    padded = np.pad(heights, reach)
    rows, cols = heights.shape
    for step in range(1, reach + 1):
        down, right = np.rint(step * sun).astype(np.int64) + reach
        caster = padded[down : down + rows, right : right + cols]
        # a tree within a wood stands only in the shade of clearly taller ones
        shaded |= caster - step * steepness > heights + 0.5 * (heights > 0)
    soft = ndimage.gaussian_filter(shaded.astype(np.float32), 0.7)
    return np.asarray(soft, dtype=np.float32)


def _expose(rng: np.random.Generator, image: Image) -> Image:
    """Add uneven light, haze, a colour cast, the blur of the lens and the noise of the sensor."""
    shape = (image.shape[1], image.shape[2])
    light = 1 + 0.045 * fractal_noise(rng, shape, scale=500, steepness=4)
    gains = np.append(1 + rng.normal(0, 0.03, 3), 1.0)[:, None, None]
    haze = rng.uniform(0.0, 0.05)
    contrast = rng.uniform(0.86, 0.98)
    exposed = np.clip(image * light * gains, 0, None) ** contrast * (1 - haze) + haze * _swatch(
        (0.7, 0.75, 0.85, 0.5)
    )
    blurred = ndimage.gaussian_filter(exposed.astype(np.float32), (0, 0.55, 0.55))
    noisy = blurred + _NOISE * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.clip(noisy, 0, 1), dtype=np.float32)
