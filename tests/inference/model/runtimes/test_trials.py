"""Two results are compared number by number, whatever holds them."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.inference.model.runtimes.trials import Trial, compare

INFINITE = float('inf')


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9),
    st.floats(0, 0.5, width=32),
    st.integers(0, 8),
)
def test_the_difference_is_a_share_of_the_largest_value(
    values: list[float], moved: float, place: int
) -> None:
    wanted = torch.tensor(values)
    found = wanted.clone()
    largest = float(wanted.abs().max())
    found[place % len(found)] += moved * largest
    assert compare({'scores': [wanted]}, {'scores': [found]}) <= moved * (1 + 1e-3) + 1e-6
    if largest > 1e-3 and moved > 1e-3:
        assert compare(wanted, found) >= moved * 0.99


def test_what_cannot_be_compared_differs_infinitely() -> None:
    wanted = torch.tensor([1.0, float('nan'), 2.0])
    assert compare(wanted, wanted.clone()) == 0
    assert compare(wanted, torch.tensor([1.0, 1.0, 2.0])) == INFINITE
    assert compare(torch.tensor([1.0]), torch.tensor([float('nan')])) == INFINITE
    assert compare(wanted, wanted[:2]) == INFINITE
    labels = {'labels': torch.tensor([1, 2])}
    assert compare([labels], [labels]) == 0
    assert compare([labels], [{'labels': torch.tensor([1, 3])}]) == INFINITE
    assert compare([labels], []) == INFINITE
    infinite = torch.tensor([1.0, INFINITE])
    assert compare(infinite, infinite.clone()) == 0
    assert compare(infinite, -infinite) == INFINITE


def test_a_trial_says_what_became_of_a_form() -> None:
    assert str(Trial(name='onnx', patch_seconds=0.0964)) == 'onnx 96 ms a patch'
    assert str(Trial(name='onnx', reason='cannot be made')) == 'onnx cannot be made'
