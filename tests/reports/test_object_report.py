"""Laws of the page about objects: counts and curves are those of the figures, names stay text."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gersp_geo.accuracy.objects.figures import ClassObjects, ObjectAccuracy
from gersp_geo.reports import write_object_report

from .conftest import Page


def class_objects(name: str, right: int, wrong: int, missed: int) -> ClassObjects:
    precision = np.full((10, 101), 0.75 if right + missed else np.nan)
    return ClassObjects(
        name=name, true_positives=right, false_positives=wrong, false_negatives=missed,
        precision_at_recall=precision,
    )  # fmt: skip


@pytest.mark.parametrize('known', [True, False])
def test_figures_and_curves_are_on_the_page(
    known: bool, tmp_path: Path, read_page: Callable[[Path], Page]
) -> None:
    first = class_objects('<i>tank', 6, 2, 4) if known else class_objects('<i>tank', 0, 8, 0)
    accuracy = ObjectAccuracy(
        predicted='found.gpkg', reference='true.gpkg', compared='boxes', iou_threshold=0.5,
        score_threshold=None, classes=(first, class_objects('silo', 0, 1, 0)),
        predicted_left_out=3, references_left_out=2, notes=('Said <so>.',),
    )  # fmt: skip
    page = read_page(write_object_report(accuracy, tmp_path / 'r.html'))
    curves = page.html.count('<polyline class="curve"')
    if known:
        assert 'Of 10 objects of the reference, 6 were found and 4 missed; 3 predicted' in page.text
        assert '<i>tank10642' in page.text.replace(' ', '')
        # one class has objects, at two thresholds
        assert curves == 2
    else:
        assert 'Average precision – %' in page.text
        assert 'The reference has no objects.' in page.text
        assert curves == 0
    assert 'Said <so>.' in page.text
