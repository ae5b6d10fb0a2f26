"""Colours of images, and figures that show several of them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .bands import shown_bands

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase
    from matplotlib.patches import Patch

type Picture = NDArray[np.floating] | NDArray[np.uint8]
"""Red, green and blue, shape (H, W, 3): floats in [0, 1], or bytes."""

type Limits = tuple[float, float]
"""The values that are shown darkest and brightest."""

# The part of the values that is spread over the colours, in percent.
_STRETCH = (2, 98)

# Inches of an image's side where images stand beside their names, and where they stand below them.
_SMALL_SIDE, _LARGE_SIDE = 1.15, 4.0

# of more objects in one picture, names would cover what they name
_MOST_NAMED = 12


def find_limits(values: NDArray[np.generic]) -> Limits:
    """Find two values between which nearly all finite ones lie; the second is the larger one."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite.astype(np.float64), _STRETCH)
    return float(low), float(high if high > low else low + 1)


def stretch_values(values: NDArray[np.generic], limits: Limits) -> NDArray[np.float64]:
    """Bring values between two limits to [0, 1]; NaN is shown as 0 is."""
    low, high = limits
    # The difference of two infinite values would be no number.
    finite = np.nan_to_num(values.astype(np.float64))
    return np.clip((finite - low) / (high - low), 0, 1)


def stretch(image: NDArray[np.floating], bands: Sequence[str]) -> NDArray[np.float64]:
    """Pick red, green and blue (or one band) and bring their range to [0, 1], the same for all three.

    Args:
        image: Shape (C, H, W), in any unit.
        bands: Names of the bands; empty where they are unknown.

    Returns:
        Shape (H, W, 3).
    """
    chosen = image[list(shown_bands(bands or [None] * len(image)))]
    shown = stretch_values(chosen, find_limits(chosen))
    return np.broadcast_to(shown.transpose(1, 2, 0), (*image.shape[1:], 3))


def paint_classes(
    classes: NDArray[np.integer],
    colors: Sequence[Sequence[int]],
    *,
    others: Sequence[int] = (255, 255, 255),
) -> NDArray[np.uint8]:
    """Turn classes into their colours.

    Args:
        classes: Shape (H, W).
        colors: Red, green and blue of each class in [0, 255].
        others: The colour of values that are no class.

    Returns:
        Shape (H, W, 3).
    """
    palette = np.array([*colors, others], dtype=np.uint8)
    is_class = (classes >= 0) & (classes < len(colors))
    return palette[np.where(is_class, classes, len(colors))]


def draw_images(images: Mapping[str, Picture], *, title: str | None = None) -> 'Figure':
    """Draw images side by side, each below its name."""
    from matplotlib.figure import Figure

    size = (_LARGE_SIDE * len(images), 1.1 * _LARGE_SIDE)
    figure = Figure(figsize=size, layout='constrained')
    add_images(figure, images)
    if title is not None:
        figure.suptitle(title)
    return figure


def add_images(figure: 'FigureBase', images: Mapping[str, Picture]) -> None:
    """Fill a figure, or a part of one, with images side by side, each below its name."""
    places = figure.subplots(1, len(images), squeeze=False)[0]
    for axes, (name, image) in zip(places, images.items(), strict=True):
        axes.imshow(image, interpolation='nearest')
        axes.set_title(name, loc='left')
        axes.set_axis_off()


