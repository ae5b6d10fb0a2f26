import os
from pathlib import Path

import pytest

from gersp_geo.geoio.remembering import cache_folder, file_stamp, fingerprint, recall, remember


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('GERSP_GEO_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


def test_a_value_is_recalled_under_its_kind_and_key_alone(folder: Path) -> None:
    remember('shares', 'a', [1.5, float('inf'), None])
    assert recall('shares', 'a') == [1.5, float('inf'), None]
    assert recall('shares', 'b') is None
    assert recall('headers', 'a') is None
    assert [path.parent.name for path in folder.rglob('*.json')] == ['shares']


def test_a_damaged_file_counts_as_nothing_remembered(folder: Path) -> None:
    remember('shares', 'a', [1.5])
    file = next(folder.rglob('*.json'))
    file.write_bytes(file.read_bytes()[:3] + b'\xff')
    assert recall('shares', 'a') is None
    remember('shares', 'a', [2.5])
    assert recall('shares', 'a') == [2.5]


def test_a_folder_that_cannot_be_written_is_a_warning_not_an_error(folder: Path) -> None:
    folder.write_text('a file where the folder should be')
    with pytest.warns(UserWarning, match='cannot be written .*set GERSP_GEO_CACHE'):
        remember('shares', 'a', 1)
    assert recall('shares', 'a') is None


def test_the_folder_follows_the_platforms_convention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('GERSP_GEO_CACHE')
    monkeypatch.setenv('XDG_CACHE_HOME', '/somewhere')
    assert cache_folder() == Path('/somewhere/gersp_geo')


def test_any_change_of_a_file_or_of_the_set_changes_the_fingerprint(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ('a.tif', 'b.tif')]
    for file in files:
        Path(file).write_bytes(b'1')
    first = fingerprint(files)
    assert fingerprint(files) == first
    assert fingerprint(files[:1]) != first
    os.utime(files[0], ns=(0, 0))
    second = fingerprint(files)
    Path(files[0] + '.aux.xml').write_text('<PAMDataset/>')
    third = fingerprint(files)
    Path(files[1]).write_bytes(b'12')
    assert len({first, second, third, fingerprint(files)}) == 4
    assert fingerprint([*files, 's3://bucket/c.tif']) is None
    assert file_stamp('s3://bucket/c.tif') is None
