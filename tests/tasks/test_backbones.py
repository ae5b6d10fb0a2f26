from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models._api import Weights, WeightsEnum

from gersp_geo import GeRSP_Weights, GeRSPTask, export_backbone
from gersp_geo.batch_types import JointBatch
from gersp_geo.models.downloads import FOLDER_VARIABLE
from gersp_geo.models.first_layer import adapt_stem

type StateDict = dict[str, Tensor]

CLASSES = 5


def make_task(**arguments: Any) -> GeRSPTask:
    defaults: dict[str, Any] = {
        'model': 'resnet18',
        'hidden_dim': 16,
        'output_dim': 8,
        'memory_bank_size': 12,
        'num_classes': CLASSES,
        'size': 32,
    }
    return GeRSPTask(**(defaults | arguments))


def make_batch(side: int) -> JointBatch:
    shape = (4, 3, side, side)
    return {
        'remote_sensing': {'image': torch.randint(256, shape, dtype=torch.uint8)},
        'natural': {
            'image': torch.randint(256, shape, dtype=torch.uint8),
            'label': torch.arange(4) % CLASSES,
        },
    }


def equal(left: StateDict, right: StateDict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def teacher_equals_student(task: GeRSPTask) -> bool:
    pairs = (
        (task.backbone, task.backbone_momentum),
        (task.projection_head, task.projection_head_momentum),
    )
    return all(equal(a.state_dict(), b.state_dict()) for a, b in pairs)


@pytest.mark.quick('resnet18', 'convnext_atto', 'vit_tiny_patch16_224')
@pytest.mark.parametrize(
    ('model', 'side'),
    [
        ('resnet18', 32),
        ('resnet50', 64),
        ('convnext_atto', 32),
        ('vit_tiny_patch16_224', 64),
        ('mobilenetv3_small_050', 32),
    ],
)
def test_a_step_gives_every_student_parameter_a_gradient(model: str, side: int) -> None:
    torch.manual_seed(0)
    task = make_task(model=model, size=side)
    assert teacher_equals_student(task)
    loss = task.training_step(make_batch(side), 0)
    assert loss.isfinite()
    loss.backward()
    trained = {name: p.grad for name, p in task.named_parameters() if p.requires_grad}
    assert all(gradient is not None for gradient in trained.values())
    assert all(gradient.isfinite().all() for gradient in trained.values() if gradient is not None)
    teacher = (*task.backbone_momentum.parameters(), *task.projection_head_momentum.parameters())
    assert not any(p.requires_grad for p in teacher)
    # the first step moves the teacher towards a student that it equals
    names = {name.partition('.')[0] for name in trained}
    assert names == {'backbone', 'projection_head', 'classification_head'}


def test_the_size_reaches_models_that_are_made_for_one() -> None:
    task = make_task(model='vit_tiny_patch16_224', size=64)
    # 4 x 4 patches of 16 pixels, and the class token
    assert task.backbone.get_parameter('pos_embed').shape[1] == 17
    assert task(torch.rand(2, 3, 64, 64)).shape == (2, task.backbone.num_features)


@pytest.fixture(scope='module')
def source() -> StateDict:
    """A ResNet-18 in which no tensor is what a new one has."""
    torch.manual_seed(3)
    state: StateDict = timm.create_model('resnet18', num_classes=0).state_dict()
    return {k: torch.rand_like(v) if v.is_floating_point() else v + 7 for k, v in state.items()}


# what export_backbone makes: format and destination
EXPORTS = {
    'torchvision': ('torchvision', 'flat.pth'),
    'safetensors': ('torchvision', 'flat.safetensors'),
    'timm': ('timm', 'folder'),
    'torchgeo': ('torchgeo', 'task.ckpt'),
    'openmmlab': ('openmmlab', 'openmmlab.pth'),
}


@pytest.fixture(scope='module')
def exported(source: StateDict, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp('exported')
    paths = {}
    for name, (form, file) in EXPORTS.items():
        chosen: Any = form
        paths[name] = export_backbone(source, folder / file, format=chosen).path
    return paths


@pytest.mark.quick('timm', 'torchgeo')
@pytest.mark.parametrize('name', EXPORTS)
def test_student_and_teacher_start_from_any_exported_file(
    name: str, exported: dict[str, Path], source: StateDict
) -> None:
    task = make_task(weights=str(exported[name]))
    assert equal(task.backbone.state_dict(), source)
    assert teacher_equals_student(task)


def test_true_takes_the_weights_that_belong_to_the_model(
    exported: dict[str, Path], source: StateDict
) -> None:
    model = f'local-dir:{exported["timm"]}'
    task = make_task(model=model, weights=True)
    assert equal(task.backbone.state_dict(), source)
    assert teacher_equals_student(task)
    assert not equal(make_task(model=model).backbone.state_dict(), source)


@pytest.fixture
def local_enum(
    exported: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> WeightsEnum:
    """Somebody else's enum; what torch hub keeps of its file is gone after the test."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))

    class Others(WeightsEnum):
        ONLY = Weights(url=exported['torchvision'].as_uri(), transforms=nn.Identity, meta={})

    return Others.ONLY


def test_another_packages_enum_fills_student_and_teacher(
    local_enum: WeightsEnum, source: StateDict
) -> None:
    task = make_task(weights=local_enum)
    assert equal(task.backbone.state_dict(), source)
    assert teacher_equals_student(task)


@pytest.fixture(scope='module')
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StateDict]:
    """A folder with a file as the authors publish it."""
    torch.manual_seed(4)
    state: StateDict = timm.create_model('resnet50', num_classes=0).state_dict()
    folder = tmp_path_factory.mktemp('published')
    export_backbone(state, folder / 'GeRSP.pth', format='openmmlab')
    return folder, state


@pytest.mark.quick('GeRSP_Weights.RESNET50_1')
@pytest.mark.parametrize('weights', [GeRSP_Weights.RESNET50, 'GeRSP_Weights.RESNET50'])
def test_the_published_weights_are_taken_as_a_member_and_by_name(
    weights: Any, published: tuple[Path, StateDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, state = published
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    task = make_task(model='resnet50', weights=weights)
    assert equal(task.backbone.state_dict(), state)
    assert teacher_equals_student(task)


def test_other_bands_get_the_adapted_stem_in_student_and_teacher(
    exported: dict[str, Path], source: StateDict
) -> None:
    task = make_task(weights=str(exported['timm']), in_channels=4, rgb_bands=(2, 1, 0))
    stem = adapt_stem(source['conv1.weight'], 4, rgb_bands=(2, 1, 0))
    assert torch.equal(task.backbone.get_parameter('conv1.weight'), stem)
    assert teacher_equals_student(task)


@pytest.mark.parametrize('weights', [None, False])
def test_without_weights_the_student_is_random_and_the_teacher_its_copy(
    weights: bool | None,
) -> None:
    first, second = make_task(weights=weights), make_task(weights=weights)
    assert not equal(first.backbone.state_dict(), second.backbone.state_dict())
    assert teacher_equals_student(first)


def test_weights_of_another_network_are_refused(exported: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match='tensors of the backbone would be set'):
        make_task(model='resnet34', weights=str(exported['safetensors']))
