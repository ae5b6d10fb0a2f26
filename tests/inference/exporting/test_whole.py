"""Laws of whole models as graphs: they make the map that the checkpoint makes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import onnxruntime
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray
from torchgeo import tasks

from gersp_geo.inference import export_model, predict_geotiff
from gersp_geo.inference.exporting import stac
from gersp_geo.inference.model.load import load_model
from gersp_geo.main import main
from gersp_geo.models.downloads import FOLDER_VARIABLE
from gersp_geo.preprocessing import Preprocessing
from gersp_geo.tasks import ChangeDetection, InstanceSegmentation, ObjectDetection
from tests.models.file_servers import serve

SIDE = 64
MARGIN = 1e-4
RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25),
    dtype='uint8', size=SIDE, res_m=0.5,
)  # fmt: skip
NAMES: Mapping[str, tuple[str, ...]] = {
    'segmentation': ('water', 'wood, wet', 'road'), 'binary': ('land', 'water'),
    'multilabel': ('a', 'b', 'c', 'd'), 'classes': ('a', 'b', 'c'),
}  # fmt: skip


def build(kind: str) -> Any:
    torch.manual_seed(0)
    match kind:
        case 'segmentation':
            return tasks.SemanticSegmentation('fcn', num_classes=3, num_filters=2)
        case 'binary':
            return tasks.SemanticSegmentation('fcn', task='binary', num_filters=2)
        case 'unet':
            return tasks.SemanticSegmentation('unet', 'resnet18', num_classes=3)
        case 'change':
            return ChangeDetection('unet', 'resnet18')
        case 'apart':
            return ChangeDetection('fcsiamdiff', 'resnet18')
        case 'classes':
            return tasks.Classification('resnet18', num_classes=3)
        case 'multilabel':
            return tasks.Classification('resnet18', task='multilabel', num_labels=4)
        case 'regression':
            return tasks.Regression('resnet18', num_outputs=1)
    return tasks.PixelwiseRegression('fcn', num_filters=2)


def save(task: Any, path: Path, **changes: Any) -> Path:
    package = type(task).__module__.split('.')[0]
    record = RECORD.to_dict() | {'task_class': f'{package}.tasks.{type(task).__name__}'} | changes
    content = {'state_dict': task.state_dict(), 'hyper_parameters': dict(task.hparams)}
    torch.save(content | {'gersp_geo': record, 'pytorch-lightning_version': '2.6.0'}, path)
    return path


def ground(seed: int, dtype: str = 'uint8') -> NDArray[Any]:
    high = 256 if dtype == 'uint8' else 4000
    pixels = np.random.default_rng(seed).integers(1, high, (3, 150, 170)).astype(dtype)
    # a place without an observation, which every model takes for the mean
    pixels[:, 20:40, 30:70] = 0
    return pixels


def write(path: Path, pixels: NDArray[Any]) -> Path:
    with rasterio.open(
        path, 'w', driver='GTiff', height=pixels.shape[1], width=pixels.shape[2], count=3,
        dtype=pixels.dtype, crs='EPSG:32633', transform=Affine(0.5, 0, 5e5, 0, -0.5, 5e6), nodata=0,
    ) as dst:  # fmt: skip
        dst.write(pixels)
        dst.descriptions = RECORD.bands
    return path


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as src:
        values: NDArray[Any] = src.read()
    return values


@dataclass(frozen=True)
class Exported:
    """A checkpoint, the graph that the command made of it, and a scene."""

    checkpoint: Path
    graph: Path
    scene: Path
    said: str


@pytest.fixture(scope='module')
def folded(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A segmentation of bytes with its preprocessing in the graph; read only."""
    folder = tmp_path_factory.mktemp('folded')
    checkpoint = save(
        build('segmentation'), folder / 'model.ckpt', class_names=NAMES['segmentation']
    )
    scene = write(folder / 'scene.tif', ground(0))
    report = export_model(checkpoint, folder / 'model.onnx', include_preprocessing=True)
    return Exported(checkpoint, folder / 'model.onnx', scene, str(report))


