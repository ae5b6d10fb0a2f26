"""What a name means, for prediction and training alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gersp_geo.datasets.folders import find_images, holds_chips
from gersp_geo.datasets.scene_names import find_rasters, names_one
from gersp_geo.geoio.storage import settings
from tests.geoio.object_store import Store, serve_objects

FILES = (
    'f/b.tif', 'f/a.TIF', 'f/scene[1].tif', 'f/sub/c_rgb.tif', 'f/sub/deep/d_rgb.tif', 'g/b.tif',
    'dir[1]/z.tif', 'p/1.png', 'p/2.jpg', 'grids/e.asc', 'year:2020.tif',
)  # fmt: skip
# what belongs to rasters, to programs, or to nobody
BESIDE = (
    'f/b.tif.msk', 'f/b.tif.ovr', 'f/b.tif.aux.xml', 'f/notes.md', 'f/.a.tif', 'f/.hidden/e_rgb.tif',
    'f/@eaDir/c_rgb.tif', 'grids/e.asc.aux.xml',
)  # fmt: skip
ALL = ['f/a.TIF', 'f/b.tif', 'f/scene[1].tif', 'f/sub/c_rgb.tif', 'f/sub/deep/d_rgb.tif']


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*FILES, *BESIDE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'f' / 'folder.tif').mkdir()
    (tmp_path / 'empty').mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ('name', 'files'),
    [
        ('f/b.tif', ['f/b.tif']),
        ('f', ALL),
        ('f/', ALL),
        ('f/*.tif', ['f/b.tif', 'f/scene[1].tif']),
        ('f/*', ALL[:3]),
        ('f/b.tif*', ['f/b.tif']),
        ('f/**', ALL),
        ('f/**/*_rgb.tif', ALL[3:]),
        # where no file follows, folders count
        ('?/sub', ALL[3:]),
        # a slash at the end is that of folders
        ('f/*/', ALL[3:]),
        ('f/**/.hidden/*.tif', ['f/.hidden/e_rgb.tif']),
        ('f/.hidden/*.tif', ['f/.hidden/e_rgb.tif']),
        ('f/@eaDir/*.tif', ['f/@eaDir/c_rgb.tif']),
        ('f/scene[1].tif', ['f/scene[1].tif']),
        ('year:2020.tif', ['year:2020.tif']),
        ('dir[1]', ['dir[1]/z.tif']),
        ('dir[1]/*.tif', ['dir[1]/z.tif']),
        ('p', ['p/1.png', 'p/2.jpg']),
        ('grids/e.asc', ['grids/e.asc']),
        # the pattern says how they end
        ('grids/*.asc', ['grids/e.asc']),
        ('s3://bucket/a.tif', ['s3://bucket/a.tif']),
        ('https://host/*.tif', ['https://host/*.tif']),
        ('/vsizip/a.zip/b.tif', ['/vsizip/a.zip/b.tif']),
        ('NETCDF:"a.nc":b', ['NETCDF:"a.nc":b']),
    ],
)
def test_a_name_means_files(name: str, files: list[str]) -> None:
    assert find_rasters(name) == find_rasters([Path(name)] if '/' not in name else [name]) == files


@pytest.mark.parametrize(
    'names',
    [
        ['f/b.tif', './f/b.tif'],
        ['f/b.tif', 'f/../f/b.tif', 'f/*b.tif'],
        ['link/b.tif', 'f/b.tif'],
        ['year:2020.tif', './year:2020.tif', '*.tif'],
        ['s3://bucket/b.tif', '/vsis3/bucket/b.tif'],
    ],
)
def test_a_file_that_is_named_twice_counts_once(names: list[str], tmp_path: Path) -> None:
    (tmp_path / 'link').symlink_to(tmp_path / 'f')
    names = [*names, str(tmp_path / names[0])] if 's3' not in names[0] else names
    assert find_rasters(names) == names[:1]


def test_links_to_folders_above_end(tmp_path: Path) -> None:
    for name in ('f/up', 'f/sub/up', 'f/sub/deep/up'):
        (tmp_path / name).symlink_to(tmp_path / 'f')
    for name in ('f', 'f/**', 'f/**/*.[tT]*', 'f/**/**/*'):
        assert find_rasters(name) == ALL


def test_the_order_is_that_of_the_names_and_not_that_of_the_words() -> None:
    words = ['g/b.tif', 'f', 'dir[1]/*.tif']
    assert find_rasters(words) == find_rasters(words[::-1]) == ['dir[1]/z.tif', *ALL, 'g/b.tif']


def test_a_list_means_what_its_lines_mean(tmp_path: Path) -> None:
    lines = '\ufefff/b.tif\r\n\r\n  dir[1]/*.tif\nf/sub\ns3://bucket/a.tif'
    (tmp_path / 'some.TXT').write_text(lines, encoding='utf-8')
    expected = ['dir[1]/z.tif', 'f/b.tif', *ALL[3:], 's3://bucket/a.tif']
    assert find_rasters('some.TXT') == expected
    assert find_rasters(['some.TXT', 'g/b.tif']) == sorted([*expected, 'g/b.tif'])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (b'f/b.tif\n\nno.tif\n', r'no\.tif does not exist \(line 3 of some\.txt\); check the path'),
        (b'f/*.jp2', r'no image follows the pattern f/\*\.jp2 \(line 1 of some\.txt\)'),
        (b'some.txt', r'some\.txt is a list in a list \(line 1 of some\.txt\); name its files'),
        (b' \n', r'some\.txt lists no name; write one per line'),
        (b'II*\x00\xff', r'some\.txt must list names in UTF-8, one per line'),
        (b'f/b.tif.msk', r'belongs to f/b\.tif \(line 1 of some\.txt\)'),
    ],
)
def test_a_list_is_refused_with_the_line_that_is_wrong(
    text: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / 'some.txt').write_bytes(text)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        find_rasters('some.txt')


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('', 'an empty name does not exist'),
        ('no.tif', r'no\.tif does not exist; check the path'),
        ('f/*.jp2', r'no image follows the pattern f/\*\.jp2; check the path'),
        ('f/*.msk', 'no image follows'),
        ('empty', r'no image \(\.tif, .*\) in empty; name a folder that holds some'),
        ('empt?', 'no image follows'),
        ('f/b.tif.msk', r'f/b\.tif\.msk is no image, but belongs to f/b\.tif; leave it out'),
        ('f/b.tif.aux.xml', 'leave it out, or quote the pattern'),
    ],
)
def test_what_means_no_file_is_refused(name: str, message: str) -> None:
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        find_rasters(['g', name])


def test_no_name_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match='name at least one'):
        find_rasters([])


def test_pictures_beside_rasters_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / 'f' / 'quicklook.png').touch()
    for name in ('f', 'f/**', '[f]', '[f]/**'):
        with pytest.warns(UserWarning, match=r'1 such as f/quicklook\.png, which are not'):
            assert find_rasters(name) == ALL
    with pytest.raises(ValueError, match=r'holds both images \(\.png\) and GeoTIFFs \(\.tif\)'):
        holds_chips('f')


def test_quicklooks_are_not_trained_on_in_place_of_the_rasters_beside_them(tmp_path: Path) -> None:
    for name in ('B02.jp2', 'preview.jpg'):
        (tmp_path / 'empty' / name).touch()
    with pytest.raises(ValueError, match=r'both images \(\.jpg\) and GeoTIFFs \(\.jp2\)'):
        holds_chips('empty')


@pytest.mark.parametrize('name', ['p', 'p/*', 'p/[12].*', 'chips.txt'])
def test_chips_are_named_as_rasters_are(name: str, tmp_path: Path) -> None:
    (tmp_path / 'chips.txt').write_text('p/2.jpg\np/1.png')
    assert holds_chips(name)
    assert find_images(name) == [Path('p/1.png'), Path('p/2.jpg')]
    assert not holds_chips('f/**/*_rgb.tif')


@pytest.mark.parametrize('name', ['f', 'f/**/*.tif', '.', '**/*.tif'])
@pytest.mark.parametrize('results', ['f/sub', Path('f/../f/sub/')])
def test_results_in_the_folder_that_is_searched_are_no_scenes(
    name: str, results: str | Path, tmp_path: Path
) -> None:
    assert ALL[3] not in find_rasters(name, without=[results])
    assert 'f/b.tif' in find_rasters(name, without=[results])
    # what is named is meant, and so is a folder into which results go
    assert find_rasters(ALL[3], without=[results]) == [ALL[3]]
    for inside in ('f/sub', 'f/sub/*.tif'):
        assert ALL[3] in find_rasters(inside, without=[results, 'f', tmp_path])


@pytest.mark.parametrize('name', ['p', 'p/**', 'p*', 'p/*'])
@pytest.mark.parametrize('results', ['p/maps', 'maps'])
def test_results_do_not_hide_pictures_nor_get_in_by_a_link(
    name: str, results: str, tmp_path: Path
) -> None:
    (tmp_path / results).mkdir()
    (tmp_path / results / '1.tif').touch()
    if results == 'maps':
        (tmp_path / 'p' / 'last').symlink_to(tmp_path / 'maps')
    assert find_rasters(name, without=[results]) == ['p/1.png', 'p/2.jpg']


@pytest.mark.parametrize('name', ['f/b.tif', 'f/scene[1].tif', 's3://b/a.tif', 'NETCDF:"a.nc":b'])
def test_a_file_is_one(name: str) -> None:
    assert names_one(name)
    assert not names_one([name, name])


@pytest.mark.parametrize('name', ['f', 'f/*.tif', 's3://b/', 'one.txt'])
def test_what_may_mean_several_is_not_one(name: str, tmp_path: Path) -> None:
    (tmp_path / 'one.txt').write_text('f/b.tif')
    assert not names_one([name])


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    pytest.importorskip('obstore')
    monkeypatch.setattr(settings, 'RETRIES', 1)
    with serve_objects(monkeypatch) as served:
        yield served


def test_a_folder_of_a_store_is_one_as_on_a_disk(store: Store) -> None:
    store.objects |= dict.fromkeys((*FILES, *BESIDE), b'')
    expected = [f's3://bucket/{name}' for name in ALL]
    assert find_rasters('s3://bucket/f/') == expected
    for results in ('s3://bucket/f/sub', Path('s3://bucket/f/sub')):
        assert find_rasters('s3://bucket/f/', without=[results]) == expected[:3]
    with pytest.raises(FileNotFoundError, match=r'no image .* in s3://bucket/empty/'):
        find_rasters('s3://bucket/empty/')
