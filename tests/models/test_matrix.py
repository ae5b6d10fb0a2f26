"""The published weights arrive in every task of torchgeo, at any number of bands, and it trains."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchgeo import tasks
from torchgeo.models import ChangeStarFarSeg, FarSeg

from gersp_geo import GeRSP_Weights, load_backbone
from gersp_geo.models.architectures import is_counter
from gersp_geo.models.first_layer import adapt_stem
from gersp_geo.tasks import ChangeDetection, InstanceSegmentation, ObjectDetection

type Batch = dict[str, Any]

SIZE = 64
WEIGHTS = GeRSP_Weights.RESNET50


@dataclass(frozen=True)
class Row:
    """One kind of task."""

    build: Callable[[int], LightningModule]
    """From a number of bands; with weights if the task itself takes them."""

    batch: Callable[[Tensor], Batch]
    """Labels for images of shape (B, C, H, W)."""

    backbones: tuple[str, ...]
    """Where the tensors must arrive."""

    given: bool = False
    """Whether *build* has loaded them."""

    dates: int = 1
    """Dates that the first layer reads as one image."""

    images: Callable[[Tensor], Any] = lambda image: image
    """What the model is called with."""


def boxes(image: Tensor) -> Batch:
    corners = torch.tensor([[5.0, 8.0, 40.0, 50.0]])
    return {
        'image': image,
        'bbox_xyxy': [corners.clone() for _ in image],
        'label': [torch.tensor([1]) for _ in image],
        'mask': [torch.ones(1, SIZE, SIZE, dtype=torch.uint8) for _ in image],
    }


def classes(image: Tensor) -> Batch:
    return {'image': image, 'mask': (image[:, 0] > 0).long()}


def values(image: Tensor) -> Batch:
    return {'image': image, 'mask': image[:, :1].clone()}


def two_dates(image: Tensor) -> Batch:
    return {'image': torch.stack([image, -image], 1), 'mask': (image[:, :1] > 0).long()}


def fused(image: Tensor) -> Tensor:
    return torch.cat([image, -image], 1)


def segmentation(model: str, backbone: str = 'resnet50') -> Row:
    def build(bands: int) -> LightningModule:
        return tasks.SemanticSegmentation(model, backbone, in_channels=bands, num_classes=2)  # type: ignore[arg-type]

    where = 'model.encoder.model' if backbone.startswith('tu-') else 'model.encoder'
    return Row(build, classes, (where,))


def regression(model: str) -> Row:
    def build(bands: int) -> LightningModule:
        return tasks.PixelwiseRegression(model, 'resnet50', in_channels=bands)

    return Row(build, values, ('model.encoder',))


def detection(model: str) -> Row:
    def build(bands: int) -> LightningModule:
        return ObjectDetection(model, 'resnet50', WEIGHTS, in_channels=bands, num_classes=2)  # type: ignore[arg-type]

    return Row(build, boxes, ('model.backbone.body',), given=True)


def change(model: str, backbone: str = 'resnet50') -> Row:
    def build(bands: int) -> LightningModule:
        return ChangeDetection(model, backbone, WEIGHTS, in_channels=bands)  # type: ignore[arg-type]

    siamese = model.startswith('fcsiam')
    return Row(
        build,
        two_dates,
        ('model.encoder.model' if backbone.startswith('tu-') else 'model.encoder',),
        given=True,
        dates=1 if siamese else 2,
        images=(lambda image: torch.stack([image, -image], 1)) if siamese else fused,
    )


MATRIX = {
    'multiclass': Row(
        lambda bands: tasks.Classification('resnet50', in_channels=bands, num_classes=3),
        lambda image: {'image': image, 'label': torch.tensor([0, 2])},
        ('model',),
    ),
    'multilabel': Row(
        lambda bands: tasks.Classification(
            'resnet50', in_channels=bands, task='multilabel', num_labels=3, loss='bce'
        ),
        lambda image: {'image': image, 'label': torch.tensor([[0, 1, 1], [1, 0, 0]])},
        ('model',),
    ),
    'regression': Row(
        lambda bands: tasks.Regression('resnet50', in_channels=bands),
        lambda image: {'image': image, 'label': torch.tensor([[0.5], [1.5]])},
        ('model',),
    ),
    'unet': segmentation('unet'),
    'deeplabv3+': segmentation('deeplabv3+'),
    'upernet': segmentation('upernet'),
    'segformer': segmentation('segformer'),
    'dpt': segmentation('dpt', 'tu-resnet50'),
    'regression unet': regression('unet'),
    'regression deeplabv3+': regression('deeplabv3+'),
    'regression upernet': regression('upernet'),
    'regression segformer': regression('segformer'),
    'faster-rcnn': detection('faster-rcnn'),
    'fcos': detection('fcos'),
    'retinanet': detection('retinanet'),
    'mask-rcnn': Row(
        lambda bands: InstanceSegmentation(
            weights_backbone=WEIGHTS, in_channels=bands, num_classes=2
        ),
        boxes,
        ('model.backbone.body',),
        given=True,
    ),
    'change unet': change('unet'),
    'change deeplabv3+': change('deeplabv3+'),
    'change upernet': change('upernet'),
    'change segformer': change('segformer'),
    'change dpt': change('dpt', 'tu-resnet50'),
    'fcsiamdiff': change('fcsiamdiff'),
    'fcsiamconc': change('fcsiamconc'),
    'moco': Row(
        lambda bands: tasks.MoCo(
            'resnet50', in_channels=bands, version=2, layers=2, output_dim=16, hidden_dim=32,
            memory_bank_size=8, size=SIZE,
        ),
        lambda image: {'image': image},
        ('backbone', 'backbone_momentum'),
    ),
    'simclr': Row(
        lambda bands: tasks.SimCLR(
            'resnet50', in_channels=bands, layers=2, memory_bank_size=0, size=SIZE
        ),
        lambda image: {'image': image},
        ('backbone',),
    ),
    'byol': Row(
        lambda bands: tasks.BYOL('resnet50', in_channels=bands),
        lambda image: {'image': image},
        ('model.backbone.model', 'model.target.model'),
    ),
}  # fmt: skip


@pytest.fixture(scope='module')
def backbone(make_state: Callable[..., dict[str, Tensor]]) -> dict[str, Tensor]:
    """A ResNet-50 that computes something."""
    state = make_state('resnet50', seed=3)
    return {
        name: (tensor - 0.5) / 10 if tensor.ndim == 4 else tensor for name, tensor in state.items()
    }


@pytest.fixture(autouse=True)
def placed(backbone: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the authors' converted file where the enum looks for it."""
    state_dict = {f'backbone.{name}': tensor for name, tensor in backbone.items()}
    torch.save({'state_dict': state_dict}, tmp_path / 'CVT_epoch_100.pth')
    monkeypatch.setenv('GERSP_WEIGHTS_DIR', str(tmp_path))


