"""Laws of suppression: streamed as at once, whatever the order."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision.ops import batched_nms

from gersp_geo.suppression import Detections, Match, Suppressor


def detections(
    boxes: Any, *, labels: Any = None, scores: Any = None, is_cut: Any = None
) -> Detections:
    located = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    count = len(located)
    return Detections(
        boxes=located,
        labels=np.zeros(count, dtype=np.int64) if labels is None else np.asarray(labels),
        scores=np.ones(count) if scores is None else np.asarray(scores, dtype=np.float64),
        is_cut=np.zeros(count, dtype=bool) if is_cut is None else np.asarray(is_cut, dtype=bool),
        is_wanted=np.ones(count, dtype=bool),
        outlines=np.full(count, None),
    )


def stream(
    found: Detections,
    *,
    threshold: float,
    match: Match = 'iou',
    height: float,
    width: float = np.inf,
) -> Detections:
    """Suppress boxes row by row in panels; a box comes with the row and panel where it begins."""
    suppressor = Suppressor(threshold=threshold, match=match)
    kept = []
    rights: Any = (
        np.arange(width, found.boxes[:, 0].max(initial=0) + width, width) if width < np.inf else []
    )
    left = -np.inf
    for right in (*rights, np.inf):
        in_panel = (found.boxes[:, 0] >= left) & (found.boxes[:, 0] < right)
        for row in range(int(found.boxes[:, 1].max(initial=0) // height) + 1):
            in_row = in_panel & (found.boxes[:, 1] // height == row)
            kept.append(
                suppressor.add(found.take(in_row), open_row=(row + 1) * height, open_col=right)
            )
        kept.append(suppressor.add(Detections.none(), open_row=np.inf, open_col=right))
        left = right
    assert len(suppressor) == 0
    return Detections.join(kept)


def rows_of(found: Detections) -> list[tuple[float, ...]]:
    columns = np.column_stack([found.boxes, found.labels, found.scores, found.is_cut])
    return sorted(map(tuple, columns.tolist()))


def by_position(found: Detections) -> Detections:
    """Where scores are equal, the first one of batched_nms is the first one by position."""
    left, top, right, bottom = found.boxes.T
    return found.take(np.lexsort((found.labels, right, bottom, left, top)))


def at_once(found: Detections, *, threshold: float) -> Detections:
    found = by_position(found)
    keep = batched_nms(
        torch.from_numpy(found.boxes), torch.from_numpy(found.scores),
        torch.from_numpy(found.labels), threshold,
    )  # fmt: skip
    return found.take(keep.numpy())


def slowly(found: Detections, *, threshold: float, match: Match) -> Detections:
    """The rule as it is written."""
    left, top, right, bottom = found.boxes.T
    smallness = np.where(found.is_cut, -(right - left) * (bottom - top), 0)
    order = np.lexsort(
        (found.labels, right, bottom, left, top, -found.scores, smallness, found.is_cut)
    )
    kept: list[int] = []
    for box in order:
        for other in kept:
            if found.labels[box] != found.labels[other]:
                continue
            sides = np.minimum(found.boxes[box, 2:], found.boxes[other, 2:]) - np.maximum(
                found.boxes[box, :2], found.boxes[other, :2]
            )
            shared = float(np.prod(np.maximum(sides, 0)))
            own, its = (
                float(np.prod(found.boxes[one, 2:] - found.boxes[one, :2])) for one in (box, other)
            )
            overlap = shared / (min(own, its) if match == 'ios' else own + its - shared)
            if found.is_cut[box]:
                overlap = max(overlap, shared / own)
            if overlap > threshold:
                break
        else:
            kept.append(int(box))
    return found.take(np.array(kept, dtype=np.int64))


def random_boxes(count: int, *, side: float, extent: float, seed: int) -> Detections:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, side, (count, 2))
    sides = random.uniform(1, extent, (count, 2))
    return detections(
        np.hstack([corners, corners + sides]),
        labels=random.integers(0, 3, count),
        # few values, so that many are equal
        scores=random.integers(0, 50, count) / 50,
    )


def clusters(count: int, *, seed: int) -> Detections:
    """Twenty guesses per object."""
    random = np.random.default_rng(seed)
    objects = random_boxes(count // 20, side=2000, extent=40, seed=seed)
    boxes = np.repeat(objects.boxes, 20, axis=0) + random.normal(0, 1.5, (count, 4))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    boxes -= boxes.min()
    return detections(
        boxes, labels=np.repeat(objects.labels, 20), scores=random.uniform(0, 1, count)
    )


def chains(count: int, *, seed: int) -> Detections:
    """Columns of boxes, each of which overlaps the next, from the top of the scene to its end."""
    random = np.random.default_rng(seed)
    columns = 20
    top = np.tile(np.arange(count // columns) * 7.0, columns)
    left = np.repeat(np.arange(columns) * 50.0, count // columns)
    scores = np.concatenate(
        [
            # falling, rising, and any: a box depends on all above, on all below, on some
            np.linspace(1, 0, count // columns),
            np.linspace(0, 1, count // columns),
            *random.uniform(0, 1, (columns - 2, count // columns)),
        ]
    )
    return detections(np.column_stack([left, top, left + 30, top + 20]), scores=scores)


SCENES = {
    'scattered': random_boxes(20_000, side=3000, extent=60, seed=0),
    'clusters': clusters(20_000, seed=1),
    'chains': chains(20_000, seed=2),
}


@pytest.mark.quick('rows-clusters', 'panels-scattered')
@pytest.mark.parametrize('scene', SCENES.values(), ids=SCENES)
@pytest.mark.parametrize('width', [np.inf, 500.0], ids=['rows', 'panels'])
def test_streamed_suppression_is_batched_nms(scene: Detections, width: float) -> None:
    for threshold in (0.2, 0.5):
        kept = stream(scene, threshold=threshold, height=128, width=width)
        assert rows_of(kept) == rows_of(at_once(scene, threshold=threshold))


BOXES = st.lists(
    st.tuples(
        st.integers(0, 60), st.integers(0, 60), st.integers(1, 30), st.integers(1, 30),
        st.integers(0, 1), st.sampled_from([0.25, 0.5, 0.75]), st.booleans(),
    ),
    max_size=40,
)  # fmt: skip


def drawn(boxes: list[tuple[Any, ...]], *, cut: bool) -> Detections:
    columns = np.array(boxes, dtype=np.float64).reshape(-1, 7)
    corners = columns[:, :2]
    return detections(
        np.hstack([corners, corners + columns[:, 2:4]]),
        labels=columns[:, 4].astype(np.int64),
        scores=columns[:, 5],
        is_cut=columns[:, 6].astype(bool) & cut,
    )


@given(
    boxes=BOXES,
    height=st.integers(5, 70),
    width=st.integers(5, 70),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
)
def test_streamed_suppression_is_the_rule(
    boxes: list[tuple[Any, ...]], height: int, width: int, threshold: float
) -> None:
    found = drawn(boxes, cut=False)
    kept = stream(found, threshold=threshold, height=height, width=width)
    assert rows_of(kept) == rows_of(at_once(found, threshold=threshold))
    found = drawn(boxes, cut=True)
    for match in ('iou', 'ios'):
        kept = stream(found, threshold=threshold, match=match, height=height, width=width)
        assert rows_of(kept) == rows_of(slowly(found, threshold=threshold, match=match))


def test_the_order_in_which_boxes_come_changes_nothing() -> None:
    found = random_boxes(3000, side=600, extent=60, seed=3)
    expected = stream(found, threshold=0.4, height=100)
    shuffled = found.take(np.random.default_rng(0).permutation(len(found)))
    other = stream(shuffled, threshold=0.4, height=100)
    np.testing.assert_array_equal(other.boxes, expected.boxes)
    np.testing.assert_array_equal(other.scores, expected.scores)


def test_equal_scores_are_decided_by_position() -> None:
    boxes = [[0, 2, 10, 12], [1, 1, 11, 11], [0, 1, 10, 11]]
    kept = stream(detections(boxes), threshold=0.3, height=100)
    assert kept.boxes.tolist() == [[0, 1, 10, 11]]


def test_a_whole_box_goes_before_a_cut_one_with_a_higher_score() -> None:
    # a fifth of the object: an overlap of 0.2 by union
    boxes, scores = [[0, 0, 20, 10], [16, 0, 20, 10]], [0.3, 0.9]
    cut = detections(boxes, scores=scores, is_cut=[False, True])
    assert stream(cut, threshold=0.5, height=100).boxes.tolist() == [boxes[0]]
    whole = detections(boxes, scores=scores)
    assert len(stream(whole, threshold=0.5, height=100)) == 2


def test_a_small_whole_box_does_not_stand_for_a_large_cut_one() -> None:
    boxes = [[0, 0, 100, 100], [40, 40, 50, 50]]
    found = detections(boxes, is_cut=[True, False])
    assert len(stream(found, threshold=0.5, height=200)) == 2


def test_the_larger_part_of_an_object_stands_for_it() -> None:
    boxes = [[0, 0, 9, 10], [0, 0, 20, 10], [12, 0, 20, 10]]
    found = detections(boxes, scores=[0.9, 0.3, 0.8], is_cut=[True] * 3)
    assert stream(found, threshold=0.5, height=100).boxes.tolist() == [boxes[1]]


def test_boxes_of_other_classes_suppress_nothing() -> None:
    found = detections([[0, 0, 10, 10]] * 3, labels=[0, 1, 1])
    assert stream(found, threshold=0.5, height=100).labels.tolist() == [0, 1]


def test_memory_holds_what_is_open_and_not_the_scene() -> None:
    """A box is settled as soon as later ones cannot reach it, unless better ones are open."""
    suppressor = Suppressor(threshold=0.5)
    most = 0
    kept = 0
    for row in range(200):
        random = np.random.default_rng(row)
        corners = random.uniform((0, row * 100), (2000, row * 100 + 100), (300, 2))
        found = detections(np.hstack([corners, corners + 30]), scores=random.uniform(0, 1, 300))
        kept += len(suppressor.add(found, open_row=(row + 1) * 100))
        most = max(most, len(suppressor))
    kept += len(suppressor.finish())
    assert kept > 30_000
    assert most < 300


def test_a_box_that_comes_too_late_is_refused() -> None:
    suppressor = Suppressor(threshold=0.5)
    suppressor.add(detections([[0, 0, 10, 10]]), open_row=20)
    with pytest.raises(ValueError, match='above the open row 20'):
        suppressor.add(detections([[0, 19, 10, 30]]), open_row=40)


@pytest.mark.parametrize('threshold', [-0.1, 1.1, float('nan')])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=r'in \[0, 1\]'):
        Suppressor(threshold=threshold)


def test_an_unknown_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="'iou' or 'ios'"):
        Suppressor(threshold=0.5, match='giou')  # type: ignore[arg-type]


def test_no_boxes_give_no_boxes() -> None:
    empty: NDArray[np.float64] = np.empty((0, 4))
    assert len(stream(detections(empty), threshold=0.5, height=10)) == 0
