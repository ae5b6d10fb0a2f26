from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchgeo import tasks
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import BaseTask
from torchvision.ops import FrozenBatchNorm2d, box_iou

from gersp_geo import GeRSP_Weights
from gersp_geo.models.downloads import FOLDER_VARIABLE
from gersp_geo.models.first_layer import adapt_stem
from gersp_geo.tasks import ObjectDetection
from gersp_geo.training import TrainingCLI

type StateDict = dict[str, Tensor]

MODELS = ('faster-rcnn', 'fcos', 'retinanet')
# what each more trainable layer adds, in the order of torchvision's documentation
STAGES = ('layer4', 'layer3', 'layer2', 'layer1', 'conv1')

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')


@pytest.fixture
def backbone(make_backbone: Callable[[str], StateDict]) -> StateDict:
    return make_backbone('resnet18')


def build(model: str, weights: Any, **arguments: Any) -> ObjectDetection:
    torch.manual_seed(0)
    return ObjectDetection(model, 'resnet18', weights, num_classes=2, **arguments)  # type: ignore[arg-type]


def body_of(task: BaseTask) -> nn.Module:
    body: nn.Module = task.get_submodule('model.backbone.body')
    return body


def stage_of(name: str) -> str:
    return name.partition('.')[0]


def step(task: BaseTask, batch: dict[str, Any]) -> set[str]:
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


@pytest.mark.quick('faster-rcnn-0-4', 'faster-rcnn-3-3', 'fcos-2-4', 'retinanet-5-3')
@pytest.mark.parametrize('bands', [3, 4])
@pytest.mark.parametrize('layers', range(6))
@pytest.mark.parametrize('model', MODELS)
def test_trainable_layers_are_those_that_are_trained(
    model: str, layers: int, bands: int, backbone: StateDict
) -> None:
    task = build(model, backbone, in_channels=bands, trainable_layers=layers)
    trained = {stage_of(name) for name, p in body_of(task).named_parameters() if p.requires_grad}
    assert trained == set(STAGES[:layers])
    # the pyramid and the head always are
    others = [
        p for name, p in task.named_parameters() if not name.startswith('model.backbone.body')
    ]
    assert all(parameter.requires_grad for parameter in others)


@pytest.mark.quick('faster-rcnn-3', 'fcos-4', 'retinanet-3')
@pytest.mark.parametrize('bands', [3, 4])
@pytest.mark.parametrize('model', MODELS)
def test_a_step_changes_what_is_trained_and_nothing_else(
    model: str, bands: int, backbone: StateDict, make_boxes: Callable[[int], dict[str, Any]]
) -> None:
    task = build(model, backbone, in_channels=bands, trainable_layers=2)
    changed = step(task, make_boxes(bands))
    stages = {stage_of(n.removeprefix('model.backbone.body.')) for n in changed if '.body.' in n}
    assert stages == {'layer4', 'layer3'}
    assert any(name.startswith('model.backbone.fpn.') for name in changed)
    # frozen normalisation, in the trained stages too
    assert not any('.bn' in name or 'downsample.1' in name for name in changed if '.body.' in name)


@pytest.mark.quick('faster-rcnn-4-True', 'fcos-3-False', 'retinanet-3-True')
@pytest.mark.parametrize('given', [True, False])
@pytest.mark.parametrize('bands', [3, 4])
@pytest.mark.parametrize('model', MODELS)
def test_a_frozen_backbone_does_not_change(
    model: str, bands: int, given: bool, backbone: StateDict,
    make_boxes: Callable[[int], dict[str, Any]],
) -> None:  # fmt: skip
    weights = backbone if given else None
    task = build(model, weights, in_channels=bands, freeze_backbone=True)
    assert not any(p.requires_grad for p in task.get_submodule('model.backbone').parameters())
    changed = step(task, make_boxes(bands))
    assert changed
    assert not any(name.startswith('model.backbone.') for name in changed)


