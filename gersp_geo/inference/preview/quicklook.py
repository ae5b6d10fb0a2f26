"""A grid at the size of a picture, and how scenes look on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ...bands import shown_bands
from ...geoio.pixel_area import pixel_size_m
from ...geoio.read import (
    Observed,
    RasterHeader,
    Reader,
    Rule,
    describe_reader,
    find_rule,
    open_reader,
    read_reduced,
)
from ...geoio.warp import on_one_grid, open_aligned
from ...geoio.write import Color
from ...pictures import Limits, find_limits, stretch_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NO_OBSERVATION: Color = (217, 217, 217)

# Small grids are enlarged to about this many pixels.
_SMALLEST_SIDE = 600

# No scale holds for the whole picture of more ground than this.
_LONGEST_SIDE_M = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A grid as it is shown: at another size, in the proportions of the ground, north up."""

    header: RasterHeader
    """Of a raster on the grid."""

    shape: tuple[int, int]
    """Rows and columns of the picture of it."""

    metres_per_pixel: float | None
    """Ground that a column of the picture covers; None where it is unknown, or differs too much."""

    @classmethod
    def of(cls, header: RasterHeader, *, side: int) -> Self:
        """Choose how a grid is shown.

        Args:
            header: Of a raster on the grid.
            side: Longest side of the picture of it, in pixels, at most.

        Returns:
            Small grids are enlarged by a whole number.
        """
        ground = pixel_size_m(header)
        x, y = ground or (1.0, 1.0)
        height, width = header.height * y, header.width * x
        longest = max(header.height, header.width)
        shown = min(side, longest * -(-min(_SMALLEST_SIDE, side) // longest))
        scale = shown / max(height, width)
        rows, cols = max(1, round(height * scale)), max(1, round(width * scale))
        is_known = ground is not None and max(height, width) <= _LONGEST_SIDE_M
        metres_per_pixel = width / cols if is_known else None
        return cls(header=header, shape=(rows, cols), metres_per_pixel=metres_per_pixel)

    @property
    def north_up(self) -> tuple[slice, slice]:
        """Say which rows and columns of an image of the grid to take, and in which order."""
        transform = self.header.transform
        signs = (-1 if transform.e > 0 else 1), (-1 if transform.a < 0 else 1)
        return slice(None, None, signs[0]), slice(None, None, signs[1])

    def read(self, src: Reader, **options: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read a raster on the grid as it is shown; *options* are those of ``read_reduced``.

        Returns:
            Values, shape (bands, *shape), and where there is an observation, shape *shape*.
        """
        pixels, valid = read_reduced(src, shape=self.shape, **options)
        return pixels[:, *self.north_up], valid[self.north_up]

    def place(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn coordinates in the CRS of the grid into columns and rows of the picture, (n, 2)."""
        places = np.stack(~self.header.transform @ (points[:, 0], points[:, 1]), axis=1)
        shares = places / (self.header.width, self.header.height)
        is_flipped = [order.step < 0 for order in reversed(self.north_up)]
        placed: NDArray[np.float64] = np.where(is_flipped, 1 - shares, shares) * self.shape[::-1]
        return placed


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownScene:
    """A scene, and what of it is shown."""

    path: str | PathLike[str]
    """The raster."""

    bands: Sequence[int]
    """1-based, at least one."""

    nodata: float | None = None
    """Value that means "no observation", besides what the scene says itself."""

    observed: Observed = 'auto'
    """Where a pixel is an observation, as in ``predict_geotiff``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """One image of a picture."""

    title: str
    """Above it."""

    pixels: NDArray[np.uint8]
    """Red, green and blue, shape (rows, cols, 3)."""

    add: Callable[['Axes'], None] | None = None
    """Draws what else belongs to it; coordinates are its pixels, from the upper left corner."""


def show_scenes(
    scenes: Sequence[ShownScene], sheet: Sheet, of_interest: NDArray[np.bool_] | None = None
) -> list[Panel]:
    """Show scenes in their colours; the same value has the same brightness in all of them.

    Bands that are red, green and blue by name or meaning in the first scene are shown, else the
    first three, or the first as grey. Scenes on other grids are resampled.

    Args:
        scenes: One, or two dates of a place, with the same number of bands.
        sheet: The grid on which they are shown.
        of_interest: Pixels whose values decide the contrast, if any of them was observed; None
            means all.
    """
    places: tuple[int, ...] = ()
    titles, looks = [], []
    for scene in scenes:
        # The file itself is asked, since a resampled one says what it was opened with.
        with open_reader(scene.path) as src:
            header, rule = describe_reader(src), find_rule(src, scene.bands, scene.observed)
        names = [header.names[band - 1] for band in scene.bands]
        colors = [header.interpretations[band - 1] for band in scene.bands]
        places = places or shown_bands(names, colors)
        titles.append(', '.join(names[place] or f'band {scene.bands[place]}' for place in places))
        looks.append(_read(scene, sheet, header, places=places, rule=rule))
    chosen = [valid if of_interest is None else valid & of_interest for _, valid in looks]
    if not any(mask.any() for mask in chosen):
        chosen = [valid for _, valid in looks]
    limits = []
    for bands in zip(*(pixels for pixels, _ in looks), strict=True):
        seen = [values[mask] for values, mask in zip(bands, chosen, strict=True)]
        limits.append(find_limits(np.concatenate(seen)))
    words = ('Scene',) if len(scenes) == 1 else ('Before', 'After')
    return [
        Panel(title=f'{word}: {title}', pixels=paint_bands(pixels, valid, limits))
        for word, title, (pixels, valid) in zip(words, titles, looks, strict=True)
    ]


def paint_bands(
    bands: NDArray[np.generic], valid: NDArray[np.bool_], limits: Sequence[Limits]
) -> NDArray[np.uint8]:
    """Show values as colours.

    Args:
        bands: Red, green and blue, or one band that becomes grey, shape (bands, rows, cols).
        valid: Where there is an observation, shape (rows, cols).
        limits: Per band, the values that are shown darkest and brightest.

    Returns:
        Shape (rows, cols, 3).
    """
    layers = [stretch_values(*pair) for pair in zip(bands, limits, strict=True)]
    return to_bytes(np.stack(layers if len(layers) == 3 else layers * 3, axis=-1), valid)


def to_bytes(image: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Turn colours in [0, 1], shape (rows, cols, 3), into bytes, and grey what is not valid."""
    colors = np.round(255 * image).astype(np.uint8)
    colors[~valid] = NO_OBSERVATION
    return colors


def _read(
    scene: ShownScene, sheet: Sheet, header: RasterHeader, *, places: Sequence[int], rule: Rule
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read some of the bands of a scene, resampled where it has another grid than the sheet."""
    opened, nodata = open_reader(scene.path), scene.nodata
    if not on_one_grid(header, sheet.header):
        opened = open_aligned(scene.path, sheet.header, nodata=nodata, bands=scene.bands, rule=rule)
        # Resampling has heeded it.
        nodata = None
    with opened as src:
        return sheet.read(
            src, bands=[scene.bands[place] for place in places], resampling='average',
            nodata=nodata, observed=scene.observed, data=scene.bands,
        )  # fmt: skip
