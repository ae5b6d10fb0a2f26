import pytest

from gersp_geo.bands import are_colors, color_order, find_colors, shown_bands


@pytest.mark.parametrize(
    ('names', 'answer'),
    [
        (('red', 'green', 'blue'), True),
        (('Blue', 'Green', 'Red'), True),
        (('B04', 'B03', 'B02'), True),
        (('band_1', 'band_2', 'band_3'), None),
        (('Red (pan-sharpened)', 'Green (pan-sharpened)', 'Blue (pan-sharpened)'), None),
        (('B3', 'B2', 'B1'), None),
        (('VV', 'VH', 'ratio'), False),
        (('sigma0_VV', 'sigma0_VH', 'x'), False),
        (('nir', 'red', 'green'), False),
        (('Red edge 1', 'Green', 'Blue'), False),
        (('B8', 'B4', 'B3'), False),
        (('elevation', 'slope', 'aspect'), False),
        (('red', 'green', 'blue', 'nir'), False),
        (('red',), False),
    ],
)
def test_names_tell_colours_as_far_as_they_do(names: tuple[str, ...], answer: bool | None) -> None:
    assert are_colors(names) is answer


def test_colours_are_found_in_any_order_and_case() -> None:
    assert find_colors(('NIR', 'Blue', 'Green', 'Red')) == (3, 2, 1)
    assert find_colors(('B2', 'B3', 'B4', 'B8')) == (2, 1, 0)
    assert find_colors(('red', 'green')) is None


@pytest.mark.parametrize(
    ('bands', 'order'),
    [
        (('red', 'green', 'blue'), (0, 1, 2)),
        (('blue', 'green', 'red'), (2, 1, 0)),
        (('Green', 'BLUE', 'red'), (2, 0, 1)),
        (('nir', 'red', 'green'), (0, 1, 2)),
        (('blue', 'green', 'red', 'nir'), (0, 1, 2)),
        (('B', 'G', 'R'), (2, 1, 0)),
        ((), (0, 1, 2)),
    ],
)
def test_the_order_of_three_colours_follows_from_their_names(
    bands: tuple[str, ...], order: tuple[int, ...]
) -> None:
    assert color_order(bands) == order


def test_pictures_show_red_green_and_blue_else_the_first_bands() -> None:
    assert shown_bands(('B08', 'B02', 'B03', 'B04')) == (3, 2, 1)
    assert shown_bands((None,) * 4, ('blue', 'green', 'red', 'undefined')) == (2, 1, 0)
    assert shown_bands(('Blue', None, 'red'), ('undefined', 'green', 'blue')) == (2, 1, 0)
    # names say more than colours that a format gives to the first three bands
    assert shown_bands(('nir', 'red', 'green'), ('red', 'green', 'blue')) == (0, 1, 2)
    assert shown_bands(('vv', 'vh')) == (0,)
    assert shown_bands((None,)) == (0,)
