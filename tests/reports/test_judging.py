import json
from pathlib import Path

import geopandas
import pytest
import shapely

from gersp_geo.main import main


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    boxes = [shapely.box(10 * place, 0, 10 * place + 5, 5) for place in range(4)]
    frame = geopandas.GeoDataFrame(
        {'score': [0.9, 0.8, 0.7, 0.6]}, geometry=boxes, crs='EPSG:32632'
    )
    frame.to_file(tmp_path / 'found.gpkg')
    frame[:3].drop(columns='score').to_file(tmp_path / 'true.gpkg')
    return tmp_path


def test_objects_are_judged_by_the_same_command(
    objects: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ['assess', str(objects / 'found.gpkg'), '--reference', str(objects / 'true.gpkg')]
    made = {kind: objects / f'a.{kind}' for kind in ('json', 'csv', 'html')}
    files = ['--json', str(made['json']), '--csv', str(made['csv']), '--report', str(made['html'])]
    assert main([*words, *files, '--layers', str(objects / 'layers.gpkg')]) == 0
    assert json.loads(made['json'].read_text())['classes'][0]['false_positives'] == 1
    assert len(made['csv'].read_text().splitlines()) >= 2
    assert (objects / 'layers.gpkg').exists()
    capsys.readouterr()
    assert main([*words, '--report', str(made['html'])]) == 1
    assert 'a.html exists' in capsys.readouterr().err
    assert main([*words, '--design', 'simple']) == 1
    assert 'design (--design) is of maps' in capsys.readouterr().err


@pytest.mark.parametrize('option', ['--json', '--csv', '--layers'])
def test_no_file_that_is_read_is_replaced(
    objects: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source, reference = objects / 'found.gpkg', objects / 'true.gpkg'
    before = [path.read_bytes() for path in (source, reference)]
    words = ['assess', str(source), '--reference', str(reference), '--overwrite', option]
    for path in (source, reference):
        assert main([*words, str(objects / '.' / path.name)]) == 1
        assert 'which is read; pass another path' in capsys.readouterr().err
    assert [path.read_bytes() for path in (source, reference)] == before


def test_two_files_are_not_written_to_one_place(
    objects: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ['assess', str(objects / 'found.gpkg'), '--reference', str(objects / 'true.gpkg')]
    assert main([*words, '--json', str(objects / 'a'), '--csv', str(objects / 'a')]) == 1
    assert 'two files would be written to' in capsys.readouterr().err
