from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor

from gersp_geo.models.backbone_weights import read_checkpoint, read_state_dict
from gersp_geo.models.checkpoint_files import open_checkpoint
from gersp_geo.models.layouts import FORMATS
from gersp_geo.preprocessing import Preprocessing

type StateDict = dict[str, Tensor]

FILES = {
    'gersp_geo.ckpt': 'gersp_geo',
    'gersp.pth': 'gersp',
    'openmmlab.pth': 'openmmlab',
    'torchgeo-moco.ckpt': 'torchgeo-moco',
    'torchgeo.ckpt': 'torchgeo',
    'torchgeo-segmentation.ckpt': 'torchgeo',
    'torchgeo-timm-segmentation.ckpt': 'torchgeo',
    'timm': 'timm',
    'torchvision.pth': 'torchvision',
    'torchvision.safetensors': 'torchvision',
}


def equal(left: StateDict, right: StateDict) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def one_line(error: pytest.ExceptionInfo[Exception]) -> bool:
    return '\n' not in str(error.value)


# in test_layouts.py, test_lightning_checkpoints.py and test_foreign_tools.py
ELSEWHERE = {
    'cmid', 'dino', 'huggingface', 'lightly', 'lightning', 'moco', 'moco-v3', 'numbered',
    'openmmlab-moco', 'prefixed', 'projector', 'seco', 'simsiam', 'solo-learn', 'torchgeo-byol',
    'torchgeo-simclr', 'vissl',
}  # fmt: skip


def test_every_format_of_the_table_is_tested() -> None:
    assert {form.name for form in FORMATS} == set(FILES.values()) | ELSEWHERE


@pytest.mark.parametrize(('name', 'form'), FILES.items())
def test_the_student_of_every_format_is_the_same_backbone(
    name: str, form: str, write_format: Callable[[str], Path], student: StateDict
) -> None:
    weights = read_checkpoint(write_format(name))
    assert equal(weights.state_dict, student)
    assert list(weights.state_dict) == list(student)
    assert (weights.format, weights.model, weights.in_channels) == (form, 'resnet18', 3)
    assert len(weights.provenance['sha256']) == 64


def test_a_detector_lacks_the_counters_and_nothing_else(
    write_format: Callable[[str], Path], student: StateDict
) -> None:
    weights = read_checkpoint(write_format('torchgeo-detection.ckpt'))
    assert weights.model == 'resnet18'
    assert {name for name in student if name not in weights.state_dict} == {
        name for name in student if name.endswith('num_batches_tracked')
    }


@pytest.mark.parametrize('name', ['gersp_geo.ckpt', 'gersp.pth', 'torchgeo-moco.ckpt'])
def test_the_teacher_is_another_backbone(
    name: str, write_format: Callable[[str], Path], teacher: StateDict
) -> None:
    weights = read_checkpoint(write_format(name), teacher=True)
    assert equal(weights.state_dict, teacher)
    assert weights.provenance['part'] == 'teacher'


def test_a_format_of_one_backbone_has_no_teacher(write_format: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match='has no teacher: format openmmlab') as error:
        read_checkpoint(write_format('openmmlab.pth'), teacher=True)
    assert one_line(error)


def test_our_checkpoint_says_how_its_input_was_prepared_and_how_long_it_trained(
    write_format: Callable[[str], Path], record: dict[str, object]
) -> None:
    weights = read_checkpoint(write_format('gersp_geo.ckpt'))
    assert weights.preprocessing == Preprocessing.from_dict(record)
    assert weights.provenance['file'] == 'gersp_geo.ckpt'
    assert weights.provenance['epoch'] == '4'
    assert weights.provenance['global_step'] == '50'


def test_the_authors_preprocessing_is_known(write_format: Callable[[str], Path]) -> None:
    preprocessing = read_checkpoint(write_format('gersp.pth')).preprocessing
    assert preprocessing is not None
    assert preprocessing.mean == (0.485, 0.456, 0.406)


def test_a_state_dict_in_memory_reads_as_its_file_does(student: StateDict) -> None:
    nested = {f'encoder_q.{k}': v for k, v in student.items()}
    weights = read_state_dict(nested | {'encoder_k.conv1.weight': student['conv1.weight']})
    assert equal(weights.state_dict, student)
    assert weights.format == 'gersp'


