"""Pictures of a scene beside its map, of two dates beside their change, and of patches."""

from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...geoio.polygons import read_legend
from ...geoio.read import Observed, RasterHeader, Reader, describe_reader, open_reader, read_reduced
from ...geoio.vector import read_rows
from ...geoio.write import Color
from ...pictures import find_limits, paint_classes, stretch_values
from ...tiling import TilePlan
from .layout import DPI, NARROWEST_CELL, UNOBSERVED, Entry, check_picture, save_picture
from .quicklook import NO_OBSERVATION, Panel, Sheet, ShownScene, paint_bands, show_scenes, to_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

# The most classes of a legend; the rest share a line.
_MOST_ENTRIES = 24

# The most bands of a map that are drawn, and how large they are beside a single one.
_MOST_BANDS = 3
_SIZE_OF_SEVERAL = 0.6

# Side in pixels of what decides which bands these are.
_SURVEY_SIDE = 128

# The ground below what changed is grey, from dark to bright, so that colours stand out.
_GROUND = (76, 242)
_GROUND_COLOR: Color = (160, 160, 160)

# Longest side of a scene beside its patches, in pixels.
_PATCHES_SIDE = 1000

# Length of a colour bar, and names of matplotlib for values beyond none, one or both of its ends.
_BAR_PX = 400
_EXTEND = ('neither', 'min', 'max', 'both')

# Vectors that decide which components are shown; all of a large table would not fit.
_SAMPLED = 4096


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
        names, colors = read_legend(src)
        is_classes = 0 < len(names) <= len(colors)
        is_single = after is None and (is_classes or src.count == 1)
        side = max_side if is_single else round(_SIZE_OF_SEVERAL * max_side)
        sheet = Sheet.of(describe_reader(src), side=side)
        (pixels,), valid = sheet.read(src, bands=[1], resampling='nearest')
        panels = show_scenes(scenes, sheet, valid)
        legend: list[Entry] = []
        if not is_classes:
            panels += _show_quantities(src, sheet)
        else:
            shown = colors if after is None else [_GROUND_COLOR, *colors[1:]]
            image, legend = _show_classes(pixels, valid, names, shown, counts=class_pixels)
            if after is not None:
                dark, bright = _GROUND
                grey = dark + (bright - dark) / 255 * panels[-1].pixels.mean(axis=-1)
                is_ground = valid & (pixels == 0)
                image[is_ground] = grey[is_ground, None]
            panels.append(Panel(title='Map: classes' if after is None else 'Change', pixels=image))
    heads = [Path(path).name for path in (*(one.path for one in scenes), map_path)]
    return save_picture(final, panels, sheet, names=heads, legend=legend, overwrite=overwrite)


