"""Laws of ONNX graphs: they compute what the model does, and say what they cannot."""

import hashlib
import json
import pickle
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import rasterio
import torch
from segmentation_models_pytorch import Unet
from torch import Tensor, nn
from torch.export import Dim
from torchgeo.tasks import PixelwiseRegression

from gersp_geo import plan_prediction, predict_geotiff
from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference.model.load import load_model
from gersp_geo.inference.model.onnx import OnnxGraph
from gersp_geo.inference.model.runtimes.forms import Setting, build
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.4,) * 3, std=(0.2,) * 3,
    class_names=('water', 'forest', 'road', 'roof'),
)  # fmt: skip
FREE = (Dim('batch'), None, Dim.AUTO, Dim.AUTO)
FIXED_BATCH = (None, None, Dim.AUTO, Dim.AUTO)
FIXED_SIDES = (Dim('batch'), None, None, None)


class Several(nn.Module):
    """Scores and features, as many models return them."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.scores(image)
        return scores, scores.mean(dim=(2, 3))


class Pooled(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.mean(dim=(2, 3))


def convolution(channels: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(channels, 4, 3, padding=1)


def export(
    model: nn.Module,
    path: Path,
    *,
    free: Sequence[object] = FREE,
    example: Tensor | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    image = torch.zeros(3, 3, 64, 64) if example is None else example
    axes = {axis: dim for axis, dim in enumerate(free) if dim is not None}
    torch.onnx.export(
        model.eval(), (image,), str(path), dynamo=True, external_data=False, verbose=False,
        input_names=['image'], dynamic_shapes=(axes,),
    )  # fmt: skip
    if metadata is None:
        metadata = {'gersp_geo': json.dumps(RECORD.to_dict())}
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, metadata)
    onnx.save(graph, path)
    return path


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution with a record; read only."""
    return export(convolution(), tmp_path_factory.mktemp('onnx') / 'conv.onnx')


def relabel(graph: Path, path: Path, metadata: dict[str, str]) -> Path:
    """Copy a graph with other metadata."""
    content = onnx.load(graph)
    del content.metadata_props[:]
    onnx.helper.set_model_props(content, metadata)
    onnx.save(content, path)
    return path


