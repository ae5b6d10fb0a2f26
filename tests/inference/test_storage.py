"""Scenes in a store, and results that become objects there, through the command."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from gersp_geo.geoio.storage import settings
from gersp_geo.inference import predict_geotiff
from gersp_geo.main import main
from tests.geoio.object_store import Store, serve_objects

OPTIONS = ('--size', '32', '--overlap', '8', '--no-progress', '--runtime', 'eager')

type Run = Callable[..., tuple[int, str]]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    pytest.importorskip('obstore')
    monkeypatch.setattr(settings, 'RETRIES', 1)
    with serve_objects(monkeypatch) as served:
        yield served


@pytest.fixture
def run(
    small_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a command in an empty folder; gives its status, and all that it says."""
    monkeypatch.chdir(tmp_path)

    def run(
        *words: str, command: str = 'predict', options: tuple[str, ...] = OPTIONS
    ) -> tuple[int, str]:
        status = main([command, str(small_checkpoint), *words, *options])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def write_scene(path: Path, seed: int) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (3, 90, 70), dtype='uint8')
    with rasterio.open(
        path, 'w', driver='GTiff', height=90, width=70, count=3, dtype='uint8',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6),
    ) as dst:  # fmt: skip
        dst.write(pixels)
        dst.descriptions = ('red', 'green', 'blue')
    return path


def put(store: Store, key: str, path: Path) -> None:
    store.objects[key], store.metadata[key] = path.read_bytes(), {}


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*'))


WORK = ('--work', 'w')
SCENE, MAP = '/vsis3/bucket/scene.tif', 's3://bucket/maps/map.tif'


def test_a_map_in_a_store_is_the_map_on_disk(store: Store, run: Run, tmp_path: Path) -> None:
    put(store, 'scene.tif', write_scene(tmp_path / 'scene.tif', 1))
    first = (SCENE, '--uncertainty', '--probabilities')
    assert run(*first, 'p.tif', '-o', 'map.tif')[0] == 0
    words = (*first, 's3://bucket/p.tif', '-o', MAP, *WORK)
    status, said = run(*words)
    assert status == 0, said
    assert f'map      {MAP}' in said
    for name, path in {
        'p.tif': 'p.tif', 'maps/map.tif': 'map.tif', 'maps/map_uncertainty.tif': 'map_uncertainty.tif'
    }.items():  # fmt: skip
        assert store.objects.pop(name) == (tmp_path / path).read_bytes()
    assert store.objects.keys() == {'scene.tif', 'maps/map.tif.aux.xml', 'maps/map.qml'}
    assert files_in(tmp_path / 'w') == []


def test_what_is_stored_is_as_safe_as_a_file(store: Store, run: Run, tmp_path: Path) -> None:
    put(store, 'scene.tif', write_scene(tmp_path / 'scene.tif', 1))
    store.objects['maps/map.tif'], store.metadata['maps/map.tif'] = b'older', {}
    for command in ('predict', 'plan'):
        status, said = run('scene.tif', '-o', MAP, *WORK, command=command)
        assert status == 1
        assert f'{MAP} exists' in said
        assert said.count('\n') == 1
    assert store.objects['maps/map.tif'] == b'older'
    put(store, 'map_uncertainty.tif', tmp_path / 'scene.tif')
    for name, words in (
        (SCENE, ('s3://bucket/scene.tif',)),
        ('s3://bucket/scene.tif', ('s3://bucket/scene.tif',)),
        ('s3://bucket/map_uncertainty.tif', ('s3://bucket/map.tif', '--uncertainty')),
    ):
        status, said = run(name, '-o', *words, *WORK, '--overwrite')
        assert status == 1
        assert 'pass another destination' in said
    assert run('scene.tif', '-o', MAP, *WORK, '--overwrite')[0] == 0
    assert len(store.objects['maps/map.tif']) > 100
    assert 'exists' in run('scene.tif', '-o', MAP, *WORK)[1]


def test_the_functions_write_to_stores_as_the_command_does(
    store: Store, small_checkpoint: Path, tmp_path: Path
) -> None:
    scene, place = write_scene(tmp_path / 'scene.tif', 1), tmp_path / 'w'
    words: dict[str, Any] = {
        'size': 32, 'overlap': 8, 'runtime': 'eager', 'progress': False,
        'probabilities': 's3://bucket/p.tif',
    }  # fmt: skip
    with pytest.raises(ValueError, match='pass a folder in which it is made'):
        predict_geotiff(small_checkpoint, scene, MAP, **words)
    summary = predict_geotiff(small_checkpoint, scene, MAP, work=place, **words)
    assert MAP in str(summary)
    assert store.objects.keys() >= {'maps/map.tif', 'p.tif'}
    assert files_in(place) == []
    with pytest.raises(FileExistsError, match=f'{MAP} exists'):
        predict_geotiff(small_checkpoint, scene, MAP, work=place, **words)


