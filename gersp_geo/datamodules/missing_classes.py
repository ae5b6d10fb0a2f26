"""Why labels leave training with fewer than two classes."""

import numpy as np
from numpy.typing import NDArray

from ..geoio.reading import open_reader, read_header, read_window
from ..records import Window
from .chosen_labels import ChosenValues
from .class_balance import list_names
from .labels import IGNORE, LabelSource, MaskFiles

# Rows of a mask that are read at once.
STRIP = 1024


def check_classes(
    labels: LabelSource, counts: NDArray[np.int64], *, at_least: int, source: str
) -> None:
    """Refuse labels of which no model can learn to tell classes apart.

    Args:
        labels: Where the classes come from.
        counts: Labelled pixels of each class in all images, shape (256,).
        at_least: Classes that must have pixels.
        source: Masks or vector file, as the user named them.

    Raises:
        ValueError: If fewer have any; says why as far as the files tell.
    """
    present = np.flatnonzero(counts)
    if len(present) >= at_least:
        return
    names = labels.class_names or tuple(f'class_{i}' for i in range(IGNORE))
    held = (
        f'only {names[present[0]]} ({counts[present[0]]:,})'
        if len(present)
        else 'none of any class'
    )
    if isinstance(labels, MaskFiles):
        cause = explain_masks(labels)
    else:
        cause = explain_polygons(labels, counts)
    word = 'two classes' if at_least > 1 else 'one class'
    raise ValueError(f'{source}: training needs labelled pixels of {word}, got {held}: {cause}')


def explain_masks(masks: MaskFiles) -> str:
    """Say which values the masks hold, and which of them mean "no label"."""
    values, nodata = count_values(masks)
    pixels = sum(values.values())
    held = list_names([f'{value} ({count / pixels:.1%})' for value, count in values.items()])
    unlabelled = {int(value) for value in nodata if value in values}
    reasons = [f'{value} is their nodata value' for value in sorted(unlabelled)]
    if IGNORE in values and IGNORE not in unlabelled:
        reasons.append(f'{IGNORE} means no label')
    if isinstance(masks, ChosenValues):
        return f'the masks hold {held}; check mask_values={masks.values.tolist()}'
    if reasons:
        classes = sorted(values)
        fix = f'if it is a class, pass mask_values={classes}'
        return f'the masks hold {held}, and {" and ".join(reasons)}; {fix}'
    if len(values) > 1:
        return (
            f'the masks hold {held}, but the images have no observation at the others; check nodata'
        )
    return f'the masks hold {held}; check that they are the right files'


def count_values(masks: MaskFiles) -> tuple[dict[int, int], set[float]]:
    """Count the pixels of each value in all masks, whatever it means.

    Returns:
        Pixels by value, ascending, and the values that the files name as nodata.
    """
    found: dict[int, int] = {}
    nodata: set[float] = set()
    for file in masks.files:
        header = read_header(file)
        nodata |= set() if header.nodata is None else {header.nodata}
        with open_reader(file) as src:
            for top in range(0, header.height, STRIP):
                height = min(STRIP, header.height - top)
                window = Window(row_off=top, col_off=0, height=height, width=header.width)
                values, counts = np.unique(read_window(src, window, bands=[1]), return_counts=True)
                for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                    found[value] = found.get(value, 0) + count
    return dict(sorted(found.items())), nodata


def explain_polygons(labels: LabelSource, counts: NDArray[np.int64]) -> str:
    """Say why polygons give too few classes."""
    empty = [name for name, count in zip(labels.class_names, counts, strict=False) if not count]
    if empty:
        return (
            f'polygons of {list_names(empty)} hold no centre of an observed pixel: they are smaller '
            'than a pixel, covered by later polygons, or outside the images'
        )
    return (
        f'all polygons are {labels.class_names[0]}, and pixels under no polygon are not learned '
        "from; pass background='background' to make a class of these"
    )
