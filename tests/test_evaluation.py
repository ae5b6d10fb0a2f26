import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gersp_geo.evaluation import effective_rank, evaluation_mode, knn_accuracy


def test_separated_classes_are_all_found() -> None:
    bank = torch.eye(3).repeat(5, 1)
    labels = torch.arange(3).repeat(5)
    assert knn_accuracy(2 * bank, labels, bank=bank, bank_labels=labels, k=5) == 1


def test_only_the_direction_of_a_feature_counts() -> None:
    torch.manual_seed(0)
    bank, labels = torch.randn(60, 4), torch.randint(3, (60,))
    features, truth = torch.randn(30, 4), torch.randint(3, (30,))
    plain = knn_accuracy(features, truth, bank=bank, bank_labels=labels, k=7)
    scale = torch.rand(60, 1) + 0.1
    assert knn_accuracy(features * 9, truth, bank=bank * scale, bank_labels=labels, k=7) == plain


def test_equals_a_vote_counted_by_hand() -> None:
    bank = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.8, 0.3]])
    labels = torch.tensor([0, 1, 0, 1])
    # the three nearest of (1, 0) are rows 0, 1 and 3: classes 0, 1, 1
    one = torch.tensor([[1.0, 0.0]])
    assert knn_accuracy(one, torch.tensor([1]), bank=bank, bank_labels=labels, k=3) == 1
    assert knn_accuracy(one, torch.tensor([0]), bank=bank, bank_labels=labels, k=3) == 0


@pytest.mark.parametrize('k', [0, 3])
def test_k_outside_the_bank_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=r'k must be in \[1, bank size=2\]'):
        knn_accuracy(
            torch.eye(2), torch.arange(2), bank=torch.eye(2), bank_labels=torch.arange(2), k=k
        )


def draw(rows: int, dimensions: int, *, rank: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(rows, rank, generator=generator, dtype=torch.float64)
    return left @ torch.randn(rank, dimensions, generator=generator, dtype=torch.float64)


shapes = {
    'rows': st.integers(1, 60),
    'dimensions': st.integers(1, 30),
    'rank': st.integers(1, 30),
    'seed': st.integers(0, 1000),
}


@given(**shapes)
def test_effective_rank_is_the_exponential_of_the_entropy_of_the_singular_values(
    rows: int, dimensions: int, rank: int, seed: int
) -> None:
    embeddings = draw(rows, dimensions, rank=rank, seed=seed)
    share = torch.linalg.svdvals(embeddings)
    share = share[share > 1e-14 * share.max()] / share.sum()
    expected = torch.exp(-(share * share.log()).sum())
    torch.testing.assert_close(effective_rank(embeddings), expected, rtol=0, atol=1e-6)


@given(scale=st.sampled_from([1e-3, 0.5, 7.0, 1e5]), **shapes)
def test_effective_rank_knows_no_scale_and_stays_in_its_range(
    rows: int, dimensions: int, rank: int, seed: int, scale: float
) -> None:
    embeddings = draw(rows, dimensions, rank=rank, seed=seed).float()
    found = float(effective_rank(embeddings))
    assert 1 - 1e-9 <= found <= min(rows, dimensions) + 1e-9
    assert float(effective_rank(scale * embeddings)) == pytest.approx(found, abs=1e-4)
    assert float(effective_rank(embeddings.T)) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize('dimensions', [1, 5, 128])
def test_orthonormal_embeddings_use_every_dimension(dimensions: int) -> None:
    generator = torch.Generator().manual_seed(0)
    turned = torch.linalg.qr(torch.randn(dimensions, dimensions, generator=generator)).Q
    assert float(effective_rank(turned)) == pytest.approx(dimensions, rel=1e-6)
    assert float(effective_rank(turned.repeat(3, 1))) == pytest.approx(dimensions, rel=1e-6)


@pytest.mark.parametrize('rows', [1, 4, 5000])
def test_identical_embeddings_use_one_dimension(rows: int) -> None:
    one = torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    assert float(effective_rank(one.expand(rows, -1))) == pytest.approx(1, abs=1e-6)


def test_small_singular_values_keep_their_digits() -> None:
    # their squares drown in rounding errors of the largest one
    small = torch.diag(torch.tensor([1.0, *[1e-9] * 7], dtype=torch.float64)).repeat(4, 1)
    expected = float(effective_rank(small[:8]))
    assert expected > 1 + 1e-7
    assert float(effective_rank(small)) - 1 == pytest.approx(expected - 1, rel=1e-6)


def test_zeros_use_no_dimension_and_what_is_not_finite_has_no_rank() -> None:
    assert float(effective_rank(torch.zeros(9, 4))) == 0
    assert effective_rank(torch.tensor([[1.0, torch.inf]])).isnan()
    assert effective_rank(torch.full((9, 4), torch.nan)).isnan()


@pytest.mark.parametrize('shape', [(3,), (0, 4), (4, 0), (2, 3, 4)])
def test_what_is_no_matrix_has_no_effective_rank(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r'embeddings must have shape \(N, D\)'):
        effective_rank(torch.ones(shape))


def test_each_part_gets_its_own_mode_back() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2)).eval())
    modes = [part.training for part in module.modules()]
    assert True in modes
    assert False in modes
    with evaluation_mode(module):
        assert not any(part.training for part in module.modules())
    assert [part.training for part in module.modules()] == modes


def test_a_module_that_two_threads_evaluate_goes_back_after_both() -> None:
    module = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    first, second = evaluation_mode(module), evaluation_mode(module[0])
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert module.training
    assert not module[0].training
    second.__exit__(None, None, None)
    assert module[0].training
