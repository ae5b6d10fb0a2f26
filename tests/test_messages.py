import pytest

from gersp_geo.messages import align, name_some, one_line


def test_line_ends_and_indents_become_single_spaces() -> None:
    assert one_line(ValueError('bad\n    value,\ttry another ')) == 'bad value, try another'


@pytest.mark.parametrize(
    ('count', 'text'), [(0, ''), (1, '0'), (2, '0, 1'), (3, '0, 1 and 1 more'), (9, '0, 1 and 7 more')]
)  # fmt: skip
def test_of_many_names_the_first_are_told_and_the_rest_counted(count: int, text: str) -> None:
    assert name_some(range(count), most=2) == text


def test_names_stand_to_the_left_and_numbers_to_the_right() -> None:
    assert align([['class', 'n'], ['oak', '1,000'], ['a long one', '']]) == [
        'class           n',
        'oak         1,000',
        'a long one',
    ]
