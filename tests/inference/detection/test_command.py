"""`gersp-geo predict` with the checkpoint of a detector."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from lightning.pytorch import LightningModule

from gersp_geo.inference.jobs import find_kind
from gersp_geo.main import main
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.tasks import InstanceSegmentation, ObjectDetection
from tests.inference.detection.detectors import GRID, UTM

RECORD = Preprocessing(
    bands=('red', 'green'), scale=(1 / 255,) * 2, mean=(0.5,) * 2, std=(0.25,) * 2,
    class_names=('car', 'bus'),
)  # fmt: skip


def save(path: Path, task: LightningModule, *, task_class: str | None) -> Path:
    record = RECORD.to_dict() | {'task_class': task_class}
    torch.save(
        {
            'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams),
            'pytorch-lightning_version': '2.6.0', 'gersp_geo': record,
        },
        path,
    )  # fmt: skip
    return path


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    task = ObjectDetection('faster-rcnn', 'resnet18', in_channels=2, num_classes=3)
    return save(
        tmp_path_factory.mktemp('model') / 'detector.ckpt',
        task,
        task_class='gersp_geo.tasks.ObjectDetection',
    )


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write(tmp_path / 'scene.tif')


def write(path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 70, 90)).astype(np.uint8)
    with rasterio.open(
        path, 'w', driver='GTiff', height=70, width=90, count=2, dtype='uint8', crs=UTM,
        transform=GRID,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


OPTIONS = ['--size', '64', '--overlap', '32', '--device', 'cpu', '--no-progress']


def test_objects_of_a_checkpoint_go_into_a_geopackage(
    tmp_path: Path, checkpoint: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / 'objects.gpkg'
    picture = tmp_path / 'objects.png'
    words = ['predict', checkpoint, scene, '-o', made, *OPTIONS, '--score-threshold', '0.05']
    words += ['--preview', picture]
    assert main([str(word) for word in words]) == 0
    assert picture.read_bytes()[1:4] == b'PNG'
    frame = geopandas.read_file(made)
    assert f'{len(frame):,}, of' in capsys.readouterr().out
    assert set(frame['class_name']) <= {'car', 'bus'}
    assert (frame['score'] >= 0.05).all()
    # again: refused, in one line
    assert main([str(word) for word in words]) == 1
    assert '--overwrite' in capsys.readouterr().err


def test_the_plan_of_a_detector_names_the_file_of_objects(
    tmp_path: Path, checkpoint: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / 'objects.gpkg'
    words = ['plan', checkpoint, scene, '-o', made, *OPTIONS, '--match', 'ios']
    assert main([str(word) for word in words]) == 0
    text = capsys.readouterr().out
    assert '9 = 3 rows x 3 columns of 64 px, overlap 32' in text
    assert 'bands      1 red, 2 green (in order: the scene names none)' in text
    assert f'objects    {made}' in text
    assert not made.exists()


def test_a_plan_of_many_scenes_names_those_that_fail(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'scenes'
    folder.mkdir()
    write(folder / 'one.tif')
    (folder / 'broken.tif').write_text('nothing')
    words = ['plan', checkpoint, folder, '-o', tmp_path / 'made', *OPTIONS]
    assert main([str(word) for word in words]) == 1
    text = capsys.readouterr().out
    assert f'objects    {tmp_path / "made" / "one.gpkg"}' in text
    assert f'failed     {folder / "broken.tif"}: ' in text


def test_many_scenes_become_many_files_and_failures_are_named(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / 'scenes'
    folder.mkdir()
    write(folder / 'one.tif')
    write(folder / 'two.tif')
    (folder / 'broken.tif').write_text('nothing')
    made, drawn = tmp_path / 'made', tmp_path / 'drawn'
    words = ['predict', checkpoint, folder, '-o', made, '--preview', drawn, *OPTIONS]
    assert main([str(word) for word in words]) == 1
    out = capsys.readouterr().out
    assert '2 of 3 scenes done' in out
    assert f'failed   {folder / "broken.tif"}: ' in out
    assert f'preview  {drawn / "one.png"}' in out
    assert sorted(path.name for path in made.iterdir()) == ['one.gpkg', 'two.gpkg']
    assert sorted(path.name for path in drawn.iterdir()) == ['one.png', 'two.png']
    # again: what is there stays, pictures too
    (made / 'one.gpkg').unlink()
    (drawn / 'one.png').write_text('precious')
    assert main([str(word) for word in words]) == 1
    out = capsys.readouterr().out
    assert '0 of 3 scenes done' in out
    assert f'{drawn / "one.png"} exists; pass another path, or overwrite' in out
    assert (drawn / 'one.png').read_text() == 'precious'


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--blend', 'crop'], 'blend is no option of objects'),
        (['--margin', '4'], 'margin is no option of objects'),
        (['--preview', 'picture.jpg'], 'a preview is written as .png'),
    ],
)
def test_options_of_maps_are_refused(
    tmp_path: Path,
    checkpoint: Path,
    scene: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    made = tmp_path / 'objects.gpkg'
    assert main(['predict', str(checkpoint), str(scene), '-o', str(made), *OPTIONS, *words]) == 1
    assert message in capsys.readouterr().err
    assert not made.exists()


def test_what_cannot_be_is_one_line_before_the_scene_is_read(
    tmp_path: Path, checkpoint: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / 'nowhere.tif'
    with rasterio.open(scene) as src:
        profile = src.profile | {'crs': None}
    with rasterio.open(nowhere, 'w', **profile):
        pass
    for source, name, message in (
        (scene, 'objects.tif', 'must end in .gpkg, .parquet, .geojson'),
        (nowhere, 'objects.gpkg', 'names no CRS'),
    ):
        words = ['predict', checkpoint, source, '-o', tmp_path / name, *OPTIONS]
        assert main([str(word) for word in words]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count('\n') == 1
        assert not (tmp_path / name).exists()


def test_options_of_detectors_are_refused_for_others(
    tmp_path: Path, scene: Path, small_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ['predict', small_checkpoint, scene, '-o', tmp_path / 'map.tif', '--match', 'ios']
    assert main([str(word) for word in words]) == 1
    assert 'match is no option of maps' in capsys.readouterr().err


@pytest.mark.slow
def test_outlines_of_a_checkpoint_of_instances(tmp_path: Path, scene: Path) -> None:
    torch.manual_seed(0)
    task: Any = InstanceSegmentation(in_channels=2, num_classes=3)
    checkpoint = save(
        tmp_path / 'instances.ckpt', task, task_class='gersp_geo.tasks.InstanceSegmentation'
    )
    made = tmp_path / 'objects.gpkg'
    # one patch is the whole scene
    words = ['predict', checkpoint, scene, '-o', made, *OPTIONS, '--size', '96']
    assert main([str(word) for word in [*words, '--score-threshold', '0.05']]) == 0
    assert geopandas.read_file(made).geometry.is_valid.all()


def test_a_detector_is_known_by_its_task(tmp_path: Path, checkpoint: Path) -> None:
    assert find_kind(checkpoint) == 'objects'
    assert find_kind(checkpoint, task_class='torchgeo.tasks.SemanticSegmentation') == 'maps'
    other = tmp_path / 'other.ckpt'
    torch.save({'gersp_geo': RECORD.to_dict()}, other)
    assert find_kind(other) == 'maps'
    assert find_kind(other, task_class='torchgeo.tasks.InstanceSegmentation') == 'objects'
