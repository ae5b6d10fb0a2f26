"""Count the pixels of each class in each split, and explain which classes have none."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray

from ..geoio.read import open_reader, read_header, read_window
from ..labels.grey_masks import ThresholdMasks
from ..labels.mask_classes import ClassMasks
from ..labels.mask_files import ChosenValues, MaskFiles
from ..labels.objects.patch_labels import ObjectLabels
from ..labels.sources import IGNORE, LabelSource
from ..messages import align, name_some
from ..windows import Window
from .ground import Split
from .patches import ScannedBlocks

# Rows of the table: more would not be read.
MOST_ROWS = 20

# Rows of a mask that are read at once.
STRIP = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBalance:
    """Labels per class and split."""

    class_names: tuple[str, ...]
    """Names of the classes 0, 1, ..."""

    labels: Mapping[str, NDArray[np.int64]]
    """Per split, training first: labels of each class, shape (classes,)."""

    unit: str = 'pixel'
    """What has a label: a pixel, an object, an image."""

    named: bool = True
    """Whether labels or user name the classes; else they are numbered up to the highest value."""

    @property
    def total(self) -> NDArray[np.int64]:
        """Labels of each class in all splits, shape (classes,)."""
        return np.asarray(sum(self.labels.values()))

    def table(self) -> str:
        """Lay the numbers out, one line per class; many classes are cut short."""
        counts = np.stack(list(self.labels.values()), axis=1).tolist()
        rows = [['', *self.labels]] + [
            [f'  {name}', *(f'{count:,}' for count in row)]
            for name, row in zip(self.class_names[:MOST_ROWS], counts, strict=False)
        ]
        if len(counts) > MOST_ROWS:
            rest = np.sum(counts[MOST_ROWS:], axis=0).tolist()
            more = f'  and {len(counts) - MOST_ROWS} more'
            rows.append([more, *(f'{count:,}' for count in rest)])
        return '\n'.join(align(rows))

    def warnings(self, *, block_size: int) -> list[str]:
        """Name the classes that training does not see: one sentence per cause, with advice."""
        total = self.total
        training = next(iter(self.labels.values()))
        absent = [name for name, count in zip(self.class_names, total, strict=True) if not count]
        unseen = [
            name
            for name, count, every in zip(self.class_names, training, total, strict=True)
            if every and not count
        ]
        found = []
        if absent:
            found.append(
                f'no {self.unit} is labelled {name_some(absent)}, which the model thus cannot '
                'learn; '
                + (
                    'check the labels and class_names'
                    if self.named
                    else f'pass mask_values={np.flatnonzero(total).tolist()} for classes of these '
                    'values of the masks alone, or class_names'
                )
            )
        if unseen:
            found.append(
                f'no training block holds {name_some(unseen)}; pass another seed or a '
                f'smaller block_size than {block_size}'
            )
        return found


def weigh_classes(
    scanned: ScannedBlocks, split: Split, class_names: tuple[str, ...], *, unit: str = 'pixel'
) -> ClassBalance:
    """Count the labels of each class in the splits that have blocks; *unit* is what has a label."""
    parts = {'training': split.train, 'validation': split.val, 'test': split.test}
    counts = scanned.counts[:, : len(class_names)]
    return ClassBalance(
        class_names=class_names,
        labels={name: counts[list(part)].sum(axis=0) for name, part in parts.items() if part},
        unit=unit,
        named=bool(scanned.tiles.labels.class_names),
    )


def report_classes(
    scanned: ScannedBlocks, split: Split, class_names: tuple[str, ...], *, block_size: int
) -> None:
    """Say how many pixels each class has in each split, and warn of classes without any.

    *block_size* is named in advice.
    """
    balance = weigh_classes(scanned, split, class_names)
    rank_zero_info(f'labelled pixels per class:\n{balance.table()}')
    for warning in balance.warnings(block_size=block_size):
        rank_zero_warn(warning)


def report_objects(
    scanned: ScannedBlocks, split: Split, class_names: tuple[str, ...], *, block_size: int
) -> None:
    """Say how many objects each class has in each split, and warn of classes without any.

    *block_size* is named in advice.
    """
    balance = weigh_classes(scanned, split, class_names, unit='object')
    rank_zero_info(f'objects per class:\n{balance.table()}')
    for warning in balance.warnings(block_size=block_size):
        rank_zero_warn(warning)
    for name, counts in balance.labels.items():
        if not counts.any():
            rank_zero_warn(
                f'no {name} block holds an object; pass another seed or a smaller block_size than '
                f'{block_size}'
            )


def report_unlearned(labels: ObjectLabels, counts: NDArray[np.int64]) -> None:
    """Warn of objects that no patch is drawn around: too large ones, and those without a centre.

    Args:
        labels: The objects.
        counts: Those that patches are drawn around, per block and class.
    """
    total, large = labels.survey()
    if large:
        rank_zero_warn(f'{describe_large(labels)}: they are neither object nor background')
    if hidden := total - large - int(counts.sum()):
        rank_zero_warn(
            f'{hidden} of {total} objects are not counted: their centre is on no observed pixel of '
            'their image, or on the border of two blocks'
        )


def describe_large(labels: ObjectLabels) -> str:
    """Say how many objects are too large for a patch."""
    total, large = labels.survey()
    return (
        f'a patch of size={labels.size} shows less than min_visible={labels.min_visible:g} of '
        f'{large} of {total} objects wherever it lies'
    )


def check_objects(labels: ObjectLabels, counts: NDArray[np.int64], *, source: str) -> None:
    """Refuse objects that no patch can be drawn around.

    Args:
        labels: The objects.
        counts: Those that patches are drawn around, per block and class.
        source: Their file, as the user named it.
    """
    if counts.any():
        return
    if labels.survey()[1]:
        raise ValueError(
            f'{source}: training needs objects, and {describe_large(labels)}; pass a larger size, '
            'or images of coarser pixels'
        )
    raise ValueError(
        f'{source}: training needs objects, and none has its centre on an observed pixel of an '
        'image; check nodata, and that labels belong to these images'
    )


def check_classes(
    labels: LabelSource, counts: NDArray[np.int64], *, at_least: int, source: str
) -> None:
    """Refuse labels of which no model can learn to tell classes apart, and say why.

    Args:
        labels: Where the classes come from.
        counts: Labelled pixels of each class in all images, shape (256,).
        at_least: Classes that must have pixels.
        source: Masks or vector file, as the user named them.
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
    held = name_some([f'{value} ({count / pixels:.1%})' for value, count in values.items()])
    unlabelled = {int(value) for value in nodata if value in values}
    reasons = [f'{value} is their nodata value' for value in sorted(unlabelled)]
    if IGNORE in values and IGNORE not in unlabelled:
        reasons.append(f'{IGNORE} means no label')
    if isinstance(masks, ClassMasks):
        return f'of classes={list(masks.class_names)}, no other has a pixel in the images'
    if isinstance(masks, ThresholdMasks):
        return f'the masks hold {held}; check threshold={masks.threshold:g}'
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
    """Count the pixels of each value in all masks, whatever it means; list the nodata values."""
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
            f'polygons of {name_some(empty)} hold no centre of an observed pixel: they are smaller '
            'than a pixel, covered by later polygons, or outside the images'
        )
    return (
        f'all polygons are {labels.class_names[0]}, and pixels under no polygon are not learned '
        "from; pass background='background' to make a class of these"
    )
