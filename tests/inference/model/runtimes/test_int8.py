"""A model in int8 is rounded for one scene, the same each time, and says how far it is the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from torch import Tensor, nn

from gersp_geo.inference import plan_prediction, predict_geotiff
from gersp_geo.inference.model.load import LoadedModel
from gersp_geo.inference.model.runtimes.forms import Setting
from gersp_geo.inference.model.runtimes.int8 import Rounding
from gersp_geo.inference.model.runtimes.trials import Trial
from gersp_geo.inference.model.signature import Scores
from gersp_geo.inference.options import RuntimeName
from gersp_geo.inference.resume.journal import work_folder
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing

pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.4,) * 3, std=(0.2,) * 3
)
OPTIONS: dict[str, Any] = {
    'preprocessing': RECORD, 'size': 64, 'overlap': 16, 'progress': False, 'device': 'cpu',
    'precision': 'int8',
}  # fmt: skip


class Colours(nn.Module):
    """Brightness of three colours, or their sum: a model whose answers are known."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1)
        self.last = nn.Conv2d(8, outputs, 1)
        weights = torch.eye(8)[:, :3, None, None]
        self.first.load_state_dict({'weight': weights, 'bias': torch.full((8,), 3.0)})
        last = weights.transpose(0, 1)[:outputs]
        self.last.load_state_dict({'weight': last, 'bias': torch.zeros(outputs)})

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.last(self.first(images).relu())
        return found


def rounding(
    module: nn.Module, *, count: int = 10, scores: Scores = 'classes', batch: int = 2
) -> Rounding:
    generator = torch.Generator().manual_seed(3)
    loaded = LoadedModel(
        forward=module.eval().requires_grad_(requires_grad=False),
        scores=scores, preprocessing=RECORD, name='colours',
    )  # fmt: skip
    return Rounding(
        loaded=loaded,
        setting=Setting(device='cpu', precision='int8', size=32, batch_size=batch, threads=1),
        patches=[*torch.rand(count, 3, 32, 32, generator=generator)],
        forms=('onnx', 'openvino'),
    )


def scene(path: Path, *, value: int | None = None) -> Path:
    pixels = np.random.default_rng(1).integers(1, 256, (3, 150, 170), dtype='uint8')
    with rasterio.open(
        path, 'w', driver='GTiff', height=150, width=170, count=3, dtype='uint8', nodata=0,
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ) as dst:  # fmt: skip
        dst.write(pixels if value is None else np.full_like(pixels, value))
    return path


@pytest.mark.slow
def test_the_same_ranges_make_the_same_model() -> None:
    first = rounding(Colours())
    form, choice = first.choose('onnx', begun=None, timed=False)
    again, kept = rounding(Colours(), count=0).choose(None, begun=choice, timed=True)
    assert kept == choice
    assert form.forward.content == again.forward.content  # type: ignore[attr-defined]
    assert choice.trials == (Trial.of(json.loads(json.dumps(_plain(choice.trials[0])))),)


def _plain(trial: Trial) -> dict[str, Any]:
    return {name: getattr(trial, name) for name in Trial.__slots__}


@pytest.mark.slow
@pytest.mark.parametrize(('count', 'held_out'), [(1, '1 patch;'), (3, '1 held-out patch;'),
                                                 (10, '2 held-out patches;')])  # fmt: skip
def test_what_is_compared_was_not_calibrated_on(count: int, held_out: str) -> None:
    given = rounding(Colours(), count=count)
    calibrated, compared = given.part(held_out=False), given.part(held_out=True)
    assert count == 1 or not {map(id, calibrated)} & {map(id, compared)}
    assert len(calibrated) + len(compared) == max(count, 2)
    _, choice = given.choose('onnx', begun=None, timed=False)
    assert held_out in str(choice)
    assert 'agrees with float32 in 9' in str(choice)


@pytest.mark.slow
def test_quantities_are_compared_by_r2() -> None:
    _, choice = rounding(Colours(1), scores='values').choose('onnx', begun=None, timed=False)
    assert 'agrees with float32 to R2 0.99' in str(choice) or 'R2 1.0' in str(choice)


