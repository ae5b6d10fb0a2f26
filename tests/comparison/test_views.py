"""Laws of the pictures of features: they repeat, they keep distances, and they choose blindly."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gersp_geo.comparison.views import choose_shown, paint_thumbnails, project, shown_limits, view

pytestmark = pytest.mark.quick


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 30))
def test_points_are_never_further_apart_than_features(seed: int, count: int, size: int) -> None:
    features = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, size)))
    points, explained = project(features)
    drawn = torch.from_numpy(points.astype(np.float64))
    assert (torch.cdist(drawn, drawn) <= torch.cdist(features, features) + 1e-4).all()
    if count > 1:
        assert 0 <= explained[1] <= explained[0] <= sum(explained) <= 1 + 1e-9


@pytest.mark.parametrize('shape', [(50, 8), (8, 50)])
def test_directions_are_those_of_a_singular_value_decomposition(shape: tuple[int, int]) -> None:
    features = np.random.default_rng(3).normal(size=shape) * np.linspace(1, 5, shape[1])
    points, explained = project(torch.from_numpy(features))
    left, sizes, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(explained, sizes[:2] ** 2 / (sizes**2).sum(), rtol=1e-9)
    expected = np.abs(left[:, :2] * sizes[:2])
    np.testing.assert_allclose(np.abs(points), expected, rtol=1e-5, atol=1e-5)
    # the sign hangs on neither the order of images nor the library's choice
    np.testing.assert_allclose(project(torch.from_numpy(features[::-1].copy()))[0], points[::-1])


def test_features_without_variance_are_one_point_and_nan_is_refused() -> None:
    points, explained = project(torch.full((4, 3), 7.0))
    assert not points.any()
    assert np.isnan(explained).all()
    assert project(torch.zeros(0, 3))[0].shape == (0, 2)
    with pytest.raises(ValueError, match='must be finite'):
        project(torch.tensor([[1.0, float('nan')]]))


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 12))
def test_as_many_classes_as_possible_are_shown(labels: list[int], most: int) -> None:
    array = np.array(labels, dtype=np.int64)
    shown = choose_shown(array, most=most)
    assert len(set(shown)) == len(shown) == min(most, len(labels))
    assert len({labels[i] for i in shown}) == min(most, len(set(labels)))
    assert [labels[i] for i in shown] == sorted(labels[i] for i in shown)
    assert choose_shown(array, most=most) == shown


def test_one_value_has_one_brightness_in_all_thumbnails() -> None:
    dark, bright = (np.full((13, 100, 50), value, dtype=np.float32) for value in (200.0, 3000.0))
    bright[:, :50] = np.nan
    bands = [f'B{i}' for i in range(1, 14)]
    limits = shown_limits([dark, bright], bands=bands)
    small = paint_thumbnails([dark, bright], bands=bands, limits=limits)
    assert small.shape == (2, 64, 32, 3)
    assert (small[0] == 0).all()
    assert (small[1, -1] == 255).all()
    grey = paint_thumbnails([bright[:1, :9, :9]], bands=['vv'], limits=limits)
    assert grey.shape == (1, 9, 9, 3)
    assert len(paint_thumbnails([], bands=[], limits=shown_limits([], bands=[]))) == 0


def test_red_is_red_and_neighbours_stay_in_their_places() -> None:
    images = np.zeros((4, 3, 8, 8), dtype=np.float32)
    images[range(4), [0, 1, 2, 0]] = 255
    read: list[int] = []

    def read_one(position: int) -> NDArray[np.float32]:
        read.append(position)
        one: NDArray[np.float32] = images[position]
        return one

    found = view(
        'a', torch.eye(5), indices=torch.tensor([[2, 0], [1, 2]]), bank_labels=torch.arange(4) + 5,
        read=read_one, bands=('red', 'green', 'blue'), limits=(0.0, 255.0),
    )  # fmt: skip
    assert found.neighbours[:, :, 0, 0].tolist() == [
        [[0, 0, 255], [255, 0, 0]], [[0, 255, 0], [0, 0, 255]],
    ]  # fmt: skip
    assert found.neighbour_classes.tolist() == [[7, 5], [6, 7]]
    assert found.points.shape == (5, 2)
    assert sorted(read) == [0, 1, 2]
