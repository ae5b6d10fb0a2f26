"""Runs that start from other tools' checkpoints, through the command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')

NUMBERS = {'conv1': '0', 'bn1': '1', 'layer1': '4', 'layer2': '5', 'layer3': '6', 'layer4': '7'}


@pytest.fixture(scope='module')
def backbone() -> dict[str, Tensor]:
    torch.manual_seed(3)
    state: dict[str, Tensor] = timm.create_model('resnet18', num_classes=0).state_dict()
    return state


@pytest.fixture
def pretrain_from(
    fit_pretraining: Callable[..., Any], put: Callable[..., Path], tmp_path: Path
) -> Callable[[dict[str, Any]], Any]:
    """Pre-train a ResNet-18 from a checkpoint, without changing its filters."""
    pixels = np.random.default_rng(0).integers(1, 255, (3, 128, 128), dtype=np.uint8)
    scene = put('scene.tif', pixels)

    def run(checkpoint: dict[str, Any]) -> Any:
        torch.save(checkpoint, tmp_path / 'foreign.ckpt')
        return fit_pretraining(
            {
                'model.model': 'resnet18',
                'model.weights': tmp_path / 'foreign.ckpt',
                'model.lr': 1e-12,
                'model.min_lr': 0.0,
                'data.remote_sensing': scene,
                'trainer.max_steps': 1,
            }
        )

    return run


def test_a_run_starts_from_the_student_of_lightly_behind_torch_compile(
    pretrain_from: Callable[[dict[str, Any]], Any], backbone: dict[str, Tensor]
) -> None:
    tensors = {}
    for name, value in backbone.items():
        first, _, rest = name.partition('.')
        tensors[f'_orig_mod.backbone.{NUMBERS[first]}.{rest}'] = value
        tensors[f'_orig_mod.backbone_momentum.{NUMBERS[first]}.{rest}'] = value * 2
    run = pretrain_from({'state_dict': tensors, 'pytorch-lightning_version': '2.5.0'})
    trained = run.checkpoint['state_dict']
    filters = [name for name, value in backbone.items() if value.ndim == 4]
    for name in filters:
        torch.testing.assert_close(trained[f'backbone.{name}'], backbone[name], rtol=0, atol=1e-6)
    started = json.loads(run.checkpoint['gersp_geo_training']['started_from'])
    assert (started['file'], started['part']) == ('foreign.ckpt', 'student')


def test_weights_of_another_network_are_refused_before_training(
    pretrain_from: Callable[[dict[str, Any]], Any], backbone: dict[str, Tensor]
) -> None:
    stem = {'stem.0.weight': torch.rand(32, 3, 3, 3)}
    stages = {name: value for name, value in backbone.items() if name.startswith('layer')}
    run = pretrain_from({'state_dict': {f'backbone.{k}': v for k, v in (stages | stem).items()}})
    assert 'backbone.stem.0.weight belongs to a stem of three convolutions' in run.refusal
    assert not list(run.folder.rglob('last.ckpt'))
