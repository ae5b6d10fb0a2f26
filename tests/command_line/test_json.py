"""What each command prints with --json, of the same run as its text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import timm
import torch
from affine import Affine
from PIL import Image
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.main import main


@pytest.fixture
def read(capfd: pytest.CaptureFixture[str]) -> Any:
    """Run a command, and read what it prints: one object and nothing else."""

    def run(*words: str | Path, code: int = 0) -> Any:
        capfd.readouterr()
        assert main([*map(str, words), '--json']) == code
        text = capfd.readouterr().out
        assert text.count('\n') == 1
        return json.loads(text)

    return run


def write(path: Path, pixels: Any) -> Path:
    count, height, width = pixels.shape
    with rasterio.open(
        path, 'w', driver='GTiff', height=height, width=width, count=count, dtype='uint8',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6), nodata=255,
    ) as dst:  # fmt: skip
        dst.write(pixels)
    return path


def test_from_a_model_to_polygons_and_accuracies(read: Any, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {'model': 'fcn', 'num_classes': 2, 'num_filters': 4}
    record = {
        'bands': ['red', 'green', 'blue'], 'scale': [1 / 255] * 3, 'mean': [0.5] * 3,
        'std': [0.25] * 3, 'class_names': ['field', 'water'],
        'task_class': 'torchgeo.tasks.SemanticSegmentation',
    }  # fmt: skip
    task = SemanticSegmentation(**arguments)
    content = {'state_dict': task.state_dict(), 'hyper_parameters': arguments, 'gersp_geo': record}
    model = tmp_path / 'model.ckpt'
    torch.save(content, model)
    pixels = np.random.default_rng(0).integers(0, 250, (3, 70, 60), dtype='uint8')
    scene, made = write(tmp_path / 'scene.tif', pixels), tmp_path / 'map.tif'
    words = (model, scene, '-o', made, '--size', '64', '--overlap', '16')
    (planned,) = read('plan', *words)['results']
    assert (planned['height'], planned['width'], planned['destination']) == (70, 60, str(made))
    (done,) = read('predict', *words)['results']
    assert (done['summary']['pixels'], done['summary']['complete']) == (4200, True)
    assert done['summary']['patches'] == planned['costs']['patches']
    assert done['summary']['destination'] == str(made)

    classes = write(
        tmp_path / 'classes.tif', np.kron([[[0, 1], [1, 0]]], np.ones((1, 20, 20), 'u1'))
    )
    polygons = read('polygons', classes, '-o', tmp_path / 'p.gpkg')
    assert polygons['destination'] == str(tmp_path / 'p.gpkg')
    sample = read('draw-sample', classes, '-o', tmp_path / 's.gpkg', '-n', '20', '--minimum', '5')
    assert sum(stratum['count'] for stratum in sample['design']['strata']) == 20
    truth = tmp_path / 'truth.tif'
    truth.write_bytes(classes.read_bytes())
    found = read('assess', classes, '--reference', truth, '--no-progress')
    assert found['overall_accuracy']['value'] == 1
    file = tmp_path / 'found.json'
    assert main([*map(str, ('assess', classes, '--reference', truth, '--json', file))]) == 0
    assert json.loads(file.read_text()) == found

    (tmp_path / 'broken').mkdir()
    for name in ('a.tif', 'b.tif'):
        (tmp_path / 'broken' / name).write_text('none')
    failed = read('predict', model, tmp_path / 'broken', '-o', tmp_path / 'maps', code=1)
    assert [len(failed['failures']), failed['results']] == [2, []]


def test_a_backbone_that_is_exported(read: Any, tmp_path: Path) -> None:
    source, made = tmp_path / 'weights.pth', tmp_path / 'backbone.ckpt'
    torch.save(timm.create_model('resnet18').state_dict(), source)
    report = read('export', source, made, '--format', 'torchgeo')
    assert report['path'] == str(made)
    assert report['tensors'] == 120
    assert report['part'] is None


def test_weights_that_are_compared(read: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ('a', 'b'):
        (tmp_path / 'images' / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 256, (8, 8, 3), dtype='uint8')
            Image.fromarray(pixels).save(tmp_path / 'images' / name / f'{name}{number}.png')
    words = ('--data', tmp_path / 'images', '-o', tmp_path / 'out', '--protocol', 'knn')
    found = read('evaluate', 'mean-colours', *words, '--size', '8', '--device', 'cpu')
    (row,) = found['findings']
    assert (row['label'], row['protocol']) == ('mean-colours', 'knn')
    assert row['accuracy']['low'] <= row['accuracy']['value'] <= row['accuracy']['high']
    assert found['destination'] == str(tmp_path / 'out')
