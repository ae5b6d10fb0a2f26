"""Laws of the page about objects: counts and curves are those of the figures, names stay text."""

import re
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from gersp_geo.accuracy.objects.figures import ClassObjects, ObjectAccuracy
from gersp_geo.main import main
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


def test_right_wrong_and_missed_objects_are_shown_on_their_scene(
    tmp_path: Path, read_page: Callable[[Path], Page], capsys: pytest.CaptureFixture[str]
) -> None:
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', height=100, width=120, count=3, dtype='uint8',
        crs='EPSG:32632', transform=rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000),
    ) as dst:  # fmt: skip
        dst.write(np.random.default_rng(0).integers(0, 255, (3, 100, 120), dtype=np.uint8))
    places = {'true': [(10, 10), (50, 50), (90, 90)], 'found': [(10, 10), (50, 10)]}
    for name, corners in places.items():
        boxes = [
            shapely.box(500_000 + x * 10, 5_000_000 - y * 10 - 80, 500_000 + x * 10 + 80, 5_000_000 - y * 10)
            for x, y in corners
        ]  # fmt: skip
        columns = {'class': ['<b>tank'] * len(boxes), 'score': [0.75, 0.5, 0.5][: len(boxes)]}
        frame = geopandas.GeoDataFrame(columns, geometry=boxes, crs='EPSG:32632').to_crs(4326)
        frame.to_file(tmp_path / f'{name}.gpkg')
    words = ['assess', str(tmp_path / 'found.gpkg'), '--reference', str(tmp_path / 'true.gpkg')]
    words += ['--attribute', 'class', '--scene', str(tmp_path / 'scene.tif')]
    words += ['--report', str(tmp_path / 'r.html')]
    assert main(words) == 1
    assert '--layers' in capsys.readouterr().err
    assert main([*words, '--layers', str(tmp_path / 'layers.gpkg')]) == 0
    page = read_page(tmp_path / 'r.html')
    # the scene, one that was made up and two that were missed
    assert page.tags.count('img') == 1 + 1 + 2
    assert 'Those with the highest scores that were made up, and the largest that were' in page.text
    # nothing is made up where all that is found is right
    everything = [
        str(tmp_path / 'found.gpkg') if word == str(tmp_path / 'true.gpkg') else word
        for word in words
    ]
    assert main([*everything, '--layers', str(tmp_path / 'layers.gpkg'), '--overwrite']) == 0
    assert 'Wrong objects' not in read_page(tmp_path / 'r.html').text
    assert '<b>tank made up, score 0.50, best IoU 0.00; row 14, column 54.' in page.text
    first, *_ = re.findall(r'<path class="tp" d="M([\d.]+) ([\d.]+)', page.html)
    # the upper right corner of the first box, on a picture that is larger than the scene
    scale = 600 / 120
    assert float(first[0]) / scale == pytest.approx(18, abs=0.5)
    assert float(first[1]) / scale == pytest.approx(18, abs=8.5)