@pytest.mark.quick('fcos')
@pytest.mark.parametrize('model', MODELS)
def test_without_weights_everything_is_trained(
    model: str, make_boxes: Callable[[int], dict[str, Any]]
) -> None:
    task = build(model, None, trainable_layers=1)
    assert task.report is None
    assert all(parameter.requires_grad for parameter in task.parameters())
    changed = step(task, make_boxes(3))
    names = [name for name in task.state_dict() if '.body.' in name]
    assert {name for name in names if name not in changed} == set()
    assert any(name.endswith('bn1.running_mean') for name in names)


@pytest.mark.quick('fcos')
@pytest.mark.parametrize('model', MODELS)
def test_normalisation_is_frozen_with_weights_and_keeps_their_values(
    model: str, backbone: StateDict
) -> None:
    task = build(model, backbone)
    kinds = {type(m) for m in body_of(task).modules() if 'Norm' in type(m).__name__}
    assert kinds == {FrozenBatchNorm2d}
    loaded = body_of(task).state_dict()
    assert all(torch.equal(value, backbone[name]) for name, value in loaded.items())
    fresh = build(model, None)
    kinds = {type(m) for m in body_of(fresh).modules() if 'Norm' in type(m).__name__}
    assert kinds == {nn.BatchNorm2d}


@pytest.mark.quick('enum')
@pytest.mark.parametrize('form', ['enum', 'name', 'path', 'text', 'state dict'])
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
        'text': str(path), 'state dict': state,
    }  # fmt: skip
    task = ObjectDetection(weights=forms[form], in_channels=4, num_classes=2, rgb_bands=(2, 1, 0))
    loaded = body_of(task).state_dict()
    assert torch.equal(loaded.pop('conv1.weight'), adapt_stem(
        state['conv1.weight'], 4, rgb_bands=(2, 1, 0)
    ))  # fmt: skip
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())
    assert task.report is not None
    assert task.report.tensors_set == task.report.tensors_total == len(loaded) + 1
    assert task.weights is forms[form]


def test_every_other_argument_is_torchgeos() -> None:
    own, theirs = build('fcos', None, lr=0.5), tasks.ObjectDetection('fcos', 'resnet18')
    assert own.hparams['lr'] == 0.5
    assert own.hparams.keys() - theirs.hparams.keys() == {
        'rgb_bands', 'iou_threshold', 'score_threshold', 'detections_per_image',
    }  # fmt: skip
    defaults = ObjectDetection().hparams
    assert {key: defaults[key] for key in tasks.ObjectDetection().hparams} == dict(
        tasks.ObjectDetection().hparams
    )
    with pytest.raises(TypeError, match='colour'):
        build('fcos', None, colour=3)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'trainable_layers': 6}, r'in the range \[0,5\], got 6'),
        ({'trainable_layers': -1}, r'in the range \[0,5\], got -1'),
        ({'model': 'yolo'}, "'yolo' is not valid"),
        ({'backbone': 'vgg16'}, "'vgg16' is not valid"),
        ({'backbone': 'resnet34'}, 'of 180 tensors of the backbone would be set; the weights lack'),
        ({'in_channels': 4, 'rgb_bands': (0, 0, 1)}, 'rgb_bands must be three different bands'),
    ],
)
def test_wrong_values_are_refused(
    arguments: dict[str, Any], words: str, backbone: StateDict
) -> None:
    everything: dict[str, Any] = {'backbone': 'resnet18', 'weights': backbone} | arguments
    with pytest.raises(ValueError, match=words):
        ObjectDetection(**everything)


def test_weights_that_do_not_exist_are_not_found() -> None:
    with pytest.raises(FileNotFoundError, match=r'absent\.pth is neither'):
        build('fcos', 'absent.pth')


