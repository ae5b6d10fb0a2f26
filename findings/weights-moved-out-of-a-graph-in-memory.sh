#!/bin/sh
# onnxruntime and onnx: quant_pre_process, the step before a graph is rounded to int8, may be given a graph in memory. It
# moves the weights of that very object to a file of its own temporary folder, and removes the folder. The caller's graph
# still checks as one, but can neither be run nor saved with its weights; a copy that is made before, or a file name, is safe.
# Seen with onnxruntime 1.32.0, onnx 1.22.0: the graph that was given names an external file afterwards, which is not there.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
PYENV_VERSION=${PYENV_VERSION:-3.12} python3 -m venv venv
venv/bin/python -m pip install --quiet onnxruntime==1.32.0 onnx==1.22.0 sympy numpy
venv/bin/python - <<'PYTHON' 2>errors
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.shape_inference import quant_pre_process

print(*(f'{name} {version(name)}' for name in ('onnxruntime', 'onnx')))
weights = numpy_helper.from_array(np.ones((64, 64, 3, 3), dtype='float32'), 'weights')
shape = ['batch', 64, 16, 16]
graph = helper.make_graph(
    [helper.make_node('Conv', ['x', 'weights'], ['y'], pads=[1, 1, 1, 1])], 'graph',
    [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info('y', TensorProto.FLOAT, shape)], [weights],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)


def runs():
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    except Exception as error:
        print('  ', ' '.join(str(error).split())[-90:])
        return False
    return True


before = runs(), len(model.SerializeToString())
quant_pre_process(model, 'prepared.onnx', skip_symbolic_shape=True)
after = runs(), len(model.SerializeToString())
print('runs, bytes before:', *before)
print('runs, bytes after: ', *after)
if not before[0] or after[0] or after[1] >= before[1]:
    raise SystemExit('The behaviour has changed')
PYTHON
