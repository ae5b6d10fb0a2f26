"""Checkpoints of a small backbone in every format, written by hand as their tools write them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

type StateDict = dict[str, Tensor]


def random_state(name: str, *, seed: int, in_chans: int = 3) -> StateDict:
    """A backbone without classifier in which no tensor is constant."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device('meta'):
        model = timm.create_model(name, num_classes=0, in_chans=in_chans)
    return {
        key: torch.rand(tensor.shape, generator=generator)
        if tensor.is_floating_point()
        else torch.tensor(seed)
        for key, tensor in model.state_dict().items()
    }


def with_prefix(prefix: str, tensors: StateDict) -> StateDict:
    return {f'{prefix}{key}': tensor for key, tensor in tensors.items()}


@pytest.fixture(scope='session')
def make_state() -> Callable[..., StateDict]:
    return random_state


@pytest.fixture(scope='session')
def student() -> StateDict:
    return random_state('resnet18', seed=1)


@pytest.fixture(scope='session')
def teacher() -> StateDict:
    return random_state('resnet18', seed=2)


@pytest.fixture(scope='session')
def record() -> dict[str, object]:
    return {
        'bands': ['red', 'green', 'blue'],
        'scale': [1 / 255] * 3,
        'mean': [0.4, 0.5, 0.6],
        'std': [0.1, 0.2, 0.3],
        'size': 96,
    }


@pytest.fixture(scope='session')
def write_format(
    tmp_path_factory: pytest.TempPathFactory,
    student: StateDict,
    teacher: StateDict,
    record: dict[str, object],
) -> Callable[[str], Path]:
    """Write the student (and teacher) in a format, once."""
    folder = tmp_path_factory.mktemp('formats')
    head = {'fc.weight': torch.rand(10, 512), 'fc.bias': torch.rand(10)}
    ssl = (
        with_prefix('backbone.', student)
        | with_prefix('backbone_momentum.', teacher)
        | {'projection_head.0.weight': torch.rand(8, 512), 'queue': torch.rand(16, 8)}
        | {'projection_head_momentum.0.weight': torch.rand(8, 512)}
    )
    classifier = {'classification_head.weight': torch.rand(10, 512), 'queue_ptr': torch.zeros(1)}
    encoder = {'model.decoder.conv.weight': torch.rand(4, 4, 3, 3)}
    counterless = {k: v for k, v in student.items() if not k.endswith('num_batches_tracked')}
    checkpoints: dict[str, object] = {
        'gersp_geo.ckpt': {
            'state_dict': ssl | classifier,
            'hyper_parameters': {'model': 'resnet18', 'in_channels': 3, 'lr': 0.007},
            'epoch': 4,
            'global_step': 50,
            'gersp_geo': record,
        },
        'gersp.pth': {
            'meta': {'epoch': 100},
            'state_dict': with_prefix('encoder_q.', student)
            | with_prefix('encoder_k.', teacher)
            | with_prefix('backbone.', student)
            | {'proj_q.projector.0.weight': torch.rand(8, 512), 'queue': torch.rand(8, 16)}
            | {'pred_q.0.weight': torch.rand(10, 512), 'neck.projector.0.bias': torch.rand(8)},
        },
        'openmmlab.pth': {'state_dict': with_prefix('backbone.', student)},
        'torchgeo-moco.ckpt': {'state_dict': ssl, 'hyper_parameters': {'model': 'resnet18'}},
        'torchgeo.ckpt': {
            'state_dict': with_prefix('model.', student | head),
            'hyper_parameters': {'model': 'resnet18', 'num_classes': 10},
        },
        'torchgeo-segmentation.ckpt': {
            'state_dict': with_prefix('model.encoder.', student) | encoder,
            'hyper_parameters': {'model': 'unet', 'backbone': 'resnet18'},
        },
        'torchgeo-timm-segmentation.ckpt': {
            'state_dict': with_prefix('model.encoder.model.', student) | encoder,
            'hyper_parameters': {'model': 'unet', 'backbone': 'tu-resnet18'},
        },
        'torchgeo-detection.ckpt': {
            'state_dict': with_prefix('model.backbone.body.', counterless)
            | {'model.backbone.fpn.inner_blocks.0.0.weight': torch.rand(8, 8, 1, 1)},
            'hyper_parameters': {'model': 'faster-rcnn', 'backbone': 'resnet18'},
        },
        'torchvision.pth': student | head,
    }

    def write(name: str) -> Path:
        path = folder / name
        if path.exists():
            return path
        if name == 'timm':
            path.mkdir()
            save_file(student, path / 'model.safetensors')
            (path / 'config.json').write_text(json.dumps({'architecture': 'resnet18'}))
        elif name == 'torchvision.safetensors':
            save_file(student | head, path)
        else:
            torch.save(checkpoints[name], path)
        return path

    return write
