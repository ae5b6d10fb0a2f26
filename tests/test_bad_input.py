"""Wrong input answers in one line, with exit code 1, and leaves nothing behind."""

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.geoio.writing import write_raster
from gersp_geo.main import main
from gersp_geo.records import Preprocessing

TRANSFORM = rasterio.transform.from_origin(4e5, 5e6, 10, 10)
RECORD = Preprocessing(
    bands=('red', 'green', 'blue'),
    scale=(1 / 255,) * 3,
    mean=(0.5,) * 3,
    std=(0.2,) * 3,
    class_names=('land', 'water'),
    task_class='torchgeo.tasks.SemanticSegmentation',
)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    task = SemanticSegmentation('unet', 'resnet18', num_classes=2)
    saved = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    torch.save(saved | {'gersp_geo': RECORD.to_dict(), 'pytorch-lightning_version': '2.6.0'}, path)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    pixels = np.full((3, 40, 40), 7, dtype=np.uint8)
    return write_raster(tmp_path / 'scene.tif', pixels, crs='EPSG:32633', transform=TRANSFORM)


def refusal(capsys: pytest.CaptureFixture[str], folder: Path, *words: str | Path) -> str:
    """Run, expect one line and exit code 1, and no file more or less; return the line."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
    capsys.readouterr()
    assert main([str(word) for word in words]) == 1
    error = capsys.readouterr().err
    assert error.startswith('gersp-geo: error: ')
    assert error.count('\n') == 1
    assert {path: path.stat().st_mtime_ns for path in folder.rglob('*')} == before
    return error


def test_a_scene_with_too_few_bands(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.full((2, 40, 40), 7, dtype=np.uint8)
    narrow = write_raster(tmp_path / 'two.tif', pixels, crs='EPSG:32633', transform=TRANSFORM)
    error = refusal(capsys, tmp_path, 'predict', checkpoint, narrow, '-o', tmp_path / 'map.tif')
    assert 'two.tif' in error
    assert '2' in error
    assert 'red, green, blue' in error


def test_an_output_that_exists(
    checkpoint: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'map.tif').write_text('precious')
    error = refusal(capsys, tmp_path, 'predict', checkpoint, scene, '-o', tmp_path / 'map.tif')
    assert 'map.tif exists' in error
    assert (tmp_path / 'map.tif').read_text() == 'precious'


def test_a_scene_that_is_missing(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ('predict', checkpoint, tmp_path / 'none.tif', '-o', tmp_path / 'map.tif')
    assert 'none.tif does not exist' in refusal(capsys, tmp_path, *words)


@pytest.mark.parametrize('content', [b'', b'not a checkpoint', b'PK\x03\x04 broken archive'])
@pytest.mark.parametrize('command', ['predict', 'plan', 'export'])
def test_a_checkpoint_that_is_not_one(
    command: str, content: bytes, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'model.ckpt').write_bytes(content)
    words: list[str | Path] = [command, tmp_path / 'model.ckpt']
    words += (
        [tmp_path / 'b', '--format', 'timm'] if command == 'export' else [scene, '-o', 'map.tif']
    )
    assert 'model.ckpt' in refusal(capsys, tmp_path, *words)


def test_a_checkpoint_that_would_run_code(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / 'ran.txt',)  # type: ignore[return-value]

    torch.save({'state_dict': {}, 'hyper_parameters': Trap()}, tmp_path / 'model.ckpt')
    refusal(capsys, tmp_path, 'predict', tmp_path / 'model.ckpt', scene, '-o', 'map.tif')
    assert not (tmp_path / 'ran.txt').exists()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--overlap', '512'], r'overlap must be in \[0, size=512\), got 512'),
        (['--bands', '1,2,9'], r'9'),
        (['--bands', '1,2'], r'bands'),
        (['--batch-size', '0'], r'batch_size must be'),
        (['--device', 'abacus'], r'abacus'),
    ],
)
def test_an_option_outside_its_range(
    options: list[str],
    message: str,
    checkpoint: Path,
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words: list[str | Path] = ['predict', checkpoint, scene, '-o', tmp_path / 'map.tif', *options]
    assert re.search(message, refusal(capsys, tmp_path, *words))


def test_sample_data_into_a_folder_with_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.txt').touch()
    assert 'mine' in refusal(capsys, tmp_path, 'sample-data', tmp_path / 'mine')