@pytest.mark.quick('3000-s3://bucket/maps/map.tif')
@pytest.mark.parametrize(('limit', 'target'), [(3000, MAP), (0, MAP), (3000, 'there.tif')])
def test_an_upload_that_is_cut_off_is_made_up_for(
    store: Store, run: Run, tmp_path: Path, limit: int, target: str
) -> None:
    write_scene(tmp_path / 'scene.tif', 1)
    words = ('scene.tif', '-o', target, *WORK, '--probabilities', 's3://bucket/p.tif')
    store.left = limit
    status, said = run(*words)
    assert status == 1
    assert 'cannot be reached' in said
    assert 'VERYSECRET' not in said
    assert said.count('\n') == 1
    assert 'maps/map.tif' not in store.objects
    store.left = float('inf')
    status, said = run(*words)
    assert status == 0, said
    assert '0 now, 1 done before' in said
    assert store.objects.keys() >= {'p.tif'} | ({'maps/map.tif'} if target == MAP else set())
    assert (tmp_path / 'there.tif').exists() == (target != MAP)
    assert files_in(tmp_path / 'w') == []


@pytest.mark.slow
def test_scenes_of_a_folder_become_objects_of_a_folder(
    store: Store, run: Run, tmp_path: Path
) -> None:
    for number in (1, 2):
        put(store, f'scenes/s{number}.tif', write_scene(tmp_path / f'on/s{number}.tif', number))
    store.objects['scenes/notes.txt'], store.metadata['scenes/notes.txt'] = b'', {}
    store.objects['scenes/bad.tif'], store.metadata['scenes/bad.tif'] = b'no raster', {}
    words = ('s3://bucket/scenes/', '-o', 's3://bucket/maps/', *WORK)
    status, said = run(*words)
    assert status == 1, said
    assert 'failed   s3://bucket/scenes/bad.tif' in said
    made = {name: body for name, body in store.objects.items() if name.startswith('maps/')}
    assert {name for name in made if name.endswith('.tif')} == {'maps/s1.tif', 'maps/s2.tif'}
    store.writes.clear()
    # what was made before is known again, wherever it was made; a picture is drawn of it
    status, said = run(*words[:-1], 'other', '--preview', 's3://bucket/maps/')
    assert '0 of 3 scenes predicted, 2 before' in said
    assert 'preview  s3://bucket/maps/s1.png' in said
    assert store.writes == ['maps/s1.png', 'maps/s2.png']
    assert files_in(tmp_path / 'other') == []
    status, said = run('on', '-o', 's3://bucket/maps/', *WORK)
    assert said.count('exists; pass another path, or overwrite') == 2
    assert made.items() <= store.objects.items()


@pytest.mark.slow
def test_a_map_of_a_scene_that_has_changed_is_not_taken_for_its_own(
    store: Store, run: Run, tmp_path: Path
) -> None:
    for name in ('scene', 'more'):
        put(store, f'{name}.tif', write_scene(tmp_path / 'scene.tif', 1))
    words = (SCENE, 's3://bucket/more.tif', '-o', 's3://bucket/maps/', *WORK)
    assert run(*words)[0] == 0
    assert '0 of 2 scenes predicted, 2 before' in run(*words)[1]
    put(store, 'more.tif', write_scene(tmp_path / 'other.tif', 2))
    assert 's3://bucket/maps/more.tif exists' in run(*words)[1]
    status, said = run('scene.tif', '-o', 's3://bucket/other.tif', *WORK, command='plan')
    assert status == 0
    assert 's3://bucket/other.tif: classes' in said
    assert 'other.tif' not in store.objects


@pytest.mark.parametrize('command', ['predict', 'plan'])
def test_what_cannot_be_written_is_refused_before_any_work(
    command: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scene(tmp_path / 'scene.tif', 1)
    for words, text in {
        ('-o', MAP): '--work DIR',
        ('-o', 'https://example.org/map.tif', *WORK): 'is not on a local disk',
        ('-o', 'ftp://example.org/map.tif', *WORK): 'is not on a local disk',
        ('-o', '/vsis3/bucket/map.tif', *WORK): 'is not on a local disk',
    }.items():
        status, said = run('scene.tif', *words, command=command)
        assert status == 1
        assert text in said
        assert said.count('\n') == 1
    assert files_in(tmp_path) == ['scene.tif']


def test_a_store_that_cannot_be_used_is_refused_before_any_work(
    store: Store, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scene(tmp_path / 'scene.tif', 1)
    for command in ('predict', 'plan'):
        status, said = run('scene.tif', '-o', 's3://none/map.tif', *WORK, command=command)
        assert status == 1
        assert 'there is no bucket none' in said
        store.forbidden = True
        status, said = run('scene.tif', '-o', MAP, *WORK, command=command)
        assert status == 1
        assert 'forbids it (403 AccessDenied)' in said
        store.forbidden = False
    monkeypatch.setitem(sys.modules, 'obstore.exceptions', None)
    assert "pip install 'gersp-geo[storage]'" in run('scene.tif', '-o', MAP, *WORK)[1]
    assert files_in(tmp_path) == ['scene.tif']
