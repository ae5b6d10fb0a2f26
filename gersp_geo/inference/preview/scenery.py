"""How a scene looks: its colours, and the values that are spread over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...geoio.read import Observed, Reader, describe_reader, find_rule, open_reader, read_reduced
from ...geoio.warp import on_one_grid, open_aligned
from .sheet import Sheet

type Limits = tuple[float, float]
"""The values that are shown darkest and brightest."""

# part of the values that is spread over the colours, in percent
_STRETCH = (2, 98)

# names of bands that tell their colour: words, and those of Sentinel-2 and Landsat 8 and 9
_COLORS = {
    'red': 'red', 'green': 'green', 'blue': 'blue',
    'b4': 'red', 'b3': 'green', 'b2': 'blue', 'b04': 'red', 'b03': 'green', 'b02': 'blue',
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenery:
    """A scene at the size of a sheet."""

    pixels: NDArray[np.generic]
    """Red, green and blue, or one band for grey, shape (bands, *sheet.shape)."""

    valid: NDArray[np.bool_]
    """Where there is an observation, shape *sheet.shape*."""

    names: tuple[str, ...]
    """Of the bands."""

    places: tuple[int, ...]
    """Which of the bands that were given these are, from 0."""

    @classmethod
    def read(
        cls,
        scene: str | PathLike[str],
        sheet: Sheet,
        *,
        bands: Sequence[int],
        nodata: float | None = None,
        observed: Observed = 'auto',
        places: Sequence[int] | None = None,
    ) -> Self:
        """Read a scene, resampled where it has another grid than the sheet.

        Args:
            scene: A raster.
            sheet: How it is shown.
            bands: 1-based, at least one.
            nodata: Value that means "no observation", besides what the scene says itself.
            observed: Where a pixel is an observation.
            places: Which of *bands* to take; None takes those that are red, green and blue by name
                or meaning, else the first three, or the first.

        Returns:
            What is to be seen.
        """
        # asked of the file itself: resampled, it says what it was opened with
        with open_reader(scene) as src:
            is_same = on_one_grid(describe_reader(src), sheet.header)
            rule = find_rule(src, bands, observed)
        opened = (
            open_reader(scene)
            if is_same
            else open_aligned(scene, sheet.header, nodata=nodata, bands=bands, rule=rule)
        )
        with opened as src:
            taken = tuple(_color_places(src, bands) if places is None else places)
            chosen = [bands[place] for place in taken]
            pixels, valid = read_reduced(
                src, bands=chosen, shape=sheet.shape, resampling='average', data=bands,
                # where it is resampled, it was heeded before
                nodata=nodata if is_same else None, observed=observed,
            )  # fmt: skip
            names = tuple(_name(src, band) for band in chosen)
        return cls(pixels=pixels, valid=valid, names=names, places=taken)

    def find_limits(self, of_interest: NDArray[np.bool_] | None = None) -> tuple[Limits, ...]:
        """Find, per band, the values between which nearly all observations lie.

        Args:
            of_interest: Pixels that decide, if any of them was observed; None means all.
        """
        return find_limits([self], of_interest)

    def show(self, limits: Sequence[Limits]) -> NDArray[np.float64]:
        """Spread values over colours.

        Args:
            limits: Per band.

        Returns:
            Red, green and blue in [0, 1], shape (*sheet.shape, 3).
        """
        layers = [spread(values, pair) for values, pair in zip(self.pixels, limits, strict=True)]
        # one band is grey
        return np.stack(layers if len(layers) == 3 else layers * 3, axis=-1)


def find_limits(
    dates: Sequence[Scenery], of_interest: NDArray[np.bool_] | None = None
) -> tuple[Limits, ...]:
    """Find, per band, the values between which nearly all observations of all dates lie.

    Args:
        dates: Of one place, with the same number of bands.
        of_interest: Pixels that decide, if any of them was observed; None means all.

    Returns:
        Of every band.
    """
    limits = []
    for values in zip(*(date.pixels for date in dates), strict=True):
        observed = [
            band[date.valid if of_interest is None else date.valid & of_interest]
            for band, date in zip(values, dates, strict=True)
        ]
        if not any(part.size for part in observed):
            observed = [band[date.valid] for band, date in zip(values, dates, strict=True)]
        limits.append(value_limits(np.concatenate(observed)))
    return tuple(limits)


def value_limits(observed: NDArray[np.generic]) -> Limits:
    """Find values between which nearly all of some values lie."""
    if not observed.size:
        return 0.0, 1.0
    low, high = np.percentile(observed.astype(np.float64), _STRETCH)
    return float(low), float(high if high > low else low + 1)


def spread(values: NDArray[np.generic], limits: Limits) -> NDArray[np.float64]:
    """Bring values between two limits to [0, 1]; what is not finite becomes 0."""
    low, high = limits
    # an infinite value minus an infinite one is none
    finite = np.nan_to_num(values.astype(np.float64))
    return np.clip((finite - low) / (high - low), 0, 1)


def _name(src: Reader, band: int) -> str:
    """Name a band as its file does, or by the colour that it means, or by its number."""
    meaning: str = src.colorinterp[band - 1].name
    return src.descriptions[band - 1] or (meaning if meaning in _COLORS else f'band {band}')


def _color_places(src: Reader, bands: Sequence[int]) -> list[int]:
    """Choose which of some bands to show: by their colours, else the first."""
    colors: dict[str, int] = {}
    for place, band in enumerate(bands):
        meaning = src.colorinterp[band - 1].name
        name = (src.descriptions[band - 1] or meaning).lower()
        colors.setdefault(_COLORS.get(name, meaning), place)
    if {'red', 'green', 'blue'} <= set(colors):
        return [colors[name] for name in ('red', 'green', 'blue')]
    return [0, 1, 2] if len(bands) >= 3 else [0]
