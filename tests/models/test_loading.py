from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from torch import Tensor, nn
from torchgeo.tasks import (
    ChangeDetection,
    Classification,
    MoCo,
    ObjectDetection,
    SemanticSegmentation,
)
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from gersp_geo.models import load_backbone
from gersp_geo.models.first_layer import adapt_stem
from gersp_geo.preprocessing import Preprocessing

type StateDict = dict[str, Tensor]

STEM = 'conv1.weight'


def detector() -> Any:
    backbone = resnet_fpn_backbone(backbone_name='resnet18', weights=None)
    return torchvision.models.detection.FasterRCNN(backbone, num_classes=4)


def segmentation(model: Any, *, backbone: str = 'resnet18', in_channels: int = 3) -> nn.Module:
    return SemanticSegmentation(
        model=model, backbone=backbone, in_channels=in_channels, num_classes=4
    )


def change(model: Any) -> nn.Module:
    return ChangeDetection(model=model, backbone='resnet18', in_channels=3)


# name -> how to build the target, where its backbone is, bands of its first layer
TARGETS: dict[str, tuple[Callable[[], Any], str, int]] = {
    'timm': (lambda: timm.create_model('resnet18', num_classes=4), '', 3),
    'timm, 13 bands': (lambda: timm.create_model('resnet18', in_chans=13), '', 13),
    'timm features': (lambda: timm.create_model('resnet18', features_only=True), '', 3),
    'torchvision': (lambda: torchvision.models.resnet18(), '', 3),
    'torchvision detector': (detector, 'backbone.body', 3),
    'smp': (lambda: smp.FPN('resnet18', encoder_weights=None), 'encoder', 3),
    'smp, timm encoder': (
        lambda: smp.Unet('tu-resnet18', encoder_weights=None),
        'encoder.model',
        3,
    ),
    'classification': (lambda: Classification(model='resnet18', num_classes=4), 'model', 3),
    'classification, 4 bands': (
        lambda: Classification(model='resnet18', in_channels=4, num_classes=4),
        'model',
        4,
    ),
    'unet': (lambda: segmentation('unet'), 'model.encoder', 3),
    'unet, 4 bands': (lambda: segmentation('unet', in_channels=4), 'model.encoder', 4),
    'unet, timm encoder, 4 bands': (
        lambda: segmentation('unet', backbone='tu-resnet18', in_channels=4),
        'model.encoder.model',
        4,
    ),
    'deeplabv3+': (lambda: segmentation('deeplabv3+'), 'model.encoder', 3),
    'deeplabv3+, 4 bands': (lambda: segmentation('deeplabv3+', in_channels=4), 'model.encoder', 4),
    'detection': (
        lambda: ObjectDetection(model='faster-rcnn', backbone='resnet18', num_classes=4),
        'model.backbone.body',
        3,
    ),
    'siamese change': (lambda: change('fcsiamdiff'), 'model.encoder', 3),
}


@pytest.fixture(scope='module')
def checkpoint(write_format: Callable[[str], Path]) -> Path:
    return write_format('gersp_geo.ckpt')


@pytest.mark.quick('timm', 'torchvision detector', 'smp', 'unet, 4 bands', 'siamese change')
@pytest.mark.parametrize('name', TARGETS)
def test_every_tensor_of_the_backbone_is_set(
    name: str, checkpoint: Path, student: StateDict
) -> None:
    build, path, bands = TARGETS[name]
    target = build()
    report = load_backbone(target, checkpoint)
    loaded = target.get_submodule(path).state_dict()
    places = [key for key in loaded if not key.startswith('fc.')]
    assert report.modules == (path,)
    assert report.tensors_set == report.tensors_total == len(places)
    assert report.stem_adapted == (bands != 3)
    assert report.unused == 0
    expected = student | {STEM: adapt_stem(student[STEM], bands)}
    assert {key for key in places if not torch.equal(loaded[key], expected[key])} == set()
    # frozen BatchNorm has no counters
    assert {
        key for key in student.keys() - set(places) if 'num_batches_tracked' not in key
    } == set()


def test_decoder_and_head_stay_as_they_are(checkpoint: Path) -> None:
    target = segmentation('unet')
    before = {key: value.clone() for key, value in target.state_dict().items()}
    load_backbone(target, checkpoint)
    after = target.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {key for key in before if key.startswith('model.encoder.')}


