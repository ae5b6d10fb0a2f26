"""Wrong input answers in one line, with exit code 1, and leaves nothing behind."""

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference.options import MapOptions
from gersp_geo.main import main

TRANSFORM = rasterio.transform.from_origin(4e5, 5e6, 10, 10)


@pytest.fixture(scope='module')
def with_backbone(tmp_path_factory: pytest.TempPathFactory, small_checkpoint: Path) -> Path:
    """A checkpoint that can embed."""
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    saved = torch.load(small_checkpoint, weights_only=True)
    task = SemanticSegmentation('unet', 'resnet18', num_classes=2)
    changes = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    torch.save(saved | changes, path)
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
    small_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.full((2, 40, 40), 7, dtype=np.uint8)
    narrow = write_raster(tmp_path / 'two.tif', pixels, crs='EPSG:32633', transform=TRANSFORM)
    error = refusal(
        capsys, tmp_path, 'predict', small_checkpoint, narrow, '-o', tmp_path / 'map.tif'
    )
    assert 'two.tif' in error
    assert '2' in error
    assert 'red, green, blue' in error


def test_an_output_that_exists(
    small_checkpoint: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'map.tif').write_text('precious')
    error = refusal(
        capsys, tmp_path, 'predict', small_checkpoint, scene, '-o', tmp_path / 'map.tif'
    )
    assert 'map.tif exists' in error
    assert (tmp_path / 'map.tif').read_text() == 'precious'


