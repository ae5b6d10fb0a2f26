#!/bin/sh
# pycocotools: matches are kept as the id of the annotation, and 0 means none. The annotation with the id 0 can so be met by a
# prediction, and counts as missed all the same, while the prediction counts as wrong. Nothing in the format forbids 0, and
# converters that number objects as Python does write it: labels of aerial images lose their first object without a word.
# Seen with pycocotools 2.0.11: one perfect box has an average precision of 0 with the id 0, and of 1 with the id 1.
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


box = [0, 0, 5, 5]
scores = {
    number: evaluate([{'id': number, 'bbox': box}], [{'bbox': box, 'score': 1.0}])[0]
    for number in (0, 1)
}
for number, score in scores.items():
    print(f'id {number}: average precision {score}')
if scores != {0: 0.0, 1: 1.0}:
    raise SystemExit(f'The behaviour has changed: {scores}')
PYTHON
