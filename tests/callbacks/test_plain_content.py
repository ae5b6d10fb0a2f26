import enum
import io
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.data import AttributeDict
from torch import nn

from gersp_geo.callbacks.plain_content import loads_safely, make_plain, unsafe_parts

Pair = namedtuple('Pair', 'left right')


class Kind(enum.Enum):
    FIRST = 1


class Text(enum.StrEnum):
    FIRST = 'first'


def load(value: object) -> Any:
    stream = io.BytesIO()
    torch.save(value, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16(0.5), 0.5),
        (np.int64(-3), -3),
        (np.uint8(255), 255),
        (np.bool_(True), True),
        (np.str_('tree'), 'tree'),
        (np.bytes_(b'x'), b'x'),
        (np.complex64(1j), 1j),
        (np.array([1, 2.5]), [1.0, 2.5]),
        (np.array(2.5), 2.5),
        (np.array([[1], [2]], dtype=np.int16), [[1], [2]]),
        (np.array(['a', 'bc']), ['a', 'bc']),
        (np.array([np.float64(1), 'a', None], dtype=object), [1.0, 'a', None]),
        ([np.float64(1), 2.0], [1.0, 2.0]),
        ((np.float64(1), Path('a/b')), (1.0, str(Path('a/b')))),
        ({np.int64(1): {np.str_('a')}}, {1: {'a'}}),
        (AttributeDict(lr=np.float64(0.1)), {'lr': 0.1}),
    ],
)
def test_what_is_as_good_as_plain_becomes_plain(value: object, expected: object) -> None:
    plain = load(make_plain(value))
    assert plain == expected
    assert type(plain) is type(expected)


@pytest.mark.parametrize(
    'value',
    [
        1,
        'text',
        None,
        (1, [2.0, {'a': True}]),
        OrderedDict(a=1),
        torch.Size([1, 2]),
        torch.float32,
        nn.Parameter(torch.ones(2)),
    ],
)
def test_what_loads_safely_stays_what_it_is(value: object) -> None:
    assert make_plain(value) is value
    assert loads_safely(value)


@pytest.mark.parametrize(
    ('value', 'place'),
    [
        (Kind.FIRST, 'x'),
        (Text.FIRST, 'x'),
        (nn.ReLU(), 'x'),
        (nn.ReLU, 'x'),
        (len, 'x'),
        (lambda: 1, 'x'),
        (np.dtype('float32'), 'x'),
        (np.datetime64('2020-01-01'), 'x'),
        (Pair(1, 2), 'x'),
        ([1, {'a': nn.ReLU()}], "x[1]['a']"),
        ((1.0, (2.0, len)), 'x[1][1]'),
        ({1: range(3)}, 'x[1]'),
        (np.array([len], dtype=object), 'x[0]'),
    ],
)
def test_what_needs_code_is_found_where_it_is(value: object, place: str) -> None:
    assert [where for where, _ in unsafe_parts(make_plain(value), 'x')] == [place]
