import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.features import rasterize
from shapely import Polygon, box

from gersp_geo.labels.objects import Objects, objects_in
from gersp_geo.windows import Window

SIDE = 100.0
places = st.floats(0, SIDE, allow_subnormal=False)


@st.composite
def corners(draw: st.DrawFn) -> tuple[float, float, float, float]:
    left, top = draw(st.floats(0, SIDE - 2)), draw(st.floats(0, SIDE - 2))
    return left, top, draw(st.floats(left + 1, SIDE)), draw(st.floats(top + 1, SIDE))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    row, col = draw(st.integers(0, 90)), draw(st.integers(0, 90))
    height, width = draw(st.integers(1, 100 - row)), draw(st.integers(1, 100 - col))
    return Window(row_off=row, col_off=col, height=height, width=width)


@st.composite
def triangles(draw: st.DrawFn) -> Polygon:
    left, top, right, bottom = draw(corners())
    middle = draw(st.floats(left, right))
    return Polygon([(left, bottom), (right, bottom), (middle, top)])


def table(outlines: list[Polygon], ignored: list[bool] | None = None) -> Objects:
    count = len(outlines)
    drawn = np.empty(count, dtype=np.object_)
    drawn[:] = outlines
    flags = np.array(ignored or [False] * count, dtype=np.bool_)
    return Objects(drawn, np.arange(count, dtype=np.int64), flags)


def bounds(window: Window) -> Polygon:
    return box(window.col_off, window.row_off, window.col_stop, window.row_stop)


@given(
    st.lists(st.one_of(corners().map(lambda c: box(*c)), triangles()), min_size=1, max_size=6),
    windows(),
    st.floats(0.05, 1),
)
def test_a_cut_is_the_intersection_and_goes_back_to_its_place(
    outlines: list[Polygon], window: Window, share: float
) -> None:
    cut = objects_in(table(outlines), window, min_visible=share)
    origin = np.array([window.col_off, window.row_off])
    kept = {int(number): place for place, number in enumerate(cut.classes)}
    blank = 0
    for number, outline in enumerate(outlines):
        part = outline & bounds(window)
        if abs(part.area / outline.area - share) < 1e-6:
            return
        assert (number in kept) == (part.area / outline.area > share)
        blank += 0 < part.area / outline.area < share
        if number in kept:
            back = shapely.transform(cut.outlines[kept[number]], lambda xy: xy + origin)
            assert back.symmetric_difference(part).area < 1e-6
            put_back = cut.boxes[kept[number]] + np.tile(origin, 2)
            np.testing.assert_allclose(put_back, part.bounds, atol=1e-6, rtol=0)
            if bounds(window).covers(outline):
                np.testing.assert_allclose(put_back, outline.bounds, atol=1e-6, rtol=0)
    # a sliver may vanish in one of both
    assert abs(len(cut.blank) - blank) <= sum((o & bounds(window)).area < 1e-6 for o in outlines)


@given(st.lists(corners(), min_size=1, max_size=6), st.data(), windows())
def test_blank_pixels_lie_in_what_is_left_out_and_in_no_target(
    boxes: list[tuple[float, float, float, float]], data: st.DataObject, window: Window
) -> None:
    outlines = [box(*b) for b in boxes]
    ignored = data.draw(st.lists(st.booleans(), min_size=len(boxes), max_size=len(boxes)))
    cut = objects_in(table(outlines, ignored), window, min_visible=0.4)
    rows, cols = np.mgrid[: window.height, : window.width] + 0.5
    expected = np.zeros((window.height, window.width), dtype=np.bool_)
    for outline, is_target in [
        *((o, False) for o in cut.blank),
        *((o, True) for o in cut.outlines),
    ]:
        inside = shapely.contains_xy(outline, cols, rows)
        near = shapely.distance(outline.exterior, shapely.points(cols, rows)) < 1e-6
        if near.any():
            return
        expected = np.where(inside, not is_target, expected)
    np.testing.assert_array_equal(cut.blanked(), expected)
    assert not any(ignored[number] for number in cut.classes)


@given(st.lists(triangles(), min_size=1, max_size=4), windows())
def test_masks_are_those_of_rasterio_and_never_empty(
    outlines: list[Polygon], window: Window
) -> None:
    cut = objects_in(table(outlines), window, min_visible=0.2)
    masks = cut.masks()
    assert masks.shape == (len(cut.classes), window.height, window.width)
    for mask, outline in zip(masks, cut.outlines, strict=True):
        expected = rasterize([outline], out_shape=mask.shape, dtype='uint8')
        if expected.any():
            np.testing.assert_array_equal(mask, expected)
        assert mask.sum() >= 1


def test_an_image_without_object_shows_none() -> None:
    cut = objects_in(table([]), Window(row_off=0, col_off=0, height=4, width=5), min_visible=0.4)
    assert cut.boxes.shape == (0, 4)
    assert cut.masks().shape == (0, 4, 5)
    assert not cut.blanked().any()


@pytest.mark.parametrize('share', [0, 1.1, float('nan')])
def test_the_visible_share_is_one(share: float) -> None:
    with pytest.raises(ValueError, match=r'min_visible must be in \(0, 1\], got'):
        objects_in(table([]), Window(row_off=0, col_off=0, height=4, width=5), min_visible=share)
