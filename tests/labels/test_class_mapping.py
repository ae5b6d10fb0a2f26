import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.labels.class_mapping import (
    IGNORED,
    map_classes,
    read_color,
    read_number,
    read_text,
    split_color,
    write_color,
)


def test_each_value_has_the_class_that_names_it() -> None:
    mapping = map_classes({'forest': [10, -1], 'water': 400, 'x': ['7']}, [0], read=read_number)
    assert mapping.names == ('forest', 'water', 'x')
    assert mapping.numbers == {10: 0, -1: 0, 400: 1, 7: 2, 0: IGNORED}
    assert mapping.first() == [10, 400, 7]


def test_three_numbers_are_one_colour_of_colours() -> None:
    classes: dict[str, Any] = {'a': [255, 0, 0], 'b': [[0, 255, 0], '#0000FF']}
    mapping = map_classes(classes, [1, 2, 3], read=read_color, colors=True)
    assert mapping.numbers == {0xFF0000: 0, 0x00FF00: 1, 0x0000FF: 1, 0x010203: IGNORED}


def test_numbers_and_texts_of_an_attribute_are_one() -> None:
    mapping = map_classes({'a': [1, 2.0, 2.5], 'b': 'True'}, (), read=read_text)
    assert mapping.numbers == {'1': 0, '2': 0, '2.5': 0, 'True': 1}
    assert map_classes({'a': True}, (), read=read_text).numbers == {'True': 0}


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_a_colour_is_read_as_it_is_written(color: tuple[int, int, int]) -> None:
    number = read_color(list(color))
    assert split_color(number) == color
    assert read_color(write_color(number)) == read_color(write_color(number).upper()) == number


@pytest.mark.parametrize(
    ('classes', 'ignore', 'read', 'message'),
    [
        ({}, [], read_number, 'classes must name 1 to 255 classes, got 0'),
        ({'a': []}, [], read_number, "must give each class a value, got none for 'a'"),
        ({'a': 1, 'b': [2, '1']}, [], read_number, "got '1' for both 'a' and 'b'"),
        ({'a': 1}, [1], read_number, "for both 'a' and 'ignore'"),
        ({'a': 1.5}, [], read_number, 'are whole numbers, got 1.5'),
        ({'a': '#123456'}, [], read_number, "got '#123456'; colours such as"),
        ({'a': True}, [], read_number, 'are whole numbers, got True'),
        ({'a': None}, [], read_number, 'are whole numbers, got None'),
        ({'a': '#12345'}, [], read_color, "written '#rrggbb' (in quotes) or [red, green, blue]"),
        ({'a': [[0, 0, 256]]}, [], read_color, 'got [0, 0, 256]'),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_named(
    classes: Any, ignore: Any, read: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as info:
        map_classes(classes, ignore, read=read)
    assert '\n' not in str(info.value)
