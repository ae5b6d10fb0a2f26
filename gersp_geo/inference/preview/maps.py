"""One picture of a scene beside its map, or of two dates beside what changed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...geoio.read import Observed, Reader, describe_reader, open_reader, read_reduced
from ...geoio.write import Color, new_file
from .picture import (
    COLOR_MAP,
    NARROWEST_CELL,
    NO_OBSERVATION,
    Panel,
    check_picture,
    save_picture,
    to_bytes,
)
from .scenery import Scenery, find_limits, spread, value_limits
from .sheet import Sheet

# a longer legend is none
_MOST_ENTRIES = 24

# bands of one map that are drawn, and how large beside a single one
_MOST_BANDS = 3
_SIZE_OF_SEVERAL = 0.6

# side in pixels of what decides which bands these are
_SURVEY_SIDE = 128

# Ground below what changed: grey from dark to bright, so that colours stand out.
_GROUND = (0.3, 0.95)
_GROUND_COLOR: Color = (160, 160, 160)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Legend:
    """What the values of a map of classes mean."""

    names: tuple[str, ...]
    """Per class."""

    colors: NDArray[np.uint8]
    """Per class: red, green and blue, shape (classes, 3)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Dates:
    """One scene, or two dates of a place, as they are shown."""

    panels: list[Panel]
    """One per date."""

    last: NDArray[np.float64]
    """The last of them: red, green and blue in [0, 1]."""


def write_preview(
    scene: str | PathLike[str],
    map_path: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    bands: Sequence[int],
    after: ShownScene | None = None,
    nodata: float | None = None,
    observed: Observed = 'auto',
    class_pixels: Sequence[int] | None = None,
    max_side: int = 1200,
    overwrite: bool = False,
) -> Path:
    """Draw a scene beside its map, reduced through overviews, as a PNG file.

    Classes come in their colours, with a legend; of other maps, up to three bands with colour bars
    (of more bands, those of the largest mean). What is no observation is light grey. With *after*,
    both dates are drawn alike beside the map of what changed, whose class 0 shows the ground.

    Args:
        scene: The raster that was predicted; it is resampled where the map has another grid.
        map_path: The map; names and colours of classes are read from it.
        destination: PNG file to write.
        bands: 1-based bands of the scene; those that are red, green and blue by name or meaning
            are shown, else the first three, or the first as grey.
        after: The same place at a later date, if the map says what changed; its bands stand for
            *bands*.
        nodata: Value that means "no observation", besides what the scene says itself.
        observed: Where a pixel is an observation, as in ``predict_geotiff``.
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
        ValueError: If *destination* is no .png, *max_side* is too small, there are no bands, or not
            as many of both dates.
    """
    final = Path(destination)
    check_picture(final, overwrite=overwrite)
    scenes = [ShownScene(path=scene, bands=bands, nodata=nodata, observed=observed)]
    scenes += [] if after is None else [after]
    _check(scenes, max_side=max_side)
    with open_reader(map_path) as src:
        legend = _read_legend(src)
        is_single = after is None and (legend is not None or src.count == 1)
        side = max_side if is_single else round(_SIZE_OF_SEVERAL * max_side)
        sheet = Sheet.of(describe_reader(src), side=side)
        _, mapped = read_reduced(src, bands=[1], shape=sheet.shape, resampling='nearest')
        dates = _show_dates(scenes, sheet, mapped)
        entries: list[tuple[str, Color]] = []
        if legend is None:
            panels = _show_quantities(src, sheet)
        else:
            ground = None if after is None else dates.last
            panels, entries = _show_classes(src, legend, sheet, counts=class_pixels, ground=ground)
    panels = [*dates.panels, *panels]
    with new_file(final, overwrite=overwrite) as temporary:
        save_picture(
            temporary,
            [replace(panel, pixels=sheet.turn(panel.pixels)) for panel in panels],
            names=[Path(path).name for path in (*(shown.path for shown in scenes), map_path)],
            legend=entries,
            metres_per_pixel=sheet.metres_per_pixel,
            columns=2 if after is None else len(panels),
        )
    return final


def _check(scenes: Sequence[ShownScene], *, max_side: int) -> None:
    """Refuse what makes no picture."""
    if max_side < NARROWEST_CELL:
        raise ValueError(f'max_side must be >= {NARROWEST_CELL}, got {max_side}')
    first, last = len(scenes[0].bands), len(scenes[-1].bands)
    if not first:
        raise ValueError('a preview needs at least one band of the scene, got none')
    if last != first:
        raise ValueError(f'after must have as many bands as the scene, {first}, got {last}')


