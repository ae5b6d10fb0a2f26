from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchgeo import tasks
from torchvision.ops import FrozenBatchNorm2d

from gersp_geo import GeRSP_Weights
from gersp_geo.models.downloads import FOLDER_VARIABLE
from gersp_geo.models.first_layer import adapt_stem
from gersp_geo.tasks import InstanceSegmentation

type StateDict = dict[str, Tensor]


@pytest.fixture
def backbone(make_backbone: Callable[[str], StateDict]) -> StateDict:
    return make_backbone('resnet50')


def body_of(task: InstanceSegmentation) -> nn.Module:
    body: nn.Module = task.model.backbone.body
    return body


def step(task: InstanceSegmentation, batch: dict[str, Any]) -> set[str]:
    """Train once with a large step; return the names of all parameters and buffers that changed."""
    task.train()
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in task.parameters() if p.requires_grad], lr=1.0)
    loss = task.training_step(batch, 0)
    assert isinstance(loss, Tensor)
    loss.backward()
    optimizer.step()
    after = task.state_dict()
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


@pytest.mark.quick('4')
@pytest.mark.parametrize('bands', [3, 4])
def test_a_frozen_backbone_does_not_change(
    bands: int, backbone: StateDict, make_boxes: Callable[[int], dict[str, Any]]
) -> None:
    task = InstanceSegmentation(
        weights_backbone=backbone, in_channels=bands, num_classes=2, freeze_backbone=True
    )
    assert not any(p.requires_grad for p in task.get_submodule('model.backbone').parameters())
    changed = step(task, make_boxes(bands))
    assert changed
    assert not any(name.startswith('model.backbone.') for name in changed)


def test_with_weights_all_is_trained_but_normalisation(
    backbone: StateDict, make_boxes: Callable[[int], dict[str, Any]]
) -> None:
    task = InstanceSegmentation(weights_backbone=backbone, in_channels=4, num_classes=2)
    kinds = {type(m) for m in body_of(task).modules() if 'Norm' in type(m).__name__}
    assert kinds == {FrozenBatchNorm2d}
    assert all(parameter.requires_grad for parameter in task.parameters())
    changed = step(task, make_boxes(4))
    trained = {f'model.backbone.body.{name}' for name, _ in body_of(task).named_parameters()}
    assert trained <= changed
    assert {n for n in changed if '.body.' in n} == trained


def test_without_weights_normalisation_is_trained_too() -> None:
    task = InstanceSegmentation(num_classes=2)
    assert task.report is None
    kinds = {type(m) for m in body_of(task).modules() if 'Norm' in type(m).__name__}
    assert kinds == {nn.BatchNorm2d}
    assert all(parameter.requires_grad for parameter in task.parameters())


@pytest.mark.quick('name')
@pytest.mark.parametrize('form', ['enum', 'name', 'path', 'state dict'])
def test_weights_are_given_in_any_form(
    form: str, backbone: StateDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'GeRSP.pth'
    torch.save({'state_dict': {f'backbone.{name}': v for name, v in backbone.items()}}, path)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    forms: dict[str, Any] = {
        'enum': GeRSP_Weights.RESNET50, 'name': 'GeRSP_Weights.RESNET50', 'path': path,
        'state dict': backbone,
    }  # fmt: skip
    task = InstanceSegmentation(
        weights_backbone=forms[form], in_channels=4, num_classes=2, rgb_bands=(2, 1, 0)
    )
    loaded = body_of(task).state_dict()
    stem = adapt_stem(backbone['conv1.weight'], 4, rgb_bands=(2, 1, 0))
    assert torch.equal(loaded.pop('conv1.weight'), stem)
    assert all(torch.equal(value, backbone[name]) for name, value in loaded.items())
    assert task.report is not None
    assert task.report.tensors_set == task.report.tensors_total == len(backbone)


def test_every_other_argument_is_torchgeos() -> None:
    own, theirs = InstanceSegmentation().hparams, tasks.InstanceSegmentation().hparams
    assert {key: own[key] for key in theirs} == dict(theirs)
    assert own.keys() - theirs.keys() == {'rgb_bands'}


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'model': 'yolo'}, "Invalid model type 'yolo'"),
        ({'backbone': 'resnet18'}, "Invalid backbone type 'resnet18'"),
        ({'weights': 'COCO_V1'}, 'pass either weights, of a whole detector, or weights_backbone'),
        ({'in_channels': 4, 'rgb_bands': (0, 4, 1)}, 'rgb_bands must be three different bands'),
    ],
)
def test_wrong_values_are_refused(
    arguments: dict[str, Any], words: str, backbone: StateDict
) -> None:
    with pytest.raises(ValueError, match=words):
        InstanceSegmentation(weights_backbone=backbone, **arguments)


def test_weights_of_another_network_are_refused(make_backbone: Callable[[str], StateDict]) -> None:
    with pytest.raises(ValueError, match='of 318 tensors of the backbone would be set'):
        InstanceSegmentation(weights_backbone=make_backbone('resnet18'))
