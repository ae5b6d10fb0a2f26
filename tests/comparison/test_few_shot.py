import time
import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from gersp_geo.comparison.few_shot import COSTS, draw_images, judge
from gersp_geo.comparison.neighbours import classify
from gersp_geo.comparison.records import Split
from gersp_geo.comparison.softmax_regression import solve, state_problems


def draw(seed: int, *, size: int = 200, width: int = 20, classes: int = 4) -> Split:
    """Overlapping clusters far from zero, the same for every seed; some classes have gaps."""
    centres = np.random.default_rng(99).normal(size=(classes, width)) + 3
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, size)
    features = (centres[labels] + 2 * rng.normal(size=(size, width))).astype(np.float32)
    return Split(features=torch.from_numpy(features), labels=torch.from_numpy(labels * 2))


@pytest.mark.parametrize('per_class', [2, 12])
@pytest.mark.quick('0.01-12', '1000.0-2')
@pytest.mark.parametrize('cost', [1e-6, 1e-2, 1, 1e3])
def test_every_draw_ends_where_scikit_learn_does(cost: float, per_class: int) -> None:
    train, test = draw(0), draw(1)
    drawn = draw_images(train.labels.numpy(), per_class=per_class, draws=3, seed=0)
    rows = torch.from_numpy(np.stack(list(drawn)))
    problems = state_problems(train.features[rows], train.labels[rows] // 2, 4)
    found = solve(problems, cost=cost)
    for weight, chosen, predicted in zip(
        found.weight, rows, found.predict(test.features), strict=True
    ):
        model = LogisticRegression(C=cost, tol=1e-9, max_iter=100_000)
        model.fit(train.features[chosen].double().numpy(), train.labels[chosen].numpy() // 2)
        largest = np.abs(model.coef_).max()
        assert weight.T.numpy() == pytest.approx(model.coef_, abs=3e-3 * largest)
        agree = model.predict(test.features.double().numpy()) == predicted.numpy()
        assert agree.mean() >= 0.99


def test_solutions_do_not_depend_on_other_draws_or_on_the_start() -> None:
    train = draw(0)
    features, labels = train.features.view(4, 50, 20), train.labels.view(4, 50) // 2
    together = solve(state_problems(features, labels, 4), cost=1)
    alone = solve(state_problems(features[2:3], labels[2:3], 4), cost=1)
    later = solve(state_problems(features, labels, 4), cost=1, start=10 + together.inner)
    scale = float(alone.weight.abs().max())
    assert together.weight[2].numpy() == pytest.approx(alone.weight[0].numpy(), abs=3e-3 * scale)
    assert later.weight.numpy() == pytest.approx(together.weight.numpy(), abs=5e-3 * scale)


def test_draws_depend_on_labels_and_seed_alone_and_more_begin_with_fewer() -> None:
    labels = draw(0).labels.numpy()
    drawn = [list(draw_images(labels, per_class=3, draws=n, seed=5)) for n in (2, 4)]
    assert all((few == many).all() for few, many in zip(*drawn, strict=False))
    for rows in drawn[1]:
        assert np.bincount(labels[rows])[::2].tolist() == [3] * 4
        assert len(set(rows)) == 12
    other = next(draw_images(labels, per_class=3, draws=1, seed=6))
    assert other.tolist() != drawn[0][0].tolist()


def test_neighbours_vote_among_what_is_drawn() -> None:
    train, test = draw(0), draw(1)
    judged = judge(train, None, test, per_class=1, draws=2, seed=0, k=9, classifier='knn')
    for found, rows in zip(
        judged, draw_images(train.labels.numpy(), per_class=1, draws=2, seed=0), strict=True
    ):
        expected = classify(
            test.features, bank=train.features[rows], bank_labels=train.labels[rows], k=4
        )
        assert (found.predictions == expected.classes).all()


def test_one_cost_is_chosen_for_all_draws() -> None:
    train, val, test = draw(0), draw(1), draw(2)
    judged = judge(train, val, test, per_class=5, draws=4, seed=0, k=5)
    rows = np.stack(list(draw_images(train.labels.numpy(), per_class=5, draws=4, seed=0)))
    problems = state_problems(train.features[rows], train.labels[rows] // 2, 4)
    right = {
        cost: int((solve(problems, cost=cost).predict(val.features) * 2 == val.labels).sum())
        for cost in COSTS
    }
    assert len(set(right.values())) > 2
    # max gives the first of equals
    assert {found.chosen['C'] for found in judged} == {max(right, key=right.__getitem__)}
    assert np.mean([np.mean(one.predictions == test.labels.numpy()) for one in judged]) > 0.5
    plain = judge(train, None, test, per_class=5, draws=4, seed=0, k=5)
    assert {found.chosen['C'] for found in plain} == {1}


def test_small_classes_are_taken_whole_with_one_warning() -> None:
    train = draw(0, size=20)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        judged = judge(train, None, draw(1), per_class=30, draws=3, seed=0, k=5)
    assert len([one for one in caught if 'fewer than 30 images' in str(one.message)]) == 1
    assert (judged[0].predictions == judged[1].predictions).all()


def test_wrong_arguments_are_refused() -> None:
    train = draw(0)
    with pytest.raises(ValueError, match='per_class must be >= 1, got 0'):
        judge(train, None, train, per_class=0, draws=1, seed=0, k=5)
    with pytest.raises(ValueError, match='at least two classes, got 1'):
        judge(draw(0, classes=1), None, train, per_class=1, draws=1, seed=0, k=5)


@pytest.mark.slow
def test_fifty_draws_of_512_features_take_seconds() -> None:
    splits = [draw(seed, size=size, width=512, classes=10) for seed, size in ((0, 7000), (1, 1500))]
    begin = time.process_time()
    judge(splits[0], splits[1], splits[1], per_class=20, draws=50, seed=0, k=5)
    assert time.process_time() - begin < 20
