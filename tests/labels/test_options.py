from typing import Any

import pytest

from gersp_geo.labels.options import LabelOptions

MASKS: dict[str, Any] = {'masks': 'm'}
POLYGONS: dict[str, Any] = {'labels': 'l', 'attribute': 'a'}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (MASKS | {'classes': {'a': 1}, 'mask_values': [1, 2]}, 'one of classes and mask_values'),
        (MASKS | {'classes': {'a': 1}, 'class_names': ('a',)}, 'classes names the classes'),
        (MASKS | {'threshold': 1, 'mask_values': [1, 2]}, 'one of threshold and mask_values'),
        (MASKS | {'ignore': [0]}, 'ignore goes with classes'),
        (MASKS | {'tolerance': 3}, 'tolerance is >= 0 and goes with classes, got 3'),
        (MASKS | {'area': 'b'}, "area goes with labels, got 'b' and masks"),
        (POLYGONS | {'area': 'b'}, 'area goes with background, got b without'),
        (POLYGONS | {'threshold': 3}, 'threshold goes with masks'),
        (POLYGONS | {'tolerance': 3, 'classes': {'a': 1}}, 'tolerance goes with masks'),
        (MASKS | {'attribute': 'a'}, "attribute goes with labels, got 'a' and masks"),
        ({'labels': 'l'}, 'labels need attribute, the column with the class, got l without; pass'),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as info:
        LabelOptions(**options)
    assert '\n' not in str(info.value)
