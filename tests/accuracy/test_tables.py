import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gersp_geo.accuracy import estimate_accuracy
from gersp_geo.accuracy.figures import Accuracy, Calibration, MapClass, SampledCounts
from gersp_geo.accuracy.tables import write_csv, write_json


def accuracy_of(**changes: Any) -> Accuracy:
    counts = np.zeros((3, 3, 3), dtype=np.int64)
    counts[0, 0] = [60, 3, 2]
    counts[1, 1] = [4, 50, 0]
    names = ('forest, old', 'Wald "Süd"', 'water')
    known: dict[str, Any] = {
        'design': 'stratified',
        'classes': tuple(MapClass(value=k, name=n, color=(0, 0, 0)) for k, n in enumerate(names)),
        'strata': names,
        'counts': counts,
        'stratum_areas': np.array([3e6, 2e6, 0.0]),
        'mapped_areas': np.array([3e6, 2e6, 0.0]),
    }
    return estimate_accuracy(SampledCounts(**(known | changes)))


def test_the_text_has_all_figures_with_intervals_in_hectares() -> None:
    accuracy = accuracy_of()
    text = str(accuracy)
    assert text.startswith('Overall accuracy 0.92')
    assert '119 units' in text
    rows = [line for line in text.splitlines() if line.startswith('0 forest, old')]
    assert '0.923 ± 0.065' in rows[0]
    assert rows[0].split()[-4:-3] == ['300'], 'mapped hectares'
    assert rows[1].split()[-3:] == ['60', '3', '2']
    assert accuracy.notes[-1] in text
    water = next(line for line in text.splitlines() if line.startswith('2 water'))
    # what the map never has, it cannot have right
    assert water.split()[2:6] == ['-', '0.000', '±', '0.000']
    assert water.endswith('*')


def test_text_of_a_design_without_intervals_has_none() -> None:
    text = str(accuracy_of(design='unknown', unit='pixels'))
    assert '±' not in text
    assert 'mapped area, pixels' in text


@pytest.mark.parametrize('design', ['stratified', 'census', 'unknown'])
def test_files_hold_the_figures(design: str, tmp_path: Path) -> None:
    accuracy = accuracy_of(design=design)
    write_json(accuracy, tmp_path / 'a.json')
    record = json.loads((tmp_path / 'a.json').read_text(encoding='utf-8'))
    assert record['overall_accuracy']['value'] == accuracy.overall.value
    assert np.sum(record['matrix_units']) == 119
    matrix = write_csv(accuracy, tmp_path / 'a.csv')
    with (tmp_path / 'a.csv').open(encoding='utf-8', newline='') as file:
        rows = {(row['value'], row['figure']): row for row in csv.DictReader(file)}
    with matrix.open(encoding='utf-8', newline='') as file:
        cells = list(csv.DictReader(file))
    assert [int(cell['units']) for cell in cells] == [60, 3, 2, 4, 50]
    assert cells[0]['map_name'] == 'forest, old'
    for one, written in zip(accuracy.classes, record['classes'], strict=True):
        key = str(one.map_class.value)
        assert rows[key, 'mapped_area']['unit'] == 'ha'
        assert float(rows[key, 'mapped_area']['estimate']) == one.mapped_area / 1e4
        for field, figure in (('iou', one.iou), ('area', one.area)):
            row, factor = rows[key, field], 1e-4 if field == 'area' else 1
            if figure is None or not figure.is_known:
                assert written[field] is None
                assert row['estimate'] == ''
                continue
            assert written[field]['value'] == float(row['estimate']) == figure.value * factor
            half = '' if figure.half_width is None else str(figure.half_width * factor)
            assert row['half_width'] == half


def test_files_are_replaced_only_when_told(tmp_path: Path) -> None:
    accuracy = accuracy_of()
    matrix = write_csv(accuracy, tmp_path / 'a.csv')
    (tmp_path / 'a.csv').unlink()
    with pytest.raises(FileExistsError, match=matrix.name):
        write_csv(accuracy, tmp_path / 'a.csv')
    assert not (tmp_path / 'a.csv').exists()
    write_csv(accuracy, tmp_path / 'a.csv', overwrite=True)


def test_a_reliability_curve_is_written_with_its_error(tmp_path: Path) -> None:
    accuracy = accuracy_of()
    calibration = Calibration(
        classes=accuracy.counts.classes,
        edges=np.array([0, 0.5, 1]),
        shares=np.array([[0.0, 1.0]] * 4),
        probabilities=np.array([[np.nan, 0.75]] * 4),
        frequencies=np.array([[np.nan, 0.5]] * 4),
        errors=np.full(4, 0.25),
        count=119,
    )
    judged = replace(accuracy, calibration=calibration)
    assert 'calibration error of the most probable class 0.250' in str(judged)
    write_json(judged, tmp_path / 'a.json')
    record = json.loads((tmp_path / 'a.json').read_text(encoding='utf-8'))['calibration']
    assert [curve['name'] for curve in record['curves']][1:] == list(accuracy.counts.strata)
    assert record['curves'][0]['probabilities'] == [None, 0.75]
    assert record['curves'][3]['expected_calibration_error'] == 0.25
