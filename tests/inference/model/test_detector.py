import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from gersp_geo.inference.model.detector import Detector, bring_to_host, count_classes, name_labels
from gersp_geo.preprocessing import Preprocessing


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


def test_names_of_an_ssd_leave_the_background_out() -> None:
    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    record = Preprocessing.from_dict(
        {'bands': ['red'], 'scale': [1.0], 'mean': [0.0], 'std': [1.0], 'class_names': ['a', 'b']}
    )
    assert name_labels(record, classes=count_classes(network)) == {1: 'a', 2: 'b'}
