import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from lightning.pytorch import LightningModule
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torchgeo.tasks import Classification, ObjectDetection, SemanticSegmentation

from gersp_geo.main import main
from gersp_geo.models import export_backbone
from gersp_geo.models.backbone_weights import read_checkpoint
from gersp_geo.preprocessing import Preprocessing

type StateDict = dict[str, Tensor]

TORCHGEO = ('--format', 'torchgeo')
OUTPUTS = {
    'torchvision': 'resnet18.pth',
    'torchvision, safe': 'resnet18.safetensors',
    'timm': 'resnet18',
    'torchgeo': 'resnet18.ckpt',
    'openmmlab': 'resnet18.pth',
}


def export(source: Any, folder: Path, output: str, **options: Any) -> Path:
    form: Any = output.partition(',')[0]
    return export_backbone(source, folder / OUTPUTS[output], format=form, **options).path


def without_head(module: torch.nn.Module) -> StateDict:
    return {k: v for k, v in module.state_dict().items() if not k.startswith('fc.')}


def equal(left: StateDict, right: StateDict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.fixture(scope='module')
def checkpoint(write_format: Callable[[str], Path]) -> Path:
    return write_format('gersp_geo.ckpt')


@pytest.mark.quick('timm', 'openmmlab')
@pytest.mark.parametrize('output', OUTPUTS)
def test_what_is_exported_reads_back_bit_for_bit(
    output: str, checkpoint: Path, tmp_path: Path, student: StateDict, record: dict[str, object]
) -> None:
    weights = read_checkpoint(export(checkpoint, tmp_path, output))
    assert equal(weights.state_dict, student)
    assert all(weights.state_dict[key].dtype == value.dtype for key, value in student.items())
    assert weights.model == 'resnet18'
    assert weights.preprocessing == Preprocessing.from_dict(record)
    assert weights.provenance['file'] == 'gersp_geo.ckpt'
    assert weights.provenance['part'] == 'student'
    assert weights.provenance['exported_by'].startswith('gersp_geo ')


@pytest.mark.quick('timm', 'torchgeo')
@pytest.mark.parametrize('output', OUTPUTS)
def test_provenance_survives_a_chain_of_exports(
    output: str, checkpoint: Path, tmp_path: Path
) -> None:
    first = export(checkpoint, tmp_path / 'first', 'openmmlab')
    second = export(first, tmp_path / 'second', output)
    assert read_checkpoint(second).provenance == read_checkpoint(first).provenance


@pytest.mark.quick('torchvision', 'timm')
@pytest.mark.parametrize('output', OUTPUTS)
def test_the_teacher_is_exported_on_request(
    output: str, checkpoint: Path, tmp_path: Path, teacher: StateDict
) -> None:
    path = export(checkpoint, tmp_path, output, teacher=True)
    assert equal(read_checkpoint(path).state_dict, teacher)


@pytest.mark.quick('torchvision, safe', 'timm')
@pytest.mark.parametrize('output', OUTPUTS)
def test_an_existing_output_stays_unless_it_may_be_replaced(
    output: str, checkpoint: Path, tmp_path: Path, teacher: StateDict
) -> None:
    path = export(checkpoint, tmp_path, output, teacher=True)
    with pytest.raises(FileExistsError, match='resnet18'):
        export(checkpoint, tmp_path, output, teacher=True)
    assert equal(read_checkpoint(path).state_dict, teacher)
    names = {other.name for other in tmp_path.iterdir()}
    assert export(checkpoint, tmp_path, output, teacher=True, overwrite=True) == path
    assert {other.name for other in tmp_path.iterdir()} == names


@pytest.mark.parametrize('output', OUTPUTS)
def test_a_failure_leaves_nothing(output: str, tmp_path: Path) -> None:
    (tmp_path / 'broken.ckpt').write_bytes(b'nothing')
    with pytest.raises(ValueError, match=r'broken\.ckpt'):
        export(tmp_path / 'broken.ckpt', tmp_path / 'out', output)
    assert not (tmp_path / 'out').exists()


def test_a_folder_with_other_files_is_not_replaced(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / 'resnet18').mkdir()
    (tmp_path / 'resnet18' / 'thesis.txt').write_text('years of work')
    with pytest.raises(FileExistsError, match=r'holds thesis\.txt, which no export wrote'):
        export(checkpoint, tmp_path, 'timm', overwrite=True)
    assert (tmp_path / 'resnet18' / 'thesis.txt').read_text() == 'years of work'


def test_replacing_a_folder_replaces_both_files(
    checkpoint: Path, tmp_path: Path, student: StateDict
) -> None:
    export(checkpoint, tmp_path, 'timm', teacher=True)
    export(checkpoint, tmp_path, 'timm', overwrite=True)
    assert equal(read_checkpoint(tmp_path / 'resnet18').state_dict, student)
    assert [path.name for path in tmp_path.iterdir()] == ['resnet18']


def test_a_flat_file_has_nothing_but_tensors_and_its_checksum_in_its_name(
    checkpoint: Path, tmp_path: Path, student: StateDict, record: dict[str, object]
) -> None:
    path = export(checkpoint, tmp_path, 'torchvision')
    assert path.name == f'resnet18-{sha256(path.read_bytes()).hexdigest()[:8]}.pth'
    assert equal(torch.load(path, weights_only=True), student)
    sidecar = json.loads((tmp_path / f'{path.name}.json').read_text())
    assert sidecar['gersp_geo'] == Preprocessing.from_dict(record).to_dict()
    # torch hub checks these digits
    url = path.as_uri()
    hub = torch.hub.load_state_dict_from_url(
        url, model_dir=str(tmp_path / 'hub'), check_hash=True, progress=False
    )
    assert equal(hub, student)


def test_a_safe_file_carries_its_record_as_metadata(checkpoint: Path, tmp_path: Path) -> None:
    path = export(checkpoint, tmp_path, 'torchvision, safe')
    with safe_open(path, framework='pt') as file:
        metadata = file.metadata()
    assert metadata['format'] == 'pt'
    assert json.loads(metadata['gersp_geo'])['mean'] == [0.4, 0.5, 0.6]


@pytest.mark.quick('resnet18')
@pytest.mark.parametrize('model', ['resnet18', 'resnet50'])
def test_torchgeo_tasks_load_the_checkpoint(model: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    source = timm.create_model(model, num_classes=0)
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'source.pth')
    path = tmp_path / 'backbone.ckpt'
    export_backbone(tmp_path / 'source.pth', path, format='torchgeo')
    classification = Classification(model=model, weights=str(path), num_classes=4)
    assert equal(without_head(classification.model), source.state_dict())
    segmentation = SemanticSegmentation(
        model='unet', backbone=model, weights=str(path), num_classes=4
    )
    assert equal(segmentation.model.encoder.state_dict(), source.state_dict())


def test_timm_and_torchgeo_load_the_folder(
    checkpoint: Path, tmp_path: Path, student: StateDict
) -> None:
    folder = export(checkpoint, tmp_path, 'timm')
    model: Any = timm.create_model(f'local-dir:{folder}', pretrained=True)
    assert equal(dict(model.state_dict()), student)
    assert list(model.pretrained_cfg['mean']) == [0.4, 0.5, 0.6]
    assert list(model.pretrained_cfg['input_size']) == [3, 96, 96]
    classification = Classification(model=f'local-dir:{folder}', weights=True, num_classes=4)
    assert equal(without_head(classification.model), student)
    segmentation = SemanticSegmentation(
        model='unet', backbone=f'tu-local-dir:{folder}', weights=True, num_classes=4
    )
    assert equal(segmentation.model.encoder.model.state_dict(), student)
    four_bands: Any = timm.create_model(f'local-dir:{folder}', pretrained=True, in_chans=4)
    assert torch.equal(four_bands.layer1[0].conv1.weight, student['layer1.0.conv1.weight'])


def test_a_folder_of_thirteen_bands_makes_a_model_of_thirteen_bands(
    tmp_path: Path, student: StateDict
) -> None:
    stem = torch.rand(64, 13, 7, 7)
    export(student | {'conv1.weight': stem}, tmp_path, 'timm')
    model: Any = timm.create_model(f'local-dir:{tmp_path / "resnet18"}', pretrained=True)
    assert torch.equal(model.conv1.weight, stem)


def test_torchvision_and_timm_load_the_state_dict(checkpoint: Path, tmp_path: Path) -> None:
    tensors = load_file(export(checkpoint, tmp_path, 'torchvision, safe'))
    for model in (torchvision.models.resnet18(), timm.create_model('resnet18', num_classes=10)):
        missing, unexpected = model.load_state_dict(tensors, strict=False)
        assert set(missing) == {'fc.weight', 'fc.bias'}
        assert not unexpected


def test_openmmlab_finds_the_prefix_it_asks_for(
    checkpoint: Path, tmp_path: Path, student: StateDict
) -> None:
    loaded = torch.load(export(checkpoint, tmp_path, 'openmmlab'), weights_only=True)
    cut = {k.removeprefix('backbone.'): v for k, v in loaded['state_dict'].items()}
    assert equal(cut, student)
    assert all(key.startswith('backbone.') for key in loaded['state_dict'])


def test_a_backbone_of_unknown_architecture_is_exported_only_where_none_is_stated(
    tmp_path: Path,
) -> None:
    tensors = {'body.weight': torch.rand(4, 3, 3, 3), 'body.bias': torch.rand(4)}
    for output in ('timm', 'torchgeo'):
        with pytest.raises(ValueError, match=f'{output} needs to know the architecture'):
            export(tensors, tmp_path, output)
    for output in ('torchvision', 'torchvision, safe', 'openmmlab'):
        path = export(tensors, tmp_path / output, output)
        assert equal(read_checkpoint(path).state_dict, tensors)


def test_a_slice_of_a_larger_tensor_takes_only_its_own_room(
    tmp_path: Path, student: StateDict
) -> None:
    large = torch.rand(1000, *student['conv1.weight'].shape)
    views = student | {'conv1.weight': large[7]}
    sliced = export(views, tmp_path / 'sliced', 'openmmlab')
    plain = export(student, tmp_path / 'plain', 'openmmlab')
    assert sliced.stat().st_size == pytest.approx(plain.stat().st_size, rel=0.01)


@pytest.mark.parametrize(
    ('form', 'name', 'words'),
    [
        ('torchvision', 'a.ckpt', r'torchvision is written to \.safetensors or \.pth'),
        ('torchgeo', 'a.pth', r'torchgeo is written to \.ckpt, got a\.pth'),
        ('openmmlab', 'a', r'openmmlab is written to \.pth'),
        ('timm', 'a.pth', r'timm is written to a folder, got a\.pth'),
        ('keras', 'a.h5', 'format must be one of torchvision, timm, torchgeo, openmmlab'),
    ],
)
def test_a_destination_that_its_format_is_not_written_to_is_refused(
    form: Any, name: str, words: str, tmp_path: Path, student: StateDict
) -> None:
    with pytest.raises(ValueError, match=words):
        export_backbone(student, tmp_path / name, format=form)
    assert list(tmp_path.iterdir()) == []


def test_the_report_is_one_line(checkpoint: Path, tmp_path: Path) -> None:
    report = export_backbone(checkpoint, tmp_path / 'a.ckpt', format='torchgeo')
    assert str(report).endswith('a.ckpt: 120 tensors of resnet18, gersp_geo to torchgeo format')


FINE_TUNED: dict[str, tuple[Callable[[], LightningModule], str]] = {
    'segmentation': (
        lambda: SemanticSegmentation('unet', 'resnet18', num_classes=2, loss='ce'),
        'decoder, segmentation_head',
    ),
    'classification': (lambda: Classification('resnet18', num_classes=3), 'fc'),
    'detection': (
        lambda: ObjectDetection('faster-rcnn', 'resnet18', num_classes=3),
        'fpn, rpn, roi_heads',
    ),
}


@pytest.mark.quick('segmentation')
@pytest.mark.parametrize('task', FINE_TUNED)
def test_what_a_fine_tuned_model_loses_is_said(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build, names = FINE_TUNED[task]
    module = build()
    saved = {'state_dict': module.state_dict(), 'hyper_parameters': dict(module.hparams)}
    torch.save(saved | {'pytorch-lightning_version': '2.6.0'}, tmp_path / 'fine.ckpt')
    assert (
        main(['export', *map(str, (tmp_path / 'fine.ckpt', tmp_path / 'a.ckpt')), *TORCHGEO]) == 0
    )
    printed = capsys.readouterr().out
    assert printed.endswith(f'; left out, as a backbone has none: {names}\n')
    # a backbone alone loses nothing
    assert main(['export', *map(str, (tmp_path / 'a.ckpt', tmp_path / 'b.ckpt')), *TORCHGEO]) == 0
    assert 'left out' not in capsys.readouterr().out


@pytest.mark.parametrize('way', ['direct', 'dots', 'symbolic link', 'hard link'])
def test_the_source_is_never_replaced(
    way: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / 'last.ckpt'
    source.write_bytes(checkpoint.read_bytes())
    (tmp_path / 'sub').mkdir()
    target = {'direct': source, 'dots': tmp_path / 'sub' / '..' / 'last.ckpt'}.get(way)
    if target is None:
        target = tmp_path / 'link.ckpt'
        target.symlink_to(source) if way == 'symbolic link' else target.hardlink_to(source)
    assert main(['export', str(source), str(target), *TORCHGEO, '--overwrite']) == 1
    assert 'would replace what it is made from' in capsys.readouterr().err
    assert source.read_bytes() == checkpoint.read_bytes()


def test_the_folder_of_the_source_is_never_replaced(checkpoint: Path, tmp_path: Path) -> None:
    folder = export(checkpoint, tmp_path, 'timm')
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    weights = folder / 'model.safetensors'
    for source, target, form in (
        (folder, folder, 'timm'), (weights, folder, 'timm'), (folder, weights, 'torchvision'),
    ):  # fmt: skip
        with pytest.raises(ValueError, match='would replace what it is made from'):
            export_backbone(source, target, format=form, overwrite=True)  # type: ignore[arg-type]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize('place', ['s3://bucket/a.ckpt', '/vsigs/bucket/a.ckpt'])
def test_an_object_store_is_refused(
    place: str,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(['export', str(checkpoint), place, *TORCHGEO]) == 1
    assert f'{place} is not on a local disk' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
