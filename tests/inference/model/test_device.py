"""Where a model runs, told from names of devices alone."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from torch import nn

from gersp_geo.inference.model.device import leave_to_cpu
from gersp_geo.inference.model.load import LoadedModel
from gersp_geo.inference.model.onnx import OnnxGraph, can_run_on
from gersp_geo.inference.model.runtimes.availability import find_obstacle
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(bands=('red',), scale=(1.0,), mean=(0.0,), std=(1.0,))


def loaded(forward: Any) -> LoadedModel:
    return LoadedModel(forward=forward, scores='classes', preprocessing=RECORD, name='graph.onnx')


def write_graph(path: Path) -> Path:
    """Write a graph that returns its images."""
    images, scores = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ['n', 1, 'height', 'width'])
        for name in ('images', 'scores')
    )
    nodes = [helper.make_node('Identity', ['images'], ['scores'])]
    graph = helper.make_graph(nodes, 'identity', [images], [scores])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path
    )
    return path


def test_a_module_stays_on_its_device() -> None:
    assert leave_to_cpu(loaded(nn.Identity()), device='cuda:1') == 'cuda:1'


@pytest.mark.skipif(can_run_on('cuda'), reason='onnxruntime has CUDA here')
def test_a_graph_that_no_device_can_run_is_left_to_the_cpu(tmp_path: Path) -> None:
    graph = loaded(OnnxGraph(write_graph(tmp_path / 'graph.onnx')))
    with pytest.warns(UserWarning, match='graph.onnx runs on the CPU: .* cannot use cuda:1'):
        assert leave_to_cpu(graph, device='cuda:1') == 'cpu'
    assert leave_to_cpu(graph, device='cpu') == 'cpu'
    # nor is one made of a module that lies elsewhere
    module = loaded(nn.Identity())
    assert find_obstacle('onnx', module, device='cpu', precision='float32') is None
    told = find_obstacle('onnx', module, device='cuda', precision='float32')
    assert told == 'runs on a CPU here, and the device is cuda'
