"""Checkpoints of other tools, built as their code builds them."""

import argparse
import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchvision.models import ResNet, resnet18

from gersp_geo import export_backbone, load_backbone
from gersp_geo.models.backbone_weights import read_checkpoint, read_state_dict

type StateDict = dict[str, Tensor]
type Build = Callable[[ResNet, ResNet], Any]


def network(seed: int) -> ResNet:
    """A ResNet in which no tensor is constant."""
    generator = torch.Generator().manual_seed(seed)
    built = resnet18(num_classes=5)
    filled = {
        name: torch.rand(value.shape, generator=generator)
        if value.is_floating_point()
        else value + seed
        for name, value in built.state_dict().items()
    }
    built.load_state_dict(filled)
    return built


@pytest.fixture(scope='module')
def student() -> ResNet:
    return network(1)


@pytest.fixture(scope='module')
def teacher() -> ResNet:
    return network(2)


def names_of(tensors: StateDict) -> StateDict:
    return {name: value for name, value in tensors.items() if not name.startswith('fc.')}


def same(found: Mapping[str, Tensor], model: nn.Module) -> bool:
    wanted = names_of(model.state_dict())
    return found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)


class Holder(nn.Module):
    """Modules under names."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


def headless(model: ResNet) -> ResNet:
    """Without its classifier."""
    model = copy.deepcopy(model)
    model.fc = nn.Identity()
    return model


def numbered(model: ResNet) -> nn.Sequential:
    """Its children but the classifier, as in all examples of lightly."""
    return nn.Sequential(*list(model.children())[:-1])


def compiled(model: nn.Module) -> nn.Module:
    """As torch.compile, which takes seconds to import, names what it wraps."""
    return Holder(_orig_mod=model)


def wrap_all(model: nn.Module) -> nn.Module:
    """As DataParallel and torch.compile do, at two depths."""
    inner = Holder(encoder=compiled(model))
    return nn.DataParallel(compiled(inner))


def lightning(**modules: nn.Module) -> dict[str, Any]:
    """What Lightning saves of a module with these."""
    task = LightningModule()
    for name, module in modules.items():
        task.add_module(name, module)
    return {
        'epoch': 1, 'global_step': 2, 'pytorch-lightning_version': '2.5.0',
        'state_dict': task.state_dict(), 'hyper_parameters': {},
    }  # fmt: skip


def hugging_face(model: ResNet, *, prefix: str = 'resnet.') -> StateDict:
    """Name tensors as transformers' ResNetForImageClassification.

    https://github.com/huggingface/transformers/blob/00cbbe53b2f70d551ce82a1f6b43a2e4a4debe42/src/transformers/models/resnet/modeling_resnet.py
    """
    stem = {'conv1': 'embedder.embedder.convolution', 'bn1': 'embedder.embedder.normalization'}
    layers = {
        'conv1': 'layer.0.convolution', 'bn1': 'layer.0.normalization',
        'conv2': 'layer.1.convolution', 'bn2': 'layer.1.normalization',
        'downsample.0': 'shortcut.convolution', 'downsample.1': 'shortcut.normalization',
    }  # fmt: skip
    renamed: StateDict = {}
    for name, value in model.state_dict().items():
        if name.startswith('fc.') and prefix:
            renamed[f'classifier.1.{name[3:]}'] = value
        if name.startswith('fc.'):
            continue
        module, _, tensor = name.rpartition('.')
        if module in stem:
            renamed[f'{prefix}{stem[module]}.{tensor}'] = value
            continue
        stage, block, layer = module.split('.', 2)
        place = f'encoder.stages.{int(stage[-1]) - 1}.layers.{block}'
        renamed[f'{prefix}{place}.{layers[layer]}.{tensor}'] = value
    return renamed


@dataclass(frozen=True)
class Tool:
    """How a tool saves a student and a teacher, and how that is called here."""

    build: Build
    form: str
    has_teacher: bool = False


def linear() -> nn.Linear:
    return nn.Linear(512, 4)


TOOLS = {
    'DataParallel': Tool(lambda s, t: nn.DataParallel(s).state_dict(), 'torchvision'),
    'torch.compile': Tool(lambda s, t: compiled(s).state_dict(), 'torchvision'),
    'both, twice, behind an attribute': Tool(lambda s, t: wrap_all(s).state_dict(), 'prefixed'),
    'wrapped and behind a key': Tool(
        lambda s, t: {'net': nn.DataParallel(s).state_dict(), 'epoch': 3}, 'prefixed'
    ),
    'behind two keys': Tool(lambda s, t: {'a': {'b': s.state_dict()}}, 'prefixed'),
    'a compiled task of torchgeo': Tool(lambda s, t: lightning(model=compiled(s)), 'torchgeo'),
    'a task with a network of its own': Tool(
        lambda s, t: lightning(model=Holder(net=s), other=linear()), 'lightning'
    ),
    'a segmentation model of smp': Tool(
        lambda s, t: _with_encoder(s).state_dict(), 'prefixed'
    ),
    # https://github.com/lightly-ai/lightly/blob/2abf92188e089e9fa9448091d0c1954bb2cfcba7/examples/pytorch_lightning/simclr.py
    'lightly SimCLR': Tool(
        lambda s, t: lightning(backbone=numbered(s), projection_head=linear()), 'lightly'
    ),
    # https://github.com/lightly-ai/lightly/blob/0e4125d0fed29a9a672bc350aef5d696f01c434c/examples/pytorch_lightning/moco.py
    'lightly MoCo': Tool(
        lambda s, t: lightning(
            backbone=numbered(s), projection_head=linear(),
            backbone_momentum=numbered(t), projection_head_momentum=linear(),
        ),
        'lightly', has_teacher=True,
    ),
    # https://github.com/lightly-ai/lightly/blob/05f242aa2f6deae536e131065453eea312080987/examples/pytorch_lightning/dino.py
    'lightly DINO': Tool(
        lambda s, t: lightning(
            student_backbone=numbered(s), student_head=linear(),
            teacher_backbone=numbered(t), teacher_head=linear(),
        ),
        'lightly', has_teacher=True,
    ),
    # https://github.com/vturrisi/solo-learn/blob/c980e9e3f55342cec67da90045271d2511392562/solo/methods/base.py
    'solo-learn SimCLR': Tool(
        lambda s, t: lightning(backbone=headless(s), classifier=linear(), projector=linear()),
        'projector',
    ),
    # https://github.com/vturrisi/solo-learn/blob/7af3e44a72293ef2f19b86765440802dc654159d/solo/methods/mocov2plus.py
    'solo-learn MoCo': Tool(
        lambda s, t: lightning(
            backbone=headless(s), classifier=linear(), momentum_backbone=headless(t),
            projector=linear(), momentum_projector=linear(),
        ),
        'solo-learn', has_teacher=True,
    ),
    # https://github.com/facebookresearch/barlowtwins/blob/a655214c76c97d0150277b85d16e69328ea52fd9/main.py
    'Barlow Twins': Tool(
        lambda s, t: {
            'epoch': 1, 'optimizer': {'state': {0: {'mu': torch.zeros(3)}}, 'param_groups': []},
            'model': nn.DataParallel(
                Holder(backbone=headless(s), projector=linear(), bn=nn.BatchNorm1d(4, affine=False))
            ).state_dict(),
        },
        'projector',
    ),
    # https://github.com/facebookresearch/swav/blob/04b8f4310a21ddd92af7e2b8f2ea2ef501ce7158/src/resnet50.py
    'SwAV': Tool(
        lambda s, t: nn.DataParallel(
            Holder(**dict(headless(s).named_children()), prototypes=linear())
        ).state_dict(),
        'torchvision',
    ),
    # https://github.com/facebookresearch/simsiam/blob/39ac33e618948b88cbe43a65e31f142537073e55/simsiam/builder.py
    'SimSiam': Tool(
        lambda s, t: {
            'epoch': 1, 'arch': 'resnet18',
            'state_dict': nn.DataParallel(
                Holder(encoder=_with_head(s), predictor=linear())
            ).state_dict(),
        },
        'simsiam',
    ),
    # https://github.com/facebookresearch/moco-v3/blob/0c5d00a3d5136367b7bb3b98c2f77765ea6da37e/moco/builder.py
    'MoCo v3': Tool(
        lambda s, t: {
            'epoch': 1, 'arch': 'resnet18',
            'state_dict': nn.DataParallel(
                Holder(base_encoder=_with_head(s), momentum_encoder=_with_head(t), predictor=linear())
            ).state_dict(),
        },
        'moco-v3', has_teacher=True,
    ),
    # https://github.com/facebookresearch/dino/blob/04c0ad957c9fd04cced6d703668bc049586d1d21/main_dino.py
    'DINO': Tool(
        lambda s, t: {
            'student': nn.DataParallel(Holder(backbone=headless(s), head=linear())).state_dict(),
            'teacher': nn.DataParallel(Holder(backbone=headless(t), head=linear())).state_dict(),
            'optimizer': {}, 'epoch': 3, 'args': argparse.Namespace(arch='resnet18'),
            'dino_loss': {'center': torch.zeros(1, 4)},
        },
        'dino', has_teacher=True,
    ),
    # https://github.com/open-mmlab/mmpretrain/blob/326bc0cd6b75638f652f534cd784cbebd2f4769a/mmpretrain/models/selfsup/moco.py
    'MMPretrain MoCo': Tool(
        lambda s, t: {
            'meta': {},
            'state_dict': Holder(
                backbone=headless(s), neck=linear(),
                encoder_k=Holder(module=nn.Sequential(headless(t), linear())),
            ).state_dict(),
        },
        'openmmlab-moco', has_teacher=True,
    ),
    'Hugging Face, with a classifier': Tool(lambda s, t: hugging_face(s), 'huggingface'),
    'Hugging Face, the backbone': Tool(lambda s, t: hugging_face(s, prefix=''), 'huggingface'),
    'a teacher of no known tool': Tool(
        lambda s, t: {'online.net': 1} | Holder(net=s, ema_net=Holder(net=t)).state_dict(),
        'prefixed', has_teacher=True,
    ),
}  # fmt: skip


def _with_head(model: ResNet) -> ResNet:
    """With an MLP in place of its classifier."""
    model = copy.deepcopy(model)
    model.fc = nn.Sequential(linear(), nn.BatchNorm1d(4), nn.ReLU())
    return model


def _with_encoder(model: ResNet) -> nn.Module:
    unet: nn.Module = smp.Unet('resnet18', encoder_weights=None)
    unet.get_submodule('encoder').load_state_dict(names_of(model.state_dict()))
    return unet


@pytest.mark.parametrize('name', TOOLS)
def test_a_backbone_is_read_as_its_tool_saves_it(
    name: str, student: ResNet, teacher: ResNet
) -> None:
    tool = TOOLS[name]
    foreign = tool.build(student, teacher)
    weights = read_state_dict(foreign)
    assert same(weights.state_dict, student)
    assert (weights.format, weights.model, weights.in_channels) == (tool.form, 'resnet18', 3)
    assert weights.preprocessing is None
    if tool.has_teacher:
        assert weights.provenance['part'] == 'student'
        other = read_state_dict(foreign, teacher=True)
        assert same(other.state_dict, teacher)
        assert other.provenance['part'] == 'teacher'
    else:
        assert 'part' not in weights.provenance
        with pytest.raises(ValueError, match=f'has no teacher: format {tool.form} holds one'):
            read_state_dict(foreign, teacher=True)


def test_reports_say_which_of_two_backbones_was_taken(
    student: ResNet, teacher: ResNet, tmp_path: Path
) -> None:
    path = tmp_path / 'dino.pth'
    torch.save(TOOLS['DINO'].build(student, teacher), path)
    report = load_backbone(timm.create_model('resnet18', num_classes=0), path)
    assert str(report) == (
        '120 of 120 tensors of the model itself set (dino format, student not teacher)'
    )
    exported = export_backbone(path, tmp_path / 'a.safetensors', format='torchvision', teacher=True)
    assert str(exported).endswith('resnet18, dino, teacher not student, to torchvision format')
    assert read_checkpoint(tmp_path / 'a.safetensors').provenance['part'] == 'teacher'


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_cast(dtype: torch.dtype, student: ResNet) -> None:
    tensors = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in student.state_dict().items()
    }
    target = timm.create_model('resnet18', num_classes=0)
    load_backbone(target, tensors)
    loaded = target.state_dict()
    assert all(torch.equal(loaded[name], tensors[name].to(loaded[name].dtype)) for name in loaded)
    assert loaded['conv1.weight'].dtype == torch.float32


def test_counters_of_batchnorm_are_not_missed(student: ResNet) -> None:
    tensors = {k: v for k, v in student.state_dict().items() if 'num_batches' not in k}
    assert read_state_dict(nn.DataParallel(student).state_dict()).model == 'resnet18'
    assert read_state_dict({f'_orig_mod.{k}': v for k, v in tensors.items()}).model == 'resnet18'


def test_names_that_would_collide_are_left_as_they_are(student: ResNet) -> None:
    tensors = student.state_dict()
    with pytest.raises(ValueError, match=r'holds 2 backbones, .*module\.') as error:
        read_state_dict(
            {f'net.{k}': v for k, v in tensors.items()}
            | {f'net.module.{k}': v for k, v in tensors.items()}
        )
    assert 'net.' in str(error.value)


def test_two_backbones_under_names_of_equals_are_refused(student: ResNet, teacher: ResNet) -> None:
    both = Holder(optical=student, radar=teacher).state_dict()
    with pytest.raises(ValueError, match=r'holds 2 backbones, optical\., radar\.; save the state'):
        read_state_dict(both)


def deep_stem(model: ResNet) -> StateDict:
    """As ResNetV1c of OpenMMLab.

    https://github.com/open-mmlab/mmsegmentation/blob/03b0197cfc34a72071a840d279965d348ce78d44/mmseg/models/backbones/resnet.py
    """
    stem = nn.Sequential(
        nn.Conv2d(3, 32, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
    )  # fmt: skip
    stages = {k: v for k, v in model.state_dict().items() if k.startswith('layer')}
    return {**Holder(stem=stem).state_dict(), **stages}


def small_stem(model: ResNet) -> StateDict:
    """As solo-learn's ResNets for CIFAR."""
    return {**model.state_dict(), 'conv1.weight': torch.rand(64, 3, 3, 3)}


