"""Laws of joining overlapping patches."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from gersp_geo.inference.scene.tiling import weigh_patches
from gersp_geo.stitching import RowStitcher, axis_weights, crop_weights
from gersp_geo.tiling import TilePlan, cut_panels, plan_tile
from gersp_geo.windows import Panel


@st.composite
def plans(draw: st.DrawFn) -> TilePlan:
    size = draw(st.integers(1, 40))
    return plan_tile(
        draw(st.integers(1, 120)),
        draw(st.integers(1, 120)),
        size=size,
        overlap=draw(st.integers(0, size - 1)),
    )


def sum_over_axis(
    weights: NDArray[np.float64], offsets: Sequence[int], *, length: int
) -> NDArray[np.float64]:
    """Add the weights up, those outside the axis apart, which must be 0."""
    total = np.zeros(length)
    for offset, row in zip(offsets, weights, strict=True):
        for place, weight in enumerate(row, start=offset):
            if 0 <= place < length:
                total[place] += weight
            else:
                assert weight == 0
    return total


def unchanged(scores: Tensor) -> Tensor:
    return scores.clone()


def whole(plan: TilePlan) -> Panel:
    return Panel(col_off=0, col_stop=plan.width, patches=range(len(plan.col_offs)))


def reflected(offset: int, *, size: int, length: int) -> Tensor:
    """Where the pixels of a patch come from."""
    return torch.from_numpy(np.pad(np.arange(length), (size, size), 'reflect'))[
        offset + size : offset + 2 * size
    ]


def stitch(
    plan: TilePlan, scene: Tensor, *, blend: str, margin: int = 0, panels: Sequence[Panel] = ()
) -> Tensor:
    """Cut a scene into patches and join them."""
    weighting = weigh_patches(plan, blend=blend, margin=margin)
    stitched = torch.full_like(scene, torch.nan)
    for panel in panels or (whole(plan),):
        stitcher = RowStitcher(weighting, panel, [unchanged])
        for row, row_off in enumerate(plan.row_offs):
            rows = reflected(row_off, size=plan.size, length=plan.height)
            for col in panel.patches:
                cols = reflected(plan.col_offs[col], size=plan.size, length=plan.width)
                stitcher.add(col, scene[:, rows][:, :, cols])
                assert stitcher.open_rows <= plan.size
            ((finished,),) = stitcher.finish_row([(panel.col_off, panel.col_stop)])
            start, stop = weighting.rows.settled[row]
            stitched[:, start:stop, panel.col_off : panel.col_stop] = finished
    return stitched


@given(plans(), st.data())
def test_weights_sum_to_one_at_every_pixel(plan: TilePlan, data: st.DataObject) -> None:
    margin = data.draw(st.integers(0, plan.overlap // 2))
    for offsets, length in ((plan.row_offs, plan.height), (plan.col_offs, plan.width)):
        weights = axis_weights(offsets, size=plan.size, length=length, margin=margin)
        total = sum_over_axis(weights, offsets, length=length)
        np.testing.assert_allclose(total, 1, rtol=0, atol=1e-12)
        assert weights.min() >= 0


@given(plans())
def test_crop_weights_sum_to_one_at_every_pixel(plan: TilePlan) -> None:
    weights = crop_weights(plan.row_offs, plan.keep_rows, size=plan.size)
    assert (sum_over_axis(weights, plan.row_offs, length=plan.height) == 1).all()


@given(plans(), st.data())
def test_a_margin_has_no_weight_at_the_border_either(plan: TilePlan, data: st.DataObject) -> None:
    margin = data.draw(st.integers(0, plan.overlap // 2))
    weights = axis_weights(plan.row_offs, size=plan.size, length=plan.height, margin=margin)
    assert (weights[:, :margin] == 0).all()
    assert (weights[:, plan.size - margin :] == 0).all()


def test_weights_fall_over_the_overlap_as_half_a_hann_window() -> None:
    weights = axis_weights((0, 6), size=10, length=16)
    centres = (np.arange(4) + 0.5) / 4
    np.testing.assert_allclose(weights[1, :4], np.sin(np.pi / 2 * centres) ** 2)
    np.testing.assert_allclose(weights[0, 6:], np.cos(np.pi / 2 * centres) ** 2)
    assert (weights[0, :6] == 1).all()
    assert (weights[1, 4:] == 1).all()


@given(plans(), st.sampled_from(['hann', 'crop']), st.data())
def test_settled_rows_cover_the_tile_once_and_nothing_later_adds_to_them(
    plan: TilePlan, blend: str, data: st.DataObject
) -> None:
    margin = data.draw(st.integers(0, plan.overlap // 2))
    axis = weigh_patches(plan, blend=blend, margin=margin).rows
    covered = [row for start, stop in axis.settled for row in range(start, stop)]
    assert covered == list(range(plan.height))
    for row, (_, stop) in enumerate(axis.settled):
        assert all(first >= stop for first, _ in axis.spans[row + 1 :])


@pytest.mark.quick('hann')
@pytest.mark.parametrize('blend', ['hann', 'crop'])
@given(plan=plans(), data=st.data())
def test_patches_of_a_scene_give_the_scene_back(
    blend: str, plan: TilePlan, data: st.DataObject
) -> None:
    margin = data.draw(st.integers(0, plan.overlap // 2))
    scene = torch.rand(2, plan.height, plan.width)
    stitched = stitch(plan, scene, blend=blend, margin=margin)
    torch.testing.assert_close(stitched, scene, rtol=0, atol=1e-6)


@pytest.mark.quick('hann')
@pytest.mark.parametrize('blend', ['hann', 'crop'])
@given(plan=plans(), data=st.data())
def test_panels_change_no_bit(blend: str, plan: TilePlan, data: st.DataObject) -> None:
    scene = torch.rand(2, plan.height, plan.width)
    weighting = weigh_patches(plan, blend=blend, margin=0)
    starts = plan.col_offs if blend == 'hann' else [start for start, _ in plan.keep_cols]
    panels = cut_panels(
        weighting.cols.spans,
        [start for start in starts if 0 < start < plan.width],
        length=plan.width,
        max_width=data.draw(st.integers(1, plan.width)),
    )
    assert torch.equal(
        stitch(plan, scene, blend=blend, panels=panels), stitch(plan, scene, blend=blend)
    )


def test_a_cropped_scene_is_given_back_bit_by_bit() -> None:
    plan = plan_tile(101, 67, size=32, overlap=9)
    scene = torch.rand(3, plan.height, plan.width)
    assert torch.equal(stitch(plan, scene, blend='crop'), scene)


def test_what_has_no_weight_may_be_anything() -> None:
    plan = plan_tile(60, 60, size=32, overlap=8)
    weighting = weigh_patches(plan, blend='hann', margin=4)
    stitcher = RowStitcher(weighting, whole(plan), [unchanged])
    spoilt = torch.ones(1, 32, 32)
    spoilt[:, :, 28:] = torch.nan
    spoilt[:, 28:, :] = torch.inf
    stitcher.add(0, spoilt)
    ((rows,),) = stitcher.finish_row([(0, 60)])
    assert rows.isfinite().all()


def test_rows_before_the_first_patch_have_no_values() -> None:
    plan = plan_tile(40, 10, size=10, overlap=0)
    weighting = weigh_patches(plan, blend='hann', margin=0)
    stitcher = RowStitcher(weighting, whole(plan), [unchanged, lambda scores: scores[:1] > 2])
    assert stitcher.finish_row([]) == []
    assert stitcher.open_rows == 0
    stitcher.add(0, torch.full((1, 10, 10), 3.0))
    ((rows, large),) = stitcher.finish_row([(0, 10)])
    assert rows.shape == (1, 10, 10)
    assert (rows == 3).all()
    assert large.all()
    ((left_out, _),) = stitcher.finish_row([(0, 10)])
    assert (left_out == 0).all()


@given(plans(), st.sampled_from(['hann', 'crop']), st.data())
def test_patches_left_out_leave_no_trace(plan: TilePlan, blend: str, data: st.DataObject) -> None:
    weighting = weigh_patches(plan, blend=blend, margin=0)
    rows, cols = len(plan.row_offs), len(plan.col_offs)
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    added = random.random((rows, cols)) < data.draw(st.sampled_from([0.1, 0.5, 0.9]))
    # the weights of the patches that were added, per pixel
    share = np.zeros((plan.height, plan.width))
    for row, col in np.argwhere(added):
        weights = np.outer(weighting.rows.weights[row], weighting.cols.weights[col])
        top, left = plan.row_offs[row], plan.col_offs[col]
        for dy, dx in np.argwhere(weights > 0):
            share[top + dy, left + dx] += weights[dy, dx]
    stitcher = RowStitcher(weighting, whole(plan), [unchanged])
    found = np.zeros_like(share)
    for row in range(rows):
        for col in np.flatnonzero(added[row]):
            stitcher.add(int(col), torch.ones(1, plan.size, plan.size))
        start, stop = weighting.rows.settled[row]
        # any columns may be asked for
        middle = data.draw(st.integers(0, plan.width))
        ranges = [edges for edges in ((0, middle), (middle, plan.width)) if edges[0] < edges[1]]
        for (left, right), (values,) in zip(ranges, stitcher.finish_row(ranges), strict=False):
            found[start:stop, left:right] = values[0]
    np.testing.assert_allclose(found, share, atol=1e-5)


@given(st.integers(1, 40), st.floats(0, 0.99), st.sampled_from([0.05, 0.5, 1.0]), st.data())
def test_scores_are_sums_in_reading_order_to_the_last_bit(
    size: int, shared: float, share: float, data: st.DataObject
) -> None:
    plan = plan_tile(3 * size, 700, size=size, overlap=int(shared * size))
    weighting = weigh_patches(plan, blend='hann', margin=0)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    # -0 too, which a sum makes 0
    patch = torch.randn(2, size, size, generator=generator).round()
    added = torch.rand(len(plan.row_offs), len(plan.col_offs), generator=generator) < share
    rows, cols = weighting.rows, weighting.cols
    by_row, by_col = (torch.from_numpy(axis.weights).float() for axis in (rows, cols))
    expected = torch.zeros(2, plan.height + 2 * size, plan.width + 2 * size)
    stitcher = RowStitcher(weighting, whole(plan), [unchanged])
    found = torch.zeros(2, plan.height, plan.width)
    for row, top in enumerate(plan.row_offs):
        for col in np.flatnonzero(added[row].numpy()).tolist():
            stitcher.add(col, patch)
            place = slice(top + size, top + 2 * size), slice(plan.col_offs[col] + size, None)
            expected[:, *place][..., :size] += patch * (by_row[row, :, None] * by_col[col])
        for (values,) in stitcher.finish_row([(0, plan.width)]):
            found[:, slice(*rows.settled[row])] = values
    expected = expected[:, size:-size, size:-size]
    assert found.numpy().tobytes() == expected.numpy().tobytes()


@pytest.mark.parametrize(
    ('offsets', 'length', 'margin', 'message'),
    [
        ((0,), 11, 0, 'do not cover 11 px'),
        ((1,), 5, 0, 'do not cover'),
        ((-1, 7), 16, 2, 'without margins of 2 px do not cover'),
        ((-2, 6), 14, 2, r'at most half of what neighbours share \(2 px\), got 2'),
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
