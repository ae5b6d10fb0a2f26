"""Laws of names of classes: they are those that prediction gives to what it finds."""

from typing import Any

import pytest
from torch import nn

from gersp_geo.inference.exporting.class_names import name_classes
from gersp_geo.inference.model.load import LoadedModel
from gersp_geo.inference.model.signature import Dates
from gersp_geo.preprocessing import CHANGE_CLASSES, Preprocessing


def name(*names: str, channels: int, **facts: Any) -> dict[int, str]:
    record = Preprocessing(bands=('red',), scale=(1.0,), mean=(0.0,), std=(1.0,), class_names=names)
    loaded = LoadedModel(
        forward=nn.Identity(), preprocessing=record, name='a', **({'scores': 'classes'} | facts)
    )
    return name_classes(loaded, channels, has_objects=False)


@pytest.mark.parametrize(
    ('names', 'channels', 'facts', 'expected'),
    [
        (('land', 'lake'), 1, {}, {0: 'land', 1: 'lake'}),
        ((), 3, {}, {0: 'class 0', 1: 'class 1', 2: 'class 2'}),
        (('lake',), 1, {'scores': 'labels'}, {0: 'lake'}),
        (('height',), 1, {'scores': 'values'}, {}),
        ((), 1, {'dates': Dates(count=2)}, dict(enumerate(CHANGE_CLASSES))),
        ((), 2, {'dates': Dates(count=2), 'scores': 'labels'}, {0: 'class 0', 1: 'class 1'}),
    ],
)
def test_classes_are_called_as_prediction_calls_them(
    names: tuple[str, ...], channels: int, facts: dict[str, Any], expected: dict[int, str]
) -> None:
    assert name(*names, channels=channels, **facts) == expected


@pytest.mark.parametrize('channels', [1, 5])
def test_other_numbers_of_names_are_refused_as_by_prediction(channels: int) -> None:
    with pytest.raises(ValueError, match=r'classes, but preprocessing names 3: a, b, c; pass'):
        name('a', 'b', 'c', channels=channels)