def test_a_scene_that_is_missing(
    small_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ('predict', small_checkpoint, tmp_path / 'none.tif', '-o', tmp_path / 'map.tif')
    assert 'none.tif does not exist' in refusal(capsys, tmp_path, *words)


@pytest.mark.quick('plan-500', 'predict-4000', 'predict-20000')
@pytest.mark.parametrize('place', [500, 1000, 4000, 20_000])
@pytest.mark.parametrize('command', ['plan', 'predict'])
def test_a_scene_that_is_cut_off(
    command: str,
    place: int,
    small_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, 256, 256), dtype=np.uint8)
    shape = {'width': 256, 'height': 256, 'count': 3, 'dtype': 'uint8', 'blocksize': 128}
    placed = {'crs': 'EPSG:32633', 'transform': TRANSFORM}
    with rasterio.open(tmp_path / 'a.tif', 'w', driver='COG', **shape, **placed) as dst:
        dst.write(pixels)
    (tmp_path / 'a.tif').write_bytes((tmp_path / 'a.tif').read_bytes()[:place])
    for words in ([], ['--crs', 'EPSG:4326']):
        error = refusal(
            capsys, tmp_path, command, small_checkpoint, tmp_path / 'a.tif', '-o', tmp_path / 'map.tif',
            *words,
        )  # fmt: skip
        assert f'a.tif is cut off: it ends at byte {place:,}, before' in error


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
        (['--memory-limit', 'much'], r'memory_limit must be'),
        (['--device', 'abacus'], r'abacus'),
        (['--device', 'meta'], r"device 'meta' holds no numbers"),
    ],
)
def test_an_option_outside_its_range(
    options: list[str],
    message: str,
    small_checkpoint: Path,
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words: list[str | Path] = [
        'predict',
        small_checkpoint,
        scene,
        '-o',
        tmp_path / 'map.tif',
        *options,
    ]
    assert re.search(message, refusal(capsys, tmp_path, *words))


@pytest.mark.quick('predict-complex64')
@pytest.mark.parametrize('dtype', ['complex_int16', 'complex64', 'complex128'])
@pytest.mark.parametrize('command', ['plan', 'predict'])
def test_complex_numbers(
    command: str,
    dtype: str,
    with_backbone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    profile = {'width': 40, 'height': 40, 'count': 3, 'dtype': dtype, 'crs': 'EPSG:32633'}
    with rasterio.open(
        tmp_path / 'a.tif', 'w', driver='GTiff', transform=TRANSFORM, **profile
    ) as dst:
        dst.write(np.ones((3, 40, 40), np.complex64 if dtype == 'complex_int16' else dtype))
    for words in ([], ['--crs', 'EPSG:4326'], ['--task', 'embed']):
        final = tmp_path / ('vectors.parquet' if '--task' in words else 'map.tif')
        error = refusal(
            capsys, tmp_path, command, with_backbone, tmp_path / 'a.tif', '-o', final, *words
        )
        assert 'a.tif holds complex numbers' in error


@pytest.mark.quick('8')
@pytest.mark.parametrize('size', [8, 32, 64, 100, 512])
def test_smaller_patches_share_fewer_pixels(
    size: int,
    small_checkpoint: Path,
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ['plan', small_checkpoint, scene, '-o', tmp_path / 'map.tif', '--size', size]
    assert main([str(word) for word in words]) == 0
    assert f'of {size} px, overlap {min(64, size // 2)},' in capsys.readouterr().out


def test_what_is_not_given_does_not_collide() -> None:
    for size in range(2, 600):
        options = MapOptions(size=size)
        assert options.shared == min(64, size // 2)
    with pytest.raises(ValueError, match=r'margin must be in \[0, overlap / 2=16\], got 20'):
        MapOptions(size=64, margin=20)
    assert MapOptions(size=64, overlap=60).shared == 60


@pytest.mark.parametrize('device', ['cpu', 'cpu:0'])
def test_a_processor_is_one_under_any_number(
    device: str,
    small_checkpoint: Path,
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ['plan', small_checkpoint, scene, '-o', tmp_path / 'map.tif', '--device', device]
    assert main([str(word) for word in words]) == 0
    output = capsys.readouterr().out
    assert 'up to 4 patches on cpu, ' in output
    assert 'of the device' not in output


def test_sample_data_into_a_folder_with_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'thesis.txt').touch()
    assert 'mine' in refusal(capsys, tmp_path, 'sample-data', tmp_path / 'mine')


def test_a_scene_of_another_type_than_the_training_files(
    small_checkpoint: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = torch.load(small_checkpoint, weights_only=True)
    saved['gersp_geo']['dtype'] = 'uint16'
    torch.save(saved, tmp_path / 'model.ckpt')
    words = ('predict', tmp_path / 'model.ckpt', scene, '-o', tmp_path / 'map.tif')
    error = refusal(capsys, tmp_path, *words)
    assert 'scene.tif holds uint8, the model was trained on uint16' in error


def test_a_map_that_would_not_be_named_as_a_geotiff(
    small_checkpoint: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ('predict', small_checkpoint, scene, '-o', tmp_path / 'map.png')
    assert 'must end in .tif, .tiff' in refusal(capsys, tmp_path, *words)


def test_a_task_with_fewer_classes_than_the_labels(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        'fit', '--model', 'torchgeo.tasks.SemanticSegmentation', '--model.backbone', 'resnet18',
        '--model.num_classes', '3', '--data', 'gersp_geo.datamodules.GeoTIFFSegmentationDataModule',
        '--data.images', 'sample-data/scenes', '--data.masks', 'sample-data/masks',
        '--data.size', '64', '--trainer.logger', 'false', '--trainer.enable_checkpointing', 'false',
    ]  # fmt: skip
    error = refusal_of_training(capsys, words)
    assert 'num_classes of the task must be the 5 classes of the labels (' in error
    assert 'got 3; pass num_classes=5' in error


def damage(folder: Path, kind: str) -> Path:
    """Put one bad file into an archive of GeoTIFFs and photographs, and name it."""
    tile = folder / 'tiles' / 'bad.tif'
    pixels = np.random.default_rng(0).integers(0, 255, (3, 256, 256), dtype=np.uint8)
    if kind == 'empty photograph':
        photograph = next((folder / 'natural').rglob('*.jpg'))
        photograph.write_bytes(b'')
        return photograph
    if kind == 'text':
        tile.write_text('This is no raster.')
        return tile
    crs = None if kind == 'no CRS' else 'EPSG:32633'
    rotated = TRANSFORM * rasterio.Affine.rotation(30) if kind == 'rotated' else TRANSFORM
    write_raster(tile, pixels, crs=crs, transform=rotated)
    if kind == 'truncated':
        tile.write_bytes(tile.read_bytes()[:90000])
    return tile


@pytest.mark.parametrize(
    ('kind', 'reason'),
    [
        ('truncated', 'cannot be read'),
        ('text', 'is not a raster'),
        ('empty photograph', 'cannot be read as an image'),
        ('no CRS', 'names no CRS'),
        ('rotated', 'rotated'),
    ],
)
def test_training_on_a_bad_file_names_it(
    kind: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Lightning writes the configuration into the working folder
    monkeypatch.chdir(tmp_path)
    for name in 'ab':
        (tmp_path / 'natural' / name).mkdir(parents=True)
        Image.new('RGB', (40, 40), (120, 90, 60)).save(tmp_path / 'natural' / name / '1.jpg')
    pixels = np.full((3, 64, 64), 7, dtype=np.uint8)
    (tmp_path / 'tiles').mkdir()
    write_raster(tmp_path / 'tiles' / 'good.tif', pixels, crs='EPSG:32633', transform=TRANSFORM)
    bad = damage(tmp_path, kind)
    words = [
        'fit', '--model', 'gersp_geo.tasks.GeRSPTask', '--model.model', 'test_resnet',
        '--model.num_classes', '2', '--model.size', '32', '--model.memory_bank_size', '4',
        '--data', 'gersp_geo.datamodules.GeRSPDataModule', '--data.natural', tmp_path / 'natural',
        '--data.remote_sensing', tmp_path / 'tiles', '--data.size', '32', '--data.batch_size', '2',
        '--trainer.logger', 'false', '--trainer.enable_checkpointing', 'false',
    ]  # fmt: skip
    error = refusal_of_training(capsys, [str(word) for word in words])
    assert bad.name in error
    assert reason in error


def refusal_of_training(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """Run, expect exit code 1, and return the last line."""
    assert main(words) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('gersp-geo: error: ')
    return line
