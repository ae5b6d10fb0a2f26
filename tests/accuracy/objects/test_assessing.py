import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely

from gersp_geo.accuracy.objects import assess_objects
from gersp_geo.main import main

UTM = 32633


def write(
    path: Path, outlines: Sequence[shapely.Geometry | None], crs: Any = UTM, **columns: Any
) -> Path:
    frame = geopandas.GeoDataFrame(columns, geometry=list(outlines), crs=crs)
    if path.suffix == '.parquet':
        frame.to_parquet(path)
    else:
        frame.to_file(path, engine='pyogrio')
    return path


def squares(*corners: tuple[float, float], side: float = 10) -> list[shapely.Polygon]:
    x, y = 500_000, 5_000_000
    return [shapely.box(x + a, y + b, x + a + side, y + b + side) for a, b in corners]


def counts(found: Any) -> tuple[int, int, int]:
    total = found.total
    return total.true_positives, total.false_positives, total.false_negatives


@pytest.mark.quick('.geojson')
@pytest.mark.parametrize('suffix', ['.gpkg', '.geojson', '.parquet'])
def test_a_file_is_right_about_itself_in_any_format_and_crs(tmp_path: Path, suffix: str) -> None:
    there = squares(*((37.0 * i, 53.0 * i) for i in range(300)))
    reference = write(tmp_path / 'reference.gpkg', there, **{'class': [i % 3 for i in range(300)]})
    frame = geopandas.read_file(reference).to_crs(4326 if suffix == '.geojson' else 3035)
    names = {'class': frame['class'], 'score': np.linspace(0, 1, 300)}
    predicted = write(tmp_path / f'predicted{suffix}', frame.geometry, frame.crs, **names)
    found = assess_objects(predicted, reference)
    assert counts(found) == (300, 0, 0)
    assert [each.name for each in found.classes] == ['0', '1', '2']
    assert found.compared == 'outlines'
    assert found.total.ap50 == 1
    # GeoJSON of GDAL ends at 7 decimals, which is a centimetre
    assert found.total.ap == 1
    assert any('WGS 84 / UTM zone 33N' in note for note in found.notes)
    layers = tmp_path / 'seen.gpkg'
    assert counts(assess_objects(reference, predicted, layers=layers)) == (300, 0, 0)
    seen = geopandas.read_file(layers, layer='true_positive')
    np.testing.assert_allclose(seen.total_bounds, frame.total_bounds, rtol=1e-6)


def test_objects_are_right_wrong_or_missed_and_lie_in_layers(tmp_path: Path) -> None:
    # 1 and 2 are shown, 1 twice; 3 is of another class, 4 is missed
    reference = write(
        tmp_path / 'r.gpkg',
        squares((0, 0), (50, 0), (100, 0), (150, 0)),
        label=['a', 'a', 'b', 'b'],
    )
    predicted = write(
        tmp_path / 'p.gpkg',
        squares((0, 1), (0, 0), (50, 0), (100, 0), (300, 0)),
        class_name=['a', 'a', 'a', 'a', 'b'],
        score=['0.7', '0.9', '0.8', '0.6', '0.2'],
    )
    layers = tmp_path / 'seen.gpkg'
    found = assess_objects(predicted, reference, layers=layers)
    a, b = found.classes
    assert (a.name, a.true_positives, a.false_positives, a.false_negatives) == ('a', 2, 2, 0)
    assert (b.name, b.true_positives, b.false_positives, b.false_negatives) == ('b', 0, 1, 2)
    assert (a.precision, a.recall, a.ap50, b.ap50) == (0.5, 1, 1, 0)
    assert found.total.ap50 == 0.5
    right, wrong, missed = (
        geopandas.read_file(layers, layer=name)
        for name in ('true_positive', 'false_positive', 'false_negative')
    )
    assert sorted(right['score']) == [0.8, 0.9]
    assert right['iou'].to_list() == [1, 1]
    np.testing.assert_allclose(sorted(wrong['iou']), [0, 0, 9 / 11], atol=1e-9)
    assert missed['class'].to_list() == ['b', 'b']
    with pytest.raises(FileExistsError, match=r'seen\.gpkg'):
        assess_objects(predicted, reference, layers=layers)
    with pytest.raises(ValueError, match=r'would replace .*r\.gpkg, which is read'):
        assess_objects(predicted, reference, layers=reference, overwrite=True)
    better = assess_objects(predicted, reference, score_threshold=0.85)
    assert counts(better) == (1, 0, 3)
    assert better.total.ap50 == 0.5
    alike = assess_objects(predicted, reference, one_class=True)
    assert counts(alike) == (3, 2, 1)


def test_what_need_not_be_found_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    crowd = shapely.union_all(squares((0, 0), side=100))
    reference = write(
        tmp_path / 'r.parquet',
        [crowd, *squares((200, 0), (300, 0), (400, 0))],
        label=['a', 'a', None, 'a'],
        iscrowd=[1, 0, 0, 0],
        difficult=['0', 'True', None, 'false'],
    )
    predicted = write(
        tmp_path / 'p.parquet',
        squares((0, 0), (50, 50), (200, 0), (200, 1), (300, 0), (400, 0)),
        **{'class': ['a'] * 6, 'score': [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]},
    )
    found = assess_objects(predicted, reference)
    assert counts(found) == (1, 0, 0)
    assert (found.predicted_left_out, found.references_left_out) == (5, 3)
    assert found.total.ap50 == 1