def test_two_dates_give_the_response_of_one(checkpoint: Path, student: StateDict) -> None:
    target = change('unet')
    report = load_backbone(target, checkpoint)
    stem = target.state_dict()[f'model.encoder.{STEM}']
    assert report.stem_adapted
    torch.testing.assert_close(stem, torch.cat([student[STEM] / 2] * 2, dim=1))
    plain = smp.Unet('resnet18', encoder_weights=None, in_channels=6)
    load_backbone(plain, checkpoint, in_channels=3)
    assert torch.equal(plain.encoder.conv1.weight, stem)


def test_student_and_teacher_of_a_self_supervised_task_are_both_set(
    checkpoint: Path, student: StateDict
) -> None:
    target = MoCo(model='resnet18', version=2, memory_bank_size=64)
    report = load_backbone(target, checkpoint)
    assert set(report.modules) == {'backbone', 'backbone_momentum'}
    for path in report.modules:
        loaded = target.get_submodule(path).state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in student.items())


def test_an_extractor_of_the_first_stages_leaves_the_others_out(
    checkpoint: Path, student: StateDict
) -> None:
    target = timm.create_model('resnet18', features_only=True, out_indices=(0, 1, 2))
    report = load_backbone(target, checkpoint)
    assert all(torch.equal(value, student[key]) for key, value in target.state_dict().items())
    left_out = [key for key in student if key.startswith(('layer3', 'layer4'))]
    assert report.unused == len([key for key in left_out if 'num_batches_tracked' not in key])


def test_extractors_that_rename_stages_are_filled() -> None:
    source = timm.create_model('convnext_atto', num_classes=0).state_dict()
    target = timm.create_model('convnext_atto', features_only=True)
    report = load_backbone(target, source)
    loaded = target.state_dict()
    assert report.tensors_set == len(loaded)
    renamed = {key.replace('stem_', 'stem.').replace('stages_', 'stages.'): key for key in loaded}
    assert all(torch.equal(source[name], loaded[key]) for name, key in renamed.items())


def test_colours_go_where_the_bands_are(checkpoint: Path, student: StateDict) -> None:
    target = Classification(model='resnet18', in_channels=13, num_classes=4)
    load_backbone(target, checkpoint, rgb_bands=(3, 2, 1))
    stem = target.state_dict()[f'model.{STEM}']
    torch.testing.assert_close(stem[:, [3, 2, 1]], student[STEM] * 3 / 13)


def with_bands(source: Path, path: Path, *bands: str, stem: Tensor | None = None) -> Path:
    """Write a checkpoint again, with a record that names its bands."""
    saved = torch.load(source, weights_only=True)
    if stem is not None:
        saved['state_dict'][f'backbone.{STEM}'] = stem
    values = {key: [0.5] * len(bands) for key in ('scale', 'mean', 'std')}
    torch.save(saved | {'gersp_geo': {'bands': list(bands), **values}}, path)
    return path


@pytest.mark.quick('bands3')
@pytest.mark.parametrize(
    ('bands', 'order'),
    [
        (('blue', 'green', 'red'), [2, 1, 0]),
        (('green', 'blue', 'red'), [2, 0, 1]),
        (('red', 'green', 'blue'), [0, 1, 2]),
        (('nir', 'red', 'green'), [0, 1, 2]),
    ],
)
def test_colours_that_the_record_names_in_another_order_are_taken_by_name(
    bands: tuple[str, ...], order: list[int], checkpoint: Path, tmp_path: Path, student: StateDict
) -> None:
    weights = with_bands(checkpoint, tmp_path / 'a.ckpt', *bands)
    for rgb_bands in ((0, 1, 2), (3, 2, 1)):
        target = timm.create_model('resnet18', num_classes=0, in_chans=4)
        report = load_backbone(target, weights, rgb_bands=rgb_bands)
        stem = target.state_dict()[STEM]
        torch.testing.assert_close(stem[:, list(rgb_bands)], student[STEM][:, order] * 3 / 4)
        assert report.preprocessing is not None
        assert report.preprocessing.bands == bands
    three = timm.create_model('resnet18', num_classes=0)
    assert load_backbone(three, weights).stem_adapted == (order != [0, 1, 2])
    assert torch.equal(three.state_dict()[STEM], student[STEM][:, order])


