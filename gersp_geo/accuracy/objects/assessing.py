"""Judge a file of objects by another one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
import pandas
import shapely
from numpy.typing import NDArray

from ...geoio.crs import Turn, find_turn
from .average_precision import IOU_THRESHOLDS, precision_at_recall
from .classes import Classes, join_classes
from .figures import ClassObjects, Compare, ObjectAccuracy
from .layers import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE, check_layers, write_layers
from .matching import Objects, Overlaps, find_overlaps, match
from .placement import place_objects
from .references import SCORE, ObjectFile, read_objects, to_objects, to_references
from .shapes import Compared, are_boxes, choose

type Flags = NDArray[np.bool_]
type Outlines = NDArray[np.object_]

# detectors are usually run with 0.5; below, average precision loses little
_LOW_SCORE = 0.1


def assess_objects(
    predicted: str | PathLike[str],
    reference: str | PathLike[str],
    *,
    area: str | PathLike[str] | None = None,
    attribute: str | None = None,
    one_class: bool = False,
    layer: str | None = None,
    area_layer: str | None = None,
    compare: Compare = 'auto',
    iou_threshold: float = 0.5,
    score_threshold: float | None = None,
    layers: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> ObjectAccuracy:
    """Count right, wrong and missed objects, and compute their average precision.

    Predicted objects, best score first, are matched with objects of their class as COCO does, without
    a limit of their number. What is of the reference but a crowd (``iscrowd``), ``difficult`` or
    without a class need not be found, and finding it is neither right nor wrong.

    Args:
        predicted: Vector file of boxes or polygons, such as ``gersp-geo predict`` writes; its column
            ``score`` orders them.
        reference: Vector file of boxes or polygons, in any CRS: the objects that are there.
        area: Polygons of the ground where the reference has all objects: those with their centre
            elsewhere need neither be found nor be wrong. None means everywhere.
        attribute: Column of the reference with the class; None takes class_name, class, label or
            category.
        one_class: Leave classes out: any object may show any other.
        layer: Layer of the reference; None takes the only one that holds features.
        area_layer: The same of *area*.
        compare: What IoU is computed of. 'auto' takes boxes if one file holds boxes and the other
            one outlines of other shapes.
        iou_threshold: IoU from which on an object shows another, where objects are counted.
        score_threshold: Count predicted objects from this score on; None counts all.
        layers: GeoPackage to make, with layers of right, wrong and missed objects.
        overwrite: Replace *layers*.

    Raises:
        FileNotFoundError: If a file does not exist.
        FileExistsError: If *layers* exists and *overwrite* is False.
        ValueError: If a threshold is out of range, a file cannot be read or lies elsewhere, or the
            classes of both have nothing in common.
    """
    if not 0 < iou_threshold <= 1:
        raise ValueError(f'iou_threshold must be in (0, 1], got {iou_threshold}')
    if compare not in ('auto', 'boxes', 'outlines'):
        raise ValueError(f"compare must be 'auto', 'boxes' or 'outlines', got {compare!r}")
    if layers is not None:
        read = [predicted, reference, *([] if area is None else [area])]
        check_layers(layers, read=read, overwrite=overwrite)
    known = read_objects(reference, layer=layer, may_be_empty=area is not None)
    found = read_objects(predicted, may_be_empty=True)
    around = None if area is None else read_objects(area, layer=area_layer, may_be_empty=False)
    classes = join_classes(found, known, attribute=attribute, by_class=not one_class)
    case = _place(found, known, around, classes)
    compared = (
        choose(found.frame.geometry.to_numpy(), known.frame.geometry.to_numpy())
        if compare == 'auto'
        else compare
    )
    verdict = _judge(case, compared, iou_threshold, score_threshold)
    if layers is not None:
        write_layers(
            layers,
            crs=known.frame.crs,
            names=classes.names,
            predicted=case.predicted,
            reference=case.reference,
            overlaps=verdict.overlaps,
            chosen=verdict.layers,
            overwrite=overwrite,
        )
    return ObjectAccuracy(
        predicted=found.path,
        reference=known.path,
        compared=compared,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        classes=tuple(_count(case, verdict, name, n) for n, name in enumerate(classes.names)),
        predicted_left_out=int((verdict.is_counted & verdict.is_left_out[-1]).sum()),
        references_left_out=int(case.reference.is_left_out.sum()),
        notes=(*classes.notes, *_notes(found, known, compared, score_threshold, area)),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """Objects in one CRS and one set of classes."""

    predicted: Objects
    """What is judged, n objects."""

    reference: Objects
    """What it is judged by, r objects."""

    is_outside: Flags
    """Whether a predicted object lies where nobody looked for objects, shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Verdict:
    """What became of objects; per threshold of :data:`IOU_THRESHOLDS`, and last that of counting."""

    overlaps: Overlaps
    """Pairs that were compared."""

    is_right: Flags
    """Whether a predicted object shows one of the reference, shape (11, n)."""

    is_left_out: Flags
    """Whether it is neither right nor wrong, shape (11, n)."""

    is_counted: Flags
    """Whether its score is high enough to be counted, shape (n,)."""

    layers: Mapping[str, Flags]
    """Which objects are right, wrong and missed."""


