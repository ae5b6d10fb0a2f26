import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from gersp_geo.losses import info_nce

sizes = st.integers(1, 7)


def unit_rows(seed: int, rows: int, columns: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return F.normalize(values, dim=1)


@given(sizes, st.integers(1, 9), st.integers(2, 6), st.floats(0.05, 2), st.integers(0, 99))
def test_equals_the_formula_written_out(
    pairs: int, keys: int, dimensions: int, temperature: float, seed: int
) -> None:
    query, key = unit_rows(seed, pairs, dimensions), unit_rows(seed + 1, pairs, dimensions)
    queue = unit_rows(seed + 2, keys, dimensions)
    expected = 0.0
    for q, k in zip(query.tolist(), key.tolist(), strict=True):
        scores = [
            sum(a * b for a, b in zip(q, other, strict=True)) / temperature
            for other in [k, *queue.tolist()]
        ]
        expected -= (scores[0] - math.log(sum(math.exp(s) for s in scores))) / pairs
    assert info_nce(query, key, queue, temperature=temperature).item() == pytest.approx(expected)


@pytest.mark.parametrize('keys', [1, 5, 64])
def test_orthogonal_embeddings_give_log_of_one_plus_k(keys: int) -> None:
    basis = torch.eye(4, dtype=torch.float64)
    loss = info_nce(basis[:1], basis[1:2], basis[2:3].expand(keys, -1), temperature=0.07)
    assert loss.item() == pytest.approx(math.log(1 + keys))


def test_gradient_reaches_the_query_only_through_similarities() -> None:
    query = unit_rows(0, 3, 4).requires_grad_()
    key, queue = unit_rows(1, 3, 4), unit_rows(2, 5, 4)
    assert torch.autograd.gradcheck(lambda q: info_nce(q, key, queue, temperature=0.5), (query,))


@pytest.mark.parametrize(
    ('shapes', 'temperature', 'message'),
    [
        (((2, 3), (1, 3), (4, 3)), 1.0, 'query and key must have one shape'),
        (((2, 3), (2, 3), (4, 2)), 1.0, r'queue must have shape \(K, D=3\), got \(4, 2\)'),
        (((2, 3), (2, 3), (4, 3)), 0.0, 'temperature must be > 0, got 0'),
    ],
)
def test_bad_input_is_refused_with_rule_and_value(
    shapes: tuple[tuple[int, int], ...], temperature: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        info_nce(*(torch.ones(shape) for shape in shapes), temperature=temperature)
