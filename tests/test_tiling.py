"""Laws of cutting a tile into patches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gersp_geo.tiling import TilePlan, plan_tile


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    size = draw(st.integers(1, 40))
    return plan_tile(
        draw(st.integers(1, 150)),
        draw(st.integers(1, 150)),
        size=size,
        overlap=draw(st.integers(0, size - 1)),
    )


@settings(max_examples=50, deadline=None)
@given(plans())
def test_keep_windows_cover_each_pixel_once(plan: TilePlan) -> None:
    hits = np.zeros((plan.height, plan.width), dtype=int)
    for patch in plan.patches:
        keep = patch.keep
        assert keep.height > 0
        assert keep.width > 0
        hits[keep.row_off : keep.row_stop, keep.col_off : keep.col_stop] += 1
    assert (hits == 1).all()


@settings(max_examples=50, deadline=None)
@given(plans())
def test_a_patch_keeps_only_what_it_reads(plan: TilePlan) -> None:
    for patch in plan.patches:
        read, keep = patch.read, patch.keep
        assert (read.height, read.width) == (plan.size, plan.size)
        assert read.row_off <= keep.row_off < keep.row_stop <= read.row_stop
        assert read.col_off <= keep.col_off < keep.col_stop <= read.col_stop


@settings(max_examples=50, deadline=None)
@given(plans())
def test_patches_lie_inside_unless_the_tile_is_narrower(plan: TilePlan) -> None:
    for offsets, length in ((plan.row_offs, plan.height), (plan.col_offs, plan.width)):
        assert offsets[0] == 0
        assert offsets[-1] == max(length - plan.size, 0)
        assert len(offsets) == 1 or length > plan.size


@settings(max_examples=50, deadline=None)
@given(plans())
def test_neighbours_share_at_least_the_overlap_and_only_the_last_more(plan: TilePlan) -> None:
    for offsets in (plan.row_offs, plan.col_offs):
        steps = np.diff(offsets)
        assert (steps[:-1] == plan.size - plan.overlap).all()
        assert (steps[-1:] <= plan.size - plan.overlap).all()
        assert (steps >= 1).all()


def test_the_number_of_patches_is_known_without_listing_them() -> None:
    plan = plan_tile(100, 65, size=64, overlap=16)
    assert len(plan) == len(list(plan.patches)) == 4


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
