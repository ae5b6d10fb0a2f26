"""Checkpoints of other projects, key for key as their code writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gersp_geo.models import export_backbone
from gersp_geo.models.backbone_weights import read_checkpoint, read_state_dict
from gersp_geo.models.layouts import FORMATS

FOLDER = Path(__file__).parents[1] / 'fixtures' / 'layouts'
# the format that each is recognised as, and what the names of student and teacher begin with
LAYOUTS = {
    'caco_pth': ('numbered', '', None),
    'cmid': ('cmid', 'online_encoder.model.', 'branch_encoder.'),
    'gersp': ('gersp', 'encoder_q.', 'encoder_k.'),
    'gersp_converted': ('openmmlab', 'backbone.', None),
    'moco_v1': ('moco', 'module.encoder_q.', 'module.encoder_k.'),
    'moco_v2': ('moco', 'module.encoder_q.', 'module.encoder_k.'),
    'seco': ('seco', 'encoder_q.', 'encoder_k.'),
    'vissl': ('vissl', '_feature_blocks.', None),
}
NUMBERED = {'0': 'conv1', '1': 'bn1', '4': 'layer1', '5': 'layer2', '6': 'layer3', '7': 'layer4'}

type StateDict = dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """A fixture: the backbone, where its file keeps the tensors, and their names and shapes."""

    model: str
    under: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]

    def wrap(self, tensors: StateDict) -> dict[str, Any]:
        """Put tensors where a file has them."""
        wrapped: dict[str, Any] = tensors
        for key in reversed(self.under):
            wrapped = {key: wrapped, 'epoch': 200}
        return wrapped


def load_layout(name: str) -> Layout:
    lines = (FOLDER / f'{name}.txt').read_text().splitlines()
    notes = dict(line[2:].split(': ', 1) for line in lines if line.startswith(('# m', '# u')))
    rows = [line.split(' ') for line in lines if not line.startswith('#')]
    return Layout(
        model=notes['model'],
        under=tuple(notes['under'].split('.')) if notes['under'] else (),
        shapes={row[0]: tuple(map(int, row[1:])) for row in rows},
    )


@cache
def fill(name: str) -> StateDict:
    """Draw every tensor of a fixture; queues and heads, which are large, are zero."""
    _, student, teacher = LAYOUTS[name]
    generator = torch.Generator().manual_seed(len(name))

    def draw(key: str, shape: tuple[int, ...]) -> Tensor:
        if key.endswith('num_batches_tracked'):
            return torch.tensor(7)
        wanted = key.startswith(tuple(p for p in (student, teacher) if p is not None))
        return torch.rand(shape, generator=generator) if wanted else torch.zeros(shape)

    return {key: draw(key, shape) for key, shape in load_layout(name).shapes.items()}


def backbone_name(key: str, prefix: str, form: str) -> str:
    first, dot, rest = key.removeprefix(prefix).partition('.')
    return (NUMBERED[first] if form in ('seco', 'numbered') else first) + dot + rest


def backbone(name: str, prefix: str) -> StateDict:
    """Cut a backbone out by hand."""
    form = LAYOUTS[name][0]
    keys = [k for k in fill(name) if k.startswith(prefix) and '.fc.' not in k]
    return {backbone_name(key, prefix, form): fill(name)[key] for key in keys}


def test_every_fixture_is_tested_and_names_its_source() -> None:
    files = sorted(FOLDER.glob('*.txt'))
    assert [file.stem for file in files] == sorted(LAYOUTS)
    for file in files:
        lines = file.read_text().splitlines()
        sources = [line for line in lines if line.startswith('# https://github.com/')]
        assert sources
        # a commit, not a branch
        assert all(len(source.split('/blob/')[1].split('/')[0]) == 40 for source in sources)


def test_the_documentation_names_every_format_and_every_source() -> None:
    page = (Path(__file__).parents[2] / 'docs' / 'weights.md').read_text()
    assert [form.name for form in FORMATS if f'| `{form.name}` |' not in page] == []
    lines = [line for file in FOLDER.glob('*.txt') for line in file.read_text().splitlines()]
    sources = {line[2:] for line in lines if line.startswith('# https://')}
    assert {source for source in sources if f']({source})' not in page} == set()


@pytest.mark.quick('gersp')
@pytest.mark.parametrize('name', LAYOUTS)
def test_a_foreign_file_exports_completely(name: str, tmp_path: Path) -> None:
    form, student, teacher = LAYOUTS[name]
    layout = load_layout(name)
    torch.save(layout.wrap(fill(name)), tmp_path / 'foreign.pth')
    report = export_backbone(
        tmp_path / 'foreign.pth', tmp_path / 'own.safetensors', format='torchvision'
    )
    assert (report.source_format, report.model) == (form, layout.model)
    wanted = timm.create_model(layout.model, num_classes=0).state_dict()
    assert report.tensors == len(wanted)
    exported = read_checkpoint(tmp_path / 'own.safetensors').state_dict
    expected = backbone(name, student)
    assert exported.keys() == expected.keys() == wanted.keys()
    assert all(torch.equal(exported[key], expected[key]) for key in expected)
    if teacher is not None:
        other = read_checkpoint(tmp_path / 'foreign.pth', teacher=True).state_dict
        expected = backbone(name, teacher)
        assert all(torch.equal(other[key], expected[key]) for key in expected)


@pytest.mark.quick('gersp', 'vissl')
@pytest.mark.parametrize('name', LAYOUTS)
@given(data=st.data())
def test_one_wrong_tensor_is_refused_by_its_name(name: str, data: st.DataObject) -> None:
    _, prefix, _ = LAYOUTS[name]
    tensors = dict(fill(name))
    keys = [
        key
        for key, tensor in tensors.items()
        if key.startswith(prefix) and '.fc.' not in key and tensor.ndim
    ]
    key = data.draw(st.sampled_from(keys))
    damage = data.draw(st.sampled_from(['missing', 'extra', 'misshapen', 'not finite']))
    if damage == 'missing':
        del tensors[key]
    elif damage == 'extra':
        key = f'{key}_again'
        tensors[key] = torch.zeros(3)
    elif damage == 'misshapen':
        tensors[key] = torch.cat([tensors[key], tensors[key]])
    else:
        tensors[key] = tensors[key].clone().index_fill_(0, torch.tensor([0]), torch.nan)
    with pytest.raises(ValueError, match=f'tensor {key} ') as error:
        read_state_dict(load_layout(name).wrap(tensors), source='foreign.pth')
    assert str(error.value).startswith('foreign.pth: ')
