"""Laws of several workers through the command: same files as one process, and nothing done twice."""

import shutil
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import numpy as np
import pytest
import torch
from rasterio.transform import from_origin

from gersp_geo.geoio.write.geotiff import write_raster
from gersp_geo.inference import predict_geotiff
from gersp_geo.inference import run as single
from gersp_geo.inference.jobs import predict
from gersp_geo.inference.progress import ScenesProgress
from gersp_geo.inference.resume.entries import Entry
from gersp_geo.inference.resume.journal import Journal
from gersp_geo.inference.work import Work
from tests.inference.workers.trial import HOW, as_threads, run, together, write_scene

PARTS = 10
SCENES = 4


@pytest.fixture(scope='module', autouse=True)
def one_thread() -> Iterator[None]:
    """Numbers of threads differ between workers and a process of its own otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory, small_checkpoint: Path) -> Path:
    """A model, a scene, its map by one process, and a folder of scenes of which one is broken."""
    folder = tmp_path_factory.mktemp('together')
    shutil.copyfile(small_checkpoint, folder / 'model.ckpt')
    write_scene(folder / 'scene.tif')
    for number in range(SCENES):
        write_scene(folder / 'scenes' / f'{number}.tif', height=40, width=40, seed=number)
    broken = folder / 'scenes' / '2.tif'
    broken.write_bytes(broken.read_bytes()[:-500])
    assert make(folder, folder / 'one.tif')[0] == 0
    return folder


def spoil(path: Path) -> None:
    """Make pixels unreadable in the middle of a scene."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = b'\xff' * 300
    path.write_bytes(content)


def make(folder: Path, destination: Path, *words: object) -> tuple[int, str, str]:
    """Predict the scene by the command."""
    scene = folder / 'scene.tif'
    kind = ('--output', 'probabilities')
    return run('predict', folder / 'model.ckpt', scene, '-o', destination, *HOW, *kind, *words)


