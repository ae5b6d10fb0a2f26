import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.datamodules.ground import grid_windows, lay_blocks, split_blocks
from gersp_geo.geoio.grids import Grid
from gersp_geo.windows import Window

SIDES = st.integers(1, 90)


def unplaced(*shapes: tuple[int, int]) -> list[Grid]:
    return [Grid(height=h, width=w, crs=None, transform=Affine.identity()) for h, w in shapes]


@given(
    shapes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3),
    size=st.integers(1, 40),
    extra=st.integers(0, 40),
)
def test_blocks_cover_every_pixel_once_and_hold_a_patch(
    shapes: list[tuple[int, int]], size: int, extra: int
) -> None:
    blocks = lay_blocks(unplaced(*shapes), block_size=size + extra, size=size)
    for tile, (height, width) in enumerate(shapes):
        covered = np.zeros((height, width), dtype=int)
        for block in blocks:
            if block.tile == tile:
                w = block.window
                covered[w.row_off : w.row_stop, w.col_off : w.col_stop] += 1
                assert w.height >= min(size, height)
                assert w.width >= min(size, width)
        assert (covered == 1).all()


@pytest.mark.parametrize('size', [0, 65])
def test_a_patch_wider_than_a_block_raises(size: int) -> None:
    with pytest.raises(ValueError, match=r'size must be in \[1, block_size=0\]'):
        lay_blocks(unplaced((100, 100)), block_size=0, size=size)
    with pytest.raises(ValueError, match=r'size must be in \[1, block_size=64\]'):
        lay_blocks(unplaced((100, 100)), block_size=64, size=size)


@given(
    weights=st.lists(st.integers(0, 50), min_size=3, max_size=40),
    val=st.sampled_from([0.0, 0.2, 0.5]),
    test=st.sampled_from([0.0, 0.1, 0.4]),
    seed=st.integers(0, 5),
)
def test_each_labelled_block_is_in_one_split_and_shares_are_met(
    weights: list[int], val: float, test: float, seed: int
) -> None:
    labelled = [i for i, weight in enumerate(weights) if weight]
    if len(labelled) < 3:
        return
    split = split_blocks(weights, val_split=val, test_split=test, seed=seed)
    assert sorted(split.train + split.val + split.test) == labelled
    assert split == split_blocks(weights, val_split=val, test_split=test, seed=seed)
    assert split.train
    for share, part in ((val, split.val), (test, split.test)):
        assert bool(part) == (share > 0)
        # one block more or less would not have been closer, unless another split needs it
        miss = abs(sum(weights[i] for i in part) - share * sum(weights))
        if len(part) > 1 and len(split.train) > 1:
            assert miss <= max(weights) / 2 or len(split.train) + len(split.val) <= 2


def test_other_seeds_split_otherwise() -> None:
    splits = {split_blocks([1] * 20, val_split=0.3, test_split=0, seed=seed) for seed in range(5)}
    assert len(splits) == 5
    assert {len(split.val) for split in splits} == {6}


def test_too_few_blocks_or_no_training_share_raise() -> None:
    with pytest.raises(ValueError, match='1 blocks with labels are too few for 2 splits'):
        split_blocks([0, 9, 0], val_split=0.2, test_split=0, seed=0)
    with pytest.raises(ValueError, match='leave a part for training'):
        split_blocks([1, 1, 1], val_split=0.5, test_split=0.5, seed=0)


@given(
    row=SIDES,
    col=SIDES,
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.integers(1, 40),
)
def test_grid_patches_cover_their_block_and_stay_inside(
    row: int, col: int, height: int, width: int, size: int
) -> None:
    block = Window(row_off=row, col_off=col, height=height, width=width)
    covered = np.zeros((row + max(height, size), col + max(width, size)), dtype=int)
    for window in grid_windows(block, size=size):
        assert (window.height, window.width) == (size, size)
        assert window.row_off >= row
        assert window.row_stop <= max(block.row_stop, row + size)
        assert window.col_off >= col
        assert window.col_stop <= max(block.col_stop, col + size)
        covered[window.row_off : window.row_stop, window.col_off : window.col_stop] += 1
    assert (covered[row : row + height, col : col + width] > 0).all()
