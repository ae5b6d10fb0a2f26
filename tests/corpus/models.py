"""Graphs of a few operations, whose results can be worked out in NumPy."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save

from gersp_geo.preprocessing import Preprocessing

type Kind = Literal['values', 'classes', 'vectors', 'plain']
"""Each band and its mean over 3 x 3 pixels; classes of these; means of a patch; or bands alone."""

KINDS: tuple[Kind, ...] = ('values', 'classes', 'vectors', 'plain')
BANDS = {
    1: ('gray',),
    2: ('vv', 'vh'),
    3: ('red', 'green', 'blue'),
    4: ('red', 'green', 'blue', 'nir'),
}
CLASSES = ('field', 'forest', 'water')
# side of a patch and what neighbours share; outer pixels whose surroundings lie outside count
# nothing
SIZE, OVERLAP, MARGIN = 32, 8, 1


def record_for(count: int) -> Preprocessing:
    """Make a record of whole numbers, so that float32 holds what enters the model nearly exactly."""
    return Preprocessing(
        bands=BANDS[count],
        scale=(1.0,) * count,
        mean=tuple(64.0 + 8 * band for band in range(count)),
        std=tuple(32.0 + 16 * band for band in range(count)),
    )


def class_weights(count: int) -> NDArray[np.float32]:
    """Weights from bands and their means to logits, shape (classes, 2 * bands)."""
    generator = np.random.default_rng(count)
    return generator.normal(0, 1, (len(CLASSES), 2 * count)).astype('float32')


def save_graph(path: Path, count: int, kind: Kind) -> Path:
    """Write a graph for a number of bands, with the record in its metadata."""
    weights: list[Any] = []
    result = {'values': 'features', 'classes': 'logits', 'vectors': 'vectors', 'plain': 'images'}
    nodes = [
        helper.make_node(
            'AveragePool', ['images'], ['pooled'], kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1]
        ),
        helper.make_node('Concat', ['images', 'pooled'], ['features'], axis=1),
    ]
    if kind == 'classes':
        values = class_weights(count)[:, :, None, None]
        weights = [numpy_helper.from_array(values, 'weights')]
        nodes.append(helper.make_node('Conv', ['features', 'weights'], ['logits']))
    if kind == 'vectors':
        nodes = [
            helper.make_node('GlobalAveragePool', ['images'], ['means']),
            helper.make_node('Flatten', ['means'], ['vectors']),
        ]
    if kind == 'plain':
        nodes = []
    nodes.append(helper.make_node('Identity', [result[kind]], ['scores']))
    shape = ['batch', 'channels', 'rows', 'columns'][: 2 if kind == 'vectors' else 4]
    images: Any = ['batch', count, 'height', 'width']
    graph = helper.make_graph(
        nodes,
        kind,
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, images)],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, shape)],
        initializer=weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    record = record_for(count).to_dict()
    if kind == 'classes':
        record['class_names'] = list(CLASSES)
    scores = 'classes' if kind == 'classes' else 'values'
    helper.set_model_props(model, {'gersp_geo': json.dumps(record), 'scores': scores})
    save(model, path)
    return path
