import contextlib
import io
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from gersp_geo.accuracy.objects.average_precision import IOU_THRESHOLDS, precision_at_recall
from gersp_geo.accuracy.objects.matching import Objects, find_overlaps, match


def objects(
    outlines: NDArray[np.object_],
    classes: NDArray[np.int64],
    *,
    scores: NDArray[np.float64] | None = None,
    crowd: NDArray[np.bool_] | None = None,
) -> Objects:
    none = np.zeros(len(outlines), dtype=np.bool_)
    return Objects(
        outlines=outlines,
        classes=classes,
        scores=np.ones(len(outlines)) if scores is None else scores,
        is_left_out=none if crowd is None else crowd,
        is_crowd=none if crowd is None else crowd,
    )


def by_pycocotools(predicted: Objects, reference: Objects) -> NDArray[np.float64]:
    """Precision of shape (thresholds, recalls, classes), all in one image, without a limit."""

    def describe(found: Objects) -> list[dict[str, Any]]:
        left, bottom, right, top = shapely.bounds(found.outlines).T
        boxes = np.stack([left, bottom, right - left, top - bottom], axis=1).tolist()
        return [
            {
                'id': number, 'image_id': 1, 'category_id': int(label) + 1, 'bbox': box,
                'area': box[2] * box[3], 'iscrowd': int(is_crowd), 'score': float(score),
            }
            for number, (box, label, is_crowd, score) in enumerate(
                zip(boxes, found.classes, found.is_crowd, found.scores, strict=True), start=1
            )
        ]  # fmt: skip

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        categories = [{'id': 1}, {'id': 2}]
        truth.dataset = {
            'images': [{'id': 1}],
            'annotations': describe(reference),
            'categories': categories,
        }
        truth.createIndex()
        found = COCO()
        found.dataset = truth.dataset | {'annotations': describe(predicted)}
        found.createIndex()
        evaluation = COCOeval(truth, found, 'bbox')
        evaluation.params.maxDets = [10_000]
        evaluation.evaluate()
        evaluation.accumulate()
    precision: NDArray[np.float64] = evaluation.eval['precision'][..., 0, 0]
    return np.where(precision < 0, np.nan, precision)


def by_us(predicted: Objects, reference: Objects) -> NDArray[np.float64]:
    overlaps = find_overlaps(predicted, reference, compare='boxes', least=0.5)
    shown = match(overlaps, reference, IOU_THRESHOLDS.tolist())
    curves = []
    for label in (0, 1):
        count = int(((reference.classes == label) & ~reference.is_left_out).sum())
        rows = []
        for row in shown:
            is_out = (row >= 0) & np.append(reference.is_left_out, False)[row]
            judged = (predicted.classes == label) & ~is_out
            rows.append(precision_at_recall(row[judged] >= 0, predicted.scores[judged], count))
        curves.append(np.stack(rows))
    return np.stack(curves, axis=-1)


@st.composite
def boxes(draw: st.DrawFn, most: int) -> NDArray[np.object_]:
    # few places and sizes, so that overlaps and scores are often the same
    place, size = st.integers(0, 3), st.integers(3, 5)
    drawn = draw(st.lists(st.tuples(place, place, size, size), max_size=most))
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in drawn], dtype=np.float64)
    return np.atleast_1d(shapely.box(*corners.reshape(-1, 4).T))


@given(boxes(16), boxes(10), st.integers(0, 2**32 - 1))
def test_precision_is_that_of_pycocotools(
    found: NDArray[np.object_], known: NDArray[np.object_], seed: int
) -> None:
    random = np.random.default_rng(seed)
    predicted = objects(
        found, random.integers(0, 2, len(found)), scores=random.integers(0, 5, len(found)) / 4
    )
    reference = objects(
        known, random.integers(0, 2, len(known)), crowd=random.random(len(known)) < 0.2
    )
    np.testing.assert_allclose(
        by_us(predicted, reference), by_pycocotools(predicted, reference), rtol=0, atol=1e-12
    )


@pytest.mark.slow
def test_crowded_scenes_are_judged_as_by_pycocotools() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 100, (400, 2))
    known = shapely.box(*corners.T, *(corners + random.uniform(2, 9, (400, 2))).T)
    moved = np.repeat(shapely.bounds(known), 3, axis=0) + random.normal(0, 0.4, (1200, 4))
    labels = random.integers(0, 2, 400)
    predicted = objects(
        shapely.box(*moved.T), np.repeat(labels, 3), scores=random.random(1200).round(2)
    )
    reference = objects(known, labels, crowd=random.random(400) < 0.05)
    np.testing.assert_allclose(
        by_us(predicted, reference), by_pycocotools(predicted, reference), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize('count', [1, 300])
def test_perfect_boxes_are_perfect_however_many_they_are(count: int) -> None:
    x = np.arange(count) * 10.0
    perfect = objects(shapely.box(x, 0, x + 5, 5), np.zeros(count, dtype=np.int64))
    np.testing.assert_array_equal(by_us(perfect, perfect)[..., 0], 1.0)


def test_outlines_are_compared_as_they_lie() -> None:
    # two hulls side by side, whose boxes are the same
    hull = shapely.Polygon([(0, 0), (1, 0), (10, 9), (10, 10), (9, 10), (0, 1)])
    other = shapely.Polygon([(10, 0), (10, 1), (1, 10), (0, 10), (0, 9), (9, 0)])
    one, two = (objects(np.array([each]), np.zeros(1, dtype=np.int64)) for each in (hull, other))
    as_boxes = find_overlaps(one, two, compare='boxes', least=0.5)
    as_outlines = find_overlaps(one, two, compare='outlines', least=0.5)
    shared = hull.intersection(other).area / hull.union(other).area
    assert as_boxes.best_predicted[0] == 1
    assert as_outlines.best_predicted[0] == pytest.approx(shared, rel=1e-12)
    assert len(as_outlines.predicted) == 0


def test_of_two_objects_that_are_met_alike_the_later_one_is_taken() -> None:
    x = np.array([[0.0, 2.0], [1.0, -1.0]])
    one, other = (shapely.box(row, 0, row + 4, 1) for row in x)
    reference = objects(one, np.zeros(2, dtype=np.int64))
    predicted = objects(other, np.zeros(2, dtype=np.int64), scores=np.array([0.9, 0.8]))
    # so the second prediction finds the first object free
    shown = match(find_overlaps(predicted, reference, compare='boxes', least=0.5), reference, [0.5])
    assert shown.tolist() == [[1, 0]]
    np.testing.assert_allclose(
        by_us(predicted, reference), by_pycocotools(predicted, reference), rtol=0, atol=1e-12
    )
