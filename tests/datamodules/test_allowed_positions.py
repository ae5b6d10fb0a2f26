"""Where training patches may lie."""

import numpy as np
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.datamodules.allowed_positions import Territory
from gersp_geo.datamodules.ground import lay_blocks
from gersp_geo.geoio.grids import Grid


@given(
    sides=st.tuples(st.integers(5, 60), st.integers(5, 60)),
    size=st.integers(3, 20),
    extra=st.integers(0, 15),
    seed=st.integers(0, 10_000),
)
def test_positions_are_those_of_patches_on_training_ground_that_hold_the_anchor(
    sides: tuple[int, int], size: int, extra: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    height, width = sides
    grid = Grid(height=height, width=width, crs=None, transform=Affine.identity())
    blocks = lay_blocks([grid], block_size=size + extra, size=size)
    windows = [block.window for block in blocks if generator.random() < 0.6]
    ground = np.zeros(sides, dtype=bool)
    for w in windows:
        ground[w.row_off : w.row_stop, w.col_off : w.col_stop] = True
    top, left = int(generator.integers(height)), int(generator.integers(width))
    bottom = int(generator.integers(top + 1, min(top + size, height) + 1))
    right = int(generator.integers(left + 1, min(left + size, width) + 1))
    territory = Territory(windows, shape=sides, size=size)
    anchor = np.array([top, left, bottom, right])
    found: set[tuple[int, int]] = set()
    for rows, cols in territory.positions(anchor):
        inside = {(r, c) for r in range(rows[0], rows[1] + 1) for c in range(cols[0], cols[1] + 1)}
        assert inside
        assert not inside & found
        found |= inside
    expected = {
        (r, c)
        for r in range(max(height - size, 0) + 1)
        for c in range(max(width - size, 0) + 1)
        if ground[r : r + size, c : c + size].all()
        and r <= top and bottom <= r + size and c <= left and right <= c + size
    }  # fmt: skip
    assert found == expected
    # what lies on training ground and fits into a patch is shown whole by some patch
    if ground[top:bottom, left:right].all():
        assert expected
    for window in windows:
        kept = territory.reachable(anchor[None], window)
        assert len(kept) == bool(expected)
    if expected:
        assert territory.draw(anchor, generator) in expected