def _show_dates(scenes: Sequence[ShownScene], sheet: Sheet, mapped: NDArray[np.bool_]) -> _Dates:
    """Show one scene or two dates, with the same limits; best where there is a map."""
    dates: list[Scenery] = []
    for scene in scenes:
        places = dates[0].places if dates else None
        dates.append(
            Scenery.read(
                scene.path,
                sheet,
                bands=scene.bands,
                nodata=scene.nodata,
                observed=scene.observed,
                places=places,
            )
        )
    limits = find_limits(dates, mapped)
    words = ('Scene',) if len(dates) == 1 else ('Before', 'After')
    images = [date.show(limits) for date in dates]
    panels = [
        Panel(title=f'{word}: {", ".join(date.names)}', pixels=to_bytes(image, date.valid))
        for word, date, image in zip(words, dates, images, strict=True)
    ]
    return _Dates(panels=panels, last=images[-1])


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
    src: Reader,
    legend: _Legend,
    sheet: Sheet,
    *,
    counts: Sequence[int] | None,
    ground: NDArray[np.float64] | None,
) -> tuple[list[Panel], list[tuple[str, Color]]]:
    """Show classes in their colours; where there is a ground, class 0 lets it be seen.

    Returns:
        The panel, and the entries of the legend.
    """
    (pixels,), valid = read_reduced(src, bands=[1], shape=sheet.shape, resampling='nearest')
    classes = len(legend.names)
    valid &= pixels < classes
    indices = np.where(valid, pixels, 0).astype(np.intp)
    image, colors = legend.colors[indices] / 255, legend.colors
    if ground is not None:
        dark, bright = _GROUND
        grey = dark + (bright - dark) * ground.mean(axis=-1, keepdims=True)
        image = np.where((indices == 0)[..., None], grey, image)
        colors = np.concatenate([[np.array(_GROUND_COLOR, dtype=np.uint8)], colors[1:]])
    found = np.bincount(indices[valid], minlength=classes) if counts is None else np.array(counts)
    entries = _list_classes(replace(legend, colors=colors), found)
    if not valid.all():
        entries.append(('no observation', NO_OBSERVATION))
    word = 'Map: classes' if ground is None else 'Change'
    return [Panel(title=word, pixels=to_bytes(image, valid))], entries


def _list_classes(legend: _Legend, found: NDArray[np.integer]) -> list[tuple[str, Color]]:
    """Make the entries of a legend, of the most frequent classes in their order."""
    shares = found / max(int(found.sum()), 1)
    order = sorted(np.argsort(-shares, kind='stable')[:_MOST_ENTRIES])
    entries: list[tuple[str, Color]] = []
    for index in order:
        red, green, blue = legend.colors[index].tolist()
        entries.append((f'{_percent(shares[index])}  {legend.names[index]}', (red, green, blue)))
    if len(legend.names) > len(order):
        rest = _percent(1 - shares[order].sum())
        entries.append((f'{rest}  {len(legend.names) - len(order)} more', (255, 255, 255)))
    return entries


def _percent(share: float) -> str:
    """Write a share so that little is not nothing, all of one width."""
    text = '< 0.1' if 0 < share < 0.001 else f'{100 * share:.1f}'
    # this space is as wide as a digit
    return f'{text:\N{FIGURE SPACE}>5} %'


def _show_quantities(src: Reader, sheet: Sheet) -> list[Panel]:
    """Show bands of quantities, those of the largest mean."""
    import matplotlib as mpl

    panels = []
    for band in _largest_bands(src):
        (stored,), valid = read_reduced(src, bands=[band], shape=sheet.shape, resampling='average')
        values = stored * src.scales[band - 1] + src.offsets[band - 1]
        observed = values[valid]
        is_share = observed.size and observed.min() >= 0 and observed.max() <= 1
        low, high = limits = (0.0, 1.0) if is_share else value_limits(observed)
        beyond = (bool((observed < low).any()), bool((observed > high).any()))
        name = src.descriptions[band - 1] or f'band {band}'
        rest = f' (of {src.count} bands)' if src.count > _MOST_BANDS else ''
        panels.append(
            Panel(
                title=f'Map: {name}{rest}',
                pixels=to_bytes(mpl.colormaps[COLOR_MAP](spread(values, limits))[..., :3], valid),
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