@pytest.mark.parametrize('depth', [3, pytest.param(5, marks=pytest.mark.slow)])
def test_a_unet_computes_what_the_model_does(depth: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Unet(
        'resnet18', encoder_depth=depth, encoder_weights=None, classes=4,
        decoder_channels=(256, 128, 64, 32, 16)[-depth:],
    )  # fmt: skip
    loaded = load_model(export(model, tmp_path / 'unet.onnx'))
    for shape in ((1, 3, 64, 64), (2, 3, 96, 96)):
        images = torch.rand(shape)
        with torch.inference_mode():
            expected = model(images)
            # both round in their own order, by more where values are larger
            scale = float(expected.abs().max())
            torch.testing.assert_close(
                loaded.forward(images), expected, rtol=0, atol=1e-5 * max(scale, 1)
            )


def test_a_graph_brings_its_record_and_its_checksum(graph: Path) -> None:
    loaded = load_model(graph)
    assert loaded.preprocessing == RECORD
    assert loaded.scores == 'classes'
    assert loaded.name == 'conv.onnx'
    assert loaded.sha256 == hashlib.sha256(graph.read_bytes()).hexdigest()


@pytest.mark.quick('7')
@pytest.mark.parametrize('count', [1, 2, 3, 4, 7])
def test_a_fixed_batch_changes_no_result(tmp_path: Path, count: int) -> None:
    path = export(convolution(), tmp_path / 'three.onnx', free=FIXED_BATCH)
    images = torch.rand(count, 3, 32, 32)
    loaded = load_model(path)
    assert isinstance(loaded.forward, OnnxGraph)
    assert loaded.forward.shape == (3, 3, None, None)
    with torch.inference_mode():
        scores = loaded.forward(images)
        torch.testing.assert_close(scores, convolution()(images), rtol=0, atol=1e-5)


def test_images_may_lie_in_memory_in_any_order(graph: Path) -> None:
    images = torch.rand(4, 3, 32, 48)
    forward = load_model(graph).forward
    with torch.inference_mode():
        expected = convolution()(images)
        last = images.to(memory_format=torch.channels_last)
        torch.testing.assert_close(forward(last), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(
            forward(images.transpose(2, 3)), convolution()(images.transpose(2, 3)),
            rtol=0, atol=1e-5,
        )  # fmt: skip


def test_half_precision_is_converted(tmp_path: Path) -> None:
    example = torch.zeros(3, 3, 64, 64, dtype=torch.float16)
    path = export(convolution().half(), tmp_path / 'half.onnx', example=example)
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        scores = load_model(path).forward(images).float()
        torch.testing.assert_close(scores, convolution()(images), rtol=0, atol=1e-2)


def test_the_first_of_several_outputs_is_taken(tmp_path: Path) -> None:
    model = Several()
    loaded = load_model(export(model, tmp_path / 'several.onnx'))
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.forward(images), model(images)[0], rtol=0, atol=1e-5)


def test_a_graph_uses_the_threads_that_it_is_told(graph: Path) -> None:
    loaded = load_model(graph)
    setting = Setting(device='cpu', precision='float32', size=32, batch_size=1, threads=3)
    forward: Any = build('onnx', loaded, setting).forward
    assert forward._threads == 3  # noqa: SLF001
    assert forward.using(3) is forward
    images = torch.rand(2, loaded.in_channels, 32, 32)
    torch.testing.assert_close(forward(images), loaded.forward(images))


def test_a_graph_travels_to_another_process(graph: Path) -> None:
    forward = load_model(graph).forward
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(pickle.loads(pickle.dumps(forward))(images), forward(images))


@pytest.mark.parametrize(
    ('record', 'metadata', 'task_class', 'expected'),
    [
        ({}, {}, None, 'classes'),
        ({}, {'scores': 'labels'}, None, 'labels'),
        ({}, {'scores': 'values'}, None, 'values'),
        ({}, {'task_class': 'torchgeo.tasks.PixelwiseRegression'}, None, 'values'),
        ({}, {'task_class': 'anything.at_all'}, None, 'classes'),
        ({'task_class': 'torchgeo.tasks.PixelwiseRegression'}, {}, None, 'values'),
        ({}, {}, 'torchgeo.tasks.PixelwiseRegression', 'values'),
        ({}, {}, PixelwiseRegression, 'values'),
    ],
    ids=str,
)
def test_a_graph_says_what_its_scores_mean(
    tmp_path: Path, graph: Path, record: dict[str, str], metadata: dict[str, str],
    task_class: str | type[PixelwiseRegression] | None, expected: str,
) -> None:  # fmt: skip
    content = json.dumps(RECORD.to_dict() | record)
    path = relabel(graph, tmp_path / 'a.onnx', {'gersp_geo': content, **metadata})
    assert load_model(path, task_class=task_class).scores == expected


def test_what_is_given_goes_before_what_the_graph_says(tmp_path: Path, graph: Path) -> None:
    other = replace(RECORD, mean=(0.1,) * 3)
    assert load_model(graph, preprocessing=other).preprocessing == other
    silent = relabel(graph, tmp_path / 'silent.onnx', {})
    assert load_model(silent, preprocessing=other).preprocessing == other
    with pytest.raises(ValueError, match=r'silent\.onnx does not say how its input is prepared'):
        load_model(silent)


@pytest.mark.parametrize(
    ('metadata', 'message'),
    [
        ({'gersp_geo': '{'}, r'a\.onnx \(metadata gersp_geo\) is not JSON'),
        ({'gersp_geo': '[' * 100_000}, r'a\.onnx \(metadata gersp_geo\) is not JSON'),
        ({'gersp_geo': '3'}, 'must be a mapping'),
        ({'gersp_geo': '{"bands": ["red"]}'}, 'lacks the fields'),
        (
            {'gersp_geo': json.dumps(RECORD.to_dict()), 'scores': 'votes'},
            r'must be one of classes, labels, values, got .votes.',
        ),
    ],
    ids=['half', 'deep', 'number', 'lacking', 'scores'],
)
def test_damaged_metadata_are_refused_in_one_line(
    tmp_path: Path, graph: Path, metadata: dict[str, str], message: str
) -> None:
    path = relabel(graph, tmp_path / 'a.onnx', metadata)
    with pytest.raises(ValueError, match=message) as info:
        load_model(path)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('kind', ['nothing', 'text', 'half', 'another'])
def test_a_damaged_graph_is_refused_in_one_line(tmp_path: Path, graph: Path, kind: str) -> None:
    whole = graph.read_bytes()
    content = {
        'nothing': b'',
        'text': b'hello world',
        'half': whole[: len(whole) // 2],
        'another': b'II*\0' + bytes(1000),
    }
    (tmp_path / 'a.onnx').write_bytes(content[kind])
    with pytest.raises(ValueError, match=r'a\.onnx is no ONNX graph that runs: ') as info:
        load_model(tmp_path / 'a.onnx', preprocessing=RECORD)
    assert '\n' not in str(info.value)


def test_a_missing_graph_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no\.onnx does not exist'):
        load_model(tmp_path / 'no.onnx')


def test_other_channels_than_the_record_names_are_refused(tmp_path: Path, graph: Path) -> None:
    path = export(convolution(5), tmp_path / 'five.onnx', example=torch.zeros(3, 5, 64, 64))
    with pytest.raises(ValueError, match='takes 5 channels, but preprocessing names 3 bands: red'):
        load_model(path)
    with pytest.raises(ValueError, match='takes 3 channels, got 2'):
        load_model(graph).forward(torch.zeros(1, 2, 32, 32))


def test_a_fixed_size_is_told_with_the_patch_size(tmp_path: Path) -> None:
    loaded = load_model(export(convolution(), tmp_path / 'fixed.onnx', free=FIXED_SIDES))
    assert loaded.forward(torch.zeros(2, 3, 64, 64)).shape == (2, 4, 64, 64)
    with pytest.raises(ValueError, match=r'takes images of 64 x 64 px, got 32 x 32; pass .*--size'):
        loaded.forward(torch.zeros(2, 3, 32, 32))


def test_a_graph_that_fails_says_so_in_one_line(tmp_path: Path) -> None:
    # says that any sides will do, and adds a picture of 64 x 64
    image, scores = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ['b', 3, 'h', 'w'])
        for name in ('image', 'scores')
    )
    picture = onnx.numpy_helper.from_array(np.ones((64, 64), dtype=np.float32), 'picture')
    node = onnx.helper.make_node('Add', ['image', 'picture'], ['scores'])
    graph = onnx.helper.make_graph([node], 'liar', [image], [scores], [picture])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 20)])
    model.ir_version = 10
    onnx.save(model, tmp_path / 'liar.onnx')
    loaded = load_model(tmp_path / 'liar.onnx', preprocessing=RECORD)
    assert torch.equal(loaded.forward(torch.zeros(1, 3, 64, 64)), torch.ones(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r'liar\.onnx cannot be run on images of shape') as info:
        loaded.forward(torch.zeros(1, 3, 50, 50))
    assert '\n' not in str(info.value)


def test_features_are_no_scores(tmp_path: Path) -> None:
    path = export(Pooled(), tmp_path / 'features.onnx')
    pixels = np.ones((3, 64, 64), dtype=np.float32)
    scene = write_raster(
        tmp_path / 'scene.tif',
        pixels,
        crs='EPSG:32633',
        transform=rasterio.transform.from_origin(4e5, 5e6, 10, 10),
    )
    with pytest.raises(
        ValueError, match=r'must return scores of shape .* got \(1, \d+\); .* --task embed'
    ) as info:
        plan_prediction(path, scene, tmp_path / 'map.tif', size=64)
    assert '\n' not in str(info.value)


def test_a_graph_takes_one_image_of_floats(tmp_path: Path) -> None:
    path = export(
        nn.Identity(), tmp_path / 'bytes.onnx', example=torch.zeros(3, 3, 64, 64, dtype=torch.uint8)
    )
    with pytest.raises(ValueError, match=r'must have one input, .* got image \[.*tensor\(uint8\)'):
        load_model(path)
    path = export(nn.Linear(3, 4), tmp_path / 'vectors.onnx', example=torch.zeros(3, 3), free=())
    with pytest.raises(ValueError, match=r'must have one input, images of floats'):
        load_model(path)


def test_without_onnxruntime_the_fix_is_told(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # how Python itself marks a module that is not to be imported
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ValueError, match=r"pip install 'gersp-geo\[onnx\]'") as info:
        load_model(graph)
    assert '\n' not in str(info.value)


def test_a_graph_in_mixed_precision_is_left_to_what_computes_so(
    graph: Path, tmp_path: Path
) -> None:
    pytest.importorskip('openvino')
    scene = tmp_path / 'scene.tif'
    profile = {'driver': 'GTiff', 'height': 32, 'width': 32, 'count': 3, 'dtype': 'uint8'}
    with rasterio.open(scene, 'w', **profile) as dst:
        dst.write(np.full((3, 32, 32), 90, dtype='uint8'))
    summary = predict_geotiff(
        graph, scene, tmp_path / 'map.tif', size=32, precision='bfloat16', progress=False
    )
    assert summary.runtime is not None
    assert summary.runtime.startswith('openvino')
