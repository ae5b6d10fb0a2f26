"""Laws of cutting a tile into patches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.tiling import TilePlan, cut_panels, plan_tile


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    size = draw(st.integers(1, 40))
    return plan_tile(
        draw(st.integers(1, 150)),
        draw(st.integers(1, 150)),
        size=size,
        overlap=draw(st.integers(0, size - 1)),
    )


@given(plans())
def test_keep_windows_cover_each_pixel_once(plan: TilePlan) -> None:
    hits = np.zeros((plan.height, plan.width), dtype=int)
    for patch in plan.patches:
        keep = patch.keep
        assert keep.height > 0
        assert keep.width > 0
        hits[keep.row_off : keep.row_stop, keep.col_off : keep.col_stop] += 1
    assert (hits == 1).all()


@given(plans())
def test_a_patch_keeps_only_what_it_reads(plan: TilePlan) -> None:
    for patch in plan.patches:
        read, keep = patch.read, patch.keep
        assert (read.height, read.width) == (plan.size, plan.size)
        assert read.row_off <= keep.row_off < keep.row_stop <= read.row_stop
        assert read.col_off <= keep.col_off < keep.col_stop <= read.col_stop


@given(plans())
def test_patches_reach_half_an_overlap_beyond_the_tile(plan: TilePlan) -> None:
    half = plan.overlap // 2
    for offsets, length in ((plan.row_offs, plan.height), (plan.col_offs, plan.width)):
        assert offsets[0] == -half
        assert offsets[-1] == max(length + half - plan.size, -half)


@given(plans())
def test_a_kept_pixel_sees_half_an_overlap_around_it(plan: TilePlan) -> None:
    half = plan.overlap // 2
    for patch in plan.patches:
        read, keep = patch.read, patch.keep
        assert keep.row_off - read.row_off >= half
        assert keep.col_off - read.col_off >= half
        assert read.row_stop - keep.row_stop >= half
        assert read.col_stop - keep.col_stop >= half


@given(plans())
def test_neighbours_share_at_least_the_overlap_and_only_the_last_more(plan: TilePlan) -> None:
    for offsets in (plan.row_offs, plan.col_offs):
        steps = np.diff(offsets)
        assert (steps[:-1] == plan.size - plan.overlap).all()
        assert (steps[-1:] <= plan.size - plan.overlap).all()
        assert (steps >= 1).all()


@given(plans(), st.data())
def test_panels_cover_the_columns_once_and_know_their_patches(
    plan: TilePlan, data: st.DataObject
) -> None:
    spans = plan.keep_cols
    cuts = [start for start, _ in spans][1:]
    panels = cut_panels(
        spans, cuts, length=plan.width, max_width=data.draw(st.integers(1, plan.width))
    )
    covered = [col for panel in panels for col in range(panel.col_off, panel.col_stop)]
    assert covered == list(range(plan.width))
    for panel in panels:
        touching = [
            col
            for col, (first, stop) in enumerate(spans)
            if first < panel.col_stop and stop > panel.col_off
        ]
        assert list(panel.patches) == touching


def test_panels_are_of_about_one_width() -> None:
    spans = [(start, start + 10) for start in range(0, 100, 10)]
    panels = cut_panels(spans, range(10, 100, 10), length=100, max_width=45)
    assert [panel.width for panel in panels] == [30, 40, 30]
    assert len(cut_panels(spans, range(10, 100, 10), length=100, max_width=100)) == 1
    with pytest.raises(ValueError, match='max_width must be >= 1, got 0'):
        cut_panels(spans, (), length=100, max_width=0)


@given(st.integers(1, 300), st.integers(1, 6), st.integers(1, 6), st.integers(0, 30))
def test_patches_begin_at_multiples_of_a_step(
    length: int, step: int, strides: int, overlap: int
) -> None:
    plan = plan_tile(length, length, size=overlap + strides * step, overlap=overlap, step=step)
    half = overlap // 2
    assert all(offset % step == 0 for offset in plan.row_offs)
    assert half <= -plan.row_offs[0] < half + step
    assert plan.row_offs[-1] + plan.size >= length + half
    steps = np.diff(plan.row_offs)
    assert (steps >= 1).all()
    assert (steps <= plan.size - overlap).all()
    for (start, stop), offset in zip(plan.keep_rows, plan.row_offs, strict=True):
        assert start < stop
        assert offset + half <= start
        assert stop <= offset + plan.size - half


def test_the_number_of_patches_is_known_without_listing_them() -> None:
    plan = plan_tile(100, 65, size=64, overlap=16)
    assert len(plan) == len(list(plan.patches)) == 6


@pytest.mark.parametrize(
    ('height', 'size', 'overlap', 'message'),
    [
        (10, 64, 64, r'overlap must be in \[0, size=64\), got 64'),
        (10, 64, -1, r'overlap must be in \[0, size=64\), got -1'),
        (10, 0, 0, 'size must be >= 1, got 0'),
        (0, 64, 0, 'height must be >= 1, got 0'),
    ],
)
def test_impossible_plans_are_refused(height: int, size: int, overlap: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan_tile(height, 10, size=size, overlap=overlap)