CONFIG = """
model:
  class_path: gersp_geo.tasks.{task}
  init_args:
    backbone: resnet18
    {key}: {weights}
    in_channels: 4
    rgb_bands: [2, 1, 0]
    lr: 0.25
data:
  class_path: torchgeo.datamodules.VHR10DataModule
"""


@pytest.mark.parametrize('task', ['ObjectDetection', 'ChangeDetection'])
def test_a_configuration_names_class_and_weights(
    task: str, backbone: StateDict, tmp_path: Path
) -> None:
    torch.save(backbone, tmp_path / 'backbone.pth')
    config = tmp_path / 'config.yaml'
    config.write_text(CONFIG.format(task=task, key='weights', weights=tmp_path / 'backbone.pth'))
    cli = TrainingCLI(
        model_class=BaseTask, datamodule_class=BaseDataModule, subclass_mode_model=True,
        subclass_mode_data=True, run=False, args=['--config', str(config)],
    )  # fmt: skip
    assert type(cli.model).__module__.startswith('gersp_geo.tasks')
    assert cli.model.hparams['lr'] == 0.25
    assert cli.model.report.stem_adapted
    name = 'model.encoder' if task == 'ChangeDetection' else 'model.backbone.body'
    stem = cli.model.get_submodule(name).state_dict()['conv1.weight']
    dates = 2 if task == 'ChangeDetection' else 1
    wanted = adapt_stem(backbone['conv1.weight'], 4, rgb_bands=(2, 1, 0), dates=dates)
    assert torch.equal(stem, wanted)


class Perfect(ObjectDetection):
    """Finds what is there, and nothing else."""

    truth: list[list[dict[str, Tensor]]]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.truth.pop(0)


def test_precision_is_of_the_whole_set_and_of_one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    boxes = torch.tensor([[1.0, 1, 9, 9], [12, 12, 20, 30]])
    objects = [boxes, boxes.new_zeros(0, 4), boxes[:1]]
    batches = [
        {'image': torch.zeros(1, 3, 32, 32), 'bbox_xyxy': [b], 'label': [torch.ones(len(b)).long()]}
        for b in objects
    ]
    task = Perfect('fcos', 'resnet18', num_classes=2)
    task.truth = [
        [{'boxes': b, 'labels': torch.ones(len(b)).long(), 'scores': torch.ones(len(b))}]
        for b in objects * 2
    ]
    trainer = Trainer(accelerator='cpu', logger=False, enable_progress_bar=False)
    for _ in range(2):
        loader: Any = DataLoader(batches, batch_size=None)  # type: ignore[arg-type]  # a list
        (found,) = trainer.validate(task, loader, verbose=False)
        assert found['val_map'] == 1
        assert not task.val_metrics['MeanAveragePrecision'].detection_box
    schedule: Any = task.configure_optimizers()
    assert schedule['lr_scheduler']['scheduler'].mode == 'max'
    assert schedule['lr_scheduler']['monitor'] == 'val_map'


@pytest.mark.quick('faster-rcnn')
@pytest.mark.parametrize('model', MODELS)
def test_limits_of_what_is_returned_hold(model: str) -> None:
    loose = build(model, None, score_threshold=0.0, iou_threshold=1.0, detections_per_image=500)
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        (every,) = loose.eval()(images)
        middle = float(every['scores'].median())
        strict = build(
            model, None, score_threshold=middle, iou_threshold=0.1, detections_per_image=3
        )
        (few,) = strict.eval()(images)
    assert len(every['scores']) > 100
    assert 0 < len(few['scores']) <= 3
    assert (few['scores'] > middle).all()
    overlaps = box_iou(few['boxes'], few['boxes']).fill_diagonal_(0)
    assert (overlaps <= 0.1).all()


@pytest.mark.parametrize(
    ('option', 'value'),
    [('iou_threshold', 1.5), ('score_threshold', 1.0), ('detections_per_image', 0)],
)
def test_other_limits_are_refused(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf'{option} must be .*, got {value}'):
        build('fcos', None, **{option: value})
