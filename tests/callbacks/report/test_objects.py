"""Average precision is COCO's, for as many detections as there are."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from gersp_geo.callbacks.report.objects import ObjectTally
from gersp_geo.callbacks.report.summary import Summary

# it prints what it does
pytestmark = pytest.mark.usefixtures('capsys')

CPU = torch.device('cpu')
type Image = dict[str, Tensor]


def judge(found: list[Image], there: list[Image], names: dict[int, str]) -> Summary:
    """Count image by image."""
    tally = ObjectTally(names, with_masks='masks' in found[0], device=CPU)
    for one, truth in zip(found, there, strict=True):
        batch = {'bbox_xyxy': [truth['boxes']], 'label': [truth['labels']]}
        tally.update([one], batch | ({'mask': [truth['masks']]} if 'masks' in truth else {}))
    return tally.summary(lambda values: values)


def evaluate(found: list[Image], there: list[Image], label: int) -> tuple[float, float]:
    """AP and AP50 of one label by pycocotools, with 1000 detections per image."""

    def rows(images: list[Image]) -> list[dict[str, Any]]:
        return [
            {
                'image_id': i, 'category_id': int(kind), 'iscrowd': 0, 'area': float((c - a) * (d - b)),
                'bbox': [float(a), float(b), float(c - a), float(d - b)], 'score': float(score),
            }
            for i, image in enumerate(images)
            for (a, b, c, d), kind, score in zip(
                image['boxes'], image['labels'], image.get('scores', image['labels']), strict=True
            )
        ]  # fmt: skip

    truth = COCO()
    ids = [{'id': i} for i in range(len(there))]
    annotations = [row | {'id': i + 1} for i, row in enumerate(rows(there))]
    truth.dataset = {'images': ids, 'annotations': annotations, 'categories': [{'id': label}]}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(rows(found)), 'bbox')
    evaluation.params.maxDets = [1, 10, 1000]
    evaluation.params.catIds = [label]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval['precision'][:, :, 0, 0, -1]
    both = precision[precision > -1], precision[0][precision[0] > -1]
    ap, ap50 = (float(values.mean()) if values.size else math.nan for values in both)
    return ap, ap50


def draw(seed: int, *, images: int, most: int) -> tuple[list[Image], list[Image]]:
    """Boxes, some of which are found."""
    generator = np.random.default_rng(seed)
    found, there = [], []
    for _ in range(images):
        count = int(generator.integers(0, most + 1))
        corner, side = generator.uniform(0, 90, (count, 2)), generator.uniform(4, 30, (count, 2))
        boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
        labels = generator.integers(1, 3, count)
        there.append({'boxes': torch.from_numpy(boxes), 'labels': torch.from_numpy(labels)})
        seen = generator.random(count) < 0.8
        shifted = boxes[seen] + generator.normal(0, 1.5, (int(seen.sum()), 4)).astype(np.float32)
        kinds = np.where(generator.random(int(seen.sum())) < 0.9, labels[seen], 1)
        scores = generator.random(int(seen.sum())).astype(np.float32)
        found.append({
            'boxes': torch.from_numpy(shifted), 'labels': torch.from_numpy(kinds),
            'scores': torch.from_numpy(scores),
        })  # fmt: skip
    return found, there


@given(seed=st.integers(0, 2**31))
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    found, there = draw(seed, images=3, most=8)
    if not any(len(image['boxes']) for image in found):
        return
    summary = judge(found, there, {1: 'ship', 2: 'plane', 3: 'car'})
    for label, name in enumerate(('ship', 'plane', 'car'), start=1):
        ap, ap50 = evaluate(found, there, label)
        assert summary.classes[name]['AP'] == pytest.approx(ap, nan_ok=True, abs=1e-6)
        assert summary.classes[name]['AP50'] == pytest.approx(ap50, nan_ok=True, abs=1e-6)
        assert summary.counts[name] == sum(int((i['labels'] == label).sum()) for i in there)


def test_more_than_a_hundred_objects_of_an_image_count() -> None:
    corner = torch.cartesian_prod(torch.arange(11.0), torch.arange(11.0)) * 10
    boxes = torch.cat([corner, corner + 8], dim=1)
    labels = torch.ones(121, dtype=torch.int64)
    one = {'boxes': boxes, 'labels': labels}
    summary = judge([one | {'scores': torch.linspace(0.1, 0.9, 121)}], [one], {1: 'oil tank'})
    assert summary.overall == pytest.approx({'AP': 1, 'AP50': 1})
    assert summary.counts == {'oil tank': 121}


@pytest.mark.quick('False')
@pytest.mark.parametrize('binary', [True, False])
def test_masks_are_judged_beside_boxes(binary: bool) -> None:
    masks = torch.zeros(2, 32, 32)
    masks[0, :8, :8] = masks[1, 16:, 16:] = 1
    boxes = torch.tensor([[0, 0, 8, 8], [16, 16, 32, 32]]).float()
    labels = torch.tensor([1, 2])
    there = {'boxes': boxes, 'labels': labels, 'masks': masks.to(torch.uint8)}
    halves = masks.clone()
    halves[1, 24:] = 0
    found = {'boxes': boxes, 'labels': labels, 'scores': torch.ones(2)}
    found['masks'] = halves.to(torch.uint8) if binary else halves[:, None] * 0.8
    summary = judge([found], [there], {1: 'house', 2: 'pool'})
    assert list(summary.classes['house'].values()) == pytest.approx([1, 1, 1, 1])
    assert summary.classes['pool'] == pytest.approx(
        {'AP': 1, 'AP50': 1, 'MaskAP': 0.1, 'MaskAP50': 1}
    )


def test_without_any_object_nothing_is_known() -> None:
    none = {'boxes': torch.zeros(0, 4), 'labels': torch.zeros(0, dtype=torch.int64)}
    summary = judge([none | {'scores': torch.zeros(0)}], [none], {1: 'ship'})
    assert math.isnan(summary.overall['AP'])
    assert summary.counts == {'ship': 0}
