"""Places where nothing can be written are refused before any work; a full disk loses nothing."""

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from rasterio.transform import from_origin

from gersp_geo.geoio.write.atomic import check_writable, new_file
from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference.options import MapOptions
from gersp_geo.main import main

# of the options, those of how a map is cut into parts
DEFAULTS: dict[str, Any] = MapOptions.__init__.__kwdefaults__ or {}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory, small_checkpoint: Path) -> Path:
    """A small model, and a scene of 320 rows."""
    folder = tmp_path_factory.mktemp('disk')
    shutil.copyfile(small_checkpoint, folder / 'model.ckpt')
    pixels = np.random.default_rng(0).integers(1, 255, (3, 320, 256), dtype=np.uint8)
    transform = from_origin(4e5, 5e6, 10, 10)
    write_raster(folder / 'scene.tif', pixels, crs='EPSG:32633', transform=transform)
    return folder


def ask(command: str, folder: Path, destination: str | Path, *words: str | Path) -> tuple[int, str]:
    """Run a command; return exit code and error stream."""
    line = [command, folder / 'model.ckpt', folder / 'scene.tif', '-o', destination, *words]
    line += ['--size', '64', '--device', 'cpu', '--no-progress', '--output', 'probabilities']
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stderr(io.StringIO()) as error,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        patch.setitem(DEFAULTS, 'part_pixels', 1)
        code = main([str(word) for word in line])
    return code, error.getvalue()


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the model is work, which a refusal comes before."""

    def load(*arguments: object, **options: object) -> None:
        raise AssertionError('the model was loaded')

    monkeypatch.setattr('gersp_geo.inference.outputs.output.load_model', load)


BAD = {
    'a file in the way': ('file/map.tif', 'file is a file'),
    'a file higher up': ('file/further/map.tif', 'file is a file'),
    'a long name': ('x' * 244 + '.tif', 'is too long a name'),
    'letters of two bytes': ('\u00e4' * 124 + '.tif', 'is too long a name'),
    'a long folder': ('y' * 300 + '/map.tif', 'too long'),
    'a long path': ('z/' * 2500 + 'map.tif', 'too long'),
    'a read-only folder': ('locked/map.tif', 'locked cannot be written to'),
}


@pytest.mark.usefixtures('no_model')
@pytest.mark.parametrize('command', ['plan', 'predict'])
@pytest.mark.parametrize('case', BAD)
def test_a_place_where_nothing_can_be_written(
    case: str, command: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'file').write_text('mine')
    (tmp_path / 'locked').mkdir()
    access = os.access
    # the rights of files do not bind an administrator, so that the system's answer is made up
    monkeypatch.setattr(os, 'access', lambda p, mode: p != tmp_path / 'locked' and access(p, mode))
    name, message = BAD[case]
    code, error = ask(command, folder, f'{tmp_path}/{name}')
    assert (code, error.count('\n')) == (1, 1)
    assert message in error
    assert 'pass a' in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ['file', 'locked']


@pytest.mark.usefixtures('no_model')
@pytest.mark.parametrize('option', ['--probabilities', '--preview'])
def test_so_it_is_with_what_is_made_beside_a_map(option: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('mine')
    beside = tmp_path / 'file' / ('p.tif' if option == '--probabilities' else 'p.png')
    code, error = ask('predict', folder, tmp_path / 'map.tif', option, beside)
    assert (code, error.count('\n')) == (1, 1)
    assert 'file is a file' in error


def test_the_longest_name_that_is_taken_can_be_made(folder: Path, tmp_path: Path) -> None:
    longest = os.pathconf(tmp_path, 'PC_NAME_MAX') - len('.aux.xml')
    final = tmp_path / ('m' * (longest - 4) + '.tif')
    check_writable(final)
    with new_file(final) as temporary:
        temporary.with_name(f'{temporary.name}.aux.xml').touch()
        temporary.touch()
    assert final.exists()
    with pytest.raises(OSError, match='is too long a name'):
        check_writable(tmp_path / f'm{final.name}')
    assert ask('predict', folder, final, '--overwrite') == (0, '')


@pytest.mark.parametrize('size', [500, 20_000, 60_000])
def test_a_disk_that_fills_up_in_the_middle(
    size: int,
    small_disk: Callable[[int], AbstractContextManager[None]],
    folder: Path,
    tmp_path: Path,
) -> None:
    assert ask('predict', folder, tmp_path / 'whole.tif') == (0, '')
    with small_disk(size):
        code, error = ask('predict', folder, tmp_path / 'map.tif')
    assert (code, error.count('\n')) == (1, 1)
    assert 'map.tif is not complete' in error
    assert f'are free in {tmp_path}' in error
    assert 'the same command goes on' in error
    assert not (tmp_path / 'map.tif').exists()
    assert ask('predict', folder, tmp_path / 'map.tif') == (0, '')
    assert (tmp_path / 'map.tif').read_bytes() == (tmp_path / 'whole.tif').read_bytes()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_too_little_room_is_known_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: Usage(10**6, 10**6 - 100, 100))
    code, error = ask('predict', folder, tmp_path / 'map.tif')
    assert (code, error.count('\n')) == (1, 1)
    assert 'takes at least 4.0 KiB, and 100 bytes are free' in error
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: Usage(10**6, 10**6 - 10**5, 10**5))
    with pytest.warns(UserWarning, match=r'before compression, and 97\.7 KiB are free'):
        code, error = ask('predict', folder, tmp_path / 'map.tif')
    assert (code, error) == (0, '')


def test_a_name_that_is_too_long_for_polygons_is_told_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = tmp_path / 'classes.tif'
    transform = from_origin(500000, 5000000, 10, 10)
    write_raster(classes, np.ones((1, 8, 8), dtype='uint8'), crs='EPSG:32633', transform=transform)
    # it fits, and what is made beside it does not
    name = f'{"p" * 244}.gpkg'
    assert main(['polygons', str(classes), '-o', str(tmp_path / name), '--no-progress']) == 1
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert 'is too long a name' in error
    assert [path.name for path in tmp_path.iterdir()] == ['classes.tif']
