from typing import Any

import pandas
import pytest

from gersp_geo.geoio.vector.layers import attribute_texts


@pytest.mark.parametrize(
    ('values', 'dtype', 'texts'),
    [
        ([1, 2, None], 'float64', ['1', '2', None]),
        # beside missing values, only pandas' own integers keep them apart
        ([2**53 + 1, None], 'Int64', ['9007199254740993', None]),
        ([-1, 255], 'int16', ['-1', '255']),
        ([0.5, 10.0], 'float32', ['0.5', '10']),
        ([True, False, None], 'boolean', ['True', 'False', None]),
        ([True, False], 'bool', ['True', 'False']),
        (['a ', '', None], 'object', ['a ', None, None]),
        (['a', '\t'], 'str', ['a', None]),
        (['a', None], 'category', ['a', None]),
        (['2020-01-02', None], 'datetime64[ms]', ['2020-01-02 00:00:00', None]),
    ],
)
def test_values_are_written_as_the_file_means_them(
    values: Any, dtype: str, texts: list[str | None]
) -> None:
    assert attribute_texts(pandas.Series(values, dtype=dtype)) == texts


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ([1, 2], r"'kind' must hold text or numbers, got list: \[1, 2\]"),
        ({'a': 1}, 'got dict'),
        (b'a', 'got bytes'),
        (2.0**53, "'kind' holds 9007199254740992 as a float, which cannot tell it"),
    ],
)
def test_what_is_no_class_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attribute_texts(pandas.Series([value], name='kind'))
