"""Laws of turning stored pixels into scores."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gersp_geo.inference.model.load import Forward
from gersp_geo.inference.model.predictor import VIEWS, PixelPredictor, Views
from gersp_geo.inference.model.signature import Scores
from gersp_geo.inference.options import Averaging
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(
    bands=('red', 'nir'), scale=(1 / 255, 2.0), mean=(0.5, -1.0), std=(0.25, 3.0)
)


def score(
    forward: Forward, pixels: Tensor, valid: Tensor | None = None, *, scores: Scores = 'values',
    as_logits: bool = False, **options: Any,
) -> Tensor:  # fmt: skip
    views = Views(RECORD, device='cpu', **options)
    scorer = PixelPredictor(forward, views, scores=scores, as_logits=as_logits)
    with torch.inference_mode():
        return scorer(pixels, valid).clone()


def noise(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1)).byte()


@pytest.mark.parametrize('dtype', ['uint8', 'int16', 'uint16', 'int32', 'float32', 'float64'])
def test_values_are_scaled_and_standardised_per_band(dtype: str) -> None:
    pixels = noise(3, 2, 8, 9).numpy().astype(dtype)
    wanted = np.stack(
        [(pixels[:, 0] / 255.0 - 0.5) / 0.25, (pixels[:, 1] * 2.0 + 1.0) / 3.0], axis=1
    )
    found = score(nn.Identity(), torch.from_numpy(pixels))
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


def test_a_smaller_batch_after_a_larger_one_is_not_mixed_with_it() -> None:
    scorer = PixelPredictor(nn.Identity(), Views(RECORD, device='cpu'), scores='values')
    large, small = noise(4, 2, 8, 8), noise(1, 2, 8, 8)
    scorer(large, None)
    assert torch.equal(scorer(small, None), score(nn.Identity(), small))


def test_a_pixel_without_observation_enters_as_the_mean() -> None:
    pixels = torch.full((1, 2, 4, 4), torch.nan)
    pixels[..., 1] = 3e38
    valid = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert (score(nn.Identity(), pixels, valid) == 0).all()


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('shape', [None, (3, 7, 9), (3, 2, 7, 9)])
def test_layout_and_observations_change_no_bit_of_what_is_known(
    shape: tuple[int, ...] | None, channels_last: bool
) -> None:
    pixels = noise(3, 2, 7, 9).float()
    known = None if shape is None else noise(*shape) > 100
    each = torch.ones(3, 2, 7, 9, dtype=torch.bool)
    if known is not None:
        each &= known if known.ndim == 4 else known[:, None]
    scale, mean, std = (
        torch.tensor(values)[:, None, None] for values in (RECORD.scale, RECORD.mean, RECORD.std)
    )
    wanted = ((pixels * scale - mean) / std).masked_fill(~each, 0)
    stored = pixels.masked_fill(~each, torch.nan)
    views = Views(RECORD, device='cpu', channels_last=channels_last)
    assert views.normalise(stored, known).contiguous().numpy().tobytes() == wanted.numpy().tobytes()


def test_logits_become_probabilities_as_the_task_means_them() -> None:
    pixels = noise(2, 2, 6, 6)
    logits = score(nn.Identity(), pixels)
    torch.testing.assert_close(score(nn.Identity(), pixels, scores='classes'), logits.softmax(1))
    torch.testing.assert_close(score(nn.Identity(), pixels, scores='labels'), logits.sigmoid())
    one = score(lambda images: images[:, :1], pixels, scores='classes')
    torch.testing.assert_close(one, logits[:, :1].sigmoid())
    assert torch.equal(score(nn.Identity(), pixels, scores='classes', as_logits=True), logits)


@pytest.mark.parametrize('averaging', VIEWS)
def test_views_come_back_to_their_places(averaging: Averaging) -> None:
    pixels = noise(2, 2, 7, 7)
    found = score(nn.Identity(), pixels, averaging=averaging)
    torch.testing.assert_close(found, score(nn.Identity(), pixels))


@pytest.mark.parametrize(('averaging', 'views'), [('flips', 4), ('rotations', 8)])
def test_views_are_different_and_their_scores_are_averaged(
    averaging: Averaging, views: int
) -> None:
    seen: list[Tensor] = []

    def corner(images: Tensor) -> Tensor:
        seen.append(images.clone())
        return images * torch.arange(5.0)[:, None]

    pixels = noise(1, 2, 5, 5)
    found = score(corner, pixels, averaging=averaging)
    assert len(seen) == views
    assert len({tuple(view.flatten().tolist()) for view in seen}) == views
    # the factors 0 to 4 of opposite rows average to 2
    torch.testing.assert_close(found, 2 * score(nn.Identity(), pixels))


def test_averaging_probabilities_needs_probabilities() -> None:
    pixels = noise(1, 2, 4, 4)
    found = score(nn.Identity(), pixels, scores='classes', as_logits=True, averaging='flips')
    torch.testing.assert_close(found.sum(1), torch.ones(1, 4, 4))


def test_bfloat16_computes_in_bfloat16_and_returns_floats() -> None:
    kinds: list[torch.dtype] = []

    class Watched(nn.Conv2d):
        def forward(self, images: Tensor) -> Tensor:
            scores = super().forward(images)
            kinds.append(scores.dtype)
            return scores

    torch.manual_seed(0)
    model = Watched(2, 3, 3, padding=1).eval()
    pixels = noise(1, 2, 8, 8)
    found = score(model, pixels, precision='bfloat16')
    assert kinds == [torch.bfloat16]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, score(model, pixels), rtol=0.05, atol=0.1)


def test_channels_last_is_how_images_lie_in_memory() -> None:
    layouts: list[bool] = []

    def watch(images: Tensor) -> Tensor:
        layouts.append(images.is_contiguous(memory_format=torch.channels_last))
        return images

    score(watch, noise(2, 2, 8, 8), channels_last=True)
    score(watch, noise(2, 2, 8, 8))
    assert layouts == [True, False]


@pytest.mark.parametrize('wrong', [lambda x: x[..., ::2], lambda x: x[:1], lambda x: {'out': x}])
def test_scores_of_another_shape_are_refused(wrong: Forward) -> None:
    with pytest.raises(ValueError, match=r'must return scores of shape \(2, K, 8, 8\)'):
        score(wrong, noise(2, 2, 8, 8))
