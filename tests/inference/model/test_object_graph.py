"""Laws of graphs of detectors; that they find the same is seen where they are exported."""

from typing import Any

import pytest

from gersp_geo.inference.model.object_graph import ObjectFacts

FACTS = {'has_background': True, 'classes': 3, 'most': None}


def test_facts_come_back() -> None:
    assert ObjectFacts.of(FACTS, source='a').to_dict() == FACTS


@pytest.mark.parametrize(
    'changes', [{'has_background': 1}, {'classes': 0}, {'most': True}, {'classes': '3'}]
)
def test_what_are_no_facts_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r'^a\.onnx must say has_background'):
        ObjectFacts.of(FACTS | changes, source='a.onnx')
    with pytest.raises(ValueError, match=r'^a\.onnx must say has_background'):
        ObjectFacts.of([], source='a.onnx')
