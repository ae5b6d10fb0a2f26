"""Boxes of a patch in pixels of the scene."""

import pytest
import torch

from gersp_geo.inference.outputs.object_boxes import Frame
from gersp_geo.suppression import Detections
from gersp_geo.windows import Window

FRAME = Frame(height=100, width=200, score_threshold=0.5, has_background=False)
FIRST = Window(row_off=-16, col_off=-16, height=64, width=64)
MIDDLE = Window(row_off=20, col_off=50, height=64, width=64)


def locate(boxes: list[list[float]], window: Window, *, frame: Frame = FRAME) -> Detections:
    """Place boxes that are given in pixels of the scene."""
    moved = torch.tensor(boxes) - torch.tensor([window.col_off, window.row_off] * 2)
    found = {
        'boxes': moved,
        'labels': torch.arange(len(boxes)),
        'scores': torch.full((len(boxes),), 0.9),
    }
    return frame.locate(found, window, lambda _: None)


def test_what_joins_with_its_mirror_image_ends_at_the_border() -> None:
    located = locate([[-4.4, 20, 5, 30], [20, -8.3, 40, 9]], FIRST)
    assert located.boxes.tolist() == [[0, 20, 5, 30], [20, 0, 40, 9]]
    assert not located.is_cut.any()


def test_a_mirror_image_is_no_object_even_if_a_detector_is_not_exact() -> None:
    assert len(locate([[-5.2, 20, 1, 30], [20, -12, 40, -3]], FIRST)) == 0


def test_sides_of_the_scene_cut_nothing_and_those_of_patches_do() -> None:
    last = Window(row_off=52, col_off=152, height=64, width=64)
    assert not locate([[-16, -16, 10, 10]], FIRST).is_cut.any()
    assert not locate([[180, 90, 216, 116]], last).is_cut.any()
    boxes = [[50.9, 40, 60, 50], [60, 20.9, 70, 30], [90, 40, 113.1, 50], [60, 60, 70, 83.1]]
    assert locate(boxes, MIDDLE).is_cut.all()
    assert not locate([[51, 21, 113, 83]], MIDDLE).is_cut.any()


def test_boxes_end_where_their_patch_ends() -> None:
    assert locate([[40, 30, 60, 90]], MIDDLE).boxes.tolist() == [[50, 30, 60, 84]]


@pytest.mark.parametrize('has_background', [True, False])
def test_label_0_is_background_only_where_there_is_one(has_background: bool) -> None:
    frame = Frame(height=100, width=200, score_threshold=0.5, has_background=has_background)
    located = locate([[60, 30, 70, 40], [80, 30, 90, 40]], MIDDLE, frame=frame)
    assert located.labels.tolist() == ([1] if has_background else [0, 1])