def test_only_the_area_counts(tmp_path: Path) -> None:
    # the area ends at x = 100: one pair lies within, one across, each with its centre elsewhere
    reference = write(tmp_path / 'r.parquet', squares((0, 0), (94, 0), (500, 0)))
    predicted = write(
        tmp_path / 'p.parquet',
        squares((0, 0), (96, 0), (70, 0), (300, 0)),
        score=[0.9, 0.8, 0.7, 0.6],
    )
    area = write(tmp_path / 'a.parquet', squares((0, 0), side=100))
    assert counts(assess_objects(predicted, reference)) == (2, 2, 1)
    assert counts(assess_objects(predicted, reference, area=area)) == (2, 1, 0)
    empty = write(tmp_path / 'e.parquet', [], score=np.zeros(0))
    assert counts(assess_objects(empty, reference, area=area)) == (0, 0, 2)
    assert counts(assess_objects(predicted, empty, area=area)) == (0, 2, 0)


def test_the_antimeridian_and_longitudes_up_to_360_do_not_matter(tmp_path: Path) -> None:
    lefts = np.array([179.0, 179.9999, 180.5, 182.0])
    there = shapely.box(lefts, 10, lefts + 0.0003, 10.0003)
    predicted = write(tmp_path / 'p.parquet', there, 4326, score=[0.9] * 4)
    # one is cut, as GeoJSON wants it
    cut = shapely.MultiPolygon(
        [shapely.box(179.9999, 10, 180, 10.0003), shapely.box(-180, 10, -179.9998, 10.0003)]
    )
    beyond = shapely.box(lefts[2:] - 360, 10, lefts[2:] - 359.9997, 10.0003)
    reference = write(tmp_path / 'r.geojson', [there[0], cut, *beyond], 4326)
    for one, other in ((predicted, reference), (reference, predicted)):
        assert counts(assess_objects(one, other)) == (4, 0, 0)
    world = write(tmp_path / 'w.parquet', [shapely.box(-180, 0, 180, 80)], 4326)
    assert counts(assess_objects(predicted, reference, area=world)) == (4, 0, 0)
    plane = geopandas.read_parquet(predicted).to_crs(32760)
    moved = write(tmp_path / 'm.gpkg', plane.geometry, plane.crs)
    assert counts(assess_objects(moved, reference)) == (4, 0, 0)


def test_boxes_are_compared_with_the_boxes_around_other_shapes(tmp_path: Path) -> None:
    boxes = squares((0, 0), (50, 0), (100, 0))
    discs = [box.centroid.buffer(5, quad_segs=16) for box in boxes]
    predicted = write(tmp_path / 'p.parquet', boxes, score=[0.9] * 3)
    reference = write(tmp_path / 'r.parquet', discs)
    found = assess_objects(predicted, reference)
    assert found.compared == 'boxes'
    assert found.total.ap == 1
    # a disc covers pi / 4 of its box: right up to an IoU of 0.75
    assert assess_objects(predicted, reference, compare='outlines').total.ap == pytest.approx(0.6)


def test_nothing_found_is_said_and_no_figure_is_made_up(tmp_path: Path) -> None:
    reference = write(tmp_path / 'r.gpkg', squares((0, 0), (50, 0)), category=[1, 2])
    predicted = write(tmp_path / 'p.gpkg', [], score=np.zeros(0), **{'class': np.zeros(0)})
    found = assess_objects(predicted, reference)
    assert counts(found) == (0, 0, 2)
    assert np.isnan(found.total.precision)
    assert found.total.ap == 0
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told['total']['precision'] is None
    head, *rows = str(found).splitlines()
    assert head.split()[:3] == ['class', 'reference', 'TP']
    assert rows[0].split() == ['1', '1', '0', '0', '1', '-', '0.000', '0.000', '0.000', '0.000']


def test_outlines_that_cross_themselves_or_lie_twice_count(tmp_path: Path) -> None:
    (square,) = squares((0, 0))
    x, y = square.bounds[:2]
    bow = shapely.Polygon([(x, y), (x + 10, y + 10), (x + 10, y), (x, y + 10)])
    predicted = write(tmp_path / 'p.gpkg', [bow, None], score=[1.0, 0.5])
    reference = write(tmp_path / 'r.gpkg', [square, square])
    found = assess_objects(predicted, reference, compare='outlines')
    assert counts(found) == (1, 0, 1)
    for words in ('1 features', '1 objects of'):
        assert any(note.startswith(words) for note in found.notes)


