"""A pre-training checkpoint, through every format, into the library that the format is for."""

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from lightning.pytorch import Trainer
from safetensors.torch import load_file
from torch import Tensor, nn
from torchgeo.tasks import Classification
from torchvision.models import resnet18

from gersp_geo import GeRSPTask, export_backbone
from gersp_geo.models.exporting import ExportFormat

RECORD = {
    'bands': ['red', 'green', 'blue'], 'scale': [1 / 255] * 3, 'mean': [0.4] * 3, 'std': [0.2] * 3,
}  # fmt: skip
IMAGES = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope='module')
def task() -> GeRSPTask:
    """A task whose BatchNorm has seen images."""
    torch.manual_seed(0)
    task = GeRSPTask(model='resnet18', size=64, num_classes=2, memory_bank_size=4)
    task.backbone.train()
    with torch.no_grad():
        for seed in range(4):
            task.backbone(torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(seed)))
    return task.eval()


@pytest.fixture(scope='module')
def checkpoint(task: GeRSPTask, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('task') / 'task.ckpt'
    trainer = Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False)
    trainer.strategy.connect(task)
    trainer.save_checkpoint(path)
    return path


def pooled(model: nn.Module) -> Tensor:
    with torch.no_grad():
        features: Tensor = model.eval()(IMAGES)
    return features


def in_torchvision(path: Path) -> Tensor:
    model = resnet18()
    model.fc = nn.Identity()
    state = load_file(path) if path.suffix == '.safetensors' else torch.load(path)
    model.load_state_dict(state)
    return pooled(model)


def in_timm(path: Path) -> Tensor:
    return pooled(timm.create_model(f'local-dir:{path}', pretrained=True))


def in_torchgeo(path: Path) -> Tensor:
    model = Classification('resnet18', weights=str(path), num_classes=2).model
    model.fc = nn.Identity()
    return pooled(model)


def in_openmmlab(path: Path) -> Tensor:
    """As init_cfg with prefix 'backbone.' does."""
    state = torch.load(path, weights_only=True)['state_dict']
    model = resnet18()
    model.fc = nn.Identity()
    model.load_state_dict({key.removeprefix('backbone.'): value for key, value in state.items()})
    return pooled(model)


def in_smp(path: Path) -> Tensor:
    model = smp.Unet('resnet18', encoder_weights=None)
    model.encoder.load_state_dict(load_file(path))
    with torch.no_grad():
        maps: list[Tensor] = model.eval().encoder(IMAGES)
    return maps[-1].mean((2, 3))


def in_onnxruntime(path: Path) -> Tensor:
    session = onnxruntime.InferenceSession(path)
    return torch.from_numpy(session.run(['features'], {'image': IMAGES.numpy()})[0])


@pytest.mark.parametrize(
    ('form', 'name', 'load'),
    [
        ('torchvision', 'a.safetensors', in_torchvision),
        ('torchvision', 'a.pth', in_torchvision),
        ('torchvision', 'a.safetensors', in_smp),
        ('timm', 'a', in_timm),
        ('torchgeo', 'a.ckpt', in_torchgeo),
        ('openmmlab', 'a.pth', in_openmmlab),
        ('onnx', 'a.onnx', in_onnxruntime),
    ],
)
def test_features_survive(
    form: ExportFormat, name: str, load: Callable[[Path], Tensor], tmp_path: Path,
    task: GeRSPTask, checkpoint: Path,
) -> None:  # fmt: skip
    report = export_backbone(checkpoint, tmp_path / name, format=form)
    expected = pooled(task.backbone)
    assert expected.std() > 0.01
    torch.testing.assert_close(load(report.path), expected, atol=1e-5, rtol=1e-5)


def save_as_task(path: Path, model: nn.Module, name: str, **more: object) -> None:
    """Save a model of timm in a checkpoint of a task."""
    state = {f'model.{key}': value for key, value in model.state_dict().items()}
    torch.save({'hyper_parameters': {'model': name}, 'state_dict': state} | more, path)


def test_a_graph_carries_its_record(tmp_path: Path) -> None:
    model = timm.create_model('test_resnet', num_classes=0)
    save_as_task(tmp_path / 'task.ckpt', model, 'test_resnet', gersp_geo=RECORD | {'size': 96})
    export_backbone(tmp_path / 'task.ckpt', tmp_path / 'a.onnx', format='onnx')
    props = {p.key: p.value for p in onnx.load(tmp_path / 'a.onnx').metadata_props}
    assert json.loads(props['gersp_geo'])['size'] == 96
    assert len(json.loads(props['gersp_geo_provenance'])['sha256']) == 64
    # one file, nothing beside it
    assert {path.name for path in tmp_path.iterdir()} == {'task.ckpt', 'a.onnx'}


@pytest.mark.parametrize(
    ('name', 'side', 'known'),
    [
        ('test_vit', 160, {'gersp_geo': RECORD | {'size': 160}}),
        pytest.param('vit_tiny_patch16_224', 224, {}, marks=pytest.mark.slow),
    ],
)
def test_a_transformer_keeps_its_size(
    name: str, side: int, known: dict[str, object], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0)
    save_as_task(tmp_path / 'vit.ckpt', model, name, **known)
    export_backbone(tmp_path / 'vit.ckpt', tmp_path / 'vit.onnx', format='onnx')
    session = onnxruntime.InferenceSession(tmp_path / 'vit.onnx')
    image = torch.rand(3, 3, side, side)
    found = torch.from_numpy(session.run(None, {'image': image.numpy()})[0])
    with torch.no_grad():
        torch.testing.assert_close(found, model.eval()(image), atol=1e-5, rtol=1e-4)
