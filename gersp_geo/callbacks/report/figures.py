"""Figures: confusion matrices, and patches with truth and prediction."""

from collections.abc import Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...pictures import (
    Picture,
    add_objects,
    find_limits,
    paint_classes,
    stretch,
    stretch_values,
    swatches,
)
from .patches import Patch, Shapes, Shown
from .summary import Matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

type Colors = Mapping[str, Sequence[int]]
"""Red, green and blue in [0, 255] of each class, by name."""

# Above so many rows, counts in the cells would be too small to read
_MOST_CELLS = 40
# Up to so many rows, cells are large enough for shares as well
_MOST_LARGE = 12
# Inches of a patch, and patches side by side
_SIDE, _COLUMNS = 2.2, 4
# Inches of an entry of the legend beside its name, and of a letter of that
_MARK, _LETTER = 0.7, 0.07


def draw_matrix(matrix: Matrix, *, unit: str) -> 'Figure':
    """Draw counts in cells whose colour is the share of their row.

    Args:
        matrix: The counts.
        unit: What was counted.
    """
    from matplotlib.figure import Figure

    counts, (rows, columns) = matrix.counts, matrix.counts.shape
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = 0.95 if rows <= _MOST_LARGE else 0.48
    longest = max(map(len, (*matrix.rows, *matrix.columns)))
    size = (cell * columns + 0.09 * longest + 1.6, cell * rows + 0.09 * longest + 1)
    figure = Figure(figsize=(max(size[0], 4.5), max(size[1], 3.2)), dpi=100, layout='constrained')
    axes = figure.subplots()
    image = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1, aspect='equal')
    slant: dict[str, Any] = {'rotation': 45, 'ha': 'right', 'rotation_mode': 'anchor'}
    axes.set_xticks(range(columns), matrix.columns, **slant)
    axes.set_yticks(range(rows), matrix.rows)
    # else rows are labels that stand beside each other, each of all images
    exclusive = matrix.rows == matrix.columns
    axes.set_xlabel('predicted' if exclusive else '')
    axes.set_ylabel('true' if exclusive else '')
    total = counts.sum() if exclusive else counts.sum(axis=1).max()
    axes.set_title(f'{total:,} {unit}', loc='left')
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, format='{x:.0%}')
    bar.set_label('share of the true ones' if exclusive else 'share of the row')
    if rows <= _MOST_CELLS:
        add_counts(axes, counts, shares)
    return figure


