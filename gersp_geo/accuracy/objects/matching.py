"""Which predicted object shows which one of the reference: greedy by score, as COCO has it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from .shapes import Compared

type Places = NDArray[np.int64]
type Floats = NDArray[np.float64]
type Flags = NDArray[np.bool_]

# predicted objects whose neighbours are looked up at once, and pairs that are measured at once
_QUERIED, _MEASURED = 2**14, 2**18

# pycocotools: what is the same to ten digits is the same
_LARGEST = 1 - 1e-10

UNCLASSED = -1
"""Class of a reference that tells none; it is left out of every class."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objects:
    """Objects of a file."""

    outlines: NDArray[np.object_]
    """Valid polygons or multipolygons with an extent, shape (n,)."""

    classes: Places
    """Number of the class, or :data:`UNCLASSED`, shape (n,)."""

    scores: Floats
    """Shape (n,)."""

    is_left_out: Flags
    """Whether an object need not be found, and finding it is not wrong, shape (n,)."""

    is_crowd: Flags
    """Whether it is a crowd: of what lies in it the predicted object's own area counts, shape (n,)."""

    def __len__(self) -> int:
        """Count them."""
        return len(self.outlines)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlaps:
    """Predicted objects and objects of the reference that they may show."""

    predicted: Places
    """Index of the predicted object of each pair, best score first, and for each the best pair
    first: shape (m,)."""

    reference: Places
    """Index of the other one, shape (m,)."""

    overlaps: Floats
    """IoU; of a crowd, the share of the predicted object, shape (m,)."""

    best_predicted: Floats
    """Largest overlap of each predicted object with any of its class; 0 with none, shape (n,)."""

    best_reference: Floats
    """Largest overlap of each object of the reference, shape (r,)."""


def find_overlaps(
    predicted: Objects, reference: Objects, *, compare: Compared, least: float
) -> Overlaps:
    """Measure all pairs of one class that overlap.

    Args:
        predicted: Objects with scores.
        reference: Objects that are there, in the same CRS.
        compare: What of them is compared.
        least: Pairs that overlap less are left out; > 0.
    """
    tree = shapely.STRtree(reference.outlines)
    best_predicted, best_reference = np.zeros(len(predicted)), np.zeros(len(reference))
    kept: list[tuple[Places, Places, Floats]] = []
    for start in range(0, len(predicted), _QUERIED):
        first, second = tree.query(predicted.outlines[start : start + _QUERIED])
        first = first + start
        classes = reference.classes[second]
        is_same = (classes == UNCLASSED) | (classes == predicted.classes[first])
        first, second = first[is_same], second[is_same]
        for at in range(0, len(first), _MEASURED):
            one, other = first[at : at + _MEASURED], second[at : at + _MEASURED]
            overlaps = measure(predicted, reference, one, other, compare=compare)
            np.maximum.at(best_predicted, one, overlaps)
            np.maximum.at(best_reference, other, overlaps)
            is_kept = overlaps >= min(least, _LARGEST)
            kept.append((one[is_kept], other[is_kept], overlaps[is_kept]))
    one, other = (
        np.concatenate([part[i] for part in kept] or [np.zeros(0)]).astype(np.int64) for i in (0, 1)
    )
    overlaps = np.concatenate([part[2] for part in kept] or [np.zeros(0)])
    order = _order(predicted, reference, one, other, overlaps)
    return Overlaps(
        predicted=one[order],
        reference=other[order],
        overlaps=overlaps[order],
        best_predicted=best_predicted,
        best_reference=best_reference,
    )


def _order(
    predicted: Objects, reference: Objects, one: Places, other: Places, overlaps: Floats
) -> Places:
    """Sort pairs as they are to be tried."""
    rank = np.empty(len(predicted), dtype=np.int64)
    rank[np.argsort(-predicted.scores, kind='stable')] = np.arange(len(predicted))
    # of the same overlap, pycocotools takes the later object
    return np.lexsort((-other, -overlaps, reference.is_left_out[other], rank[one]))


def measure(
    predicted: Objects, reference: Objects, one: Places, other: Places, *, compare: Compared
) -> Floats:
    """Compute the overlap of pairs.

    Args:
        predicted: Objects with scores.
        reference: Objects that are there.
        one: Index of the first of each pair.
        other: Index of the second.
        compare: What of them is compared.

    Returns:
        Shared area over that of both together; of a crowd, over that of the predicted object.
    """
    first, second = predicted.outlines[one], reference.outlines[other]
    if compare == 'boxes':
        boxes, others = shapely.bounds(first), shapely.bounds(second)
        sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
        shared = np.maximum(sides, 0).prod(axis=1)
        areas, other_areas = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (boxes, others))
    else:
        shared = shapely.area(shapely.intersection(first, second))
        areas, other_areas = shapely.area(first), shapely.area(second)
    whole = np.where(reference.is_crowd[other], areas, areas + other_areas - shared)
    return np.asarray(shared / whole)


def match(overlaps: Overlaps, reference: Objects, thresholds: Sequence[float]) -> Places:
    """Give each predicted object, best score first, the best object that is not taken yet.

    One that is left out is taken only where nothing else is left, by any number of objects.

    Args:
        overlaps: Pairs, in their order.
        reference: Objects that are there.
        thresholds: Overlap from which on an object shows another.

    Returns:
        Per threshold and predicted object the index of the one that it shows, -1 for none: shape
        (thresholds, n).
    """
    pairs = list(
        zip(
            overlaps.predicted.tolist(),
            overlaps.reference.tolist(),
            overlaps.overlaps.tolist(),
            reference.is_left_out[overlaps.reference].tolist(),
            strict=True,
        )
    )
    found = np.full((len(thresholds), len(overlaps.best_predicted)), -1, dtype=np.int64)
    for row, threshold in zip(found, thresholds, strict=True):
        least = min(threshold, _LARGEST)
        shown: dict[int, int] = {}
        taken: set[int] = set()
        for one, other, overlap, is_left_out in pairs:
            if overlap < least or one in shown or other in taken:
                continue
            shown[one] = other
            if not is_left_out:
                taken.add(other)
        row[list(shown)] = list(shown.values())
    return found
