"""Detectors of own objects, from the shipped configurations to a map."""

from pathlib import Path
from typing import Any

import geopandas
import pytest

from gersp_geo.main import main

CONFIGS = Path(__file__).parents[2] / 'configs' / 'finetune'

# A network that is small enough for a test; all else is as it is shipped.
SMALL: dict[str, list[str]] = {'detection': ['--model.model=fcos'], 'instance_segmentation': []}


@pytest.mark.slow
@pytest.mark.parametrize('name', SMALL)
def test_a_configuration_trains_tests_and_predicts(
    name: str, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small = [
        *SMALL[name],
        '--data.size=64',
        '--data.block_size=64',
        '--data.length=4',
        '--data.batch_size=2',
        '--data.test_split=0.1',
        '--trainer.max_epochs=1',
        '--trainer.accelerator=cpu',
        '--trainer.limit_val_batches=2',
        '--trainer.limit_test_batches=2',
        '--trainer.enable_progress_bar=false',
    ]
    config = f'--config={CONFIGS / name}.yaml'
    assert main(['fit', config, *small]) == 0, capfd.readouterr().err
    checkpoint = workplace / 'runs' / name / 'checkpoints' / 'last.ckpt'
    assert main(['test', config, *small, f'--ckpt_path={checkpoint}']) == 0
    words: list[Any] = ['predict', checkpoint, 'sample-data/change/after.tif', '-o', 'found.gpkg']
    assert main([*map(str, words), '--size', '256', '--score-threshold', '0.9']) == 0
    found = geopandas.read_file('found.gpkg')
    assert set(found.get('class_name', [])) <= {'building'}


def test_the_configuration_of_boxes_trains(
    workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [
        f'--config={CONFIGS / "detection"}.yaml', '--model.model=fcos', '--data.size=64',
        '--data.block_size=64', '--data.length=2', '--data.batch_size=2', '--trainer.max_epochs=1',
        '--trainer.accelerator=cpu', '--trainer.limit_val_batches=1',
        '--trainer.enable_progress_bar=false',
    ]  # fmt: skip
    assert main(['fit', *words]) == 0, capfd.readouterr().err
    assert (workplace / 'runs' / 'detection' / 'checkpoints' / 'last.ckpt').exists()
