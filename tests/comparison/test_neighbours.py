import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from gersp_geo.comparison.neighbours import classify


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(1, 4),
    st.integers(1, 9),
)  # fmt: skip
def test_equally_far_features_come_in_their_order_and_the_smallest_class_wins(
    seed: int, count: int, size: int, width: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    # few whole numbers: ties and copies are the rule, and every distance is exact
    rows, bank = (rng.integers(0, 3, (n, width)).astype(np.float32) for n in (count, size))
    labels = rng.integers(0, 4, size) * 3
    found = classify(
        torch.from_numpy(rows),
        bank=torch.from_numpy(bank),
        bank_labels=torch.from_numpy(labels),
        k=k,
    )
    distances = np.square(rows[:, None] - bank).sum(axis=2)
    nearest = distances.argsort(axis=1, kind='stable')[:, :k]
    assert (found.indices == nearest).all()
    votes = [np.bincount(labels[some]).argmax() for some in nearest]
    assert found.classes.tolist() == votes


@pytest.mark.parametrize('offset', [0, 1e4, -3e4])
def test_far_from_zero_neighbours_are_those_of_scikit_learn_in_float64(offset: float) -> None:
    rng = np.random.default_rng(0)
    bank, rows = (offset + rng.normal(size=(2, 300, 16))).astype(np.float32)
    labels = rng.integers(0, 5, 300)
    found = classify(
        torch.from_numpy(rows), bank=torch.from_numpy(bank), bank_labels=torch.from_numpy(labels)
    )
    model = KNeighborsClassifier(5, algorithm='kd_tree').fit(bank.astype(float), labels)
    assert (found.classes == model.predict(rows.astype(float))).all()


def test_wrong_arguments_are_refused() -> None:
    bank, labels = torch.zeros(3, 2), torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match='k must be >= 1, got 0'):
        classify(bank, bank=bank, bank_labels=labels, k=0)
    with pytest.raises(ValueError, match='those of the bank, 2, got 3'):
        classify(torch.zeros(1, 3), bank=bank, bank_labels=labels)
    with pytest.raises(ValueError, match='those of 1 of 3 images of the bank are not'):
        classify(bank, bank=bank.log().index_fill(0, torch.tensor([0, 1]), 1), bank_labels=labels)
    with pytest.raises(ValueError, match='labels of shape'):
        classify(bank, bank=bank, bank_labels=labels[:2])
