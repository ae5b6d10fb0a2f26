"""Laws of blending overlapping patches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gersp_geo.stitching import RowStitcher, axis_weights, crop_weights
from gersp_geo.tiling import TilePlan, plan_tile


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    size = draw(st.integers(1, 24))
    return plan_tile(
        draw(st.integers(1, 60)),
        draw(st.integers(1, 60)),
        size=size,
        overlap=draw(st.integers(0, size - 1)),
    )


def sum_over_axis(
    weights: NDArray[np.float64], offsets: tuple[int, ...], *, length: int
) -> NDArray[np.float64]:
    size = weights.shape[1]
    total = np.zeros(max(length, size))
    for offset, row in zip(offsets, weights, strict=True):
        total[offset : offset + size] += row
    assert (total[length:] == 0).all()
    return total[:length]


def stitcher_for(plan: TilePlan, *, blend: str, margin: int = 0) -> RowStitcher:
    if blend == 'crop':
        row_weights = crop_weights(plan.row_offs, plan.keep_rows, size=plan.size)
        col_weights = crop_weights(plan.col_offs, plan.keep_cols, size=plan.size)
    else:
        row_weights, col_weights = (
            axis_weights(offsets, size=plan.size, length=length, margin=margin)
            for offsets, length in ((plan.row_offs, plan.height), (plan.col_offs, plan.width))
        )
    return RowStitcher(
        row_offs=plan.row_offs,
        row_weights=row_weights,
        col_offs=plan.col_offs,
        col_weights=col_weights,
        height=plan.height,
        width=plan.width,
    )


def stitch(plan: TilePlan, scene: torch.Tensor, stitcher: RowStitcher) -> torch.Tensor:
    padded = torch.zeros(
        len(scene), max(plan.height, plan.size), max(plan.width, plan.size), dtype=scene.dtype
    )
    padded[:, : plan.height, : plan.width] = scene
    rows = []
    for row_off in plan.row_offs:
        for col, col_off in enumerate(plan.col_offs):
            patch = padded[:, row_off : row_off + plan.size, col_off : col_off + plan.size]
            stitcher.add(col, patch)
            assert stitcher.open_rows <= plan.size
        finished = stitcher.finish_row()
        assert finished is not None
        rows.append(finished)
    return torch.cat(rows, dim=1)


@settings(max_examples=100, deadline=None)
@given(plans(), st.data())
def test_weights_sum_to_one_at_every_pixel(plan: TilePlan, data: st.DataObject) -> None:
    margin = data.draw(st.integers(0, plan.overlap // 2))
    for offsets, length in ((plan.row_offs, plan.height), (plan.col_offs, plan.width)):
        weights = axis_weights(offsets, size=plan.size, length=length, margin=margin)
        total = sum_over_axis(weights, offsets, length=length)
        np.testing.assert_allclose(total, 1, rtol=0, atol=1e-12)
        assert weights.min() >= 0


@settings(max_examples=50, deadline=None)
@given(plans())
def test_crop_weights_sum_to_one_at_every_pixel(plan: TilePlan) -> None:
    weights = crop_weights(plan.row_offs, plan.keep_rows, size=plan.size)
    assert (sum_over_axis(weights, plan.row_offs, length=plan.height) == 1).all()


@settings(max_examples=50, deadline=None)
@given(plans(), st.data())
def test_a_margin_has_no_weight_except_at_the_border(plan: TilePlan, data: st.DataObject) -> None:
    margin = data.draw(st.integers(0, plan.overlap // 2))
    weights = axis_weights(plan.row_offs, size=plan.size, length=plan.height, margin=margin)
    assert (weights[1:, :margin] == 0).all()
    assert (weights[:-1, plan.size - margin :] == 0).all()
    assert weights[0, 0] > 0


def test_weights_fall_over_the_overlap_as_half_a_hann_window() -> None:
    weights = axis_weights((0, 6), size=10, length=16)
    centres = (np.arange(4) + 0.5) / 4
    np.testing.assert_allclose(weights[1, :4], np.sin(np.pi / 2 * centres) ** 2)
    np.testing.assert_allclose(weights[0, 6:], np.cos(np.pi / 2 * centres) ** 2)
    assert (weights[0, :6] == 1).all()
    assert (weights[1, 4:] == 1).all()


@pytest.mark.parametrize('blend', ['hann', 'crop'])
@settings(max_examples=30, deadline=None)
@given(plan=plans())
def test_patches_of_a_scene_give_the_scene_back(blend: str, plan: TilePlan) -> None:
    scene = torch.rand(2, plan.height, plan.width)
    stitched = stitch(plan, scene, stitcher_for(plan, blend=blend))
    torch.testing.assert_close(stitched, scene, rtol=0, atol=1e-6)


def test_a_cropped_scene_is_given_back_bit_by_bit() -> None:
    plan = plan_tile(101, 67, size=32, overlap=9)
    scene = torch.rand(3, plan.height, plan.width)
    assert torch.equal(stitch(plan, scene, stitcher_for(plan, blend='crop')), scene)


def test_what_has_no_weight_may_be_anything() -> None:
    plan = plan_tile(60, 60, size=32, overlap=8)
    stitcher = stitcher_for(plan, blend='hann', margin=4)
    spoilt = torch.ones(1, 32, 32)
    spoilt[:, :, 28:] = torch.nan
    spoilt[:, 28:, :] = torch.inf
    stitcher.add(0, spoilt)
    rows = stitcher.finish_row()
    assert rows is not None
    assert rows.isfinite().all()


def test_rows_before_the_first_patch_have_no_scores() -> None:
    plan = plan_tile(40, 10, size=10, overlap=0)
    stitcher = stitcher_for(plan, blend='hann')
    assert stitcher.finish_row() is None
    assert stitcher.open_rows == 0
    stitcher.add(0, torch.full((1, 10, 10), 3.0))
    rows = stitcher.finish_row()
    assert rows is not None
    assert rows.shape == (1, 10, 10)
    assert (rows == 3).all()
    left_out = stitcher.finish_row()
    assert left_out is not None
    assert (left_out == 0).all()


@pytest.mark.parametrize(
    ('offsets', 'length', 'margin', 'message'),
    [
        ((0,), 11, 0, 'do not cover 11 px'),
        ((1,), 5, 0, 'do not cover'),
        ((0, 8), 18, 2, r'at most half of what neighbours share \(2 px\), got 2'),
        ((0, 12), 22, 0, 'at most half of what neighbours share'),
        ((0, 8), 18, -1, 'margin must be >= 0, got -1'),
    ],
)
def test_patches_that_leave_a_gap_are_refused(
    offsets: tuple[int, ...], length: int, margin: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        axis_weights(offsets, size=10, length=length, margin=margin)


def test_crop_needs_a_range_per_patch() -> None:
    with pytest.raises(ValueError, match=r'one range per patch \(2\), got 1'):
        crop_weights((0, 5), ((0, 5),), size=5)
