from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.geoio.read.chips import cover, read_chip

SIDE = 24


@pytest.mark.parametrize('kind', ['nodata', 'mask', 'NaN'])
@pytest.mark.parametrize('size', [SIDE, SIDE // 2, 2 * SIDE, 7])
def test_pixels_without_observation_are_told_and_stay_out_of_the_others(
    kind: str, size: int, tmp_path: Path
) -> None:
    dtype = 'float32' if kind == 'NaN' else 'int16'
    pixels = np.full((2, SIDE, SIDE), 100, dtype=dtype)
    pixels[:, :8] = np.nan if kind == 'NaN' else -9999
    nodata = {'nodata': -9999, 'mask': None, 'NaN': np.nan}[kind]
    path = tmp_path / 'chip.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', count=2, height=SIDE, width=SIDE, dtype=dtype, nodata=nodata
    ) as dst:
        dst.write(pixels)
        if kind == 'mask':
            dst.write_mask(np.arange(SIDE)[:, None].repeat(SIDE, axis=1) >= 8)
    chip, valid = read_chip(path, size=size, bands=[1, 2], dtype=dtype)
    assert chip.shape == (2, size, size)
    first = 8 * size // SIDE
    assert valid[first:].all()
    assert not valid[:first].any()
    assert (chip[:, valid] == 100).all()


@given(
    st.integers(1, 12).flatmap(
        lambda side: st.lists(st.booleans(), min_size=side**2, max_size=side**2)
    ),
    st.integers(1, 20),
)
def test_a_resized_pixel_is_an_observation_if_any_below_it_is(valid: list[bool], size: int) -> None:
    side = int(len(valid) ** 0.5)
    square = np.array(valid).reshape(side, side)
    found = cover(square, size=size)
    for row in range(size):
        for col in range(size):
            rows = [
                r
                for r in range(side)
                if (r + 1) * size > row * side and r * size < (row + 1) * side
            ]
            cols = [
                c
                for c in range(side)
                if (c + 1) * size > col * side and c * size < (col + 1) * side
            ]
            assert found[row, col] == square[np.ix_(rows, cols)].any()