def predict(model: Path, destination: Path, scene: Path, *more: object) -> NDArray[Any]:
    words = ['-o', destination, '--size', SIDE, '--device', 'cpu', '--no-progress', *more]
    assert main(['predict', str(model), str(scene), *map(str, words)]) == 0
    return read(destination)


def agree(one: NDArray[Any], other: NDArray[Any], probabilities: NDArray[Any]) -> None:
    """Compare classes wherever the best of them leads the next."""
    if len(probabilities) == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities])
    second, best = np.sort(probabilities, axis=0)[-2:]
    sure = ~(best - second <= MARGIN)
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(one[:, sure], other[:, sure])


def test_a_folded_graph_makes_the_map_of_its_checkpoint(folded: Exported, tmp_path: Path) -> None:
    maps = [
        predict(
            model, tmp_path / f'{n}.tif', folded.scene, '--probabilities', tmp_path / f'{n}p.tif'
        )
        for n, model in enumerate((folded.checkpoint, folded.graph))
    ]
    found = [read(tmp_path / f'{n}p.tif') for n in (0, 1)]
    # normalised twice, probabilities would be others
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-6)
    agree(maps[0], maps[1], found[0])
    assert len(np.unique(maps[0])) > 1


def test_the_plan_of_a_folded_graph_says_what_it_is(
    folded: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [folded.graph, folded.scene, '-o', tmp_path / 'a.tif', '--size', SIDE, '--overlap', 16]
    assert main(['plan', *map(str, words)]) == 0
    said = capsys.readouterr().out
    assert 'preprocessing is in the graph, and nothing is normalised twice' in said
    assert 'probabilities of the graph are blended, not logits' in said


def test_the_report_says_what_is_in_the_file(folded: Exported) -> None:
    assert 'values as stored / 255: preprocessing is in the graph; 64 x 64 px' in folded.said
    assert 'Deepness  metadata for this plugin of QGIS\n' in folded.said


def test_deepness_reads_the_file_alone(folded: Exported, tmp_path: Path) -> None:
    """Written from its documentation, see ``deepness.py``: nothing of this package reads here."""
    session = onnxruntime.InferenceSession(folded.graph)
    told = {
        key: json.loads(text)
        for key, text in session.get_modelmeta().custom_metadata_map.items()
        if key not in ('scores', 'task_class')
    }
    (image,), (output,) = session.get_inputs(), session.get_outputs()
    assert told['model_type'] == 'Segmentor'
    assert told['class_names'] == dict(zip('012', NAMES['segmentation'], strict=True))
    assert told['resolution'] == 50
    assert isinstance(told['tiles_overlap'], int)
    assert 0 <= told['tiles_overlap'] < 100
    side = told['tiles_size']
    assert image.shape[1:] == output.shape[1:] == [3, side, side]
    pixels = ground(0)[:, 60 : 60 + side, 80 : 80 + side]
    tile = np.float32(pixels * (1 / 255))
    mean, std = (
        np.array(told[key], dtype=np.float32)[:, None, None]
        for key in ('standardization_mean', 'standardization_std')
    )
    (scores,) = session.run(None, {image.name: ((tile - mean) / std)[None]})
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    scores[scores < told['seg_thresh']] = 0
    scene = write(tmp_path / 'tile.tif', pixels)
    predict_geotiff(
        folded.checkpoint, scene, tmp_path / 'map.tif', size=side, overlap=0, device='cpu',
        progress=False,
    )  # fmt: skip
    agree(read(tmp_path / 'map.tif'), scores.argmax(axis=1).astype('uint8'), scores[0])


def test_another_record_than_the_folded_one_is_refused(folded: Exported) -> None:
    other = Preprocessing(bands=RECORD.bands, scale=(1.0,) * 3, mean=(0.0,) * 3, std=(1.0,) * 3)
    with pytest.raises(ValueError, match=r'has its preprocessing folded in, with scale'):
        load_model(folded.graph, preprocessing=other)


def test_a_graph_travels_to_another_process_as_what_it_is(folded: Exported) -> None:
    graph: Any = load_model(folded.graph).forward
    make, arguments = graph.__reduce__()
    assert make(*arguments).form == graph.form != type(graph.form)()


@pytest.mark.parametrize(
    ('destination', 'words', 'message'),
    [
        (
            'b.pth',
            [],
            r'a whole model is written to \.onnx, got b\.pth; pass such a file, or --format',
        ),
        ('b.onnx', ['--teacher'], '--teacher is for backbones'),
        ('b.pth', ['--format', 'torchvision', '--include-preprocessing'], 'is for whole models'),
        ('model.onnx', [], 'exists; pass another path, or overwrite'),
    ],
)
def test_what_is_no_whole_model_is_refused_in_one_line(
    folded: Exported,
    capsys: pytest.CaptureFixture[str],
    destination: str,
    words: list[str],
    message: str,
) -> None:
    target = folded.graph.with_name(destination)
    before = sorted(folded.graph.parent.iterdir())
    assert main(['export', str(folded.checkpoint), str(target), *words]) == 1
    said = capsys.readouterr().err.strip()
    assert '\n' not in said
    assert re.search(message, said)
    assert sorted(folded.graph.parent.iterdir()) == before


def test_a_model_without_a_head_is_refused(tmp_path: Path, folded: Exported) -> None:
    torch.save(
        {'state_dict': {'backbone_momentum.a': torch.zeros(1)}, 'hyper_parameters': {}},
        tmp_path / 'g.ckpt',
    )
    torch.save({'conv1.weight': torch.zeros(1)}, tmp_path / 'w.pth')
    for name, what in (
        ('g.ckpt', 'a checkpoint of pre-training'),
        ('w.pth', 'weights of a backbone'),
    ):
        with pytest.raises(ValueError, match=f'{what}, which has no head to use; pass --format'):
            export_model(tmp_path / name, tmp_path / 'a.onnx')
    with pytest.raises(ValueError, match='is a graph already'):
        export_model(folded.graph, tmp_path / 'a.onnx')
    assert not (tmp_path / 'a.onnx').exists()


CASES = [
    ('segmentation', False, 'uint16'), ('binary', True, 'uint8'), ('unet', False, 'uint8'),
    ('pixels', True, 'uint8'), ('pixels', True, 'uint16'), ('change', False, 'uint8'),
    ('apart', True, 'uint16'), ('classes', False, 'uint16'), ('multilabel', True, 'uint8'),
    ('regression', False, 'uint8'), ('regression', True, 'uint16'),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(('kind', 'is_folded', 'dtype'), CASES)
def test_every_task_makes_the_same_map_as_a_graph(
    tmp_path: Path, kind: str, is_folded: bool, dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scale = (1 / 255 if dtype == 'uint8' else 1 / 4000,) * 3
    task = build(kind)
    checkpoint = save(
        task, tmp_path / 'model.ckpt', dtype=dtype, scale=scale,
        class_names=NAMES.get('segmentation' if kind == 'unet' else kind, ()),
    )  # fmt: skip
    graph = tmp_path / 'model.onnx'
    words = ['--include-preprocessing'] if is_folded else []
    assert main(['export', str(checkpoint), str(graph), *words]) == 0
    said = capsys.readouterr().out
    is_deepness = is_folded and dtype == 'uint8' and kind in ('binary', 'pixels')
    assert ('any size' in said) == (not is_deepness)
    assert ('metadata for this plugin of QGIS\n' in said) == is_deepness
    scenes = [write(tmp_path / f'{seed}.tif', ground(seed, dtype)) for seed in (1, 2)]
    of_patches = kind in ('classes', 'multilabel', 'regression')
    of_values = kind in ('pixels', 'regression')
    more: list[object] = ['--after', scenes[1]] if kind in ('change', 'apart') else []
    found = []
    for name, model in (('c', checkpoint), ('g', graph)):
        beside = [] if of_patches or of_values else ['--probabilities', tmp_path / f'{name}-p.tif']
        found.append(predict(model, tmp_path / f'{name}.tif', scenes[0], *more, *beside))
    if of_values or kind == 'multilabel':
        np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-5)
    elif of_patches:
        np.testing.assert_array_equal(found[0], found[1])
    else:
        probabilities = [read(tmp_path / f'{name}-p.tif') for name in 'cg']
        np.testing.assert_allclose(probabilities[0], probabilities[1], rtol=0, atol=1e-4)
        agree(found[0], found[1], probabilities[0])


@pytest.mark.slow
def test_masks_of_objects_are_not_left_out_silently(tmp_path: Path) -> None:
    task = InstanceSegmentation('mask-rcnn', 'resnet50', weights=None, num_classes=3)
    checkpoint = save(task, tmp_path / 'model.ckpt', class_names=['a', 'b'])
    with pytest.raises(ValueError, match='returns a mask of every object, which no graph'):
        export_model(checkpoint, tmp_path / 'model.onnx')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['model.ckpt']


@pytest.mark.slow
@pytest.mark.parametrize(
    ('kind', 'least', 'is_folded', 'names'),
    [
        ('faster-rcnn', 0.05, True, 'ab'),
        ('retinanet', 0.03, False, 'abc'),
        ('fcos', 0.08, True, 'abc'),
    ],
)
def test_a_detector_finds_the_same_objects_as_a_graph(
    tmp_path: Path, kind: Any, least: float, is_folded: bool, names: str
) -> None:
    torch.manual_seed(0)
    task = ObjectDetection(kind, 'resnet18', num_classes=3, score_threshold=least)
    checkpoint = save(task, tmp_path / 'model.ckpt', class_names=list(names))
    export_model(checkpoint, tmp_path / 'model.onnx', include_preprocessing=is_folded)
    scene = write(tmp_path / 'scene.tif', ground(0))
    found = []
    for name in ('model.ckpt', 'model.onnx'):
        words = ['-o', tmp_path / f'{name}.gpkg', '--size', 128, '--device', 'cpu', '--no-progress']
        words += ['--score-threshold', least]
        assert main(['predict', *map(str, (tmp_path / name, scene, *words))]) == 0
        found.append(geopandas.read_file(tmp_path / f'{name}.gpkg'))
    one, other = found
    assert len(one) == len(other) > 10
    boxes = [each.bounds.to_numpy() for each in found]
    # candidates that score alike come in any order
    place = np.abs(boxes[0][:, None] - boxes[1][None]).max(axis=2)
    same = (place < 0.01) & (one['class'].to_numpy()[:, None] == other['class'].to_numpy())
    same &= np.abs(one['score'].to_numpy()[:, None] - other['score'].to_numpy()) < MARGIN
    assert same.any(axis=0).all()
    assert same.any(axis=1).all()
    assert set(one['class_name']) <= set(names)


def test_where_a_model_was_downloaded_from_is_kept(
    folded: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / 'downloads'))
    (tmp_path / 'downloads').mkdir()
    content = folded.checkpoint.read_bytes()
    graph = tmp_path / 'model.onnx'
    with serve() as web:
        web.files['/a/model.ckpt'] = content
        report = export_model(f'{web.url}/a/model.ckpt?token=secret', graph)
    expected = {
        'downloaded_from': f'{web.url}/a/model.ckpt',
        'downloaded_sha256': sha256(content).hexdigest(),
    }
    told = onnxruntime.InferenceSession(graph).get_modelmeta().custom_metadata_map
    assert expected.items() <= json.loads(told['gersp_geo_provenance']).items()
    assert expected['downloaded_from'] in str(report)
    assert b'secret' not in graph.read_bytes()
    if report.item is not None:
        properties = json.loads(report.item.read_text(encoding='utf-8'))['properties']
        assert (
            expected.items()
            <= {key.removeprefix('gersp_geo:'): value for key, value in properties.items()}.items()
        )


def test_without_the_extra_no_item_is_written_and_the_report_says_so(
    tmp_path: Path, folded: Exported
) -> None:
    if stac.find_missing() is None:
        assert folded.graph.with_suffix('.stac.json').is_file()
    else:
        assert "no item: pip install 'gersp-geo[stac]'" in folded.said