@pytest.mark.parametrize(('seed', 'longitude', 'latitude'), [(0, 10.3, 50), (1, -180, 0)])
def test_counts_add_up_and_do_not_depend_on_the_crs(
    tmp_path: Path, seed: int, longitude: float, latitude: float
) -> None:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 100, (12, 2))
    sides = random.uniform(8, 20, (12, 2))
    boxes = shapely.box(*corners.T, *(corners + sides).T)
    labels, scores = random.choice(['a', 'b'], 12), random.random(12)
    local = f'+proj=tmerc +lon_0={longitude} +lat_0={latitude} +datum=WGS84'
    known = write(tmp_path / 'r.parquet', boxes[:5], local, label=labels[:5])
    told = {'class': labels[5:], 'score': scores[5:]}
    here = write(tmp_path / 'p.parquet', boxes[5:], local, **told)
    elsewhere = geopandas.read_parquet(here).to_crs(4326)
    there = write(tmp_path / 'd.parquet', elsewhere.geometry, 4326, **told)
    found, again = assess_objects(here, known), assess_objects(there, known)
    right, wrong, missed = counts(found)
    assert (right + wrong, right + missed) == (7, 5)
    assert counts(again) == (right, wrong, missed)
    np.testing.assert_allclose(
        again.total.precision_at_recall, found.total.precision_at_recall, atol=1e-9
    )


LOCAL = 'LOCAL_CS["here",UNIT["metre",1]]'
GROUND = squares((0, 0), (50, 0))


@pytest.mark.parametrize(
    ('predicted', 'reference', 'options', 'message'),
    [
        ({}, {}, {'iou_threshold': 0}, r'iou_threshold must be in \(0, 1\], got 0'),
        ({}, {}, {'compare': 'hulls'}, "compare must be .* got 'hulls'"),
        ({}, {}, {'layers': 'seen.shp'}, r'GeoPackage \(\.gpkg\), got seen\.shp'),
        ({}, {}, {'attribute': 'kind'}, "no attribute 'kind'"),
        ({'score': [0.5, None]}, {}, {}, '1 of 2 in .* the first is feature 2'),
        ({'label': ['a', 'a']}, {'label': ['b', 'c']}, {}, r'no class is in both.*a, .*b, c'),
        ({'label': ['a', None]}, {'label': ['a', 'b']}, {}, '1 of 2 in .* have none'),
        ({}, {'label': ['a', 'b']}, {}, r'p\.parquet has no class .* has 2: a, b'),
        ({}, {'difficult': ['0', 'maybe']}, {}, 'must hold 0 or 1, got maybe'),
        ({'x': 10_000}, {}, {}, 'lies near .* 510000 to 510060 .* 500000 to 500060'),
        ({'geometry': shapely.centroid(GROUND)}, {}, {}, 'boxes or polygons, got Point'),
        ({}, {'crs': LOCAL}, {}, r'nothing leads from the CRS of .*33N, to that of .*, here; give'),
        ({}, {'crs': 2193}, {}, r'has no numbers; reproject the latter|lies near'),
        ({}, {'geometry': [None, None]}, {}, r'no feature of .*r\.parquet has an outline'),
        ({}, {'geometry': []}, {}, r'r\.parquet holds no feature'),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_refused_in_one_line(
    tmp_path: Path,
    predicted: dict[str, Any],
    reference: dict[str, Any],
    options: dict[str, Any],
    message: str,
) -> None:
    files = []
    for name, told in (('p.parquet', dict(predicted)), ('r.parquet', dict(reference))):
        moved = [shapely.affinity.translate(each, told.get('x', 0)) for each in GROUND]
        told.pop('x', None)
        files.append(write(tmp_path / name, told.pop('geometry', moved), **told))
    with pytest.raises(ValueError, match=message) as caught:
        assess_objects(files[0], files[1], **options)
    assert '\n' not in str(caught.value)


def test_the_command_writes_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = write(tmp_path / 'r.gpkg', GROUND, label=['a', 'b'])
    predicted = write(tmp_path / 'p.gpkg', GROUND, label=['a', 'a'], score=[0.9, 0.2])
    told, options = tmp_path / 'told.json', ['--one-class', '--score-threshold', '0.5']
    command = ['assess', str(predicted), '--reference', str(reference), '--json', str(told)]
    assert main([*command, *options, '--iou-threshold', '0.7', '--compare', 'boxes']) == 0
    assert 'right from an IoU of 0.7, scores: >= 0.5' in capsys.readouterr().out
    total = json.loads(told.read_text())['total']
    assert (total['true_positives'], total['false_negatives'], total['ap50']) == (1, 1, 1)


LARGE = """
import resource, sys
from gersp_geo.accuracy.objects import assess_objects
found = assess_objects(sys.argv[1], sys.argv[2])
print(found.total.true_positives, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_hundred_thousand_objects_take_less_than_a_gibibyte(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 20_000, (100_000, 2))
    sides = random.uniform(5, 30, (100_000, 2))
    boxes = shapely.box(*corners.T, *(corners + sides).T)
    reference = write(tmp_path / 'r.gpkg', boxes)
    predicted = write(tmp_path / 'p.gpkg', boxes, score=random.random(100_000))
    run = [sys.executable, '-c', LARGE, str(predicted), str(reference)]
    right, kibibytes = subprocess.run(
        run, check=True, capture_output=True, text=True
    ).stdout.split()
    assert int(right) == 100_000
    assert int(kibibytes) < 2**20
