"""Turn scores into the values of a map, and sum them up."""

from colorsys import hsv_to_rgb
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..geoio.cog import MapLayout, OverviewResampling
from ..geoio.reading import RasterHeader
from ..geoio.styles import check_legend
from ..records import Preprocessing

type Output = Literal['classes', 'probabilities', 'values']
"""Index of the best class, probability of every class, or what a regression returns."""

# as many class indices as fit beside one value for nodata
_MAX_UINT8_CLASSES = 255
_MAX_UINT16_CLASSES = 65535

OVERVIEW_RESAMPLING: dict[Output, OverviewResampling] = {
    'classes': 'mode',
    'probabilities': 'average',
    'values': 'average',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSummary:
    """What a prediction produced."""

    destination: str
    """The map."""

    pixels: int
    """Pixels of the map."""

    valid_pixels: int
    """Those that are not nodata."""

    patches: int
    """Patches planned."""

    forwarded: int
    """Patches given to the model; the others hold no observation."""

    seconds: float
    """Time from the first read to the finished file."""

    class_names: tuple[str, ...] = ()
    """Names of the classes; empty unless the map holds classes."""

    class_pixels: tuple[int, ...] = ()
    """Per class: number of pixels."""

    pixel_area_m2: float | None = None
    """Area of a pixel in the map's projection; None unless the CRS is projected."""

    @property
    def class_areas_m2(self) -> tuple[float, ...] | None:
        """Per class: area in square metres; None unless the CRS is projected."""
        if self.pixel_area_m2 is None:
            return None
        return tuple(count * self.pixel_area_m2 for count in self.class_pixels)

    def __str__(self) -> str:
        """Lay the summary out for a terminal."""
        speed = self.pixels / 1e6 / max(self.seconds, 1e-9)
        lines = [
            f'map      {self.destination}',
            f'pixels   {self.pixels:,} ({self.valid_pixels:,} with an observation)',
            f'patches  {self.patches:,} ({self.forwarded:,} forwarded)',
            f'time     {self.seconds:.1f} s ({speed:.2f} Mpx/s)',
        ]
        areas = self.class_areas_m2 or (None,) * len(self.class_pixels)
        width = max((len(name) for name in self.class_names), default=0)
        for name, count, area in zip(self.class_names, self.class_pixels, areas, strict=True):
            share = 100 * count / max(self.valid_pixels, 1)
            extent = '' if area is None else f'  {area:,.0f} m2'
            lines.append(f'  {name:<{width}}  {count:>13,} px  {share:5.1f} %{extent}')
        return '\n'.join(lines)


def layout_map(
    header: RasterHeader, preprocessing: Preprocessing, *, output: Output, channels: int
) -> MapLayout:
    """Decide type, nodata value and legend of a map on the grid of a raster.

    Args:
        header: The raster.
        preprocessing: Says the names and colours of the classes.
        output: Kind of map.
        channels: Scores per pixel that the model returns.

    Returns:
        Unsigned integers for classes: one byte up to 255 classes, then two; the largest value is
        nodata. 32-bit floats with NaN for nodata otherwise, one band per channel.

    Raises:
        ValueError: If the record names another number of classes than the model returns, or its
            names or colours make no legend.
    """
    is_classes = output == 'classes'
    names = _class_names(preprocessing, classes=max(channels, 2)) if is_classes else ()
    colors = preprocessing.class_colors or _palette(len(names))
    if is_classes:
        check_legend(names, colors)
    is_small = len(names) <= _MAX_UINT8_CLASSES
    layout = MapLayout(
        height=header.height,
        width=header.width,
        crs=header.crs,
        transform=header.transform,
        dtype='uint8' if is_small else 'uint16',
        nodata=255 if is_small else 65535,
        descriptions=('class',),
        class_names=names,
        class_colors=colors,
    )
    if is_classes:
        return layout
    bands = _band_names(preprocessing, output=output, channels=channels)
    return replace(
        layout, dtype='float32', nodata=float('nan'), descriptions=bands, class_colors=()
    )


def encode_rows(
    scores: Tensor, valid: NDArray[np.bool_], *, output: Output, layout: MapLayout
) -> NDArray[np.generic]:
    """Turn blended scores into map values.

    Args:
        scores: Probabilities or values, shape (C, rows, width). A single probability is that of
            the second of two classes.
        valid: Where there is an observation, shape (rows, width).
        output: Kind of map.
        layout: Says type and nodata value.

    Returns:
        Map values, shape (bands, rows, width); nodata where *valid* is False.
    """
    if output == 'classes':
        best = scores >= 0.5 if len(scores) == 1 else scores.argmax(dim=0, keepdim=True)
        # narrowed before it leaves the device; torch computes little in unsigned 16 bits
        narrow = best.to(torch.uint8 if layout.dtype == 'uint8' else torch.int32)
        pixels = narrow.cpu().numpy().astype(layout.dtype, copy=False)
    else:
        pixels = scores.float().cpu().numpy()
    return np.where(valid, pixels, np.asarray(layout.nodata, dtype=layout.dtype))


def pixel_area_m2(header: RasterHeader) -> float | None:
    """Compute the area of a pixel in square metres of the projection; None without one."""
    if header.crs is None or not header.crs.is_projected:
        return None
    metres_per_unit = float(header.crs.linear_units_factor[1])
    return abs(header.transform.determinant) * metres_per_unit**2


def _class_names(preprocessing: Preprocessing, *, classes: int) -> tuple[str, ...]:
    """Name every class."""
    names = preprocessing.class_names or tuple(f'class {index}' for index in range(classes))
    if len(names) != classes:
        raise ValueError(
            f'the model returns {classes} classes, but preprocessing names {len(names)}: '
            f'{", ".join(names)}'
        )
    if classes > _MAX_UINT16_CLASSES:
        raise ValueError(f'a class map holds up to {_MAX_UINT16_CLASSES} classes, got {classes}')
    return names


def _band_names(preprocessing: Preprocessing, *, output: Output, channels: int) -> tuple[str, ...]:
    """Name every band of a map of quantities."""
    names = preprocessing.class_names
    if channels == 1 and len(names) == 2 and output == 'probabilities':
        return names[1:]
    if names and len(names) != channels:
        raise ValueError(
            f'the model returns {channels} channels, but preprocessing names {len(names)}: '
            f'{", ".join(names)}'
        )
    word = 'class' if output == 'probabilities' else 'value'
    return names or tuple(f'{word} {index}' for index in range(channels))


def _palette(classes: int) -> tuple[tuple[int, int, int], ...]:
    """Choose distinct colours: the golden ratio spreads any number of hues evenly."""
    golden = (5**0.5 - 1) / 2
    colors = (hsv_to_rgb(index * golden % 1, 0.65, 0.9) for index in range(classes))
    return tuple((round(r * 255), round(g * 255), round(b * 255)) for r, g, b in colors)
