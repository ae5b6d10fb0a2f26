import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.json_text import to_json


@dataclass
class Summary:
    value: Any
    heavy: object = field(default=None, repr=False)


words: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)


@given(st.binary())
def test_the_bytes_of_a_path_come_back(name: bytes) -> None:
    text = to_json(Summary(Path(os.fsdecode(name))))
    assert Path(os.fsdecode(name)) == Path(json.loads(text.encode('ascii'))['value'])


@given(st.recursive(words, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_what_json_has_words_for_comes_back(value: Any) -> None:
    text = to_json(Summary(value))
    assert json.loads(text) == {'value': value}
    assert '\n' not in text


@pytest.mark.parametrize(
    ('value', 'read'),
    [
        (math.nan, None),
        (np.float64('inf'), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1.0, math.nan]]), [[1.0, None]]),
        (Path('a/b'), 'a/b'),
        ((1, {2: Path('c')}), [1, {'2': 'c'}]),
        (Summary(Summary(1)), {'value': {'value': 1}}),
    ],
    ids=repr,
)
def test_all_else_becomes_a_number_null_or_text(value: Any, read: Any) -> None:
    assert json.loads(to_json(Summary(value, heavy=object()))) == {'value': read}
