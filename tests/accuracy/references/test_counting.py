from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.accuracy.references.counting import Tally, lay_windows, read_ahead, to_codes
from gersp_geo.geoio import read_header
from gersp_geo.geoio.write import write_raster
from gersp_geo.windows import Window


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)), st.sampled_from([3, 16, 200, 70_000]),
    st.booleans(), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_each_pair_is_counted_with_the_area_of_its_row(
    shape: tuple[int, int], most: int, is_even: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    kind = np.uint8 if most <= 255 else np.int32
    ours, theirs = random.integers(0, most, (2, *shape)).astype(kind)
    areas = np.full(shape[0], 2.0) if is_even else random.random(shape[0])
    tally = Tally(areas)
    # in two windows, one below the other
    for rows in (slice(0, shape[0] // 2), slice(shape[0] // 2, None)):
        if len(ours[rows]):
            tally.add(rows.start, ours[rows], theirs[rows])
    pairs = list(zip(ours.ravel().tolist(), theirs.ravel().tolist(), strict=True))
    assert tally.pixels == Counter(pairs)
    expected: dict[tuple[int, int], float] = {}
    for pair, area in zip(pairs, np.repeat(areas, shape[1]).tolist(), strict=True):
        expected[pair] = expected.get(pair, 0) + area
    assert tally.areas == pytest.approx(expected)


def test_measurements_are_no_classes() -> None:
    many = np.arange(1, 2001, dtype=np.int32)[None]
    with pytest.raises(ValueError, match='at most 1,024 classes'):
        Tally(np.ones(1)).add(0, many, many)


@given(st.integers(0, 255), st.booleans(), st.integers(0, 2**32 - 1))
def test_codes_are_classes_plus_one_and_0_for_nothing(top: int, has_mask: bool, seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, top + 1, (4, 5), dtype=np.uint8)
    valid = random.random((4, 5)) < 0.7 if has_mask else None
    expected = pixels.astype(int) + 1
    if valid is not None:
        expected[~valid] = 0
    assert (to_codes(pixels, valid, name='map.tif') == expected).all()


@pytest.mark.parametrize('is_small', [False, True])
def test_windows_cover_a_map_once_from_top_to_bottom(tmp_path: Path, is_small: bool) -> None:
    path = write_raster(
        tmp_path / 'map.tif', np.zeros((1100, 1500), np.uint8), crs='EPSG:32632',
        transform=Affine(2, 0, 0, 0, -2, 0), block_size=16,
    )  # fmt: skip
    windows = list(lay_windows(read_header(path), block_rows=64, is_small=is_small))
    seen = np.zeros((1100, 1500), int)
    for each in windows:
        seen[each.row_off : each.row_stop, each.col_off : each.col_stop] += 1
    assert (seen == 1).all()
    assert windows == sorted(windows, key=lambda each: (each.row_off, each.col_off))


def test_what_fails_in_a_thread_is_raised_here() -> None:
    windows = [Window(row_off=row, col_off=0, height=1, width=1) for row in range(4)]

    def read(window: Window) -> int:
        if window.row_off == 2:
            raise OSError('damaged')
        return window.row_off

    reading, found = read_ahead([read, lambda window: -window.row_off], iter(windows)), []
    with pytest.raises(OSError, match='damaged'):
        found += [each for _, each in reading]
    assert [each for _, each in read_ahead([read], iter(windows[:2]))] == [[0], [1]]
