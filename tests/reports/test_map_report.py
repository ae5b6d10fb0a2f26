"""Laws of the page about a map: it says what was found, and what a design does not support."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from gersp_geo.accuracy.disagreements import choose_disagreements
from gersp_geo.accuracy.estimators import estimate_accuracy
from gersp_geo.accuracy.figures import Accuracy, Calibration, Design, MapClass, SampledCounts
from gersp_geo.reports import write_map_report
from gersp_geo.reports.map_pictures import paint_values

from .conftest import Page

type Read = Callable[[Path], Page]

CLASSES = tuple(
    MapClass(value=value, name=name, color=color)
    for value, name, color in (
        (1, 'deforestation', (200, 40, 40)),
        (2, '<gain> & "more"', (40, 200, 40)),
        (5, 'stable forest', (0, 90, 20)),
        (9, 'stable non-forest', (220, 210, 120)),
    )
)
# Olofsson et al. (2014), section 5: pixels of 30 m
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])


def judge(design: Design) -> Accuracy:
    areas = PIXELS * 900.0
    counts = np.zeros((4, 4, 4), dtype=np.int64)
    counts[range(4), range(4)] = COUNTS
    if design != 'stratified':
        counts, strata = counts.sum(axis=0, keepdims=True), areas.sum(keepdims=True)
    else:
        strata = areas
    return estimate_accuracy(
        SampledCounts(
            design=design, classes=CLASSES, strata=tuple(c.name for c in CLASSES)[: len(strata)],
            counts=counts, stratum_areas=strata, mapped_areas=areas, notes=('Found <this>.',),
        )
    )  # fmt: skip


@pytest.fixture
def land(tmp_path: Path) -> Path:
    """A map in degrees, south up and larger than a chip, and a scene in metres that covers a part."""
    rng = np.random.default_rng(0)
    values = rng.choice([1, 2, 5, 9, 0], size=(70, 90)).astype(np.uint8)
    south_up = rasterio.Affine(1e-4, 0, 9, 0, 1e-4, 45)
    with rasterio.open(
        tmp_path / 'map.tif', 'w', driver='GTiff', height=70, width=90, count=1, dtype='uint8',
        crs='EPSG:4326', transform=south_up, nodata=0,
    ) as dst:  # fmt: skip
        dst.write(values, 1)
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', height=50, width=60, count=4, dtype='float32',
        crs='EPSG:32632', transform=rasterio.Affine(10, 0, 499_900, 0, -10, 4_984_000),
    ) as dst:  # fmt: skip
        dst.write(rng.normal(size=(4, 50, 60)).astype(np.float32))
    return tmp_path


def test_the_worked_example_is_on_the_page(land: Path, read_page: Read) -> None:
    accuracy = judge('stratified')
    path = write_map_report(accuracy, land / 'r.html', map_path=land / 'map.tif')
    page = read_page(path)
    for text in (
        'Overall accuracy 94.7 %', '640 units, drawn at random within strata (4 strata)',
        '88.0 ± 7.4', '74.9 ± 21.3*', '21,158 ± 6,158', '11,686 ± 3,756', '285,770 ± 15,510',
        '18,000', '<gain> & "more"', 'Found <this>.', 'Olofsson',
    ):  # fmt: skip
        assert text in page.text
    assert 'gain' not in page.tags


@pytest.mark.parametrize('design', ['simple', 'census', 'unknown'])
def test_a_page_gives_no_more_than_its_design(design: Design, land: Path, read_page: Read) -> None:
    path = write_map_report(judge(design), land / 'r.html', map_path=land / 'map.tif')
    text = read_page(path).text
    assert ('±' in text.split('How this was computed')[0]) == (design == 'simple')
    assert ('Shares of the area' in text) == (design != 'unknown')
    assert ('does not support error-adjusted areas' in text) == (design == 'unknown')


def test_disagreements_are_shown_on_map_and_scene(land: Path, read_page: Read) -> None:
    rows, cols = np.array([0, 69, 35, 40]), np.array([0, 89, 45, 10])
    worst = choose_disagreements(
        rows=rows, cols=cols, mapped=np.array([0, 1, 2, 3]), reference=np.array([1, 0, 2, 2]),
        weights=np.array([1e4, 5e4, 9e9, np.nan]), classes=CLASSES,
    )  # fmt: skip
    assert [(one.row, one.weight) for one in worst[:2]] == [(69, 5e4), (0, 1e4)]
    calibration = Calibration(
        classes=CLASSES[:1], edges=np.linspace(0, 1, 3), shares=np.full((2, 2), 0.5),
        probabilities=np.array([[0.2, 0.8], [np.nan, 0.6]]), frequencies=np.full((2, 2), 0.5),
        errors=np.array([0.3, 0.1]), count=77,
    )  # fmt: skip
    accuracy = replace(judge('simple'), disagreements=worst, calibration=calibration)
    path = write_map_report(
        accuracy, land / 'r.html', map_path=land / 'map.tif', scene=land / 'scene.tif'
    )
    page = read_page(path)
    # map and scene, and both around each of three pixels
    assert page.tags.count('img') == 2 + 2 * 3
    assert 'row 69, column 89, stands for 5.000 ha' in page.text
    assert 'weighted by the area that its units stand for, over 77 units' in page.text
    # places at random of a census stand for their confusion, and others for nothing
    stand: dict[Design, str] = {
        'census': 'column 89, of 5.000 ha with this confusion.',
        'unknown': 'column 89.',
    }
    for design, said in stand.items():
        judged = replace(judge(design), disagreements=worst)
        write_map_report(judged, path, map_path=land / 'map.tif', overwrite=True)
        text = read_page(path).text
        assert f'row 69, {said}' in text
        assert 'stands for' not in text
    with pytest.raises(FileExistsError):
        write_map_report(accuracy, path, map_path=land / 'map.tif')


def test_classes_have_their_colours_and_nothing_else_has() -> None:
    values = np.array([[1, 9, 7, 5]])
    painted = paint_values(values, np.array([[True, True, True, False]]), CLASSES)
    assert painted[0].tolist() == [
        list(CLASSES[0].color), list(CLASSES[3].color), [255] * 3, [217] * 3,
    ]  # fmt: skip


def test_the_heaviest_disagreements_come_first_and_few_of_one_kind() -> None:
    rng = np.random.default_rng(0)
    mapped, reference = rng.integers(0, 3, (2, 200))
    weights = rng.random(200)
    chosen = choose_disagreements(
        rows=np.arange(200) * 9, cols=np.zeros(200, dtype=int), mapped=mapped, reference=reference,
        weights=weights, classes=CLASSES,
    )  # fmt: skip
    assert len(chosen) == 12
    assert [one.weight for one in chosen] == sorted((one.weight for one in chosen), reverse=True)
    pairs = [(one.map_class.value, one.reference_class.value) for one in chosen]
    assert all(a != b and pairs.count((a, b)) <= 3 for a, b in pairs)
    assert chosen[0].weight == weights[mapped != reference].max()
    # none is to be seen beside another
    assert np.diff(sorted(one.row for one in chosen)).min() >= 24
