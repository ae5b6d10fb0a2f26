from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS as PyprojCRS
from rasterio.crs import CRS

from gersp_geo.geoio.read.reader import RasterHeader
from gersp_geo.geoio.warp.alignment import on_one_grid
from gersp_geo.geoio.warp.grids import corner_offsets, describe_shift, name_crs, same_crs
from gersp_geo.geoio.wkt import crs_text

HEADER = RasterHeader(
    height=200,
    width=300,
    count=1,
    dtype='uint8',
    crs=CRS.from_epsg(32633),
    transform=Affine(2, 0, 4e5, 0, -2, 5e6),
    nodata=None,
    descriptions=(None,),
    alpha=(),
    block_shape=(200, 300),
)


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
    assert on_one_grid(replace(HEADER, crs=first), replace(HEADER, crs=second))


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


@given(
    cols=st.floats(-50, 50),
    rows=st.floats(-50, 50),
    res=st.sampled_from([1e-4, 0.05, 10.0, 1000.0]),
    up=st.booleans(),
)
def test_offsets_are_in_pixels_whatever_their_size(
    cols: float, rows: float, res: float, up: bool
) -> None:
    transform = Affine(res, 0, 4e5, 0, res if up else -res, 5e6)
    one = replace(HEADER, transform=transform)
    x, y = transform @ (cols, rows)
    other = replace(HEADER, transform=Affine(res, 0, x, 0, transform.e, y))
    offsets = corner_offsets(one, other)
    # coordinates of 5e6 m have nine digits behind the point
    np.testing.assert_allclose(offsets, [(cols, rows)] * 4, atol=1e-9 / res + 1e-9)
    farthest = max(abs(cols), abs(rows))
    if abs(farthest - 0.01) > 1e-4:
        assert on_one_grid(one, other) == (farthest < 0.01)


def test_differences_of_size_add_up_to_the_far_corner() -> None:
    # a thousandth of a pixel in all, then 0.03
    nearly = replace(HEADER, transform=HEADER.transform @ Affine.scale(1 + 1e-3 / 300, 1))
    assert describe_shift(HEADER, nearly, name='a.tif') is None
    wider = replace(HEADER, transform=HEADER.transform @ Affine.scale(1.0001, 1))
    text = describe_shift(HEADER, wider, name='a.tif')
    assert text == (
        'has pixels 1.0001 times as wide and 1.0 times as high as a.tif, '
        'with a corner 0.03 pixels off'
    )


def test_grids_with_rows_upward_are_compared_likewise() -> None:
    upward = replace(HEADER, transform=Affine(2, 0, 4e5, 0, 2, 5e6))
    higher = replace(HEADER, transform=Affine(2, 0, 4e5, 0, 2, 5e6 + 4))
    assert describe_shift(upward, higher, name='a') == 'lies 0.0 pixels east and 2.0 north of a'
    assert describe_shift(upward, HEADER, name='a') == 'counts its rows from the other side than a'


def test_esri_text_survives_the_header() -> None:
    assert same_crs(CRS.from_wkt(crs_text(spelled('EPSG:3035', 'WKT1_ESRI'))), CRS.from_epsg(3035))
