"""Laws of graphs that take stored values or return probabilities: nothing is lost on the way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.inference.model.graph_form import GraphForm
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(
    bands=('a', 'b'), scale=(1 / 255, 1e-4), mean=(0.4, 0.1), std=(0.2, 0.05), dtype='uint16'
)
SCALE, MEAN, STD = (
    np.array(each)[:, None, None] for each in (RECORD.scale, RECORD.mean, RECORD.std)
)


@pytest.mark.parametrize('dates', [(), (2,)])
@given(seed=st.integers(0, 2**16), factor=st.sampled_from([1.0, 1 / 255]))
def test_values_that_were_normalised_come_back(
    dates: tuple[int, ...], seed: int, factor: float
) -> None:
    stored = np.random.default_rng(seed).integers(0, 2**16, (3, *dates, 2, 5, 4))
    images = ((stored * SCALE - MEAN) / STD).astype('float32')
    form = GraphForm(factor=factor, record=RECORD)
    np.testing.assert_allclose(
        form.to_stored(images), stored * factor, rtol=1e-6, atol=0.02 * factor
    )
    beside = images.reshape(3, -1, 5, 4)
    np.testing.assert_array_equal(
        form.to_stored(beside), form.to_stored(images).reshape(beside.shape)
    )


def test_a_pixel_without_an_observation_is_the_mean() -> None:
    found = GraphForm(factor=1.0, record=RECORD).to_stored(np.zeros((1, 2, 1, 1), dtype='float32'))
    np.testing.assert_allclose(found.ravel(), (0.4 * 255, 1000), rtol=1e-6)


@given(seed=st.integers(0, 2**16))
def test_probabilities_come_back_as_logits_of_the_same(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 5, (2, 3, 4, 4)).astype('float32')
    powers = np.exp(values)
    shares = powers / powers.sum(axis=1, keepdims=True)
    scores = GraphForm(returned='softmax').to_scores(shares)
    again = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(again, shares, atol=1e-6)
    np.testing.assert_array_equal(scores.argmax(axis=1), shares.argmax(axis=1))
    single = 1 / (1 + np.exp(-values))
    scores = GraphForm(returned='sigmoid').to_scores(single)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), single, atol=1e-6)


def test_certainty_stays_finite() -> None:
    sure = np.array([[0.0], [1.0]], dtype='float32')
    for returned in ('softmax', 'sigmoid'):
        form = GraphForm.of({'factor': None, 'returned': returned}, None, source='a')
        assert np.isfinite(form.to_scores(sure)).all()


@pytest.mark.parametrize(
    'stated',
    [None, [], {}, {'factor': 0, 'returned': 'scores'}, {'factor': 1, 'returned': 'other'},
     {'factor': True, 'returned': 'scores'}, {'factor': float('nan'), 'returned': 'scores'},
     {'factor': '1', 'returned': 'scores'}, {'factor': None, 'returned': []}],
)  # fmt: skip
def test_what_is_no_form_is_refused(stated: Any) -> None:
    with pytest.raises(ValueError, match=r'^a\.onnx must say factor'):
        GraphForm.of(stated, RECORD, source='a.onnx')


def test_folded_preprocessing_without_a_record_is_refused() -> None:
    with pytest.raises(ValueError, match='says that preprocessing is folded in, but not which'):
        GraphForm.of({'factor': 1.0, 'returned': 'scores'}, None, source='a.onnx')
