"""Classifiers of own images, from the shipped configurations to a map; and a template for labels."""

import shutil
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from torchmetrics.functional.classification import multiclass_accuracy, multilabel_f1_score

from gersp_geo.main import main

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs' / 'finetune'

QUIET = ['--trainer.accelerator=cpu', '--trainer.enable_progress_bar=false']


def score_map(name: str, words: list[str], folder: Path) -> float:
    """Train as a file says, predict the scene that was held out, and compare with its land cover."""
    assert main(['fit', f'--config={CONFIGS / name}.yaml', *QUIET, *words]) == 0
    checkpoint = folder / 'runs' / name / 'checkpoints' / 'last.ckpt'
    names = torch.load(checkpoint, weights_only=True)['gersp_geo']['class_names']
    scene = 'sample-data/holdout/scene.tif'
    assert main(['predict', str(checkpoint), scene, '-o', 'found.parquet', '--size', '64']) == 0
    found = geopandas.read_parquet('found.parquet').sort_values(['row', 'col'])
    scores = torch.tensor(np.stack(found['probabilities'].to_list()))
    with rasterio.open('sample-data/holdout/mask.tif') as src:
        mask = src.read(1)
    squares = mask.reshape(16, 64, 16, 64).swapaxes(1, 2).reshape(len(found), -1)
    shares = np.stack([(squares == value).mean(axis=1) for value in range(5)], axis=1)
    truth = {'field': 0, 'forest': 1, 'water': 2, 'road': 3, 'building': 4, 'settlement': 4}
    shares = shares[:, [truth[kind] for kind in names]]
    if name == 'multilabel':
        assert names == ['building', 'field', 'forest', 'road', 'water']
        labels = torch.tensor(shares >= 0.05).int()
        return float(multilabel_f1_score(scores, labels, num_labels=5))
    assert names == ['field', 'forest', 'settlement', 'water']
    assert found['class_name'].isin(names).all()
    clear = shares >= [0.75, 0.6, 0.05, 0.4]
    chosen = clear.sum(axis=1) == 1
    labels = torch.tensor(clear[chosen].argmax(axis=1))
    return float(multiclass_accuracy(scores[chosen], labels, num_classes=4))


@pytest.mark.quick('classification')
@pytest.mark.parametrize('name', ['classification', 'multilabel'])
def test_a_configuration_trains_and_predicts(name: str, workplace: Path) -> None:
    small = ['--model.model=test_resnet', '--data.length=32', '--trainer.max_epochs=1']
    assert 0 <= score_map(name, small, workplace) <= 1


@pytest.mark.slow
@pytest.mark.parametrize('name', ['classification', 'multilabel'])
def test_a_configuration_learns_what_a_scene_shows_elsewhere(name: str, workplace: Path) -> None:
    assert score_map(name, ['--trainer.max_epochs=8'], workplace) > 0.7


def test_the_template_is_a_data_module_of_its_own(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / 'docs' / 'templates' / 'own_labels.py', workplace)
    monkeypatch.syspath_prepend(str(workplace))
    scenes = workplace / 'sample-data' / 'scenes'
    with rasterio.open(workplace / 'sample-data' / 'masks' / 'north_1.tif') as src:
        np.save(scenes / 'north_1.npy', src.read(1))
    words = [
        '--model=torchgeo.tasks.SemanticSegmentation', '--model.model=fcn', '--model.num_filters=2',
        '--model.num_classes=5', '--model.ignore_index=255',
        '--data=own_labels.NumpyMasksDataModule', '--data.images=sample-data/scenes/north_1.tif',
        '--data.size=64', '--data.length=8', '--trainer.max_epochs=1', '--trainer.accelerator=cpu',
        '--trainer.logger=false', '--trainer.default_root_dir=runs', '--trainer.limit_val_batches=1',
        '--trainer.enable_progress_bar=false',
    ]  # fmt: skip
    assert main(['fit', *words]) == 0, capfd.readouterr().err
    (checkpoint,) = workplace.rglob('*.ckpt')
    scene = 'sample-data/change/before.tif'
    assert main(['predict', str(checkpoint), scene, '-o', 'map.tif', '--size', '128']) == 0
    with rasterio.open('map.tif') as src:
        assert src.tags(1)['CLASS_NAMES'] == '["field", "forest", "water", "road", "building"]'
