"""A file that torchgeo's own tasks cannot read is refused in one line; what they can read is used."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pytest
import torch
from torch import nn
from torchgeo.tasks import BYOL, Classification, SemanticSegmentation

from gersp_geo import GeRSPTask, export_backbone
from gersp_geo.main import main
from gersp_geo.tasks.torchgeo_weights import check_torchgeo_weights

TASKS = {'Classification': Classification, 'SemanticSegmentation': SemanticSegmentation}


def save(task: Any, path: Path) -> str:
    checkpoint = {'hyper_parameters': dict(task.hparams), 'state_dict': task.state_dict()}
    torch.save(checkpoint, path)
    return str(path)


@pytest.fixture(scope='module')
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = GeRSPTask(model='resnet18', size=32, num_classes=2, memory_bank_size=8)
    path = tmp_path_factory.mktemp('pretrained') / 'gersp.ckpt'
    save(task, path)
    return path


def read_with(name: str, weights: str) -> nn.Module:
    named = {'model': 'resnet18'} if name == 'Classification' else {'backbone': 'resnet18'}
    task: nn.Module = TASKS[name](weights=weights, num_classes=2, **named)
    return task


@pytest.mark.parametrize('name', TASKS)
def test_what_the_check_lets_through_is_read(name: str, pretrained: Path, tmp_path: Path) -> None:
    exported = tmp_path / 'backbone.ckpt'
    export_backbone(pretrained, exported, format='torchgeo')
    classifier = save(Classification(model='resnet18', num_classes=2), tmp_path / 'theirs.ckpt')
    for weights in (str(exported), classifier) if name == 'Classification' else (str(exported),):
        check_torchgeo_weights(f'torchgeo.tasks.{name}', weights)
        read_with(name, weights)


@pytest.mark.parametrize('name', TASKS)
@pytest.mark.parametrize('made', ['pretraining', 'segmentation', 'byol', 'bare', 'safetensors'])
def test_what_it_refuses_is_not_read(
    name: str, made: str, pretrained: Path, tmp_path: Path
) -> None:
    if made == 'pretraining':
        weights = str(pretrained)
    elif made == 'segmentation':
        task = SemanticSegmentation(model='unet', backbone='resnet18', num_classes=2)
        weights = save(task, tmp_path / 'unet.ckpt')
    elif made == 'byol':
        weights = save(BYOL(model='resnet18', in_channels=3), tmp_path / 'byol.ckpt')
    else:
        wanted = tmp_path / ('backbone.pth' if made == 'bare' else 'backbone.safetensors')
        weights = str(export_backbone(pretrained, wanted, format='torchvision').path)
    with pytest.raises(ValueError, match=r'must be a checkpoint of a task of torchgeo'):
        check_torchgeo_weights(f'torchgeo.tasks.{name}', weights)
    with pytest.raises((KeyError, RuntimeError, ValueError, UnpicklingError)):
        read_with(name, weights)


def test_our_tasks_and_names_are_not_looked_at(pretrained: Path) -> None:
    check_torchgeo_weights('gersp_geo.tasks.ChangeDetection', str(pretrained))
    for other in (None, True, 'ResNet18_Weights.LANDSAT_TM_TOA_MOCO'):
        check_torchgeo_weights('torchgeo.tasks.Classification', other)


def test_fit_names_the_command_that_makes_one(
    pretrained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = Path(__file__).parents[2] / 'configs/finetune/segmentation.yaml'
    words = ['--model.backbone', 'resnet18', '--model.weights', str(pretrained)]
    assert main(['fit', '--config', str(config), *words]) == 1
    said = capfd.readouterr().err
    assert f'`gersp-geo export {pretrained} backbone.ckpt --format torchgeo` writes one' in said
    assert 'Traceback' not in said
