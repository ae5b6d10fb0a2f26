import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.crs import CRS

from gersp_geo.geoio.turns import Turn, turn_of

DEGREES = Turn(length=360, middle=0)


@pytest.mark.parametrize(
    ('crs', 'length'),
    [
        ('EPSG:4326', 360), ('EPSG:4267', 360), ('EPSG:4807', 400), ('EPSG:4979', 360),
        ('EPSG:3857', 2 * np.pi * 6378137), ('ESRI:102113', 2 * np.pi * 6378137),
        ('+proj=merc +lon_0=150 +x_0=1e6 +units=us-ft', 2 * np.pi * 6378137 * 3937 / 1200),
        ('EPSG:4087', 2 * np.pi * 6378137), ('EPSG:6933', None),
    ],
)  # fmt: skip
def test_after_a_turn_the_same_ground_follows(crs: str, length: float | None) -> None:
    known = CRS.from_user_input(crs)
    turn = turn_of(known)
    assert turn is not None
    if length is not None:
        assert turn.length == pytest.approx(length, rel=1e-12)
    to_degrees = Transformer.from_crs(known.to_wkt(), 'EPSG:4326', always_xy=True)
    x, y = to_degrees.transform(10 / 180, 20)
    for turns in (-1, 1):
        there = to_degrees.transform(10 / 180 + turns * turn.length, 20)
        assert (there[0] - x + 180) % 360 - 180 == pytest.approx(0, abs=1e-9)
        assert there[1] == pytest.approx(y, abs=1e-9)


@pytest.mark.parametrize(
    'crs', ['EPSG:32660', 'EPSG:3413', 'EPSG:3035', 'ESRI:54009', 'ESRI:54030', 'EPSG:2193', 'EPSG:4978']
)  # fmt: skip
def test_other_coordinates_do_not_repeat_themselves(crs: str) -> None:
    assert turn_of(CRS.from_user_input(crs)) is None


def test_no_crs_has_no_turn() -> None:
    assert turn_of(None) is None


@given(x=st.floats(-2000, 2000), middle=st.floats(-500, 500))
def test_coordinates_are_moved_by_whole_turns_only(x: float, middle: float) -> None:
    moved = float(DEGREES.into(np.array([x]), middle)[0])
    assert abs(moved - middle) <= 180 + 1e-9
    assert (moved - x) / 360 == pytest.approx(round((moved - x) / 360), abs=1e-9)


@given(
    left=st.integers(-800, 800), length=st.integers(1, 500), begin=st.integers(-800, 800),
    extent=st.integers(1, 500),
)  # fmt: skip
def test_all_and_only_turns_that_meet_are_listed(
    left: int, length: int, begin: int, extent: int
) -> None:
    found = DEGREES.repeats(left, left + length, within=(begin, begin + extent))
    meeting = [
        turns
        for turns in range(-10, 11)
        if left + 360 * turns < begin + extent and left + length + 360 * turns > begin
    ]
    assert found == meeting


def test_a_line_is_unrolled_across_the_end() -> None:
    rolled = np.array([170.0, 175, 180, -175, -170, -175, 179])
    np.testing.assert_allclose(DEGREES.unroll(rolled), [170, 175, 180, 185, 190, 185, 179])