def assert_arrived(
    module: nn.Module, backbone: Mapping[str, Tensor], *, bands: int, dates: int
) -> None:
    """Compare every tensor of a module with the file's, the first layer with its adaptation."""
    found = module.state_dict()
    for name, tensor in backbone.items():
        if is_counter(name) and name not in found:
            continue
        wanted = adapt_stem(tensor, bands, dates=dates) if name == 'conv1.weight' else tensor
        assert torch.equal(found[name], wanted), name


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.quick('multiclass-13', 'unet-4', 'faster-rcnn-4')
@pytest.mark.parametrize('bands', [3, 4, 13])
@pytest.mark.parametrize('name', MATRIX)
def test_the_weights_arrive_and_the_task_trains(
    name: str, bands: int, backbone: dict[str, Tensor]
) -> None:
    row = MATRIX[name]
    torch.manual_seed(0)
    task = row.build(bands)
    if not row.given:
        load_backbone(task, WEIGHTS)
    for path in row.backbones:
        assert_arrived(task.get_submodule(path), backbone, bands=bands, dates=row.dates)

    image = torch.rand(2, bands, SIZE, SIZE)
    task.eval()
    with torch.no_grad():
        task(row.images(image))
    task.train()
    before = [parameter.detach().clone() for parameter in task.parameters()]
    optimizer = torch.optim.SGD((p for p in task.parameters() if p.requires_grad), lr=1e-3)
    loss = task.training_step(row.batch(image), 0)
    assert isinstance(loss, Tensor)
    assert loss.isfinite()
    loss.backward()
    optimizer.step()
    assert any(
        not torch.equal(old, new) for old, new in zip(before, task.parameters(), strict=True)
    )


