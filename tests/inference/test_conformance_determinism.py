"""How a prediction is carried out leaves no trace in its map."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gersp_geo.inference import plan_prediction, predict_geotiff
from tests.inference.engines import Blend, Model, Output, noise, record_for, write_scene

BANDS, HEIGHT, WIDTH = 4, 130, 310
COMMON: Mapping[str, Any] = {
    'size': 32, 'overlap': 10, 'device': 'cpu', 'preprocessing': record_for(BANDS),
    'overwrite': True, 'progress': False,
}  # fmt: skip


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with a hole that holds whole patches."""
    pixels = noise((BANDS, HEIGHT, WIDTH))
    pixels[:, 20:100, 60:170] = np.nan
    return write_scene(tmp_path_factory.mktemp('scene') / 'scene.tif', pixels)


def memory_limits(model: Model, scene: Path, options: Mapping[str, Any]) -> dict[str, int]:
    """Find a limit of memory that hardly suffices, and one that leaves two panels."""
    found: dict[str, int] = {}
    for step in range(40):
        limit = round(50_000 * 1.2**step)
        try:
            # planning forwards a batch, to say how long it will take
            plan = plan_prediction(
                model, scene, 'map.tif', **options, batch_size=1, memory_limit=limit
            )
        except ValueError:
            # not enough for a patch
            continue
        if not found:
            assert len(plan.panels) > 2
            found['many panels'] = limit
        if len(plan.panels) == 2:
            return found | {'two panels': limit}
    raise AssertionError(f'no limit leaves two panels: {found}')


def one_by_one() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(BANDS, 5, 1).double()


def three_by_three() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(BANDS, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1))


def free(images: Tensor) -> Tensor:
    return images[:, [0, 1, 2, 0, 1]]


class Float64(nn.Module):
    """A model that computes in double precision, whatever it is given."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.inner(images.double())
        return scores


MODELS: dict[str, Callable[[], Model]] = {
    'identity': nn.Identity,
    'slice': lambda: free,
    '1 x 1 in float64': lambda: Float64(one_by_one()),
}


@pytest.mark.quick(
    'identity-values-hann', 'slice-classes-hann', '1 x 1 in float64-probabilities-crop'
)
@pytest.mark.parametrize('blend', ['hann', 'crop'])
@pytest.mark.parametrize('output', ['values', 'probabilities', 'classes'])
@pytest.mark.parametrize('name', MODELS)
def test_batches_threads_and_panels_leave_the_same_bytes(
    tmp_path: Path, scene: Path, name: str, output: Output, blend: Blend
) -> None:
    model, options = MODELS[name](), {**COMMON, 'output': output, 'blend': blend}
    predict_geotiff(model, scene, tmp_path / 'map.tif', **options)
    expected = (tmp_path / 'map.tif').read_bytes()
    for way in ways(memory_limits(model, scene, options)):
        predict_geotiff(model, scene, tmp_path / 'map.tif', **options, **way)
        assert (tmp_path / 'map.tif').read_bytes() == expected, way


@pytest.mark.quick('crop')
@pytest.mark.parametrize('blend', ['hann', 'crop'])
def test_a_convolution_differs_by_rounding_only_and_in_no_clear_class(
    tmp_path: Path, scene: Path, blend: Blend
) -> None:
    model, common = three_by_three(), {**COMMON, 'blend': blend}

    def predict(output: Output, way: dict[str, Any]) -> NDArray[Any]:
        predict_geotiff(model, scene, tmp_path / 'map.tif', **common, output=output, **way)
        with rasterio.open(tmp_path / 'map.tif') as src:
            pixels: NDArray[Any] = src.read()
        return pixels

    probabilities, classes = (predict(output, {}) for output in ('probabilities', 'classes'))
    second, best = np.sort(probabilities, axis=0)[-2:]
    # NaN, where there is no observation, is as clear
    is_clear = ~(best - second <= 1e-5)
    assert is_clear.mean() > 0.99
    options = {**common, 'output': 'probabilities'}
    for way in ways(memory_limits(model, scene, options)):
        np.testing.assert_allclose(predict('probabilities', way), probabilities, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(predict('classes', way)[0, is_clear], classes[0, is_clear])


def ways(limits: Mapping[str, int]) -> list[dict[str, Any]]:
    """List options that must not matter."""
    many, two = limits['many panels'], limits['two panels']
    return [
        {'batch_size': 1},
        {'batch_size': 3},
        {'batch_size': 1000},
        {'threads': 1},
        {'threads': 5},
        {'memory_limit': many},
        {'memory_limit': two},
        {'memory_limit': many, 'threads': 3, 'batch_size': 2},
    ]
