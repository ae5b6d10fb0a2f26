"""One picture of a scene beside its map."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..geoio.alignment import on_one_grid, open_aligned, read_reduced
from ..geoio.areas import pixel_size_m
from ..geoio.atomic import new_file
from ..geoio.reading import RasterHeader, Reader, open_reader, read_header
from .picture import COLOR_MAP, NARROWEST_CELL, NO_OBSERVATION, Color, Panel, save_picture, to_bytes

# pixels to which small scenes are enlarged
_SMALLEST_SIDE = 600

# a longer legend is none
_MOST_ENTRIES = 24

# bands of one map that are drawn, and how large beside a single one
_MOST_BANDS = 3
_SIZE_OF_SEVERAL = 0.6

# side in pixels of what decides which bands these are
_SURVEY_SIDE = 128

# part of the values that is spread over the colours, in percent
_STRETCH = (2, 98)

# names of bands that tell their colour: words, and those of Sentinel-2 and Landsat 8 and 9
_COLORS = {
    'red': 'red', 'green': 'green', 'blue': 'blue',
    'b4': 'red', 'b3': 'green', 'b2': 'blue', 'b04': 'red', 'b03': 'green', 'b02': 'blue',
}  # fmt: skip

# beyond, no scale holds for the whole picture
_LONGEST_SIDE_M = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Legend:
    """What the values of a map of classes mean."""

    names: tuple[str, ...]
    """Per class."""

    colors: NDArray[np.uint8]
    """Per class: red, green and blue, shape (classes, 3)."""


def write_preview(
    scene: str | PathLike[str],
    map_path: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    bands: Sequence[int],
    nodata: float | None = None,
    class_pixels: Sequence[int] | None = None,
    max_side: int = 1200,
    overwrite: bool = False,
) -> Path:
    """Draw a scene beside its map, reduced through overviews, as a PNG file.

    Classes come in their colours, with a legend; of other maps, up to three bands with colour bars
    (of more bands, those of the largest mean). What is no observation is light grey.

    Args:
        scene: The raster that was predicted; it is resampled where the map has another grid.
        map_path: The map; names and colours of classes are read from it.
        destination: PNG file to write.
        bands: 1-based bands of the scene; those that are red, green and blue by name or meaning
            are shown, else the first three, or the first as grey.
        nodata: Value that means "no observation" if all *bands* have it, besides what the scene
            says itself.
        class_pixels: Per class: pixels of the whole map, for the shares in the legend; None counts
            those of the reduced one.
        max_side: Longest side of the scene in the picture, in pixels.
        overwrite: Replace an existing file.

    Returns:
        *destination* as a path.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        FileNotFoundError: If a raster does not exist.
        UnreadableFileError: If GDAL cannot read one.
        ValueError: If *destination* is no .png, *max_side* is too small, or there are no bands.
    """
    final = Path(destination)
    if final.suffix.lower() != '.png':
        raise ValueError(f'a preview is written as .png, got {final}')
    if max_side < NARROWEST_CELL:
        raise ValueError(f'max_side must be >= {NARROWEST_CELL}, got {max_side}')
    if not bands:
        raise ValueError('a preview needs at least one band of the scene, got none')
    header = read_header(map_path)
    ground = pixel_size_m(header)
    with open_reader(map_path) as src:
        legend = _read_legend(src)
        if legend is not None:
            shape = _shape(header, ground, side=max_side)
            panels, entries = _show_classes(src, legend, shape, counts=class_pixels)
        else:
            factor = 1 if src.count == 1 else _SIZE_OF_SEVERAL
            shape = _shape(header, ground, side=round(factor * max_side))
            panels, entries = _show_quantities(src, shape), []
        _, mapped = read_reduced(src, bands=[1], shape=shape, resampling='nearest')
    panels.insert(0, _show_scene(scene, header, bands, mapped, nodata=nodata))
    if header.transform.e > 0:
        # north is up in every picture
        panels = [replace(panel, pixels=panel.pixels[::-1]) for panel in panels]
    with new_file(final, overwrite=overwrite) as temporary:
        save_picture(
            temporary,
            panels,
            names=[Path(scene).name, Path(map_path).name],
            legend=entries,
            metres_per_pixel=_metres_per_pixel(header, ground, columns=shape[1]),
        )
    return final


def _shape(
    header: RasterHeader, ground: tuple[float, float] | None, *, side: int
) -> tuple[int, int]:
    """Choose rows and columns of a panel, in the proportions that the ground has."""
    x, y = ground or (1.0, 1.0)
    height, width = header.height * y, header.width * x
    longest = max(header.height, header.width)
    # small ones are enlarged by a whole number
    shown = min(side, longest * -(-min(_SMALLEST_SIDE, side) // longest))
    scale = shown / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _metres_per_pixel(
    header: RasterHeader, ground: tuple[float, float] | None, *, columns: int
) -> float | None:
    """Say how much ground a column of a panel covers; None where that differs too much."""
    if ground is None:
        return None
    metres = ground[0] * header.width
    is_small = max(metres, ground[1] * header.height) <= _LONGEST_SIDE_M
    return metres / columns if is_small else None


def _show_scene(
    scene: str | PathLike[str],
    grid: RasterHeader,
    bands: Sequence[int],
    mapped: NDArray[np.bool_],
    *,
    nodata: float | None,
) -> Panel:
    """Show three bands as red, green and blue, or one as grey; best where there is a map."""
    is_same = on_one_grid(read_header(scene), grid)
    with open_reader(scene) if is_same else open_aligned(scene, grid, nodata=nodata) as src:
        chosen = _color_bands(src, bands)
        pixels, valid = read_reduced(src, bands=chosen, shape=mapped.shape, resampling='average')
        names = [src.descriptions[band - 1] or f'band {band}' for band in chosen]
    if nodata is not None:
        valid &= ~(pixels == nodata).all(axis=0)
    telling = valid & mapped if (valid & mapped).any() else valid
    layers = [_spread(values, _limits(values, telling)) for values in pixels]
    # one band is grey
    image = np.stack(layers if len(layers) == 3 else layers * 3, axis=-1)
    return Panel(title=f'Scene: {", ".join(names)}', pixels=to_bytes(image, valid))


def _color_bands(src: Reader, bands: Sequence[int]) -> list[int]:
    """Choose the bands to show: by their colours, else the first."""
    colors: dict[str, int] = {}
    for band in bands:
        meaning = src.colorinterp[band - 1].name
        name = (src.descriptions[band - 1] or meaning).lower()
        colors.setdefault(_COLORS.get(name, meaning), band)
    if {'red', 'green', 'blue'} <= set(colors):
        return [colors[name] for name in ('red', 'green', 'blue')]
    return list(bands[:3] if len(bands) >= 3 else bands[:1])


def _read_legend(src: Reader) -> _Legend | None:
    """Read names and colours of classes; None where a map holds no classes."""
    text = src.tags(1).get('CLASS_NAMES')
    if text is None:
        return None
    try:
        names, table = json.loads(text), src.colormap(1)
    except ValueError:
        # a tag of another program, or classes without colours: numbers like any others
        return None
    colors = np.array([table[value][:3] for value in range(len(names))], dtype=np.uint8)
    return _Legend(names=tuple(names), colors=colors)


def _show_classes(
    src: Reader, legend: _Legend, shape: tuple[int, int], *, counts: Sequence[int] | None
) -> tuple[list[Panel], list[tuple[str, Color]]]:
    """Show classes in their colours.

    Returns:
        The panel, and the entries of the legend.
    """
    (pixels,), valid = read_reduced(src, bands=[1], shape=shape, resampling='nearest')
    classes = len(legend.names)
    valid &= pixels < classes
    indices = np.where(valid, pixels, 0).astype(np.intp)
    image = to_bytes(legend.colors[indices] / 255, valid)
    found = np.bincount(indices[valid], minlength=classes) if counts is None else np.array(counts)
    shares = found / max(int(found.sum()), 1)
    order = sorted(np.argsort(-shares, kind='stable')[:_MOST_ENTRIES])
    entries: list[tuple[str, Color]] = []
    for index in order:
        red, green, blue = legend.colors[index].tolist()
        entries.append((f'{_percent(shares[index])}  {legend.names[index]}', (red, green, blue)))
    if classes > len(order):
        rest = _percent(1 - shares[order].sum())
        entries.append((f'{rest}  {classes - len(order)} more', (255, 255, 255)))
    if not valid.all():
        entries.append(('no observation', NO_OBSERVATION))
    return [Panel(title='Map: classes', pixels=image)], entries


def _percent(share: float) -> str:
    """Write a share so that little is not nothing, all of one width."""
    text = '< 0.1' if 0 < share < 0.001 else f'{100 * share:.1f}'
    # this space is as wide as a digit
    return f'{text:\N{FIGURE SPACE}>5} %'


def _show_quantities(src: Reader, shape: tuple[int, int]) -> list[Panel]:
    """Show bands of quantities, those of the largest mean."""
    import matplotlib as mpl

    panels = []
    for band in _largest_bands(src):
        (stored,), valid = read_reduced(src, bands=[band], shape=shape, resampling='average')
        values = stored * src.scales[band - 1] + src.offsets[band - 1]
        observed = values[valid]
        is_share = observed.size and observed.min() >= 0 and observed.max() <= 1
        low, high = limits = (0.0, 1.0) if is_share else _limits(values, valid)
        beyond = (bool((observed < low).any()), bool((observed > high).any()))
        name = src.descriptions[band - 1] or f'band {band}'
        rest = f' (of {src.count} bands)' if src.count > _MOST_BANDS else ''
        panels.append(
            Panel(
                title=f'Map: {name}{rest}',
                pixels=to_bytes(mpl.colormaps[COLOR_MAP](_spread(values, limits))[..., :3], valid),
                limits=limits,
                extend=_EXTEND[beyond],
            )
        )
    return panels


# how matplotlib calls values beyond the lower and the upper end of a colour bar
_EXTEND = {
    (False, False): 'neither',
    (True, False): 'min',
    (False, True): 'max',
    (True, True): 'both',
}


def _largest_bands(src: Reader) -> list[int]:
    """Choose the bands of the largest mean, in their order."""
    if src.count <= _MOST_BANDS:
        return list(src.indexes)
    survey = (min(_SURVEY_SIDE, src.height), min(_SURVEY_SIDE, src.width))
    means = []
    for band in src.indexes:
        (values,), valid = read_reduced(src, bands=[band], shape=survey, resampling='nearest')
        means.append(float(values[valid].mean()) if valid.any() else -np.inf)
    largest = np.argsort(-np.array(means), kind='stable')[:_MOST_BANDS]
    return sorted(int(index) + 1 for index in largest)


def _limits(values: NDArray[np.generic], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """Find values between which nearly all observations lie."""
    observed = values[valid].astype(np.float64)
    if not observed.size:
        return 0.0, 1.0
    low, high = np.percentile(observed, _STRETCH)
    return float(low), float(high if high > low else low + 1)


def _spread(values: NDArray[np.generic], limits: tuple[float, float]) -> NDArray[np.float64]:
    """Bring values between two limits to [0, 1]; what is not finite becomes 0."""
    low, high = limits
    # an infinite value minus an infinite one is none
    finite = np.nan_to_num(values.astype(np.float64))
    return np.clip((finite - low) / (high - low), 0, 1)