def _place(
    found: ObjectFile, known: ObjectFile, around: ObjectFile | None, classes: Classes
) -> _Case:
    """Bring both files to the CRS of the reference, and leave out what lies outside the area."""
    files = [known, found, *([] if around is None else [around])]
    outlines = place_objects(files)
    predicted = to_objects(outlines[1], classes.number(classes.predicted), scores=found.scores())
    reference = to_references(known, outlines[0], classes.number(classes.reference))
    others = [part for part in (outlines[0], *outlines[2:]) if len(part)]
    if len(predicted) and not _meet(outlines[1], np.concatenate(others)):
        raise ValueError(
            f'no object of {found.path} lies near those of {known.path}: in {known.frame.crs.name}, '
            f'x and y are {_describe(outlines[1])} and {_describe(np.concatenate(others))}; pass '
            'files of the same ground, or correct the CRS of one'
        )
    is_outside = np.zeros(len(predicted), dtype=np.bool_)
    if around is not None:
        ground, turn = shapely.union_all(outlines[2]), find_turn(known.frame.crs)
        is_outside = _outside(outlines[1], ground, turn)
        is_left_out = reference.is_left_out | _outside(outlines[0], ground, turn)
        reference = replace(reference, is_left_out=is_left_out)
    return _Case(predicted=predicted, reference=reference, is_outside=is_outside)


def _meet(one: Outlines, other: Outlines) -> bool:
    """Say whether the bounds of all outlines of two kinds meet."""
    return bool(
        shapely.box(*shapely.total_bounds(one)).intersects(
            shapely.box(*shapely.total_bounds(other))
        )
    )


def _describe(outlines: Outlines) -> str:
    """Write the bounds of outlines."""
    left, bottom, right, top = shapely.total_bounds(outlines).tolist()
    return f'{left:.9g} to {right:.9g} and {bottom:.9g} to {top:.9g}'


def _outside(outlines: Outlines, ground: shapely.Geometry, turn: Turn | None) -> Flags:
    """Say whose centre lies outside an area, whichever turn around the Earth it is drawn in."""
    x, y = shapely.get_coordinates(shapely.centroid(outlines)).T
    shapely.prepare(ground)
    is_inside = np.zeros(len(outlines), dtype=np.bool_)
    for move in (0.0,) if turn is None else (0.0, -turn.length, turn.length):
        is_inside |= shapely.intersects_xy(ground, x + move, y)
    return ~is_inside


def _judge(
    case: _Case, compared: Compared, iou_threshold: float, score_threshold: float | None
) -> _Verdict:
    """Match objects at all thresholds."""
    predicted, reference = case.predicted, case.reference
    # axis-parallel boxes are their outlines, and measured faster as boxes
    both = are_boxes(predicted.outlines) and are_boxes(reference.outlines)
    overlaps = find_overlaps(
        predicted,
        reference,
        compare='boxes' if both else compared,
        least=min(iou_threshold, float(IOU_THRESHOLDS[0])),
    )
    shown = match(overlaps, reference, [*IOU_THRESHOLDS.tolist(), iou_threshold])
    has_match = shown >= 0
    is_free = has_match & np.append(reference.is_left_out, False)[shown]
    is_right, is_left_out = has_match & ~is_free, is_free | (~has_match & case.is_outside)
    lowest = -np.inf if score_threshold is None else score_threshold
    is_counted = predicted.scores >= lowest
    is_missed = ~reference.is_left_out
    is_missed[shown[-1][is_right[-1] & is_counted]] = False
    return _Verdict(
        overlaps=overlaps,
        is_right=is_right,
        is_left_out=is_left_out,
        is_counted=is_counted,
        layers={
            TRUE_POSITIVE: is_counted & is_right[-1],
            FALSE_POSITIVE: is_counted & ~is_right[-1] & ~is_left_out[-1],
            FALSE_NEGATIVE: is_missed,
        },
    )


def _count(case: _Case, verdict: _Verdict, name: str, number: int) -> ClassObjects:
    """Count the objects of a class."""
    is_class = case.predicted.classes == number
    is_wanted = (case.reference.classes == number) & ~case.reference.is_left_out
    references, scores = int(is_wanted.sum()), case.predicted.scores
    curves = []
    for is_right, is_left_out in zip(verdict.is_right[:-1], verdict.is_left_out[:-1], strict=True):
        judged = is_class & ~is_left_out
        curves.append(precision_at_recall(is_right[judged], scores[judged], references))
    return ClassObjects(
        name=name,
        true_positives=int((verdict.layers[TRUE_POSITIVE] & is_class).sum()),
        false_positives=int((verdict.layers[FALSE_POSITIVE] & is_class).sum()),
        false_negatives=int((verdict.layers[FALSE_NEGATIVE] & is_wanted).sum()),
        precision_at_recall=np.stack(curves),
    )


def _notes(
    found: ObjectFile,
    known: ObjectFile,
    compared: Compared,
    score_threshold: float | None,
    area: object,
) -> Iterator[str]:
    """Say what a reader of the figures has to know."""
    if compared == 'boxes':
        yield 'IoU is that of the boxes around objects.'
    if found.frame.crs != known.frame.crs:
        yield f'Predicted objects were brought to the CRS of the reference, {known.frame.crs.name}.'
    for file in (found, known):
        if file.bare:
            yield f'{file.bare:,} features of {file.path} have no outline, and are left out.'
    if twice := int(pandas.Series(shapely.to_wkb(known.frame.geometry)).duplicated().sum()):
        yield f'{twice:,} objects of {known.path} are there twice, and have to be found twice.'
    scores = found.scores()
    if scores is None:
        yield (
            f'{found.path} has no column {SCORE!r}: all scores are 1, and average precision follows '
            'the order of the file.'
        )
    elif len(scores) and scores.min() > _LOW_SCORE:
        yield (
            f'The lowest score is {scores.min():.2g}: what the model gives less is not in the file, '
            'and average precision counts it as never found (predict with --score-threshold 0.05).'
        )
    if scores is not None and score_threshold is None:
        yield 'All predicted objects are counted, whatever their score (score_threshold).'
    if area is None:
        yield (
            'Predicted objects are wrong wherever the reference has none: pass the area where it '
            'has all (--area).'
        )
