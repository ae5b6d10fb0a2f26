import pytest
import torch

from gersp_geo.evaluation import knn_accuracy


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