def check(folder: Path, final: Path) -> None:
    """Check that a map is that of one process, and that nothing else is left."""
    assert final.read_bytes() == (folder / 'one.tif').read_bytes()
    assert not [path for path in final.parent.iterdir() if 'parts' in path.name]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Counts how often each part is made."""
    counter: Counter[int] = Counter()
    append = Journal.append

    def counting(journal: Journal, entry: Entry) -> None:
        append(journal, entry)
        counter[entry.part] += 1

    monkeypatch.setattr(Journal, 'append', counting)
    return counter


@contextmanager
def stopping_after(parts: int) -> Iterator[None]:
    """Stop commands by a Ctrl-C after some parts."""

    def show(progress: object, **state: int) -> None:
        if state['done'] >= parts * 1200:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScenesProgress, 'show', show)
        yield


def stop(*arguments: object, **options: object) -> None:
    raise KeyboardInterrupt


def test_processes_make_the_same_map(folder: Path, tmp_path: Path) -> None:
    code, output, error = make(folder, tmp_path / 'map.tif', '--workers', '2')
    assert (code, error) == (0, '')
    assert str(tmp_path / 'map.tif') in output
    check(folder, tmp_path / 'map.tif')


def test_each_part_is_made_once_by_one_of_several_workers(
    folder: Path, tmp_path: Path, made: Counter[int]
) -> None:
    with as_threads():
        assert make(folder, tmp_path / 'map.tif', '--workers', '4')[::2] == (0, '')
    check(folder, tmp_path / 'map.tif')
    assert made == dict.fromkeys(range(PARTS), 1)


def test_workers_that_nobody_drives_share_a_scene(
    folder: Path, tmp_path: Path, made: Counter[int]
) -> None:
    final = tmp_path / 'map.tif'

    def join() -> None:
        predict(
            'maps', folder / 'model.ckpt', [folder / 'scene.tif'], final, join=True, device='cpu',
            part_pixels=1, size=32, overlap=8, memory_limit='200KiB', output='probabilities',
            progress=False,
        )  # fmt: skip

    together([join] * 3)
    check(folder, final)
    assert made == dict.fromkeys(range(PARTS), 1)
    code, output, error = make(folder, final, '--join')
    assert (code, output, error) == (0, 'another worker made the file, or it was made before\n', '')


def test_shards_make_the_same_map(folder: Path, tmp_path: Path) -> None:
    final = tmp_path / 'map.tif'
    for words in (['--shard', '1/2'], ['--shard', '0/2'], ['--merge']):
        assert make(folder, final, *words)[::2] == (0, '')
    check(folder, final)


@pytest.mark.quick('join')
@pytest.mark.parametrize(
    'words', [[], ['--join'], ['--workers', '3']], ids=['alone', 'join', 'workers']
)
def test_any_command_goes_on_where_workers_were_stopped(
    words: list[str], folder: Path, tmp_path: Path, made: Counter[int]
) -> None:
    final = tmp_path / 'map.tif'
    with stopping_after(4):
        assert make(folder, final, '--join')[0] == 130
    before = sum(1 for _ in lines(tmp_path))
    assert 0 < before < PARTS
    made.clear()
    with as_threads():
        assert make(folder, final, *words)[::2] == (0, '')
    assert made.total() == PARTS - before
    check(folder, final)


def lines(folder: Path) -> Iterator[bytes]:
    """Read the journals."""
    for path in folder.rglob('*.jsonl'):
        yield from path.read_bytes().splitlines()


@pytest.mark.quick('join-damaged')
@pytest.mark.parametrize('damage', [False, True], ids=['sound', 'damaged'])
@pytest.mark.parametrize('words', [['--join'], ['--workers', '3']], ids=['join', 'workers'])
def test_workers_go_on_where_one_process_was_stopped(
    damage: bool,
    words: list[str],
    folder: Path,
    tmp_path: Path,
    made: Counter[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    final = tmp_path / 'map.tif'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(single, 'finish_parts', stop)
        assert make(folder, final)[0] == 130
    if damage:
        path = min((tmp_path / '.map.tif.parts').glob('000007*.tif'))
        path.write_bytes(path.read_bytes()[:-20])
    made.clear()
    with as_threads(), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter('always', UserWarning)
        code, _, error = make(folder, final, *words)
    assert (code, made) == (0, {7: 1} if damage else {})
    if '--join' in words:
        # threads get in each other's way where they warn
        assert error == ''
        assert ['1 of 10 finished parts' in str(one.message) for one in told] == [True] * damage
    check(folder, final)


def test_a_part_that_cannot_be_read_is_tried_four_times_in_each_run(
    folder: Path, tmp_path: Path
) -> None:
    source = tmp_path / 'scene.tif'
    shutil.copyfile(folder / 'scene.tif', source)
    spoil(source)
    line = ['predict', folder / 'model.ckpt', source, '-o', tmp_path / 'map.tif', *HOW]
    for _ in range(2):
        with as_threads():
            code, output, error = run(*line, '--workers', '2')
        assert (code, output) == (1, '')
        last = error.splitlines()[-1]
        assert last.startswith('gersp-geo: error: part ')
        assert '(4 attempts): ' in last
        assert 'scene.tif' in last
    assert not (tmp_path / 'map.tif').exists()


@pytest.mark.quick('workers')
@pytest.mark.parametrize('words', [['--join'], ['--workers', '3']], ids=['join', 'workers'])
def test_scenes_that_fail_do_not_stop_the_others(
    words: list[str], folder: Path, tmp_path: Path
) -> None:
    line = ['predict', folder / 'model.ckpt', folder / 'scenes', '-o', tmp_path / 'maps', *HOW]
    with as_threads():
        code, output, _ = run(*line, *words, '--preview', tmp_path / 'pictures')
    assert code == 1
    assert f'{SCENES - 1} of {SCENES} scenes predicted\n' in output
    assert output.splitlines()[-1].startswith(f'failed   {folder / "scenes" / "2.tif"}: ')
    names = [f'{number}.tif' for number in (0, 1, 3)]
    assert sorted(path.name for path in (tmp_path / 'maps').glob('*.tif')) == names
    assert len([*(tmp_path / 'pictures').glob('*.png')]) == SCENES - 1
    assert not [*tmp_path.rglob('*.parts')]
    with as_threads():
        code, output, _ = run(*line, *words)
    assert code == 1
    assert f'0 of {SCENES} scenes predicted, {SCENES - 1} before\n' in output


@pytest.mark.quick('workers')
@pytest.mark.parametrize('words', [['--join'], ['--workers', '2']], ids=['join', 'workers'])
def test_parts_may_lie_in_another_folder(words: list[str], folder: Path, tmp_path: Path) -> None:
    work = tmp_path / 'work'
    with as_threads():
        assert make(folder, tmp_path / 'maps' / 'map.tif', *words, '--work', work)[::2] == (0, '')
    check(folder, tmp_path / 'maps' / 'map.tif')
    assert not [*work.iterdir()]


def test_what_is_there_is_replaced_only_where_that_is_wanted(folder: Path, tmp_path: Path) -> None:
    final = tmp_path / 'map.tif'
    pixels = np.zeros((1, 9, 9), np.uint8)
    write_raster(final, pixels, crs=None, transform=from_origin(0, 9, 1, 1))
    old = final.read_bytes()
    with as_threads():
        code, _, error = make(folder, final, '--workers', '2')
        assert (code, error.count('\n')) == (1, 1)
        assert f'{final} exists; pass another path, or overwrite (--overwrite)' in error
        assert final.read_bytes() == old
        assert make(folder, final, '--workers', '2', '--overwrite')[::2] == (0, '')
    check(folder, final)


def test_a_map_that_was_made_by_the_same_command_is_not_made_again(
    folder: Path, tmp_path: Path, made: Counter[int]
) -> None:
    final = tmp_path / 'map.tif'
    with as_threads():
        assert make(folder, final, '--workers', '2')[::2] == (0, '')
        made.clear()
        code, _, error = make(folder, final, '--workers', '2')
    assert (code, error.count('\n'), made.total()) == (1, 1, 0)
    assert f'{final} exists; pass another path, or overwrite (--overwrite)' in error
    check(folder, final)


def test_a_worker_that_comes_when_the_map_is_there_spoils_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_there, calls = Event(), count()
    share, conclude = Work.share, Work.conclude

    def share_late(*arguments: Any, **options: Any) -> Any:
        if next(calls):
            assert is_there.wait(60)
        return share(*arguments, **options)

    def conclude_slowly(*arguments: Any) -> Any:
        is_there.set()
        sleep(0.3)
        return conclude(*arguments)

    monkeypatch.setattr(Work, 'share', share_late)
    monkeypatch.setattr(Work, 'conclude', conclude_slowly)
    with as_threads():
        assert make(folder, tmp_path / 'map.tif', '--workers', '2')[::2] == (0, '')
    assert next(calls) > 1
    check(folder, tmp_path / 'map.tif')


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('other-0', ['--workers', '2', '--overwrite']),
        # neither knows what the other one does
        ('parts', ['--workers', '2']),
        ('parts', ['--join']),
        ('other-0', []),
        ('shard-0-of-2', []),
    ],
)
def test_a_folder_in_which_others_are_at_work_is_left_alone(
    name: str, words: list[str], folder: Path, tmp_path: Path
) -> None:
    parts = tmp_path / '.map.tif.parts'
    parts.mkdir()
    with Journal(parts, name=name):
        code, _, error = make(folder, tmp_path / 'map.tif', *words)
    assert (code, error.count('\n')) == (1, 1)
    assert 'another process is predicting' in error
    assert parts.exists()


@pytest.mark.parametrize(
    ('words', 'text'),
    [
        (['--workers', '2', '--join'], 'workers does not go with join; leave one of them out'),
        (['--workers', '2', '--shard', '0/2'], 'workers does not go with shard'),
        (['--cluster', 'local', '--merge'], 'cluster does not go with merge'),
        (['--join', '--shard', '0/2'], 'join does not go with shard'),
        (['--join', '--overwrite'], 'join does not go with overwrite: '),
        (['--workers', '2', '--lease', '0.5'], 'lease must be at least 1 second, got 0.5'),
        (['--workers', '2', '--lease', 'nan'], 'lease must be at least 1 second, got nan'),
        (['--join', '--lease', 'inf'], 'lease must be at least 1 second, got inf'),
        (['--join', '--device', 'cpu,cpu'], "device 'cpu,cpu' names several"),
        (['--workers', '1', '--device', 'cpu,cpu'], 'workers must be at least the number of dev'),
        (['--workers', '2', '--work', '{file}'], '{file}'),
    ],
)
def test_words_that_do_not_go_together_are_refused_in_one_line(
    words: list[str], text: str, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / 'file'
    file.touch()
    given = [word.format(file=file) for word in words]
    line = ['predict', folder / 'model.ckpt', folder / 'scene.tif', '-o', tmp_path / 'map.tif']
    code, _, error = run(*line, *given)
    assert (code, error.count('\n')) == (1, 1)
    assert error.startswith('gersp-geo: error: ')
    assert text.format(file=file) in error
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.skipif(not Path('/proc').is_dir(), reason='any user may write elsewhere')
def test_a_folder_that_cannot_be_made_is_named_at_once(folder: Path) -> None:
    code, _, error = make(folder, Path('/proc/map.tif'), '--join')
    assert (code, error.count('\n')) == (1, 1)
    assert '/proc' in error


def test_there_is_a_worker(folder: Path, tmp_path: Path) -> None:
    scene = folder / 'scene.tif'
    with pytest.raises(ValueError, match="workers must be >= 1 or 'auto', got 0"):
        predict('maps', folder / 'model.ckpt', scene, tmp_path / 'map.tif', workers=0)


def test_workers_load_the_model_themselves(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match='pass the path of a checkpoint or graph, or the name of'):
        predict_geotiff(torch.nn.Identity(), folder / 'scene.tif', tmp_path / 'map.tif', workers=2)
    assert not [*tmp_path.iterdir()]
