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


def options_of(
    name: str, weights: str, network: str = 'resnet18', bands: int = 3
) -> dict[str, Any]:
    """Write options as the parser of a command gives them."""
    named = (
        {'model': network} if name == 'Classification' else {'model': 'unet', 'backbone': network}
    )
    return {'weights': weights, 'num_classes': 2, 'in_channels': bands, **named}


def check(name: str, options: dict[str, Any]) -> None:
    check_torchgeo_weights(f'torchgeo.tasks.{name}', options)


def read_with(name: str, options: dict[str, Any]) -> nn.Module:
    task: nn.Module = TASKS[name](**options)
    return task


@pytest.mark.parametrize('name', TASKS)
def test_what_the_check_lets_through_is_read(name: str, pretrained: Path, tmp_path: Path) -> None:
    exported = tmp_path / 'backbone.ckpt'
    export_backbone(pretrained, exported, format='torchgeo')
    classifier = save(Classification(model='resnet18', num_classes=2), tmp_path / 'theirs.ckpt')
    for weights in (str(exported), classifier) if name == 'Classification' else (str(exported),):
        check(name, options_of(name, weights))
        read_with(name, options_of(name, weights))


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
        check(name, options_of(name, weights))
    with pytest.raises((KeyError, RuntimeError, ValueError, UnpicklingError)):
        read_with(name, options_of(name, weights))


@pytest.mark.parametrize('name', TASKS)
@pytest.mark.parametrize(('made', 'asked'), [('resnet18', 'resnet34'), ('resnet34', 'resnet18')])
def test_another_network_is_refused_before_it_is_filled_in_part(
    name: str, made: str, asked: str, tmp_path: Path
) -> None:
    weights = save(Classification(model=made, num_classes=2), tmp_path / 'theirs.ckpt')
    if name == 'Classification':
        # what torchgeo does by itself
        assert read_with(name, options_of(name, weights, asked))
    with pytest.raises(ValueError, match=f'builds, {asked}, and those of .* are of {made}; pass'):
        check(name, options_of(name, weights, asked))
    with pytest.raises(ValueError, match=r'builds, tu-resnet18, and|builds, resnet101, and'):
        check(name, options_of(name, weights, 'tu-resnet18' if 'Seg' in name else 'resnet101'))


def test_names_are_held_against_the_network_too() -> None:
    name = 'ResNet18_Weights.SENTINEL2_RGB_MOCO'
    check('Classification', options_of('Classification', name))
    check('SemanticSegmentation', options_of('SemanticSegmentation', name))
    for task in TASKS:
        with pytest.raises(ValueError, match=r'builds, resnet34, and .* are of resnet18; pass'):
            check(task, options_of(task, name, 'resnet34'))
        with pytest.raises(ValueError, match=r'there is neither for ~/x\.ckpt'):
            check(task, options_of(task, '~/x.ckpt'))


def test_an_encoder_is_not_given_weights_of_other_bands(tmp_path: Path) -> None:
    weights = save(Classification(model='resnet18', num_classes=2), tmp_path / 'theirs.ckpt')
    # torchgeo says that the first layer is drawn
    check('Classification', options_of('Classification', weights, bands=4))
    options = options_of('SemanticSegmentation', weights, bands=4)
    with pytest.raises(ValueError, match=r'read the 4 bands of its encoder, and .* read 3; fill'):
        check('SemanticSegmentation', options)
    with pytest.raises(RuntimeError):
        read_with('SemanticSegmentation', options)
    # two dates are read together, but by a siamese network
    two = options_of('ChangeDetection', weights)
    with pytest.raises(ValueError, match=r'read the 6 bands of its encoder'):
        check('ChangeDetection', two)
    check('ChangeDetection', two | {'model': 'fcsiamdiff'})


def test_our_tasks_and_what_is_no_text_are_not_looked_at(pretrained: Path) -> None:
    check_torchgeo_weights('gersp_geo.tasks.ChangeDetection', {'weights': str(pretrained)})
    for other in (None, True):
        check_torchgeo_weights('torchgeo.tasks.Classification', {'weights': other})
    check_torchgeo_weights('torchgeo.tasks.Classification', {})


def test_fit_refuses_half_a_network(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = save(Classification(model='resnet18', num_classes=4), tmp_path / 'theirs.ckpt')
    config = Path(__file__).parents[2] / 'configs/finetune/classification.yaml'
    words = ['--model.model', 'resnet34', '--model.weights', weights]
    assert main(['fit', '--config', str(config), *words]) == 1
    said = capfd.readouterr().err
    assert f'those of {weights} are of resnet18; pass model: resnet18' in said
    assert 'Traceback' not in said


def test_fit_names_the_command_that_makes_one(
    pretrained: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = Path(__file__).parents[2] / 'configs/finetune/segmentation.yaml'
    words = ['--model.backbone', 'resnet18', '--model.weights', str(pretrained)]
    assert main(['fit', '--config', str(config), *words]) == 1
    said = capfd.readouterr().err
    assert f'`gersp-geo export {pretrained} backbone.ckpt --format torchgeo` writes one' in said
    assert 'Traceback' not in said