REFUSED: dict[str, tuple[Callable[[ResNet], Any], str]] = {
    'ResNetV1c': (
        lambda s: {'meta': {}, 'state_dict': {f'backbone.{k}': v for k, v in deep_stem(s).items()}},
        r'backbone\.stem\.0\.weight belongs to a stem of three convolutions, as of ResNetV1c',
    ),
    'CIFAR': (
        lambda s: {f'module.backbone.{k}': v for k, v in small_stem(s).items()},
        r'tensor module\.backbone\.conv1\.weight has shape \(64, 3, 3, 3\) .*small images .*CIFAR',
    ),
    'NumPy': (
        lambda s: {k: v.numpy() for k, v in s.state_dict().items()},
        r'it holds arrays or numbers of NumPy \(numpy.*torch\.from_numpy',
    ),
    'a NumPy number': (
        lambda s: {'model': s.state_dict(), 'best': np.float64(0.5)},
        r'it holds arrays or numbers of NumPy \(numpy.*and plain numbers',
    ),
    'a module': (lambda s: s, r'needs torchvision.*ResNet, which is not data; save the state_dict'),
    'a damaged one': (
        lambda s: {
            f'module.{k}': v for k, v in s.state_dict().items() if k != 'layer2.0.conv1.weight'
        },
        r'tensor module\.layer2\.0\.conv1\.weight is missing; everything else is a resnet18',
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_read_is_refused_for_the_true_reason(
    name: str, student: ResNet, tmp_path: Path
) -> None:
    build, words = REFUSED[name]
    torch.save(build(student), tmp_path / 'foreign.pth')
    with pytest.raises(ValueError, match=rf'foreign\.pth.*{words}') as error:
        read_checkpoint(tmp_path / 'foreign.pth')
    assert '\n' not in str(error.value)


@pytest.mark.filterwarnings('ignore:`torch.jit')
def test_a_program_is_told_from_weights(tmp_path: Path) -> None:
    torch.jit.script(nn.Conv2d(3, 4, 3)).save(tmp_path / 'program.pt')
    with pytest.raises(ValueError, match=r'program\.pt is a program of TorchScript, .* run here'):
        read_checkpoint(tmp_path / 'program.pt')


def test_mappings_within_mappings_are_looked_into_once(student: ResNet) -> None:
    nested: dict[str, Any] = {'net': student.state_dict()}
    for _ in range(40):
        # each doubles the number of ways to the tensors
        nested = {'left': nested, 'right': nested}
    with pytest.raises(ValueError, match='no backbone in a known format'):
        read_state_dict(nested)
    wide: dict[str, Any] = {f'copy_{i}': nested for i in range(3)}
    wide['itself'] = wide
    with pytest.raises(ValueError, match='no backbone in a known format'):
        read_state_dict(wide | {'hyper_parameters': None})
