"""Laws of matching bands: by name, by number, or not at all."""

import pytest
from affine import Affine

from gersp_geo.geoio.read.reader import RasterHeader
from gersp_geo.inference.scene.bands import describe_bands, select_bands
from gersp_geo.preprocessing import Preprocessing

RGB = Preprocessing(bands=('red', 'green', 'blue'), scale=(1,) * 3, mean=(0,) * 3, std=(1,) * 3)


def header_of(
    *names: str | None, alpha: tuple[int, ...] = (), colors: tuple[str, ...] = ()
) -> RasterHeader:
    return RasterHeader(
        height=10,
        width=10,
        count=len(names),
        dtype='uint8',
        crs=None,
        transform=Affine.identity(),
        nodata=None,
        descriptions=names,
        alpha=alpha,
        block_shape=(10, 10),
        interpretations=colors,
    )


def record_of(*bands: str) -> Preprocessing:
    ones = (1.0,) * len(bands)
    return Preprocessing(bands=bands, scale=ones, mean=ones, std=ones)


def test_named_bands_are_taken_in_the_order_of_the_model() -> None:
    scene = header_of('blue', 'green', 'red', 'nir')
    assert select_bands(scene, RGB, bands=None, source='a.tif') == (3, 2, 1)


def test_unnamed_bands_are_taken_in_order_if_their_number_is_right() -> None:
    assert select_bands(header_of(None, None, None), RGB, bands=None, source='a.tif') == (1, 2, 3)


def test_transparency_is_no_band() -> None:
    scene = header_of(None, None, None, None, alpha=(4,))
    assert select_bands(scene, RGB, bands=None, source='a.tif') == (1, 2, 3)


def test_a_named_band_is_taken_although_it_is_tagged_as_alpha() -> None:
    four = Preprocessing(
        bands=('red', 'green', 'blue', 'nir'), scale=(1,) * 4, mean=(0,) * 4, std=(1,) * 4
    )
    scene = header_of('red', 'green', 'blue', 'nir', alpha=(4,))
    assert select_bands(scene, four, bands=None, source='a.tif') == (1, 2, 3, 4)
    # one without a name may be transparency
    unnamed = header_of(None, None, None, None, alpha=(4,))
    with pytest.raises(ValueError, match=r'4 \(unnamed\) \(tagged as alpha\); pass bands'):
        select_bands(unnamed, four, bands=None, source='a.tif')


def test_bands_given_are_taken_whatever_the_names() -> None:
    scene = header_of('red', 'green', 'blue', 'nir')
    assert select_bands(scene, RGB, bands=(4, 3, 2), source='a.tif') == (4, 3, 2)


@pytest.mark.parametrize(
    ('names', 'present'),
    [
        ((None, None), r'1 \(unnamed\), 2 \(unnamed\)'),
        ((None,) * 4, r'4 \(unnamed\)'),
        (('B4', 'B3', 'B2'), 'B4, B3, B2'),
        (('red', 'green', None), r'red, green, 3 \(unnamed\)'),
        (('red', 'green', 'blue', 'red'), 'red, green, blue, red'),
    ],
)
def test_nothing_is_guessed_where_names_and_numbers_do_not_decide(
    names: tuple[str | None, ...], present: str
) -> None:
    advice = r'pass bands \(--bands' if len(names) >= 3 else 'it has 2 bands, the model needs 3'
    message = rf'wants the bands red, green, blue, but a\.tif has .*{present}; {advice}'
    with pytest.raises(ValueError, match=message):
        select_bands(header_of(*names), RGB, bands=None, source='a.tif')


@pytest.mark.parametrize('bands', [(1, 2), (1, 2, 3, 4), (0, 1, 2), (1, 2, 5)])
def test_bands_that_are_not_there_are_refused(bands: tuple[int, ...]) -> None:
    scene = header_of(None, None, None, None)
    with pytest.raises(ValueError, match=r'bands must be 3 indices in \[1, 4\] for red, green'):
        select_bands(scene, RGB, bands=bands, source='a.tif')


def test_it_is_said_which_band_is_taken_for_which_and_where_their_order_alone_says_so() -> None:
    named, unnamed = header_of('blue', 'green', 'red'), header_of(None, None, None)
    names = RGB.bands
    assert describe_bands((3, 2, 1), names, named) == '3 red, 2 green, 1 blue'
    in_order = '1 red, 2 green, 3 blue (in order: the scene names none)'
    assert describe_bands((1, 2, 3), names, unnamed) == in_order
    assert describe_bands((3, 2, 1), names, unnamed) == '3 red, 2 green, 1 blue'
    transparent = header_of(None, None, None, None, alpha=(4,))
    assert describe_bands((1, 2, 3), names, transparent) == in_order


