"""The colours of fields: crops, the rows they are sown in, and the marks of tractors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .noise import Field, fractal_noise, pixel_grid, smooth_step
from .terrain import Terrain

type Image = NDArray[np.float32]
"""Red, green, blue and near infrared in display brightness, shape (4, rows, cols)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """How one kind of field looks."""

    color: tuple[float, float, float, float]
    """Red, green, blue, near infrared, each in [0, 1]."""

    rows: float
    """Contrast of the rows."""

    period: tuple[float, float]
    """Pixels from row to row, lowest and highest."""

    patches: float
    """Contrast of uneven growth."""

    tramlines: float = 0.0
    """Contrast of the paths that machines use."""


_CROPS = {
    'grain': Crop(
        color=(0.72, 0.65, 0.45, 0.66), rows=0.012, period=(3, 4), patches=0.03, tramlines=0.10
    ),
    'stubble': Crop(color=(0.73, 0.66, 0.51, 0.6), rows=0.035, period=(6, 10), patches=0.025),
    'green': Crop(
        color=(0.39, 0.49, 0.26, 0.82), rows=0.015, period=(3, 4), patches=0.04, tramlines=0.07
    ),
    'maize': Crop(color=(0.29, 0.40, 0.20, 0.80), rows=0.035, period=(3, 5), patches=0.05),
    'meadow': Crop(color=(0.45, 0.52, 0.31, 0.76), rows=0.0, period=(4, 5), patches=0.075),
    'mown': Crop(color=(0.55, 0.59, 0.38, 0.72), rows=0.04, period=(9, 14), patches=0.03),
    'soil': Crop(color=(0.58, 0.48, 0.38, 0.50), rows=0.03, period=(3, 6), patches=0.06),
    'dark soil': Crop(color=(0.45, 0.37, 0.30, 0.42), rows=0.03, period=(3, 6), patches=0.05),
    'rape': Crop(
        color=(0.75, 0.72, 0.28, 0.80), rows=0.01, period=(3, 4), patches=0.03, tramlines=0.12
    ),
    'fallow': Crop(color=(0.58, 0.56, 0.40, 0.62), rows=0.0, period=(4, 5), patches=0.09),
}

SEASONS: dict[str, dict[str, float]] = {
    'spring': {'rape': 15, 'green': 35, 'meadow': 18, 'soil': 14, 'dark soil': 10, 'fallow': 8},
    'summer': {
        'grain': 26, 'stubble': 8, 'green': 12, 'maize': 17, 'meadow': 15, 'mown': 8, 'soil': 8,
        'fallow': 6,
    },
    'autumn': {
        'stubble': 22, 'soil': 20, 'dark soil': 16, 'green': 14, 'meadow': 14, 'mown': 5,
        'fallow': 9,
    },
}  # fmt: skip
"""Per season: how often each crop is grown."""

_LAWN = (0.42, 0.50, 0.29, 0.74)


def paint_fields(rng: np.random.Generator, terrain: Terrain, *, season: str) -> Image:
    """Paint all the land as if nothing but fields were there.

    Args:
        rng: Source of randomness.
        terrain: The land.
        season: A key of SEASONS.

    Returns:
        Display brightness, not yet lit, shape (4, rows, cols).
    """
    shape = terrain.shape
    parcels = terrain.parcels
    chances = np.array(list(SEASONS[season].values()))
    crops = [_CROPS[name] for name in SEASONS[season]]
    count = len(parcels.angle)
    kind = rng.choice(len(crops), count, p=chances / chances.sum())
    colors = np.array([crop.color for crop in crops], dtype=np.float32)[kind]
    vary = rng.normal(0, 0.011, (count, 4)) + rng.normal(0, 0.032, (count, 1))
    colors += vary.astype(np.float32)
    patches = np.array([crop.patches for crop in crops], dtype=np.float32)[kind]
    growth = fractal_noise(rng, shape, scale=70, steepness=2)
    grain = fractal_noise(rng, shape, scale=3, steepness=1)
    ground = parcels.index
    light = patches[ground] * growth + 0.018 * grain
    light += _row_marks(rng, terrain, [crops[k] for k in kind])
    image = np.moveaxis(colors[ground], -1, 0)
    # lusher patches are darker, and greener more than red or blue
    tint = np.array([1.2, 0.75, 1.0, -0.6], dtype=np.float32)[:, None, None]
    image += light * tint
    edge = smooth_step(parcels.edge + 0.8 * growth, low=0.4, high=2.4)
    verge = np.array([0.44, 0.48, 0.30, 0.7], dtype=np.float32)[:, None, None] + 0.05 * grain
    return np.asarray(image * edge + verge * (1 - edge), dtype=np.float32)


def paint_gardens(rng: np.random.Generator, fields: Image, *, village: Field) -> Image:
    """Paint lawns, beds and yards around buildings.

    Args:
        rng: Source of randomness.
        fields: From :func:`paint_fields`.
        village: Pixels to the nearest building.

    Returns:
        As *fields*.
    """
    shape = (village.shape[0], village.shape[1])
    plots = fractal_noise(rng, shape, scale=16, steepness=2.5)
    grain = fractal_noise(rng, shape, scale=5, steepness=1.2)
    lawn = np.array(_LAWN, dtype=np.float32)[:, None, None] + 0.035 * plots + 0.03 * grain
    yard = np.array((0.60, 0.57, 0.52, 0.45), dtype=np.float32)[:, None, None] + 0.025 * grain
    is_yard = smooth_step(plots, low=0.75, high=1.0) * smooth_step(-village, low=-14, high=-6)
    ground = lawn * (1 - is_yard) + yard * is_yard
    share = smooth_step(-village + 3 * plots, low=-26, high=-17)
    return np.asarray(fields * (1 - share) + ground * share, dtype=np.float32)


def _row_marks(rng: np.random.Generator, terrain: Terrain, crops: list[Crop]) -> Field:
    """Draw rows along each parcel, and across it on the headlands where machines turn."""
    parcels = terrain.parcels
    rows, cols = pixel_grid(terrain.shape)
    angle = parcels.angle[parcels.index]
    headland = parcels.edge < 7
    angle = np.where(headland, angle + np.float32(np.pi / 2), angle)
    bend = 1.5 * fractal_noise(rng, terrain.shape, scale=120, steepness=4)
    across = rows * np.cos(angle) - cols * np.sin(angle) + bend
    period = np.array([rng.uniform(*crop.period) for crop in crops], dtype=np.float32)
    contrast = np.array([crop.rows for crop in crops], dtype=np.float32)
    contrast *= rng.uniform(0.5, 1.3, len(crops)).astype(np.float32)
    marks = contrast[parcels.index] * np.sin(2 * np.pi * across / period[parcels.index])
    # a broader stripe per pass of the machine
    marks += 0.5 * contrast[parcels.index] * np.sin(2 * np.pi * across / 17)
    tramlines = np.array([crop.tramlines for crop in crops], dtype=np.float32)[parcels.index]
    spacing = rng.uniform(18, 27, len(crops)).astype(np.float32)[parcels.index]
    phase = np.mod(across, spacing)
    track = np.exp(-((phase - 4) ** 2)) + np.exp(-((phase - 7) ** 2))
    return np.asarray(marks - tramlines * track, dtype=np.float32)