class Needle(nn.Module):
    """Classes that hang on a difference far below the range of its values."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 2, 1)
        self.first.load_state_dict(
            {'weight': torch.eye(3)[:, :, None, None], 'bias': torch.tensor([1000.0, 0.0, 0.0])}
        )
        last = torch.tensor([[1.0, 0, 0], [0, 0, 0]])[:, :, None, None]
        self.last.load_state_dict({'weight': last, 'bias': torch.tensor([-1000.5, 0.0])})

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.last(self.first(images).relu())
        return found


@pytest.mark.slow
def test_a_model_that_is_another_one_in_int8_is_refused() -> None:
    with pytest.raises(ValueError, match=r'int8 agrees with float32 in .* at least 90%.* float32$'):
        rounding(Needle()).choose('onnx', begun=None, timed=False)


@pytest.mark.parametrize('runtime', ['onnx', pytest.param('openvino', marks=pytest.mark.slow)])
def test_shards_and_a_single_run_give_the_same_bytes(runtime: RuntimeName, tmp_path: Path) -> None:
    pytest.importorskip(runtime if runtime == 'openvino' else 'onnxruntime')
    source = scene(tmp_path / 'scene.tif')
    one = predict_geotiff(Colours(), source, tmp_path / 'a.tif', runtime=runtime, **OPTIONS)
    assert one.runtime is not None
    assert one.runtime.startswith(f'{runtime}, int8 agrees with float32 in ')
    for shard in ('0/2', '1/2'):
        predict_geotiff(
            Colours(), source, tmp_path / 'b.tif', runtime=runtime, shard=shard, **OPTIONS
        )
    header = json.loads((work_folder(tmp_path / 'b.tif') / 'prediction.json').read_text())
    assert 'held-out' in header['runtime_trials'][0]['agreement']
    predict_geotiff(Colours(), source, tmp_path / 'b.tif', merge=True, runtime=runtime, **OPTIONS)
    assert (tmp_path / 'a.tif').read_bytes() == (tmp_path / 'b.tif').read_bytes()
    with rasterio.open(tmp_path / 'a.tif') as src, rasterio.open(source) as pixels:
        tags, classes, colours = src.tags(), src.read(1), pixels.read()
    assert (tags['RUNTIME'], tags['PRECISION']) == (runtime, 'int8')
    assert (classes == colours.argmax(0)).mean() > 0.97


@pytest.mark.slow
def test_the_faster_of_two_is_chosen_and_said(tmp_path: Path) -> None:
    pytest.importorskip('openvino')
    plan = plan_prediction(
        Colours(), scene(tmp_path / 'scene.tif'), tmp_path / 'map.tif', **OPTIONS
    )
    assert plan.runtime is not None
    assert {trial.name for trial in plan.runtime.trials} == {'onnx', 'openvino'}
    times = {trial.name: trial.patch_seconds for trial in plan.runtime.trials}
    assert plan.runtime.name == min(times, key=lambda name: times[name] or 0.0)
    assert 'int8 agrees with float32 in ' in str(plan)


def test_a_scene_without_observations_cannot_be_calibrated_on(tmp_path: Path) -> None:
    source = scene(tmp_path / 'scene.tif', value=0)
    with pytest.raises(ValueError, match='no observation was found in it; pass precision float32'):
        predict_geotiff(Colours(), source, tmp_path / 'map.tif', **OPTIONS)
    assert not (tmp_path / 'map.tif').exists()


@pytest.mark.parametrize('runtime', ['eager', 'channels-last', 'compiled'])
def test_modules_are_not_rounded(
    runtime: str, small_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['predict', str(small_checkpoint), str(scene(tmp_path / 's.tif')), '--precision']
    assert main([*arguments, 'int8', '--runtime', runtime, '-o', str(tmp_path / 'map.tif')])
    assert "precision 'int8' needs the runtime onnx or openvino" in capsys.readouterr().err
