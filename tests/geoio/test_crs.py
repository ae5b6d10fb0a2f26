import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS as PyprojCRS
from pyproj import Transformer
from rasterio.crs import CRS

from gersp_geo.geoio.crs import Turn, crs_text, name_crs, same_crs, turn_of

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
    'crs',
    [
        'EPSG:32660', 'EPSG:3413', 'EPSG:3035', 'ESRI:54009', 'ESRI:54030', 'EPSG:2193',
        'EPSG:4978',
    ],
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


def spelled(code: str, version: str) -> CRS:
    """A CRS as another program writes it."""
    return CRS.from_wkt(PyprojCRS.from_user_input(code).to_wkt(version))


@pytest.mark.parametrize(
    'code', ['EPSG:32633', 'EPSG:3035', 'EPSG:31468', 'EPSG:2263', 'EPSG:4326']
)
def test_the_spelling_of_a_crs_does_not_matter(code: str) -> None:
    known = CRS.from_user_input(code)
    # EPSG:3035 and EPSG:31468 have northings first, Esri has eastings
    assert same_crs(known, spelled(code, 'WKT1_ESRI'))
    assert same_crs(spelled(code, 'WKT1_GDAL'), known)


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('EPSG:4326', 'OGC:CRS84'),
        ('EPSG:4326', '+proj=longlat +datum=WGS84'),
        ('EPSG:32633', '+proj=utm +zone=33 +datum=WGS84'),
        ('EPSG:3857', 'ESRI:102100'),
        # heights do not move a pixel
        ('EPSG:32633', 'EPSG:32633+5773'),
        ('EPSG:4326', 'EPSG:4979'),
    ],
)
def test_a_place_has_one_x_and_y(one: str, other: str) -> None:
    first, second = CRS.from_user_input(one), CRS.from_user_input(other)
    assert same_crs(first, second)
    assert same_crs(second, first)


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('EPSG:32633', 'EPSG:32632'),
        # up to a metre apart
        ('EPSG:32633', 'EPSG:25833'),
        ('EPSG:4326', 'EPSG:4258'),
        ('EPSG:3857', 'ESRI:54004'),
        # metres and US feet
        ('EPSG:32118', 'EPSG:2263'),
        ('EPSG:4326', 'EPSG:32633'),
    ],
)
def test_different_systems_are_told_apart(one: str, other: str) -> None:
    first, second = CRS.from_user_input(one), CRS.from_user_input(other)
    assert not same_crs(first, second)
    assert name_crs(first) != name_crs(second)
    assert not same_crs(first, None)
    assert same_crs(None, None)


@pytest.mark.parametrize('text', ['+proj=utm +zone=33 +ellps=WGS84', 'EPSG:32633+5773'])
def test_a_crs_without_a_code_has_a_name_of_one_line(text: str) -> None:
    name = name_crs(CRS.from_user_input(text))
    assert name not in ('unknown', 'EPSG:32633')
    assert '\n' not in name


def test_esri_text_survives_the_header() -> None:
    assert same_crs(CRS.from_wkt(crs_text(spelled('EPSG:3035', 'WKT1_ESRI'))), CRS.from_epsg(3035))
