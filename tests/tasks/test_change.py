from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchgeo import tasks

from gersp_geo import GeRSP_Weights
from gersp_geo.models.downloads import FOLDER_VARIABLE
from gersp_geo.models.first_layer import adapt_stem
from gersp_geo.tasks import ChangeDetection
from gersp_geo.tasks.change import WITHOUT_BACKBONE

type StateDict = dict[str, Tensor]

SIZE = 64


@pytest.fixture
def backbone(make_backbone: Callable[[str], StateDict]) -> StateDict:
    return make_backbone('resnet18')


def build(model: Any, weights: Any, **arguments: Any) -> ChangeDetection:
    return ChangeDetection(model, 'resnet18', weights, **arguments)


def encoder_of(task: ChangeDetection) -> nn.Module:
    encoder: nn.Module = task.model.encoder
    return encoder


@pytest.mark.quick('unet-4', 'fcsiamdiff-3')
@pytest.mark.parametrize('bands', [3, 4])
@pytest.mark.parametrize('model', ['unet', 'fcsiamdiff'])
def test_a_frozen_backbone_does_not_change(model: str, bands: int, backbone: StateDict) -> None:
    task = build(model, backbone, in_channels=bands, freeze_backbone=True).train()
    assert not any(p.requires_grad for p in encoder_of(task).parameters())
    before = {name: p.detach().clone() for name, p in task.model.named_parameters()}
    image = torch.rand(2, 2, bands, SIZE, SIZE)
    loss = task.training_step({'image': image, 'mask': (image[:, 0, :1] > 0.5).long()}, 0)
    assert isinstance(loss, Tensor)
    loss.backward()
    torch.optim.SGD([p for p in task.parameters() if p.requires_grad], lr=1.0).step()
    changed = {n for n, p in task.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert not any(name.startswith('encoder.') for name in changed)


@pytest.mark.quick('name')
@pytest.mark.parametrize('form', ['enum', 'name', 'path', 'state dict'])
def test_weights_are_given_in_any_form(
    form: str, make_backbone: Callable[[str], StateDict], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    state = make_backbone('resnet50')
    path = tmp_path / 'GeRSP.pth'
    torch.save({'state_dict': {f'backbone.{name}': value for name, value in state.items()}}, path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    forms: dict[str, Any] = {
        'enum': GeRSP_Weights.RESNET50, 'name': 'GeRSP_Weights.RESNET50', 'path': path,
        'state dict': state,
    }  # fmt: skip
    task = ChangeDetection('unet', 'resnet50', forms[form], 4, rgb_bands=(2, 1, 0))
    loaded = encoder_of(task).state_dict()
    stem = adapt_stem(state['conv1.weight'], 4, rgb_bands=(2, 1, 0), dates=2)
    assert torch.equal(loaded.pop('conv1.weight'), stem)
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())
    assert task.report is not None
    assert task.report.stem_adapted


def test_two_equal_dates_give_the_response_of_one(backbone: StateDict) -> None:
    conv: Any = encoder_of(build('unet', backbone)).get_submodule('conv1')
    image = torch.rand(1, 3, SIZE, SIZE)
    single = nn.functional.conv2d(image, backbone['conv1.weight'], stride=2, padding=3)
    torch.testing.assert_close(conv(torch.cat([image, image], 1)), single)


@pytest.mark.parametrize('weights', [None, False])
def test_without_weights_nothing_is_loaded(weights: bool | None) -> None:
    assert build('unet', weights).report is None
    # torchgeo's others can be built
    assert build('fcn', weights).report is None


def test_every_other_argument_is_torchgeos() -> None:
    own, theirs = ChangeDetection().hparams, tasks.ChangeDetection().hparams
    assert {key: own[key] for key in theirs} == dict(theirs)
    assert own.keys() - theirs.keys() == {'rgb_bands'}


@pytest.mark.parametrize('model', WITHOUT_BACKBONE)
def test_a_model_without_a_place_for_weights_says_why(model: str, backbone: StateDict) -> None:
    with pytest.raises(ValueError, match=f'{model} takes no weights of a backbone: it '):
        build(model, backbone)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'model': 'mask-rcnn'}, "model must be one of unet, .*, got 'mask-rcnn'"),
        ({'model': 'mask-rcnn', 'weights': None}, "model must be one of unet, .*, got 'mask-rcnn'"),
        ({'backbone': 'resnet34'}, 'of 216 tensors of the backbone would be set'),
        ({'in_channels': 4, 'rgb_bands': (0, 0, 1)}, 'rgb_bands must be three different bands'),
    ],
)
def test_wrong_values_are_refused(
    arguments: dict[str, Any], words: str, backbone: StateDict
) -> None:
    everything: dict[str, Any] = {'backbone': 'resnet18', 'weights': backbone} | arguments
    with pytest.raises(ValueError, match=words):
        ChangeDetection(**everything)
