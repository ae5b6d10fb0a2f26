import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.datamodules.band_statistics import imagenet_statistics, measure_bands


@given(seed=st.integers(0, 1000), offset=st.sampled_from([0, 1e4]))
def test_measured_bands_equal_numpy_on_the_observed_pixels(seed: int, offset: float) -> None:
    generator = np.random.default_rng(seed)
    images = [generator.normal(offset, 3, (2, 8, 8)) for _ in range(3)]
    valid = [generator.random((8, 8)) < 0.6 for _ in range(3)]
    mean, std, _ = measure_bands(zip(images, valid, strict=True), scale=[1.0, 0.5])
    pixels = np.concatenate([i[:, v] for i, v in zip(images, valid, strict=True)], axis=1)
    pixels *= [[1.0], [0.5]]
    np.testing.assert_allclose(mean, pixels.mean(axis=1))
    np.testing.assert_allclose(std, pixels.std(axis=1), rtol=1e-6)


def test_nothing_observed_raises_and_a_constant_band_gets_one() -> None:
    image, none = np.ones((1, 2, 2)), np.zeros((2, 2), dtype=bool)
    with pytest.raises(ValueError, match='no observed pixel'):
        measure_bands([(image, none)], scale=[1.0])
    assert measure_bands([(image, ~none)], scale=[1.0])[:2] == ([1.0], [1.0])


def test_a_scale_of_another_band_count_is_refused() -> None:
    image, valid = np.ones((4, 2, 2)), np.ones((2, 2), dtype=bool)
    with pytest.raises(ValueError, match=r'scale must have one value per band \(4\), got 2'):
        measure_bands([(image, valid)], scale=[1.0, 1.0])


def test_the_statistics_of_photographs_follow_the_order_of_their_bands() -> None:
    assert imagenet_statistics(('blue', 'green', 'red')) == (
        [0.406, 0.456, 0.485], [0.225, 0.224, 0.229],
    )  # fmt: skip
    assert imagenet_statistics(('band_1', 'band_2', 'band_3'))[0] == [0.485, 0.456, 0.406]
