from collections import deque

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gersp_geo.momentum import enqueue, update_teacher


def small_network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()


@pytest.mark.parametrize('momentum', [0.0, 0.5, 0.996, 1.0])
def test_parameters_move_by_the_formula_and_buffers_stay(momentum: float) -> None:
    teacher, student = small_network(0), small_network(1)
    student(torch.randn(8, 3, dtype=torch.float64))
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    update_teacher(teacher, student, momentum=momentum)
    for name, value in teacher.named_parameters():
        expected = momentum * before[name] + (1 - momentum) * student.get_parameter(name)
        torch.testing.assert_close(value, expected)
    for name, buffer in teacher.named_buffers():
        assert torch.equal(buffer, before[name])


def test_the_student_is_not_changed() -> None:
    teacher, student = small_network(0), small_network(1)
    before = [p.clone() for p in student.parameters()]
    update_teacher(teacher, student, momentum=0.9)
    assert all(torch.equal(p, q) for p, q in zip(student.parameters(), before, strict=True))


@given(st.integers(1, 9), st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_the_queue_holds_the_latest_keys_in_ring_order(size: int, batches: list[int]) -> None:
    queue, pointer = torch.zeros(size, 1), torch.zeros(1, dtype=torch.long)
    latest = deque([0.0] * size, maxlen=size)
    key = 0
    for batch in batches:
        keys = torch.arange(key + 1, key + batch + 1, dtype=torch.float)[:, None]
        enqueue(queue, pointer, keys)
        latest.extend(keys[:, 0].tolist())
        key += batch
    oldest_first = torch.cat([queue, queue])[pointer.item() : pointer.item() + size, 0]
    assert oldest_first.tolist() == list(latest)
    assert pointer.item() == key % size