@pytest.mark.quick('unet')
@pytest.mark.parametrize('model', ['classification', 'unet', 'fcsiamdiff', 'simclr', 'byol'])
def test_torchgeos_own_argument_takes_the_enum(model: str, backbone: dict[str, Tensor]) -> None:
    builders: dict[str, Callable[[], LightningModule]] = {
        'classification': lambda: tasks.Classification('resnet50', WEIGHTS, num_classes=3),
        'unet': lambda: tasks.SemanticSegmentation('unet', 'resnet50', WEIGHTS, num_classes=2),
        'fcsiamdiff': lambda: tasks.ChangeDetection('fcsiamdiff', 'resnet50', WEIGHTS),
        'simclr': lambda: tasks.SimCLR('resnet50', WEIGHTS, layers=2),
        'byol': lambda: tasks.BYOL('resnet50', WEIGHTS),
    }
    where = {'classification': 'model', 'simclr': 'backbone', 'byol': 'model.backbone.model'}
    module = builders[model]().get_submodule(where.get(model, 'model.encoder'))
    # building BYOL runs a batch through it, which moves the statistics
    kept = {
        name: tensor
        for name, tensor in backbone.items()
        if model != 'byol' or not ('running' in name or is_counter(name))
    }
    assert_arrived(module, kept, bands=3, dates=1)


def test_farseg_takes_three_bands_alone(backbone: dict[str, Tensor]) -> None:
    model = FarSeg('resnet50', classes=2)
    report = load_backbone(model, WEIGHTS)
    assert report.tensors_set == report.tensors_total
    assert_arrived(model.get_submodule(report.modules[0]), backbone, bands=3, dates=1)
    assert model(torch.rand(2, 3, SIZE, SIZE)).isfinite().all()
    with pytest.raises(ValueError, match='reads 3 channels, which is no multiple of in_channels=4'):
        load_backbone(model, WEIGHTS, in_channels=4)


def test_changestar_takes_three_bands_alone(backbone: dict[str, Tensor]) -> None:
    model = ChangeStarFarSeg('resnet50', classes=2)
    report = load_backbone(model, WEIGHTS)
    assert_arrived(model.get_submodule(report.modules[0]), backbone, bands=3, dates=1)
    logits = model.eval()(torch.rand(2, 2, 3, SIZE, SIZE))
    assert all(value.isfinite().all() for value in logits.values())
    with pytest.raises(ValueError, match='reads 3 channels, which is no multiple of in_channels=4'):
        load_backbone(model, WEIGHTS, in_channels=4)


@pytest.mark.quick('fcn')
@pytest.mark.parametrize('model', ['btc', 'changevit', 'fcn'])
def test_torchgeos_own_classes_without_such_a_backbone_are_refused(model: Any) -> None:
    backbones = {'btc': 'swin_tiny', 'changevit': 'vit_small_patch14_dinov2'}
    task = tasks.ChangeDetection(model, backbones.get(model, 'resnet50'))
    with pytest.raises(ValueError, match=r'has no backbone with|belong to another architecture'):
        load_backbone(task, WEIGHTS)


@pytest.mark.parametrize(
    ('model', 'reason'), [('btc', 'Swin'), ('changevit', 'vision'), ('fcn', 'no backbone')]
)
def test_what_cannot_work_says_why(model: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f'{model} takes no weights of a backbone: .*{reason}'):
        ChangeDetection(model, weights=WEIGHTS)
