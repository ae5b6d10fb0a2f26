from pathlib import Path

import pytest

from gersp_geo.datasets.folders import holds_chips
from gersp_geo.datasets.hidden import is_hidden, list_files
from gersp_geo.datasets.scene_names import find_rasters


@pytest.mark.parametrize(
    'name', ['.git', '._a.tif', '.DS_Store', '@eaDir', '__MACOSX', 'Thumbs.db']
)
def test_names_of_programs_are_hidden(name: str) -> None:
    assert is_hidden(name)


@pytest.mark.parametrize('name', ['a.tif', 'a.b', '_a', '@home', 'MACOSX', '#1', '2020.tif.d'])
def test_other_names_are_not(name: str) -> None:
    assert not is_hidden(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One raster that is meant, below a hidden folder, beside what programs leave."""
    place = tmp_path / '.data' / 'scenes'
    for name in (
        'a/b.tif', 'a/._b.tif', '.ipynb_checkpoints/b.tif', 'a/@eaDir/b.tif/thumb.png',
        '__MACOSX/b.tif', '.Trash-1000/files/c.tif',
    ):  # fmt: skip
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    return place


def test_what_is_hidden_is_not_listed(folder: Path) -> None:
    assert list(list_files(folder)) == [folder / 'a' / 'b.tif']
    assert find_rasters(folder) == [str(folder / 'a' / 'b.tif')]
    # thumbnails do not make it a folder of two kinds
    assert not holds_chips(folder)


def test_what_is_named_is_meant(folder: Path) -> None:
    hidden = folder / 'a' / '._b.tif'
    assert find_rasters([hidden]) == [str(hidden)]
    assert find_rasters(folder / '.ipynb_checkpoints')
    hidden.unlink()
    (folder / 'a' / 'b.tif').unlink()
    with pytest.raises(FileNotFoundError, match=r'no image .* in .*scenes'):
        find_rasters(folder)


def test_the_working_directory_is_a_folder_like_any_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / 'ab.tif').touch()
    monkeypatch.chdir(folder)
    assert sorted(list_files(Path())) == [Path('a/b.tif'), Path('ab.tif')]


def test_links_to_folders_are_followed_and_nothing_is_listed_twice(
    folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / 'elsewhere' / 'c'
    other.mkdir(parents=True)
    (other / 'd.tif').touch()
    (other / 'back').symlink_to(folder)
    (folder / 'a' / 'round').symlink_to(folder)
    (folder / 'a' / 'b2').symlink_to(folder / 'a')
    (folder / 'c').symlink_to(other)
    (folder / 'itself').symlink_to(folder / 'itself')
    (folder / 'e.tif').symlink_to(other / 'd.tif')
    names = [file.relative_to(folder).as_posix() for file in list_files(folder)]
    assert len(set(names)) == len(names)
    found = {name for name in names if name.endswith('.tif')}
    assert found == {'a/b.tif', 'c/d.tif', 'e.tif'}