def draw_blocks(blocks: Mapping[str, Mapping[str, Sequence[Picture]]]) -> 'Figure':
    """Draw images in labelled rows, one block of rows below the other.

    Args:
        blocks: Per heading and row label, the images from left to right. Images of one position
            stand in one column throughout the figure.

    Returns:
        The figure; no window is opened.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = [row for block in blocks.values() for row in block.items()]
    columns = max(len(images) for _, images in rows)
    size = (_SMALL_SIDE * (columns + 1), _SMALL_SIDE * len(rows) + 0.25 * len(blocks))
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure = Figure(figsize=size, dpi=120, layout=layout)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes, (label, images) in zip(grid, rows, strict=True):
        for cell in axes:
            cell.set_axis_off()
        for cell, image in zip(axes, images, strict=False):
            cell.imshow(image, interpolation='nearest')
        place = {'transform': axes[0].transAxes, 'ha': 'right', 'va': 'center'}
        axes[0].text(-0.08, 0.5, label, **place)
    first_rows = np.cumsum([0, *(len(block) for block in blocks.values())])
    for heading, row in zip(blocks, first_rows, strict=False):
        grid[row, 0].set_title(heading, loc='left', weight='bold', size=11)
    return figure


def swatches(colors: Sequence[Sequence[int]], labels: Sequence[str]) -> list['Patch']:
    """Make the coloured squares of a legend."""
    from matplotlib.patches import Patch

    return [
        Patch(facecolor=tuple(np.array(color) / 255), edgecolor='0.4', linewidth=0.5, label=label)
        for color, label in zip(colors, labels, strict=True)
    ]


def draw_objects(
    sample: Mapping[str, NDArray[np.generic]],
    *,
    bands: Sequence[str],
    names: Sequence[str],
    title: str | None = None,
) -> 'Figure':
    """Draw the objects of a patch, and beside them those that a model finds.

    Args:
        sample: 'image' of shape (C, H, W) in any unit; 'bbox_xyxy' of shape (n, 4), 'label' (n,) and
            'mask' (n, H, W), those that are there; and the same of a model under
            'prediction_bbox_xyxy' and so on.
        bands: Names of the bands.
        names: Of the labels 0, 1, ...
        title: Above the figure.
    """
    image = stretch(np.asarray(sample['image'], dtype=np.float32), bands)
    sides = [name for name in ('', 'prediction_') if f'{name}bbox_xyxy' in sample] or ['']
    figure = draw_images({'Prediction' if side else 'Image': image for side in sides}, title=title)
    for axes, side in zip(figure.axes, sides, strict=True):
        boxes = sample.get(f'{side}bbox_xyxy', np.zeros((0, 4)))
        labels = np.asarray(sample.get(f'{side}label', np.ones(len(boxes), dtype=np.int64)))
        shown = [names[i] if 0 <= i < len(names) else str(i) for i in labels.tolist()]
        add_objects(axes, boxes, shown, masks=sample.get(f'{side}mask'))
    return figure


def add_objects(
    axes: 'Axes',
    boxes: NDArray[np.generic],
    names: Sequence[str],
    *,
    masks: NDArray[np.generic] | None = None,
    colors: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Draw boxes, or the outlines of masks, over an image, and name them where there are few.

    Args:
        axes: Shows the image.
        boxes: Left, top, right and bottom in pixels, shape (n, 4).
        names: Class of each.
        masks: Shape (n, H, W), if there are any.
        colors: Red, green and blue in [0, 255] of each class; others are drawn in red.
    """
    from matplotlib.patches import Rectangle

    height, width = axes.images[0].get_size()
    for i, (box, name) in enumerate(zip(boxes.tolist(), names, strict=True)):
        left, top, right, bottom = box
        color = tuple(np.array((colors or {}).get(name, (255, 0, 0))) / 255)
        if masks is None:
            place, sides = (left - 0.5, top - 0.5), (right - left, bottom - top)
            axes.add_patch(Rectangle(place, *sides, fill=False, edgecolor=color, lw=1.2))
        elif masks[i].any() and not masks[i].all():
            axes.contour(masks[i], levels=[0.5], colors=[color], linewidths=1.2)
        if len(boxes) <= _MOST_NAMED:
            axes.text(
                min(max(left, 0), width - 1), max(top, 0), name, size=6, color='white', va='bottom',
                clip_on=True, bbox={'facecolor': color, 'edgecolor': 'none', 'pad': 0.6},
            )  # fmt: skip
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
