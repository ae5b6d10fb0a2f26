"""Every object once, none lost, wherever patches cut the scene."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gersp_geo.inference import detect_objects
from gersp_geo.inference.options import ObjectOptions
from gersp_geo.inference.outputs.object_summary import DetectionSummary
from gersp_geo.inference.outputs.objects import ObjectMaker
from gersp_geo.inference.prepare import prepare
from tests.inference.detection.detectors import GRID, RECORD, Box, Exact, draw, plant, write_scene


def find(
    folder: Path, shape: tuple[int, int], boxes: list[Box], *, size: int, overlap: int, **more: Any
) -> tuple[DetectionSummary, list[Box]]:
    """Detect planted rectangles, and return boxes in pixels of the scene."""
    source = write_scene(folder / 'scene.tif', draw(shape, boxes))
    destination = folder / 'objects.gpkg'
    options: dict[str, Any] = {'preprocessing': RECORD, 'threads': 1, **more}
    summary = detect_objects(
        Exact(), source, destination, size=size, overlap=overlap, overwrite=True, progress=False,
        **options,
    )  # fmt: skip
    bounds = geopandas.read_file(destination).bounds.to_numpy()
    left, bottom, right, top = bounds.T
    cols = (np.stack([left, right]) - GRID.c) / GRID.a
    rows = (np.stack([top, bottom]) - GRID.f) / GRID.e
    found = np.stack([cols[0], rows[0], cols[1], rows[1]], axis=1)
    # half a pixel is what is promised; the rounding of coordinates is all there is
    np.testing.assert_allclose(found, np.round(found), atol=1e-3)
    return summary, sorted(map(tuple, np.round(found).astype(int).tolist()))


@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    largest=st.integers(1, 30),
    spare=st.integers(0, 20),
    step=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
    match=st.sampled_from(['iou', 'ios']),
)
def test_every_object_is_found_once_where_it_is(
    tmp_path: Path,
    shape: tuple[int, int],
    largest: int,
    spare: int,
    step: int,
    seed: int,
    match: str,
) -> None:
    random = np.random.default_rng(seed)
    boxes = plant(
        shape, 25, largest=largest, integer=lambda low, high: int(random.integers(low, high + 1))
    )
    overlap = largest + spare
    assume((shape[0] / step) * (shape[1] / step) < 2000)
    summary, found = find(
        tmp_path, shape, boxes, size=overlap + step, overlap=overlap, match=match, batch_size=7
    )
    assert found == sorted(boxes)
    assert summary.objects == len(boxes)
    if spare:
        # with none to spare, an object may end where a patch does
        assert summary.cut == 0
        assert summary.notes == ()


@pytest.mark.parametrize(
    'box',
    [
        (50, 20, 60, 30),
        (20, 50, 30, 60),
        (49, 49, 63, 63),
        (0, 0, 14, 14),
        (186, 186, 200, 200),
        (0, 50, 14, 60),
    ],
    ids=['side', 'lower side', 'corner', 'corner of the scene', 'its other corner', 'both'],
)
def test_an_object_across_sides_and_corners_is_whole(tmp_path: Path, box: Box) -> None:
    summary, found = find(tmp_path, (200, 200), [box], size=64, overlap=16)
    assert found == [box]
    assert summary.boxes > 1 or box[0] in (0, 186)
    assert summary.cut == 0


def test_an_overlap_that_is_too_small_is_said(tmp_path: Path) -> None:
    boxes = [(75, 75, 130, 130), (10, 10, 15, 15)]
    summary, found = find(tmp_path, (200, 200), boxes, size=64, overlap=16)
    assert boxes[1] in found
    assert summary.cut == len(found) - 1 > 0
    (note,) = summary.notes
    assert 'overlap of 16 px is too small' in note
    assert note in str(summary)
    summary, found = find(tmp_path, (200, 200), boxes, size=64, overlap=56)
    assert (found, summary.notes) == (sorted(boxes), ())


@given(
    overlap=st.integers(0, 20),
    step=st.integers(5, 40),
    largest=st.integers(10, 60),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_is_too_large_is_found_in_parts_and_said(
    tmp_path: Path, overlap: int, step: int, largest: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    boxes = plant(
        (100, 120), 12, largest=largest,
        integer=lambda low, high: int(random.integers(low, high + 1)),
    )  # fmt: skip
    summary, found = find(tmp_path, (100, 120), boxes, size=overlap + step, overlap=overlap)
    parts = set(found) - set(boxes)
    assert summary.cut >= len(parts)
    assert bool(summary.notes) == (summary.cut > 0)
    for left, top, right, bottom in boxes:
        inside = [
            b for b in found if left <= b[0] and top <= b[1] and b[2] <= right and b[3] <= bottom
        ]
        assert inside
        if max(right - left, bottom - top) < overlap:
            assert inside == [(left, top, right, bottom)]


def test_panels_change_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    boxes = plant(
        (150, 400), 200, largest=15,
        integer=lambda low, high: int(random.integers(low, high + 1)),
    )  # fmt: skip
    options: dict[str, Any] = {'size': 64, 'overlap': 16}
    _, whole = find(tmp_path, (150, 400), boxes, **options)
    limited = ObjectOptions(**options, memory_limit='100KiB', preprocessing=RECORD)
    planned = prepare(
        ObjectMaker, Exact(), tmp_path / 'scene.tif', tmp_path / 'other.gpkg', limited
    )
    assert len(planned.panels) > 2
    # no column of patches is forwarded twice
    assert sum(len(panel.patches) for panel in planned.panels) == len(planned.tiles.col_offs)
    _, panels = find(
        tmp_path, (150, 400), boxes, **options, memory_limit='100KiB',
    )  # fmt: skip
    assert panels == whole == sorted(boxes)