def test_a_model_that_does_not_fit_its_tensors_is_not_believed(
    tmp_path: Path, student: StateDict
) -> None:
    path = tmp_path / 'liar.ckpt'
    tensors = {f'model.{k}': v for k, v in student.items() if not k.startswith('layer4')}
    for claim in ('resnet18', 'resnet50', 'local-dir:elsewhere', 'no_such_model', 7):
        torch.save({'state_dict': tensors, 'hyper_parameters': {'model': claim}}, path)
        weights = read_checkpoint(path)
        assert weights.model is None
        assert weights.in_channels is None


def test_the_number_of_bands_is_that_of_the_first_layer(student: StateDict) -> None:
    stem = {'conv1.weight': torch.rand(64, 13, 7, 7)}
    weights = read_state_dict(student | stem)
    assert (weights.model, weights.in_channels) == ('resnet18', 13)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'absent\.pth does not exist'):
        read_checkpoint(tmp_path / 'absent.pth')
    with pytest.raises(FileNotFoundError, match=r'has no config\.json'):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize('name', ['a.pth', 'a.ckpt', 'a.safetensors'])
@pytest.mark.parametrize(
    'content', [b'', b'<html>Quota exceeded</html>', b'\x80\x04.', b'PK\x03\x04']
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=name) as error:
        read_checkpoint(path)
    assert one_line(error)


@pytest.mark.parametrize('name', ['torchvision.pth', 'torchvision.safetensors', 'gersp_geo.ckpt'])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.999])
def test_a_truncated_file_is_refused_in_one_line(
    tmp_path: Path, name: str, share: float, write_format: Callable[[str], Path]
) -> None:
    whole = write_format(name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=name) as error:
        read_checkpoint(path)
    assert one_line(error)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
def test_a_damaged_old_file_is_refused_whatever_byte_is_wrong(tmp_path: Path) -> None:
    # from before zip archives; torch raises errors of eight kinds for it
    path = tmp_path / 'old.pth'
    torch.save({'state_dict': {'a': torch.zeros(3)}}, path, _use_new_zipfile_serialization=False)
    whole, random = path.read_bytes(), Random(0)
    messages = []
    for _ in range(500):
        damaged = bytearray(whole)
        damaged[random.randrange(len(whole))] = random.randrange(256)
        path.write_bytes(damaged)
        try:
            open_checkpoint(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 250
    assert not any('\n' in message for message in messages)


def test_a_record_that_is_no_text_is_refused_by_name(tmp_path: Path, student: StateDict) -> None:
    torch.save(student, tmp_path / 'a.pth')
    (tmp_path / 'a.pth.json').write_bytes(b'{"\xff": 1}')
    with pytest.raises(ValueError, match=r'a\.pth\.json is not JSON') as error:
        read_checkpoint(tmp_path / 'a.pth')
    assert one_line(error)


@pytest.mark.parametrize('content', [{'epoch': 3}, {'a.weight': torch.rand(3, 3)}, [torch.rand(3)]])
def test_a_file_of_no_known_format_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'other\.pth') as error:
        read_checkpoint(tmp_path / 'other.pth')
    assert one_line(error)


def test_the_refusal_lists_the_known_formats() -> None:
    with pytest.raises(ValueError, match='no backbone in a known format') as error:
        read_state_dict({'a.weight': torch.rand(3, 3)})
    assert all(form.name in str(error.value) for form in FORMATS)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
def test_a_value_that_is_not_finite_is_refused_by_name(student: StateDict, value: float) -> None:
    broken = student['layer2.0.conv1.weight'].clone()
    broken[1, 2, 0, 1] = value
    with pytest.raises(ValueError, match=r'tensor layer2\.0\.conv1\.weight has values'):
        read_state_dict(student | {'layer2.0.conv1.weight': broken})


def test_a_malformed_record_is_refused(tmp_path: Path, student: StateDict) -> None:
    for record in ({'bands': ['red']}, 'red'):
        torch.save({'state_dict': student, 'gersp_geo': record}, tmp_path / 'bad.ckpt')
        with pytest.raises(ValueError, match=r'bad\.ckpt'):
            read_checkpoint(tmp_path / 'bad.ckpt')
