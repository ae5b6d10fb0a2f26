"""From what annotation files say to tables of objects: what no object can be is refused."""

from collections.abc import Sequence

import numpy as np
import shapely
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray

from ...geoio.vector import repair
from ...messages import name_some
from ..attribute_classes import choose_classes
from .cut import areas_inside
from .table import Annotations, Images, Objects, ObjectTables

# pixels by which a box may reach beyond its image: some tools count pixels from 1
_BEYOND = 1.0

_CLASS = 'object'
"""The only class of objects whose source tells none."""


def make_tables(read: Annotations, images: Images, class_names: Sequence[str]) -> ObjectTables:
    """Check annotations, number their classes and sort them by image.

    Args:
        read: What the files say.
        images: The images.
        class_names: Names of the classes; empty takes those of the source.

    Raises:
        ValueError: If there is no object, an outline lies where none can, or classes do not fit.

    Warns:
        UserWarning: If objects have no class.
    """
    numbers = np.array(read.images, dtype=np.int64)
    # features may lie over an image that the area leaves out
    numbers[~read.known[numbers]] = -1
    here = np.flatnonzero(numbers >= 0)
    if not len(here):
        raise ValueError(
            f'{read.source} holds no object in any of the {len(images.files)} images; pass the '
            'images that it was made for'
        )
    outlines = draw(read, here, images)
    names, codes = number_classes(read, numbers >= 0, tuple(class_names))
    ignored = np.array(read.ignored, dtype=np.bool_) | (codes < 0)
    if ignored[here].all():
        raise ValueError(
            f'all {len(here)} objects of {read.source} are ignored; a model needs some'
        )
    order = np.argsort(numbers[here], kind='stable')
    ends = np.searchsorted(numbers[here][order], np.arange(1, len(images.files)))
    tables = [
        Objects(outlines[rows], codes[here][rows], ignored[here][rows]) if is_known else None
        for rows, is_known in zip(np.split(order, ends), read.known, strict=True)
    ]
    return ObjectTables(names, tables)


def draw(read: Annotations, here: NDArray[np.int64], images: Images) -> NDArray[np.object_]:
    """Make valid polygons of the outlines of some rows; boxes end at the edge of their image."""
    sides = np.array([(tile.width, tile.height) for tile in images.tiles], dtype=np.float64)
    numbers = np.array(read.images, dtype=np.int64)[here]
    drawn = np.empty(len(here), dtype=np.object_)
    drawn[:] = [read.outlines[row] for row in here]
    is_box = np.array([isinstance(outline, tuple) for outline in drawn], dtype=np.bool_)
    corners = np.array(drawn[is_box].tolist(), dtype=np.float64).reshape(-1, 4)
    around = sides[numbers[is_box]]
    check_corners(read, here[is_box], corners, around, images)
    limits = np.tile(around, 2)
    drawn[is_box] = shapely.box(*np.clip(corners, 0, limits).T)
    others = np.flatnonzero(~is_box)
    drawn[others] = check_polygons(
        read, here[others], drawn[others], sides[numbers[others]], images
    )
    return drawn


