"""Real sets with their own label files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gersp_geo.labels.objects import ObjectSource

type Open = Callable[..., ObjectSource]


def tables(source: ObjectSource, count: int) -> list[Any]:
    return [source.of(tile) for tile in range(count)]


def test_tanks_of_airbus(real_data: Path, open_labels: Open) -> None:
    folder = next(iter(real_data.rglob('airbus_oil')), None)
    if folder is None:
        pytest.skip('the Airbus set is not there')
    source = open_labels(folder / 'annotations.csv', str(folder / 'images'))
    assert source.class_names == ('oil-storage-tank',)
    assert sum(map(len, tables(source, 4))) == 598


def test_trees_are_the_same_in_csv_and_xml(real_data: Path, open_labels: Open) -> None:
    folder = next(iter(real_data.rglob('deepforest')), None)
    if folder is None:
        pytest.skip('the DeepForest set is not there')
    both = [
        open_labels(folder / f'OSBS_029.{end}', [folder / 'OSBS_029.tif']) for end in ('csv', 'xml')
    ]
    first, second = (tables(source, 1)[0] for source in both)
    assert len(first) == 61
    np.testing.assert_array_equal(first.bounds, second.bounds)


def test_oriented_boxes_of_dota8(real_data: Path, open_labels: Open) -> None:
    folder = next((f for f in real_data.rglob('dota8') if (f / 'labels').is_dir()), None)
    if folder is None:
        pytest.skip('the DOTA8 set is not there')
    source = open_labels(folder / 'labels', str(folder / 'images'))
    assert sum(map(len, tables(source, 8))) == 133
