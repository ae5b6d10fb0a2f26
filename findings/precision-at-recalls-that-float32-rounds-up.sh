#!/bin/sh
# torchmetrics: MeanAveragePrecision is not COCO's in the third digit. Its recall thresholds come from torch.linspace in
# float32, so that 0.6 is 0.6000000238418579: where three of five objects are found, a recall of 0.6 does not reach it,
# and the precision of the next detection is taken. COCO's own thresholds are float64. Aerial images with few objects of
# a class, where recalls are such round numbers, are the ones it hits; a table of results beside COCO's is not comparable.
# Seen with torchmetrics 1.9.0, pycocotools 2.0.11, torch 2.15.0: 0.72937 where COCOeval has 0.73597.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet torchmetrics==1.9.0 pycocotools==2.0.11 torch==2.15.0 torchvision==0.29.2
venv/bin/python - <<'PYTHON'
import contextlib
import io
from importlib.metadata import version

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection import MeanAveragePrecision

print(*(f'{name} {version(name)}' for name in ('torchmetrics', 'pycocotools', 'torch')))
# five objects; three are found first, then ten false alarms, then the other two
truth = [[100 * i, 0, 100 * i + 50, 50] for i in range(5)]
wrong = [[100 * i, 500, 100 * i + 50, 550] for i in range(10)]
found = [*truth[:3], *wrong, *truth[3:]]
scores = [1 - i / 20 for i in range(15)]

target = {'boxes': torch.tensor(truth).float(), 'labels': torch.ones(5).long()}
boxes = {'boxes': torch.tensor(found).float(), 'labels': torch.ones(15).long(), 'scores': torch.tensor(scores)}
exact = {'rec_thresholds': np.linspace(0, 1, 101).tolist(), 'iou_thresholds': np.linspace(0.5, 0.95, 10).tolist()}


def mean(**thresholds):
    metric = MeanAveragePrecision(**thresholds)
    metric.update([boxes], [target])
    return metric.compute()['map'].item()


coco = COCO()
one = {'image_id': 1, 'category_id': 1, 'iscrowd': 0, 'area': 2500}
rows = [{**one, 'id': i + 1, 'bbox': [x, y, 50, 50]} for i, (x, y, _, _) in enumerate(truth)]
coco.dataset = {'images': [{'id': 1}], 'categories': [{'id': 1}], 'annotations': rows, 'info': {}}
with contextlib.redirect_stdout(io.StringIO()):
    coco.createIndex()
    answers = [{**one, 'bbox': [x, y, 50, 50], 'score': s} for (x, y, _, _), s in zip(found, scores)]
    judge = COCOeval(coco, coco.loadRes(answers), 'bbox')
    judge.evaluate(), judge.accumulate(), judge.summarize()
expected, seen, mended = judge.stats[0], mean(), mean(**exact)
print('threshold of recall 0.6:', MeanAveragePrecision().rec_thresholds[60], '(expected: 0.6)')
print(f'mean average precision: {seen:.5f} (expected: {expected:.5f}); with thresholds of float64: {mended:.5f}')
if not (abs(mended - expected) < 1e-6 and expected - seen > 0.005):
    raise SystemExit('The behaviour has changed.')
PYTHON
