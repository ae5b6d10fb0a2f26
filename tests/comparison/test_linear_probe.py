import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from gersp_geo.comparison.linear_probe import fit_linear, probe
from gersp_geo.comparison.records import Split


def draw(
    seed: int, *, size: int = 150, classes: tuple[int, ...] = (1, 4, 6), width: int = 6
) -> Split:
    """Overlapping clusters, the same for every seed."""
    centres = np.random.default_rng(99).normal(size=(10, width))
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, size)
    features = (centres[labels] + rng.normal(size=(size, width))).astype(np.float32)
    return Split(features=torch.from_numpy(features), labels=torch.from_numpy(labels))


def test_fit_is_that_of_scikit_learn_where_it_ends_at_the_minimum() -> None:
    train, test = draw(0), draw(1)
    found = fit_linear(train, cost=0.1)
    model = LogisticRegression(C=0.1, tol=1e-8).fit(train.features.numpy(), train.labels.numpy())
    assert found.weight.numpy() == pytest.approx(model.coef_, abs=2e-3)
    assert (found.predict(test.features) == model.predict(test.features.numpy())).all()


def test_the_first_best_cost_is_fitted_to_training_and_validation() -> None:
    train, val, test = draw(0), draw(1), draw(2)
    found = probe(train, val, test, costs=(1e-6, 0.1, 0.1001))
    assert found.chosen == {'C': 0.1}
    whole = Split(
        features=torch.cat([train.features, val.features]),
        labels=torch.cat([train.labels, val.labels]),
    )
    expected = fit_linear(whole, cost=0.1, iterations=4000).predict(test.features)
    assert (found.predictions == expected).all()


def test_without_validation_the_cost_is_one_and_random_numbers_stay() -> None:
    state = torch.get_rng_state()
    found = probe(draw(0), None, draw(2))
    assert found.chosen == {'C': 1}
    assert torch.equal(state, torch.get_rng_state())


def test_wrong_splits_are_refused() -> None:
    train = draw(0)
    with pytest.raises(ValueError, match='at least two classes, got 1'):
        probe(draw(0, classes=(4,)), None, train)
    with pytest.raises(ValueError, match='test has 5 features of each image, train has 6'):
        probe(train, None, draw(1, width=5))
    with pytest.raises(ValueError, match='those of 150 of 150 images of val are not'):
        probe(train, Split(features=train.features / 0, labels=train.labels), train)
    with pytest.raises(ValueError, match='costs must be at least one number > 0, got'):
        probe(train, None, train, costs=())
