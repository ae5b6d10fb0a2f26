"""The form in which a model runs is settled once per job, and kept by what is begun."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from torch import Tensor, nn

from gersp_geo.inference import plan_prediction, predict_geotiff
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.outputs.map_maker import MapMaker
from gersp_geo.inference.prepare import prepare
from gersp_geo.inference.resume.journal import work_folder
from gersp_geo.inference.run import run_plan
from gersp_geo.inference.runtime import choose_runtime
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.4,) * 3, std=(0.2,) * 3
)
OPTIONS: dict[str, Any] = {
    'preprocessing': RECORD, 'size': 64, 'overlap': 16, 'progress': False, 'device': 'cpu',
    'part_pixels': 1,
}  # fmt: skip
SHORT = {name: value for name, value in OPTIONS.items() if name != 'part_pixels'}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1)
    )


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('scene') / 'scene.tif'
    pixels = np.random.default_rng(1).integers(0, 256, (3, 200, 230), dtype='uint8')
    with rasterio.open(
        path, 'w', driver='GTiff', height=200, width=230, count=3, dtype='uint8',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6), tiled=True, blockxsize=64,
        blockysize=64,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def predict(model: nn.Module, scene: Path, destination: Path, **options: Any) -> Any:
    """Predict in many parts, which is no option of users."""
    chosen = MapOptions(**OPTIONS | options)
    return run_plan(prepare(MapMaker, model, scene, destination, chosen), progress=False)


def read(path: Path) -> tuple[NDArray[Any], str]:
    with rasterio.open(path) as src:
        return src.read(), src.tags()['RUNTIME']


class Stop(Exception):
    """Stands for a kill between two parts."""


class Stopping(nn.Module):
    """Stops a prediction on its way; once stopped, goes on."""

    left = 0

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, images: Tensor) -> Tensor:
        Stopping.left -= 1
        if Stopping.left == 0:
            raise Stop
        found: Tensor = self.network(images)
        return found


def test_small_scenes_take_bands_last_and_tiny_ones_the_model_as_it_is(
    scene: Path, tmp_path: Path
) -> None:
    summary = predict_geotiff(network(), scene, tmp_path / 'map.tif', **SHORT)
    assert summary.runtime == 'channels-last'
    assert 'runtime  channels-last' in str(summary)
    pixels, tag = read(tmp_path / 'map.tif')
    assert tag == 'channels-last'
    tiny = predict_geotiff(network(), scene, tmp_path / 'tiny.tif', **SHORT | {'size': 256})
    assert tiny.runtime == 'eager'
    whole = predict_geotiff(
        network(), scene, tmp_path / 'eager.tif', **SHORT | {'runtime': 'eager'}
    )
    assert whole.runtime == 'eager'
    assert (pixels == read(tmp_path / 'eager.tif')[0]).mean() > 0.9999


def test_few_large_patches_are_as_many_as_their_pixels(tmp_path: Path) -> None:
    path = tmp_path / 'scene.tif'
    with rasterio.open(
        path, 'w', driver='GTiff', height=2048, width=1024, count=3, dtype='uint8', tiled=True,
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6), compress='deflate',
    ) as dst:  # fmt: skip
        dst.write(np.full((3, 2048, 1024), 9, dtype='uint8'))
    options = SHORT | {'size': 1024, 'overlap': 0}
    plan = prepare(MapMaker, network(), path, tmp_path / 'map.tif', MapOptions(**options))
    chosen = choose_runtime(plan, key=None, progress=False)
    assert str(chosen.runtime) == 'channels-last'


def test_a_stopped_job_goes_on_with_the_runtime_that_it_began_with(
    scene: Path, tmp_path: Path
) -> None:
    Stopping.left = 0
    predict(Stopping(), scene, tmp_path / 'once.tif', runtime='eager')
    resumed = tmp_path / 'resumed.tif'
    # after one patch of zeros and two rows of patches
    Stopping.left = 4
    with pytest.raises(Stop):
        predict(Stopping(), scene, resumed, runtime='eager')
    header = json.loads((work_folder(resumed) / 'prediction.json').read_text())
    assert header['runtime'] == 'eager'
    summary = predict(Stopping(), scene, resumed)
    assert summary.parts_before > 0
    assert summary.runtime == 'eager'
    assert resumed.read_bytes() == (tmp_path / 'once.tif').read_bytes()


def test_another_runtime_is_refused_while_parts_of_one_are_there(
    scene: Path, tmp_path: Path
) -> None:
    destination = tmp_path / 'map.tif'
    predict_geotiff(network(), scene, destination, **SHORT | {'shard': '0/2', 'runtime': 'eager'})
    with pytest.raises(ValueError, match=r'runtime was "eager", is "channels-last"'):
        predict_geotiff(
            network(), scene, destination, **SHORT | {'shard': '1/2', 'channels_last': True}
        )
    # without a word of its own, a shard takes that of the others
    predict_geotiff(network(), scene, destination, **SHORT | {'shard': '1/2'})
    merged = predict_geotiff(network(), scene, destination, **SHORT | {'merge': True})
    assert merged.complete
    assert read(destination)[1] == 'eager'


def test_shards_give_the_bytes_of_a_single_run(scene: Path, tmp_path: Path) -> None:
    predict_geotiff(network(), scene, tmp_path / 'one.tif', **SHORT)
    for index in range(2):
        predict_geotiff(network(), scene, tmp_path / 'two.tif', **SHORT | {'shard': f'{index}/2'})
    predict_geotiff(network(), scene, tmp_path / 'two.tif', **SHORT | {'merge': True})
    assert (tmp_path / 'one.tif').read_bytes() == (tmp_path / 'two.tif').read_bytes()


def test_a_plan_says_what_will_run(scene: Path, tmp_path: Path) -> None:
    plan = plan_prediction(network(), scene, tmp_path / 'map.tif', **SHORT)
    line = next(line for line in str(plan).splitlines() if line.startswith('runtime'))
    assert line.split(maxsplit=1)[1] == 'channels-last'


@pytest.mark.parametrize('word', ['--compile', '--channels-last'])
def test_two_words_for_two_runtimes_are_refused(
    word: str,
    scene: Path,
    small_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ['predict', str(small_checkpoint), str(scene), '-o', str(tmp_path / 'map.tif')]
    assert main([*arguments, '--runtime', 'onnx', word])
    assert 'is another word for runtime=' in capsys.readouterr().err
    assert not (tmp_path / 'map.tif').exists()


@pytest.mark.parametrize(('name', 'package'), [('openvino', 'openvino'), ('onnx', 'onnxscript')])
def test_a_runtime_that_is_not_installed_says_what_to_install(
    name: str, package: str, scene: Path, small_checkpoint: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    # as the import system marks what is not there
    monkeypatch.setitem(sys.modules, package, None)
    arguments = ['predict', str(small_checkpoint), str(scene), '-o', str(tmp_path / 'map.tif')]
    assert main([*arguments, '--runtime', name])
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"runtime '{name}' needs {package}, which is not installed" in said
    assert f"pip install 'gersp-geo[{name}]'" in said
    assert not (tmp_path / 'map.tif').exists()


def test_a_job_that_another_machine_began_says_what_is_missing_here(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('openvino')
    destination = tmp_path / 'map.tif'
    predict_geotiff(
        network(), scene, destination, **SHORT | {'shard': '0/2', 'runtime': 'openvino'}
    )
    monkeypatch.setitem(sys.modules, 'openvino', None)
    with pytest.raises(ValueError, match=r"runtime 'openvino' needs openvino, which is not inst"):
        predict_geotiff(network(), scene, destination, **SHORT | {'shard': '1/2'})
