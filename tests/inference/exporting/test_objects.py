"""Laws of detectors as graphs: they find what the detector finds, or are not written."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from torch import Tensor, nn
from torchgeo.tasks.utils import GeneralizedRCNNTransformNoOp
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import MultiScaleRoIAlign

from gersp_geo.inference import detect_objects, export_model
from gersp_geo.inference.exporting.graph import WholeModel
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25),
    dtype='uint8', class_names=('a', 'b', 'c'),
)  # fmt: skip


def build(kind: str, *, threshold: float) -> Any:
    """Make a detector of one scale and few weights."""
    torch.manual_seed(0)
    backbone: Any = nn.Sequential(nn.Conv2d(3, 32, 16, stride=16), nn.ReLU())
    backbone.out_channels = 32
    anchors = AnchorGenerator(((32,),), ((1.0,),))
    pool = MultiScaleRoIAlign(['0'], output_size=3, sampling_ratio=2)
    two_stages: dict[str, Any] = {
        'rpn_anchor_generator': anchors, 'box_roi_pool': pool, 'box_score_thresh': threshold,
        'box_head': TwoMLPHead(32 * 9, 16), 'box_predictor': FastRCNNPredictor(16, 3),
    }  # fmt: skip
    network: Any
    match kind:
        case 'faster-rcnn':
            network = FasterRCNN(backbone, None, **two_stages)
        case 'mask-rcnn':
            masks = {
                'mask_roi_pool': pool, 'mask_head': MaskRCNNHeads(32, (8,), 1),
                'mask_predictor': MaskRCNNPredictor(8, 8, 3),
            }  # fmt: skip
            network = MaskRCNN(backbone, None, **two_stages, **masks)
        case 'fcos':
            network = FCOS(backbone, 3, anchor_generator=anchors, score_thresh=threshold)
        case _:
            network = RetinaNet(backbone, 3, anchor_generator=anchors, score_thresh=threshold)
    network.transform = GeneralizedRCNNTransformNoOp()
    # as they are drawn, weights score every place alike
    for name, weights in network.named_parameters():
        if weights.ndim > 1:
            nn.init.kaiming_normal_(weights, a=20 if 'bbox' in name else 0)
    return network.eval()


def scene(path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(1, 256, (3, 150, 170)).astype('uint8')
    with rasterio.open(
        path, 'w', driver='GTiff', height=150, width=170, count=3, dtype='uint8', nodata=0,
        crs='EPSG:32633', transform=Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
    ) as dst:  # fmt: skip
        dst.write(pixels)
        dst.descriptions = RECORD.bands
    return path


def find(model: Any, folder: Path, record: Preprocessing | None) -> geopandas.GeoDataFrame:
    source, found = scene(folder / 'scene.tif'), folder / 'found.gpkg'
    detect_objects(
        model, source, found, preprocessing=record, size=96, overlap=16, device='cpu',
        score_threshold=0.0, progress=False, overwrite=True,
    )  # fmt: skip
    return geopandas.read_file(found).sort_values(['score', 'class'], ignore_index=True)


@pytest.mark.parametrize(
    ('kind', 'is_folded', 'count'),
    [('faster-rcnn', True, 2), ('fcos', False, 3), ('retinanet', True, 2)],
)
def test_a_graph_finds_the_boxes_of_its_detector(
    kind: str, is_folded: bool, count: int, tmp_path: Path
) -> None:
    record = replace(RECORD, class_names=RECORD.class_names[:count])
    network = build(kind, threshold=0.01)
    if kind == 'retinanet':
        # what it never learned, as its names begin at label 1
        network.head.classification_head.cls_logits.bias.data[0] = -1e4
    report = export_model(
        network, tmp_path / 'model.onnx', preprocessing=record, include_preprocessing=is_folded
    )
    wanted = find(network, tmp_path, record)
    found = find(tmp_path / 'model.onnx', tmp_path, None)
    assert len(wanted) > 10
    assert list(found['class_name']) == list(wanted['class_name'])
    np.testing.assert_allclose(found['score'], wanted['score'], rtol=1e-3)
    np.testing.assert_allclose(found.bounds, wanted.bounds, rtol=0, atol=0.005)
    if report.item is not None:
        item = json.loads(report.item.read_text(encoding='utf-8'))
        classes = item['properties']['mlm:output'][0]['classification:classes']
        named = {each['value']: each['description'] for each in classes}
        assert named == dict(zip(wanted['class'], wanted['class_name'], strict=True))
        assert min(named) == 3 - count


type Found = tuple[Tensor, Tensor, Tensor]


@pytest.mark.parametrize(
    'spoil',
    [
        lambda boxes, labels, scores: (boxes + 1, labels, scores),
        lambda boxes, labels, scores: (boxes, 3 - labels, scores),
        lambda boxes, labels, scores: (boxes, labels, scores * 0.99),
        lambda boxes, labels, scores: (boxes[:0], labels[:0], scores[:0]),
    ],
    ids=['boxes', 'labels', 'scores', 'nothing'],
)
def test_a_broken_graph_shows_although_the_detector_finds_nothing_in_noise(
    spoil: Callable[..., Found], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = build('retinanet', threshold=0.999)
    noise = torch.randn(4, 3, 192, 192)
    assert not any(len(each['scores']) for each in network(list(noise)))
    right = WholeModel.forward
    monkeypatch.setattr(WholeModel, 'forward', lambda self, images: spoil(*right(self, images)))
    with pytest.raises(ValueError, match=r'objects in noise, \d+ are others in the graph') as said:
        export_model(network, tmp_path / 'model.onnx', preprocessing=RECORD)
    assert '\n' not in str(said.value)
    assert list(tmp_path.iterdir()) == []
    assert network.score_thresh == 0.999


def test_a_wrong_folding_shows_in_the_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WholeModel, '_normalise', lambda self, images: images * self.scale)
    with pytest.raises(ValueError, match='are others in the graph'):
        export_model(
            build('retinanet', threshold=0.999), tmp_path / 'model.onnx', preprocessing=RECORD,
            include_preprocessing=True,
        )  # fmt: skip


def test_a_detector_without_any_candidate_is_not_said_to_agree(tmp_path: Path) -> None:
    network = build('retinanet', threshold=0.05)
    # scores of exactly 0
    network.head.classification_head.cls_logits.bias.data.fill_(-1e4)
    with pytest.raises(ValueError, match='has no candidate at all, so that nothing can be'):
        export_model(network, tmp_path / 'model.onnx', preprocessing=RECORD)


def test_a_detector_of_masks_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='returns a mask of every object, which no graph') as said:
        export_model(
            build('mask-rcnn', threshold=0.05), tmp_path / 'model.onnx',
            preprocessing=replace(RECORD, class_names=('a', 'b')),
        )  # fmt: skip
    assert '\n' not in str(said.value)
    assert list(tmp_path.iterdir()) == []