def add_counts(axes: 'Axes', counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    """Write counts into the cells of a matrix, below their shares where there is room."""
    large = len(counts) <= _MOST_LARGE
    for (row, column), count in np.ndenumerate(counts):
        share, text = float(shares[row, column]), shorten(int(count))
        if large and count:
            text = f'{share:.0%}\n{text}' if share >= 0.005 else f'<1%\n{text}'
        shade = 'white' if share > 0.6 else '0.25' if count else '0.75'
        written = axes.text(
            column, row, text, ha='center', va='center', color=shade, size=9 if large else 6.5
        )
        # the layout of a figure asks hundreds of texts for their size
        written.set_in_layout(False)


def shorten(count: int) -> str:
    """Write a count in at most five characters, as 12.3k or 4.5M."""
    value = float(count)
    for unit in ('', 'k', 'M', 'G', 'T'):
        if value < 999.5 or unit == 'T':
            break
        value /= 1000
    return f'{value:.0f}{unit}' if not unit or value >= 99.5 else f'{value:.1f}{unit}'


def draw_patches(patches: Sequence[Patch], colors: Colors, *, title: str) -> 'Figure':
    """Draw patches in columns, each image above truth and prediction.

    Args:
        patches: At least one, all of one kind.
        colors: Of the classes.
        title: Above all.
    """
    from matplotlib.figure import Figure

    blocks = -(-len(patches) // _COLUMNS)
    columns = -(-len(patches) // blocks)
    labels = row_labels(patches[0])
    count = len(labels) * blocks
    legend = 0.5 if isinstance(patches[0].truth, np.ndarray) else 0.0
    size = (_SIDE * columns + 0.4, _SIDE * count + 0.5 + legend)
    figure = Figure(figsize=size, dpi=110, layout='constrained')
    grid = figure.subplots(count, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.axis('off')
    for block, some in enumerate(batched(patches, columns)):
        first = block * len(labels)
        for column, patch in enumerate(some):
            cells = list(grid[first : first + len(labels), column])
            fill_cells(cells, patch, colors)
            for axes, label in zip(cells, labels, strict=True):
                axes.axis('on')
                if column == 0:
                    axes.set_ylabel(label)
    figure.suptitle(title, x=0.01, ha='left', size=10)
    add_legend(figure, patches, colors)
    return figure


def row_labels(patch: Patch) -> list[str]:
    """Name the rows of one patch."""
    dates = (
        ['image'] if len(patch.dates) == 1 else [f'date {i + 1}' for i in range(len(patch.dates))]
    )
    shown = {str: [], Shapes: ['truth', 'prediction']}.get(
        type(patch.truth), [*dates, 'truth', 'prediction']
    )
    return shown or dates


def fill_cells(cells: Sequence['Axes'], patch: Patch, colors: Colors) -> None:
    """Draw one patch into its cells, from top to bottom."""
    pictures: list[Picture] = [stretch(date, ()) for date in patch.dates]
    if isinstance(patch.truth, Shapes) and isinstance(patch.prediction, Shapes):
        for axes, shapes in zip(cells, (patch.truth, patch.prediction), strict=True):
            axes.imshow(pictures[0], interpolation='nearest')
            add_objects(axes, shapes.boxes, shapes.names, masks=shapes.masks, colors=colors)
        return
    if isinstance(patch.truth, np.ndarray) and isinstance(patch.prediction, np.ndarray):
        pictures += paint_both(patch.truth, patch.prediction, colors)
    for axes, picture in zip(cells, pictures, strict=True):
        axes.imshow(picture, interpolation='nearest')
    if isinstance(patch.truth, str):
        right = patch.truth == patch.prediction
        cells[0].set_title(
            f'{patch.truth}\n→ {patch.prediction}', size=8, color='0.2' if right else 'firebrick'
        )
    elif isinstance(patch.truth, np.ndarray) and patch.truth.dtype.kind == 'f':
        low, high = find_limits(patch.truth)
        cells[-2].set_title(f'{low:.3g} (dark) to {high:.3g} (bright)', size=8)


def paint_both(
    truth: NDArray[Any], prediction: NDArray[Any], colors: Colors
) -> list[NDArray[np.uint8]]:
    """Colour classes, or values between the limits of the true ones."""
    if truth.dtype.kind == 'f':
        from matplotlib import colormaps

        limits = find_limits(truth)
        painted = []
        for values in (truth, prediction):
            shown = colormaps['viridis'](stretch_values(values, limits), bytes=True)[..., :3]
            shown[~np.isfinite(truth)] = 255
            painted.append(shown)
        return painted
    return [paint_classes(classes, list(colors.values())) for classes in (truth, prediction)]


def add_legend(figure: 'Figure', patches: Sequence[Patch], colors: Colors) -> None:
    """Name the colours of classes below the figure: those that are shown."""
    shown: set[str] = set()
    names = list(colors)
    for side in [side for patch in patches for side in (patch.truth, patch.prediction)]:
        shown |= names_in(side, names)
    entries = {name: colors[name] for name in names if name in shown}
    if entries:
        if any(is_incomplete(patch.truth, names) for patch in patches):
            entries['no label'] = (255, 255, 255)
        # one beside the other as far as the figure is wide
        wide = _MARK + _LETTER * max(map(len, entries))
        columns = max(int(figure.get_figwidth() / wide), 1)
        figure.legend(
            handles=swatches(list(entries.values()), list(entries)),
            loc='outside lower left', ncols=min(len(entries), columns), fontsize=8, frameon=False,
        )  # fmt: skip


def is_incomplete(shown: Shown, names: Sequence[str]) -> bool:
    """Say whether some pixels of a mask are of no class, which are white."""
    if not isinstance(shown, np.ndarray) or shown.dtype.kind == 'f':
        return False
    return bool(((shown < 0) | (shown >= len(names))).any())


def names_in(shown: Shown, names: Sequence[str]) -> set[str]:
    """List the classes in a part of the figure that does not name them itself."""
    if isinstance(shown, Shapes):
        return set(shown.names)
    if isinstance(shown, str) or shown.dtype.kind == 'f':
        return set()
    return {names[i] for i in np.unique(shown).tolist() if 0 <= i < len(names)}