def test_all_bands_by_number_are_found_in_a_scene_that_tags_the_last_as_alpha() -> None:
    scene = header_of(None, None, None, None, alpha=(4,))
    records = [
        Preprocessing(
            bands=tuple(f'band_{i + 1}' for i in range(count)),
            scale=(1,) * count,
            mean=(0,) * count,
            std=(1,) * count,
        )
        for count in (4, 5)
    ]
    assert select_bands(scene, records[0], bands=None, source='x.tif') == (1, 2, 3, 4)
    with pytest.raises(ValueError, match='it has 4 bands, the model needs 5'):
        select_bands(scene, records[1], bands=None, source='x.tif')


BGR = ('blue', 'green', 'red')
NONE = (None, None, None)


@pytest.mark.parametrize(
    ('wanted', 'names', 'colors'),
    [
        (('red', 'green', 'blue'), NONE, BGR),
        (('Red', 'Green', 'Blue'), NONE, BGR),
        (('R', 'G', 'B'), NONE, BGR),
        (('B04', 'B03', 'B02'), NONE, BGR),
        (('red', 'green', 'blue'), ('Blue', 'Green', 'Red'), ()),
        (('red', 'green', 'blue'), ('B', 'G', 'R'), ('red', 'green', 'blue')),
        (('red', 'green', 'blue'), ('B02', 'B03', 'B04'), ()),
        (('R', 'G', 'B'), BGR, ()),
        (('red', 'green', 'blue'), ('Band 1', 'Layer_2', None), BGR),
        (('red', 'green', 'blue'), (None, 'green', None), BGR),
        # bands without a name by their number, as training names them
        (('band_3', 'green', 'band_1'), NONE, ('undefined', 'green', 'gray')),
    ],
)
def test_bands_are_matched_by_colour_interpretation_and_by_other_spellings(
    wanted: tuple[str, ...], names: tuple[str | None, ...], colors: tuple[str, ...]
) -> None:
    scene = header_of(*names, colors=colors)
    assert select_bands(scene, record_of(*wanted), bands=None, source='a.tif') == (3, 2, 1)


def test_the_colours_of_sentinel_2_are_known_by_the_bands_beside_them() -> None:
    scene = header_of('B2', 'B3', 'B4', 'B8A', 'B11')
    assert select_bands(scene, RGB, bands=None, source='a.tif') == (3, 2, 1)
    # without them, they may be those of Landsat 7
    with pytest.raises(ValueError, match='the model wants the bands red'):
        select_bands(header_of('B2', 'B3', 'B4', 'B5'), RGB, bands=None, source='a.tif')


@pytest.mark.parametrize(
    ('wanted', 'colors'),
    [
        (('B4', 'B3', 'B2'), BGR),
        (('red', 'green', 'blue'), ('nir', 'red', 'green')),
        (('red', 'green', 'blue'), ('undefined', 'undefined', 'red')),
        (('red', 'green', 'blue'), ('red', 'green', 'red')),
        (('nir', 'red', 'green'), ('red', 'green', 'blue')),
        (('VV', 'nir', 'VH'), ('nir', 'undefined', 'undefined')),
    ],
)
def test_bands_are_not_taken_in_order_where_colour_interpretation_speaks_against_it(
    wanted: tuple[str, ...], colors: tuple[str, ...]
) -> None:
    scene = header_of(*NONE, colors=colors)
    with pytest.raises(ValueError, match=r'\(by colour interpretation\).*pass bands'):
        select_bands(scene, record_of(*wanted), bands=None, source='a.tif')


@pytest.mark.parametrize(
    'wanted',
    [('band_1', 'band_2', 'band_3'), ('b0', 'b1', 'b2'), ('VV', 'VH', 'ratio'), ('B4', 'B3', 'B2')],
)
def test_names_that_colours_cannot_express_leave_the_order(wanted: tuple[str, ...]) -> None:
    scene = header_of(*NONE, colors=('red', 'green', 'blue'))
    assert select_bands(scene, record_of(*wanted), bands=None, source='a.tif') == (1, 2, 3)


def test_a_record_of_older_versions_means_bands_by_number() -> None:
    colors = ('red', 'green', 'blue', 'alpha')
    scene = header_of(None, None, None, None, alpha=(4,), colors=colors)
    numbered = [record_of(*(f'band_{i + 1}' for i in range(count))) for count in (3, 4)]
    taken = [select_bands(scene, record, bands=None, source='a.tif') for record in numbered]
    assert taken == [(1, 2, 3), (1, 2, 3, 4)]
    # and what is trained on all four now is found again
    record = record_of('red', 'green', 'blue', 'band_4')
    assert select_bands(scene, record, bands=None, source='a.tif') == (1, 2, 3, 4)
