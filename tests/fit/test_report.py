"""What the commands say and write of a validation and a test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np


def test_a_test_tells_each_class_by_name_and_which_ground_is_of_which_split(
    put: Callable[..., Path], fit_segmentation: Callable[..., Any]
) -> None:
    classes = np.repeat(np.arange(2, dtype=np.uint8), 64)[:, None].repeat(128, axis=1)
    options = {
        'data.images': put('images/scene.tif', np.stack([classes * 100 + 50] * 3)),
        'data.masks': put('masks/scene.tif', classes),
        'data.class_names': '[bare ground, water]',
        'data.val_split': 0.25,
        'data.test_split': 0.25,
        'trainer.logger': 'null',
    }
    run = fit_segmentation(options, command='test')
    assert run.code == 0, run.err
    assert 'Tip' not in run.err
    assert 'tensorboardX' not in run.err
    head, *rows, last = run.out.strip().splitlines()
    assert head.split() == ['class', 'pixels', 'IoU', 'Precision', 'Recall', 'F1', 'Accuracy']
    assert [row[:11].strip() for row in rows] == ['bare ground', 'water', 'all']
    place = run.folder / last.removeprefix('report: ')
    content = json.loads((place / 'metrics.json').read_text())
    assert place.parent.name == 'report'
    table = geopandas.read_file(place.parent / 'splits.gpkg')
    tested = table[table.split == 'test']
    assert set(table.split) == {'train', 'val', 'test'}
    assert tested.labels.sum() == sum(values['count'] for values in content['classes'].values())
    assert table.area.sum() == 1280**2
    assert table.crs.to_epsg() == 32633