def write_patches_preview(
    scene: ShownScene,
    table: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    header: RasterHeader,
    tiles: TilePlan,
    names: Sequence[str] = (),
    colors: Sequence[Color] = (),
    value: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Draw a scene beside the classes or values of its patches, or their vectors as colours.

    The three directions in which vectors differ most (principal components) become red, green and
    blue: patches of one colour are alike. The colours mean nothing else.

    Args:
        scene: The raster, read through overviews.
        table: GeoParquet of its patches.
        destination: PNG file to write.
        header: Of the scene on the grid that was cut.
        tiles: How it was cut.
        names: Of classes; without, values or vectors are drawn.
        colors: Of classes.
        value: What a single value of each patch is called, if they have one.
        overwrite: Replace an existing file.

    Returns:
        *destination* as a path.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        ValueError: If *destination* is no .png.
    """
    final = Path(destination)
    check_picture(final, overwrite=overwrite)
    sheet = Sheet.of(header, side=_PATCHES_SIDE)
    if names:
        title = 'Patches: classes'
        classes = _read_patches(table, tiles, 'class', lambda numbers: numbers[:, None])[..., 0]
        image, legend = _show_classes(classes, np.isfinite(classes), names, colors)
    elif value is not None:
        found = _read_patches(table, tiles, 'value', _take_first)[..., 0]
        is_known = np.isfinite(found)
        limits = find_limits(found[is_known])
        title = f'Patches: {value}, dark {limits[0]:.4g} to bright {limits[1]:.4g}'
        image = paint_bands(np.stack([found] * 3), is_known, [limits] * 3)
        legend = [] if is_known.all() else [UNOBSERVED]
    else:
        title = 'Patches: vectors, alike where colours are'
        scores = _read_patches(table, tiles, 'embedding', _find_projection(table, tiles), depth=3)
        bands, is_known = np.moveaxis(scores, -1, 0), np.isfinite(scores[..., 0])
        image = paint_bands(bands, is_known, [find_limits(band[is_known]) for band in bands])
        legend = [] if is_known.all() else [UNOBSERVED]
    rows = _find_patches(tiles.keep_rows, tiles.height, shown=sheet.shape[0])
    cols = _find_patches(tiles.keep_cols, tiles.width, shown=sheet.shape[1])
    pixels = image[rows[:, None], cols][sheet.north_up]
    panels = [*show_scenes([scene], sheet), Panel(title=title, pixels=pixels)]
    heads = [Path(scene.path).name, Path(table).name]
    return save_picture(final, panels, sheet, names=heads, legend=legend, overwrite=overwrite)


def _take_first(numbers: NDArray[Any]) -> NDArray[Any]:
    """Take one value of each patch, the first of several."""
    return numbers.reshape(len(numbers), -1)[:, :1]


def _check(scenes: Sequence[ShownScene], *, max_side: int) -> None:
    """Refuse what makes no picture."""
    if max_side < NARROWEST_CELL:
        raise ValueError(f'max_side must be >= {NARROWEST_CELL}, got {max_side}')
    first, last = len(scenes[0].bands), len(scenes[-1].bands)
    if not first:
        raise ValueError('a preview needs at least one band of the scene, got none')
    if last != first:
        raise ValueError(f'after must have as many bands as the scene, {first}, got {last}')


def _show_classes(
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    names: Sequence[str],
    colors: Sequence[Color],
    *,
    counts: Sequence[int] | None = None,
) -> tuple[NDArray[np.uint8], list[Entry]]:
    """Colour classes, and list the most frequent ones in their order, with their shares.

    *values* and *valid* have shape (rows, cols); *counts* says how often there is each class.
    """
    is_class = valid & (values >= 0) & (values < len(names))
    classes = np.full(values.shape, -1)
    classes[is_class] = values[is_class]
    found = np.bincount(classes[is_class], minlength=len(names)) if counts is None else counts
    shares = np.array(found) / max(int(np.sum(found)), 1)
    order = sorted(np.argsort(-shares, kind='stable')[:_MOST_ENTRIES].tolist())
    legend = [(_percent(shares[i]), names[i] or f'class {i}', colors[i]) for i in order]
    if rest := len(names) - len(order):
        legend.append((_percent(1 - shares[order].sum()), f'{rest} more', (255, 255, 255)))
    if not is_class.all():
        legend.append(UNOBSERVED)
    return paint_classes(classes, colors, others=NO_OBSERVATION), legend


def _percent(share: float) -> str:
    """Write a share so that little is not nothing."""
    return '< 0.1 %' if 0 < share < 0.001 else f'{100 * share:.1f} %'


def _show_quantities(src: Reader, sheet: Sheet) -> list[Panel]:
    """Show bands of quantities: those of the largest mean, in their order."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    panels = []
    bands = list(src.indexes)
    if len(bands) > _MOST_BANDS:
        survey = (min(_SURVEY_SIDE, src.height), min(_SURVEY_SIDE, src.width))
        means = []
        for band in bands:
            values, valid = read_reduced(src, bands=[band], shape=survey, resampling='nearest')
            means.append(float(values[0, valid].mean()) if valid.any() else -np.inf)
        largest = np.argsort(-np.array(means), kind='stable')[:_MOST_BANDS]
        bands = sorted(bands[place] for place in largest)
    for band in bands:
        (stored,), valid = sheet.read(src, bands=[band], resampling='average')
        values = stored * src.scales[band - 1] + src.offsets[band - 1]
        observed = values[valid]
        is_share = observed.size and observed.min() >= 0 and observed.max() <= 1
        low, high = limits = (0.0, 1.0) if is_share else find_limits(observed)
        beyond = bool((observed < low).any()) + 2 * bool((observed > high).any())
        scale = ScalarMappable(Normalize(low, high), 'viridis')
        colors = scale.cmap(stretch_values(values, limits))[..., :3]
        name = src.descriptions[band - 1] or f'band {band}'
        rest = f' (of {src.count} bands)' if src.count > _MOST_BANDS else ''
        bar = partial(_add_color_bar, scale=scale, extend=_EXTEND[beyond])
        panels.append(Panel(title=f'Map: {name}{rest}', pixels=to_bytes(colors, valid), add=bar))
    return panels


def _add_color_bar(axes: 'Axes', *, scale: 'ScalarMappable', extend: str) -> None:
    """Draw which colours stand for which values below an image."""
    width, height = axes.get_xlim()[1], axes.get_ylim()[0]
    unit = axes.figure.dpi / DPI
    length = min(max(width, NARROWEST_CELL), _BAR_PX * unit)
    below = axes.inset_axes((0, -22 * unit / height, length / width, 12 * unit / height))
    bar = axes.figure.colorbar(scale, below, orientation='horizontal', extend=extend)
    bar.outline.set_linewidth(0.5)
    below.tick_params(labelsize=9, length=3, width=0.5)


def _read_patches(
    table: str | PathLike[str],
    tiles: TilePlan,
    column: str,
    describe: Callable[[NDArray[Any]], Any],
    *,
    depth: int = 1,
) -> NDArray[np.float64]:
    """Place what a column says about patches on their grid; NaN where the table has no patch.

    *describe* turns n values into numbers of shape (n, depth); the grid has one more axis alike.
    """
    found = np.full((len(tiles.row_offs), len(tiles.col_offs), depth), np.nan)
    for columns in read_rows(table, ('row', 'col', column)):
        found[columns['row'], columns['col']] = describe(columns[column])
    return found


def _find_projection(table: str | PathLike[str], tiles: TilePlan) -> Callable[[NDArray[Any]], Any]:
    """Find what turns vectors into their three principal components, by evenly spaced rows."""
    step = max(1, len(tiles) // _SAMPLED)
    taken, seen = [], 0
    for columns in read_rows(table, ('embedding',)):
        vectors = columns['embedding']
        taken.append(vectors[-seen % step :: step].astype(np.float64))
        seen += len(vectors)
    if not seen:
        # There is nothing to project.
        return lambda vectors: np.nan
    sampled = np.concatenate(taken)
    mean = sampled.mean(axis=0)
    axes = np.zeros((3, len(mean)))
    # Rows of the third factor are directions, the one of the largest spread first.
    *_, found = np.linalg.svd(sampled - mean, full_matrices=False)
    axes[: len(found)] = found[:3]
    return lambda vectors: (vectors - mean) @ axes.T


def _find_patches(kept: Sequence[tuple[int, int]], length: int, *, shown: int) -> NDArray[np.intp]:
    """Find the patch that keeps the middle of each row (or column) of a picture."""
    middles = (np.arange(shown) + 0.5) * length / shown
    return np.searchsorted([first for first, _ in kept], middles, side='right') - 1
