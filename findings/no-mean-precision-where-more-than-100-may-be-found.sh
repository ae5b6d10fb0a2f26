#!/bin/sh
# pycocotools: a scene of 300 cars has a perfect detector score 0.337, since the best 100 boxes of an image count (COCO's rule).
# maxDets may be raised, and 75 % and 50 % then come out as 1; but the first figure, the mean over all thresholds, is -1: the
# summary asks for 100 by number, which is not among the limits any more. torchmetrics, whose warning advises to raise the
# limit, shows the same -1 as its map.
# Seen with pycocotools 2.0.11: [0.337, 0.337, 0.337] by default, [-1.0, 1.0, 1.0] with limits of 1, 10 and 1000.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
PYENV_VERSION=${PYENV_VERSION:-3.12} python3 -m venv venv
venv/bin/python -m pip install --quiet pycocotools==2.0.11 numpy
venv/bin/python - <<'PYTHON' 2>errors
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

print('pycocotools', version('pycocotools'))


def evaluate(objects, found, *, most=(1, 10, 100)):
    """Judge boxes of one image, given as keys of their annotations."""
    same = {'image_id': 1, 'category_id': 1}
    with redirect_stdout(StringIO()):
        truth = COCO()
        truth.dataset = {'images': [{'id': 1}], 'categories': [{'id': 1}], 'annotations': [
            {'iscrowd': 0, 'area': 25, **same, **each} for each in objects
        ]}  # fmt: skip
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes([{**same, **each} for each in found]), 'bbox')
        judge.params.maxDets = list(most)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats.round(3).tolist()


boxes = [[10 * place, 0, 5, 5] for place in range(300)]
objects = [{'id': 1 + number, 'bbox': box} for number, box in enumerate(boxes)]
found = [{'bbox': box, 'score': 1.0} for box in boxes]
usual = evaluate(objects, found)[:3]
raised = evaluate(objects, found, most=(1, 10, 1000))[:3]
print('AP, AP50, AP75 with up to 100 boxes: ', usual)
print('AP, AP50, AP75 with up to 1000 boxes:', raised)
if (usual, raised) != ([0.337] * 3, [-1.0, 1.0, 1.0]):
    raise SystemExit(f'The behaviour has changed: {usual}, {raised}')
PYTHON
