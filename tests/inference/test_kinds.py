"""`gersp-geo predict` and `plan` with backbones and classifiers."""

from pathlib import Path

import geopandas
import pytest
import torch
from torchgeo.tasks import Classification, SemanticSegmentation

from gersp_geo.inference.jobs import Kind, find_kind, predict
from gersp_geo.main import main
from gersp_geo.tasks import ObjectDetection
from tests.inference.patches.scenes import noise, save, write_scene

OPTIONS = ['--size', '32', '--device', 'cpu', '--no-progress']


@pytest.fixture(scope='module')
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    task = Classification(model='resnet18', in_channels=2, num_classes=3)
    return save(tmp_path_factory.mktemp('model') / 'classifier.ckpt', task)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / 'scene.tif', noise(70, 100))


def run(*words: object) -> int:
    return main([str(word) for word in words])


def test_the_task_of_a_checkpoint_decides_what_is_made(tmp_path: Path, classifier: Path) -> None:
    assert find_kind(classifier) == 'classify'
    assert find_kind(classifier, 'embed') == 'embed'
    assert find_kind(classifier, task_class='torchgeo.tasks.ObjectDetection') == 'objects'
    detector = ObjectDetection('faster-rcnn', 'resnet18', in_channels=2, num_classes=3)
    assert find_kind(save(tmp_path / 'detector.ckpt', detector)) == 'objects'
    segmenter = SemanticSegmentation('unet', 'resnet18', in_channels=2, num_classes=3)
    assert find_kind(save(tmp_path / 'segmenter.ckpt', segmenter)) == 'maps'
    assert find_kind(tmp_path / 'nothing.ckpt') == 'maps'


def test_a_classifier_classifies_patches(
    tmp_path: Path, classifier: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / 'classes.parquet'
    assert run('plan', classifier, scene, '-o', made, *OPTIONS) == 0
    told = capsys.readouterr().out
    assert 'class_name' in told
    # a model that takes seconds per patch is timed only if asked for
    assert 'time       not measured (--calibrate)' in told
    assert 'before compression' not in told
    assert not made.exists()
    raster = tmp_path / 'classes.tif'
    assert run('predict', classifier, scene, '-o', made, '--raster', raster, *OPTIONS) == 0
    told = capsys.readouterr().out
    assert '12 = 3 rows x 4 columns' in told
    assert str(raster) in told
    assert set(geopandas.read_parquet(made)['class_name']) <= {'field', 'forest', 'water'}


def test_any_checkpoint_embeds_by_its_backbone(
    tmp_path: Path, classifier: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / 'vectors.parquet'
    words = ['predict', classifier, scene, '--task', 'embed', '-o', made, *OPTIONS]
    assert run(*words) == 0
    frame = geopandas.read_parquet(made)
    assert 'class' not in frame
    assert len(frame['embedding'][0]) == 512
    assert 'a vector of 512 numbers' in capsys.readouterr().out
    # again: refused, in one line
    assert run(*words) == 1
    assert '--overwrite' in capsys.readouterr().err


def test_several_scenes_become_a_folder_and_the_broken_one_is_named(
    tmp_path: Path, classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenes = tmp_path / 'scenes'
    scenes.mkdir()
    for name in ('a', 'b'):
        write_scene(scenes / f'{name}.tif', noise(40, 40))
    (scenes / 'c.tif').write_text('no raster')
    made = tmp_path / 'made'
    assert run('predict', classifier, scenes, '-o', made, *OPTIONS) == 1
    assert sorted(path.name for path in made.iterdir()) == ['a.parquet', 'b.parquet']
    told = capsys.readouterr().out
    assert '2 of 3 scenes done' in told
    assert 'c.tif: ' in told


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--task', 'embed', '-o', 'x.gpkg'], 'must end in .parquet'),
        (['--blend', 'crop', '-o', 'x.parquet'], 'blend is no option of patches'),
        (
            ['--score-threshold', '0.7', '-o', 'x.parquet'],
            'score_threshold is no option of patches',
        ),
        (['--margin', '2', '-o', 'x.parquet'], 'margin is no option of patches'),
        (['--task', 'embed', '--task-class', 'a.B', '-o', 'x.parquet'], 'task_class is for'),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path,
    classifier: Path,
    scene: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run('predict', classifier, scene, *words, *OPTIONS) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count('\n') == 1
    assert [path.name for path in tmp_path.iterdir()] == ['scene.tif']


def test_a_map_of_patches_is_refused_beside_a_map_of_pixels(
    tmp_path: Path, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segmenter = SemanticSegmentation('unet', 'resnet18', in_channels=2, num_classes=3)
    checkpoint = save(tmp_path / 'segmenter.ckpt', segmenter)
    made = tmp_path / 'map.tif'
    assert run('predict', checkpoint, scene, '-o', made, '--raster', 'x.tif', *OPTIONS) == 1
    assert 'raster is no option of maps' in capsys.readouterr().err
    assert not made.exists()


@pytest.mark.parametrize('kind', ['maps', 'objects', 'classify', 'embed'])
def test_an_option_that_nobody_knows_is_refused(
    tmp_path: Path, classifier: Path, scene: Path, kind: Kind
) -> None:
    with pytest.raises(
        ValueError, match=r'iou_treshold is no option of \w+, got 0\.9; leave it out'
    ):
        predict(kind, classifier, [scene], tmp_path / 'made.tif', iou_treshold=0.9)


def test_a_folder_of_one_scene_fails_like_one_of_many(
    tmp_path: Path, classifier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'scenes').mkdir()
    (tmp_path / 'scenes' / 'only.tif').write_text('no raster')
    words = (classifier, tmp_path / 'scenes', '-o', tmp_path / 'made', *OPTIONS)
    for name in ('plan', 'predict'):
        assert run(name, *words) == 1
        assert 'failed ' in capsys.readouterr().out