def check_corners(
    read: Annotations,
    rows: NDArray[np.int64],
    corners: NDArray[np.float64],
    sides: NDArray[np.float64],
    images: Images,
) -> None:
    """Refuse boxes that are none, or lie outside their image.

    Args:
        read: What the files say.
        rows: Of the boxes.
        corners: Left, top, right, bottom, shape (n, 4).
        sides: Width and height of their images, shape (n, 2).
        images: The images.
    """
    is_order = (corners[:, :2] < corners[:, 2:]).all(axis=1) & np.isfinite(corners).all(axis=1)
    inside = (corners[:, :2] < sides).all(axis=1) & (corners[:, 2:] > 0).all(axis=1)
    inside &= (corners >= -_BEYOND).all(axis=1) & (corners[:, 2:] <= sides + _BEYOND).all(axis=1)
    are_shares = len(corners) > 1 and bool((corners <= 1).all())
    for wrong, rule, fix in (
        (
            ~is_order,
            'a box has xmin < xmax and ymin < ymax',
            'correct or delete it; x, y, width, height are no corners',
        ),
        (
            np.full(len(corners), are_shares),
            'boxes are in pixels, and none goes beyond 1',
            'multiply shares by the width and the height of the image',
        ),
        (
            ~inside,
            'a box lies in its image, or up to a pixel beyond',
            'pass the images on which it was drawn, or clip it',
        ),
    ):
        if wrong.any():
            first = int(wrong.argmax())
            row, (left, top, right, bottom) = rows[first], corners[first].tolist()
            width, height = sides[first].astype(int).tolist()
            raise ValueError(
                f'{rule}: {read.where(row)} has xmin {left:.9g}, ymin {top:.9g}, xmax {right:.9g}, '
                f'ymax {bottom:.9g} in {images.files[read.images[row]]} of {width} x {height} px, '
                f'one of {int(wrong.sum())} such in {len(corners)}; {fix}'
            )


def check_polygons(
    read: Annotations,
    rows: NDArray[np.int64],
    polygons: NDArray[np.object_],
    sides: NDArray[np.float64],
    images: Images,
) -> NDArray[np.object_]:
    """Repair polygons that cross themselves, and refuse those without extent or out of sight."""
    bounds = shapely.bounds(polygons)
    finite = np.isfinite(bounds).all(axis=1)
    # what is not finite is named below
    polygons[finite] = repair(polygons[finite])
    wrong = ~finite
    wrong[finite] = ~(areas_inside(polygons[finite], sides[finite]) > 0)
    if wrong.any():
        first = int(wrong.argmax())
        row, (width, height) = rows[first], sides[first].astype(int).tolist()
        found = ', '.join(f'{value:.6g}' for value in bounds[first])
        raise ValueError(
            f'an outline covers some of its image: {read.where(row)} lies in x and y from '
            f'{found} (left, top, right, bottom), {images.files[read.images[row]]} has {width} x '
            f'{height} px, one of {int(wrong.sum())} such in {len(polygons)}; pass the image on '
            'which it was drawn, or delete it'
        )
    return polygons


def number_classes(
    read: Annotations, here: NDArray[np.bool_], given: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Number the classes of all rows; -1 for those without."""
    ignored = np.array(read.ignored, dtype=np.bool_)
    if not read.attribute:
        if len(given) > 1:
            raise ValueError(
                f'objects of {read.source} are of one class without an attribute (CSV: a label '
                f'column), got class_names {name_some(given)}; name the attribute'
            )
        return given or (_CLASS,), np.zeros(len(here), dtype=np.int64)
    missing = np.array([value is None for value in read.values], dtype=np.bool_)
    used = here & ~ignored
    if without := int((used & missing).sum()):
        rank_zero_warn(
            f'{without} of {int(used.sum())} objects of {read.source} have no {read.attribute}: '
            'they are neither object nor background'
        )
    known = np.flatnonzero(~missing)
    codes = np.full(len(here), -1, dtype=np.int64)
    names, found = choose_classes(
        [read.values[row] for row in known],
        used[known],
        given or read.names,
        attribute=read.attribute,
        source=read.source,
    )
    codes[known] = found
    tell_shift(read, names)
    return names, codes


def tell_shift(read: Annotations, names: Sequence[str]) -> None:
    """Say how classes that a source numbers from 0 are numbered in batches."""
    if not (read.from_zero or '0' in {value for value in read.values if value is not None}):
        return
    pairs = [f'{name} = {number}' for number, name in enumerate(names, start=1)]
    rank_zero_info(
        f'{read.source} numbers classes from 0, which is the background of a detector; in batches, '
        f'labels begin at 1: {name_some(pairs)}'
    )