def test_as_many_bands_as_the_target_has_are_taken_in_their_order(
    checkpoint: Path, tmp_path: Path
) -> None:
    stem = torch.rand(64, 4, 7, 7)
    weights = with_bands(checkpoint, tmp_path / 'a.ckpt', 'nir', 'blue', 'green', 'red', stem=stem)
    target = timm.create_model('resnet18', num_classes=0, in_chans=4)
    assert not load_backbone(target, weights).stem_adapted
    assert torch.equal(target.state_dict()[STEM], stem)


def test_the_report_says_how_input_was_prepared_and_where_weights_come_from(
    checkpoint: Path, record: dict[str, object], student: StateDict
) -> None:
    target = timm.create_model('resnet18', num_classes=0)
    report = load_backbone(target, checkpoint)
    assert report.preprocessing == Preprocessing.from_dict(dict(record))
    assert report.provenance['file'] == 'gersp_geo.ckpt'
    assert report.provenance['global_step'] == '50'
    assert len(report.provenance['sha256']) == 64
    bare = load_backbone(target, student)
    assert (bare.preprocessing, bare.provenance) == (None, {})


@pytest.mark.parametrize('form', ['state dict', 'text', 'path'])
def test_weights_may_be_given_in_several_ways(
    form: str, checkpoint: Path, student: StateDict
) -> None:
    forms: dict[str, Any] = {'state dict': student, 'text': str(checkpoint), 'path': checkpoint}
    target = timm.create_model('resnet18', num_classes=0)
    load_backbone(target, forms[form])
    assert all(torch.equal(value, student[key]) for key, value in target.state_dict().items())


@pytest.mark.parametrize('name', ['conv1.weight', 'bn1.running_var', 'layer4.1.bn2.bias'])
def test_one_missing_tensor_sets_none(name: str, student: StateDict) -> None:
    target = timm.create_model('resnet18', num_classes=0)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    with pytest.raises(ValueError, match=f'tensor {name} is missing') as error:
        load_backbone(target, {key: value for key, value in student.items() if key != name})
    assert '\n' not in str(error.value)
    assert all(torch.equal(before[key], value) for key, value in target.state_dict().items())


@pytest.mark.quick('resnet34')
@pytest.mark.parametrize('architecture', ['resnet34', 'resnet50', 'resnet14t'])
def test_weights_of_another_architecture_are_refused(
    architecture: str, checkpoint: Path, student: StateDict
) -> None:
    with torch.device('meta'):
        target = timm.create_model(architecture, num_classes=0)
    with pytest.raises(ValueError, match=r'tensors of the backbone|tensors that the target lacks'):
        load_backbone(target, checkpoint)
    small = timm.create_model('resnet18', num_classes=0)
    shapes = {key: torch.zeros(value.shape) for key, value in target.state_dict().items()}
    with pytest.raises(ValueError, match=r'tensors of the backbone|tensors that the target lacks'):
        load_backbone(small, shapes)


def test_a_model_without_such_a_backbone_is_refused(checkpoint: Path) -> None:
    for target in (segmentation('fcn'), nn.Linear(3, 4), timm.create_model('convnext_atto')):
        with pytest.raises(ValueError, match=r'has no backbone with tensors such as conv1\.weight'):
            load_backbone(target, checkpoint)


def test_bands_that_do_not_divide_the_first_layer_are_refused(checkpoint: Path) -> None:
    target = timm.create_model('resnet18', in_chans=4)
    with pytest.raises(ValueError, match='reads 4 channels, which is no multiple of in_channels=3'):
        load_backbone(target, checkpoint, in_channels=3)


def test_what_does_not_exist_is_not_found() -> None:
    target = timm.create_model('resnet18')
    for weights in ('absent.ckpt', Path('absent.ckpt'), 'Absent_Weights.NONE'):
        with pytest.raises(FileNotFoundError, match=r'absent.ckpt is neither|Absent_Weights.NONE'):
            load_backbone(target, weights)
    with pytest.raises(TypeError, match='weights must be an enum member'):
        load_backbone(target, 7)  # type: ignore[arg-type]


def test_the_report_is_one_line(checkpoint: Path) -> None:
    target = timm.create_model('resnet18', in_chans=4)
    assert str(load_backbone(target, checkpoint)) == (
        '120 of 120 tensors of the model itself set '
        '(gersp_geo format, first layer adapted to other bands)'
    )
