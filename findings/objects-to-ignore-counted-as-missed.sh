#!/bin/sh
# pycocotools: the evaluation knows a field 'ignore' of annotations, for objects that need not be found, and then overwrites it by
# 'iscrowd'. Objects that annotators marked as difficult, as DOTA and VOC do, count as missed if they are written so; as crowds
# they would not, but any number of boxes may then lie in them.
# Seen with pycocotools 2.0.11: one object found and one to be ignored give 0.505; without the field as well; as a crowd 1.0.
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


found = [{'bbox': [0, 0, 5, 5], 'score': 1.0}]


def score(**marks):
    objects = [{'id': 1, 'bbox': [0, 0, 5, 5]}, {'id': 2, 'bbox': [50, 0, 5, 5], **marks}]
    return evaluate(objects, found)[0]


scores = {'no mark': score(), 'ignore': score(ignore=1), 'iscrowd': score(iscrowd=1)}
for mark, value in scores.items():
    print(f'{mark}: average precision {value}')
if scores != {'no mark': 0.505, 'ignore': 0.505, 'iscrowd': 1.0}:
    raise SystemExit(f'The behaviour has changed: {scores}')
PYTHON
