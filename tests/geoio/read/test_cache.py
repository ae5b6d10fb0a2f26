import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy
from rasterio.transform import from_origin

from gersp_geo.geoio.read.cache import (
    cache_folder,
    file_stamp,
    file_stamps,
    hash_stamps,
    recall,
    remember,
)


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
    for damaged in (file.read_bytes()[:3] + b'\xff', b'[' * 100_000):
        file.write_bytes(damaged)
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


def test_any_change_of_a_file_or_of_the_set_changes_the_hash(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ('a.tif', 'b.tif')]
    for file in files:
        Path(file).write_bytes(b'1')
    first = hash_stamps(files)
    assert hash_stamps(files) == first
    assert hash_stamps(files[:1]) != first
    os.utime(files[0], ns=(0, 0))
    second = hash_stamps(files)
    Path(files[0] + '.aux.xml').write_text('<PAMDataset/>')
    third = hash_stamps(files)
    Path(files[1]).write_bytes(b'12')
    assert len({first, second, third, hash_stamps(files)}) == 4
    assert hash_stamps([*files, 's3://bucket/c.tif']) is None
    assert file_stamp('s3://bucket/c.tif') is None


@pytest.mark.parametrize(
    'name',
    ['a.tif.msk', 'a.tif.ovr', 'a.tif.aux.xml', 'a.tif.aux', 'a.aux', 'a.tfw', 'a.wld', 'a.tab'],
)
def test_what_lies_beside_a_raster_belongs_to_its_content(name: str, tmp_path: Path) -> None:
    # as many as let the folder be listed, and fewer
    files = [str(tmp_path / 'a.tif'), *(str(tmp_path / f'{number}.tif') for number in range(40))]
    for file in files:
        Path(file).write_bytes(b'1')

    def seen() -> list[object]:
        assert file_stamps(files) == [file_stamp(file) for file in files]
        assert len({tuple(stamp or ()) for stamp in file_stamps(files[:1])}) == 1
        return [file_stamps(files)[0], file_stamps(files[:1])[0], hash_stamps(files[:1])]

    beside, before = tmp_path / name, seen()
    beside.write_bytes(b'1')
    added = seen()
    beside.write_bytes(b'12')
    changed = seen()
    for one, other in ((before, added), (added, changed), (before, changed)):
        assert all(a != b for a, b in zip(one, other, strict=True))
    beside.unlink()
    assert seen() == before


def test_another_kind_of_file_beside_gives_another_stamp(tmp_path: Path) -> None:
    file, stamps = tmp_path / 'a.tif', []
    file.write_bytes(b'1')
    for ending in ('.msk', '.ovr'):
        beside = Path(f'{file}{ending}')
        beside.write_bytes(b'1')
        os.utime(beside, ns=(0, 0))
        stamps.append(file_stamp(str(file)))
        beside.unlink()
    assert stamps[0] != stamps[1]


def test_a_part_of_a_vrt_and_its_mask_belong_to_the_content(tmp_path: Path) -> None:
    part, whole = tmp_path / 'part.tif', str(tmp_path / 'whole.vrt')
    with rasterio.open(
        part, 'w', driver='GTiff', count=1, height=4, width=4, dtype='uint8', crs='EPSG:32633',
        transform=from_origin(0, 0, 2, 2),
    ) as dst:  # fmt: skip
        dst.write(np.zeros((1, 4, 4), dtype='uint8'))
    copy(part, whole, driver='VRT')
    seen = [hash_stamps([whole])]
    Path(f'{part}.msk').write_bytes(b'1')
    seen.append(hash_stamps([whole]))
    os.utime(part, ns=(0, 0))
    seen.append(hash_stamps([whole]))
    part.unlink()
    assert hash_stamps([whole]) is None
    assert len(set(seen)) == 3


def test_a_setting_that_hides_files_is_remembered_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / 'a.tif'
    file.write_bytes(b'1')
    before = hash_stamps([str(file)])
    with rasterio.Env(GDAL_PAM_ENABLED=False):
        assert hash_stamps([str(file)]) != before
    monkeypatch.setenv('GDAL_DISABLE_READDIR_ON_OPEN', 'EMPTY_DIR')
    assert hash_stamps([str(file)]) != before
