"""Laws of STAC items of models; they need the extra ``stac``."""

import json
import socket
from typing import Any

import pytest
import torch
from torch import nn

from gersp_geo.inference import export_model
from gersp_geo.inference.exporting.stac import Described, make_item
from gersp_geo.inference.model.graph_form import GraphForm
from gersp_geo.inference.model.signature import Dates
from gersp_geo.preprocessing import Preprocessing

stac_model = pytest.importorskip('stac_model.schema')
pystac = pytest.importorskip('pystac')

RECORD = Preprocessing(
    bands=('red', 'nir'), scale=(1e-4, 1e-4), mean=(0.1, 0.3), std=(0.05, 0.1), dtype='uint16',
    class_names=('open water', 'Wälder'),
)  # fmt: skip
NAMES = dict(enumerate(RECORD.class_names))


def described(**changes: Any) -> Described:
    facts: dict[str, Any] = {
        'name': 'lakes', 'architecture': 'unet resnet18', 'tasks': ('SemanticSegmentation',),
        'record': RECORD, 'form': GraphForm(), 'scores': 'classes', 'dates': Dates(), 'side': None,
        'channels': 2, 'axes': 4, 'names': NAMES, 'parameters': 10, 'provenance': {'file': 'lakes.ckpt'},
    }  # fmt: skip
    return Described(**(facts | changes))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError('nothing is to be asked of the network')

    monkeypatch.setattr(socket.socket, 'connect', refuse)


def test_what_is_to_be_done_with_values_is_said_in_their_own_unit() -> None:
    item = make_item(described(), 'lakes.onnx', size_bytes=5)
    (images,) = item['properties']['mlm:input']
    assert images['bands'] == ['red', 'nir']
    assert images['input']['shape'] == [-1, 2, -1, -1]
    for value, scaling, scale, mean, std in zip(
        (900, 4000), images['value_scaling'], RECORD.scale, RECORD.mean, RECORD.std, strict=True
    ):
        assert scaling['type'] == 'z-score'
        expected = (value * scale - mean) / std
        assert (value - scaling['mean']) / scaling['stddev'] == pytest.approx(expected)


@pytest.mark.parametrize(
    ('changes', 'shape', 'count'),
    [
        ({'dates': Dates(count=2, apart=True), 'channels': 1}, [-1, 2, 2, -1, -1], 2),
        ({'dates': Dates(count=2), 'channels': 1}, [-1, 4, -1, -1], 2),
        ({'scores': 'labels', 'axes': 2, 'tasks': ('Classification',)}, [-1, 2, -1, -1], 2),
        (
            {'scores': 'values', 'names': {}, 'tasks': ('PixelwiseRegression', 'Regression')},
            [-1, 2, -1, -1],
            0,
        ),
        ({'form': GraphForm(factor=1.0, record=RECORD), 'side': 64}, [-1, 2, 64, 64], 2),
    ],
)
def test_an_item_is_read_again_by_the_classes_of_its_extension(
    changes: dict[str, Any], shape: list[int], count: int
) -> None:
    made = json.loads(json.dumps(make_item(described(**changes), 'lakes.onnx', size_bytes=5)))
    item = pystac.Item.from_dict(made)
    properties = {
        key.removeprefix('mlm:').replace(':', '_'): value for key, value in item.properties.items()
    }
    read = stac_model.MLModelProperties(**properties)
    assert read.input[0].input.shape == shape
    assert len(read.output[0].classes or ()) == count
    assert item.assets['model'].roles == ['mlm:model']
    assert stac_model.MLModelExtension.has_extension(item)


@pytest.mark.slow
def test_an_item_goes_with_its_graph(tmp_path: Any) -> None:
    report = export_model(nn.Conv2d(2, 2, 1), tmp_path / 'lakes.onnx', preprocessing=RECORD)
    assert report.item == tmp_path / 'lakes.stac.json'
    item = json.loads((tmp_path / 'lakes.stac.json').read_text(encoding='utf-8'))
    assert item['assets']['model']['href'] == './lakes.onnx'
    assert item['properties']['file:size'] == (tmp_path / 'lakes.onnx').stat().st_size
    classes = item['properties']['mlm:output'][0]['classification:classes']
    assert [each['description'] for each in classes] == ['open water', 'Wälder']
    assert torch.is_grad_enabled()
