import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.inference.model.detector import Detector, bring_to_host


@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=4), columns=st.sampled_from([4, 5]))
def test_what_is_brought_to_the_host_together_stays_apart(counts: list[int], columns: int) -> None:
    found = [
        {
            'boxes': torch.rand(count, columns),
            'labels': torch.randint(9, (count,)),
            'scores': torch.rand(count, dtype=torch.float64),
            'masks': torch.rand(count, 1, 8, 8),
        }
        for count in counts
    ]
    moved = bring_to_host(found)
    assert len(moved) == len(found)
    for one, other in zip(moved, found, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in other)
        assert all(one[key].dtype == other[key].dtype for key in other)
        assert one['masks'] is other['masks']


def test_a_label_without_a_name_is_refused() -> None:
    found = [{'boxes': torch.rand(2, 4), 'labels': torch.tensor([1, 7]), 'scores': torch.rand(2)}]
    detector = Detector(
        forward=lambda _: found, has_background=True, names={1: 'boat', 2: 'car'}, most=None
    )
    with pytest.raises(ValueError, match=r'label 7, but class_names .* labels \[1, 2\]'):
        detector(torch.zeros(1, 3, 8, 8))
