"""Stopped anywhere and called again, a prediction ends with the same bytes and does no part twice."""

import fcntl
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from affine import Affine
from rasterio.windows import Window
from torch import Tensor, nn

from gersp_geo.geoio.write.geotiff import write_window
from gersp_geo.inference import predict_geotiff
from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.outputs.map_maker import MapMaker
from gersp_geo.inference.outputs.map_summary import PredictionSummary
from gersp_geo.inference.prepare import prepare
from gersp_geo.inference.resume.entries import Entry
from gersp_geo.inference.resume.journal import Journal, work_folder
from gersp_geo.inference.run import run_plan
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(
    bands=('red', 'green', 'blue'), scale=(1 / 255,) * 3, mean=(0.4,) * 3, std=(0.2,) * 3
)
SIDE = 1500
# a few rows of patches, and so a few parts
CHANGES: dict[str, Any] = {
    'size': 128, 'overlap': 32, 'preprocessing': RECORD, 'part_pixels': 1, 'device': 'cpu',
    'memory_limit': '4MiB',
}  # fmt: skip


def model() -> nn.Sequential:
    """Sees its surroundings, so that rows forwarded for the second time must be right."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 4, 5, padding=2))


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With blocks that were never written."""
    path = tmp_path_factory.mktemp('scene') / 'scene.tif'
    random = np.random.default_rng(1)
    with rasterio.open(
        path, 'w', driver='GTiff', height=SIDE, width=1100, count=3, dtype='uint8',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6), tiled=True, blockxsize=128,
        blockysize=128, sparse_ok=True, compress='deflate', nodata=0,
    ) as dst:  # fmt: skip
        for row in range(0, SIDE, 128):
            for col in range(0, 1100, 128):
                if not (256 <= row < 768 and col >= 384):
                    rows, cols = min(128, SIDE - row), min(128, 1100 - col)
                    pixels = random.integers(0, 256, (3, rows, cols), dtype='uint8')
                    dst.write(pixels, window=Window(col, row, cols, rows))
    return path


def predict(scene: Path, destination: Path, **options: Any) -> PredictionSummary:
    chosen = MapOptions(**CHANGES | options)
    summary: PredictionSummary = run_plan(
        prepare(MapMaker, model(), scene, destination, chosen), progress=False
    )
    return summary


@pytest.fixture(scope='module')
def uninterrupted(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp('map') / 'map.tif'
    summary = predict(scene, path)
    assert summary.parts > 30
    assert sorted(other.name for other in path.parent.iterdir()) == [
        'map.qml',
        'map.tif',
        'map.tif.aux.xml',
    ]
    return path.read_bytes()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_soon(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """Make a function be killed while it runs, or right after."""

    def doomed(*arguments: Any, **options: Any) -> Any:
        threading.Timer(seconds, kill).start()
        result = function(*arguments, **options)
        time.sleep(seconds)
        return result

    return doomed


def run_until_killed(
    scene: Path, destination: Path, log: Path, where: str, count: int, options: dict[str, Any]
) -> None:
    """Predict in a process of its own, noting every finished part, and be killed somewhere."""
    torch.set_num_threads(1)
    append, done = Journal.append, 0

    def note(journal: Journal, entry: Entry) -> None:
        nonlocal done
        append(journal, entry)
        with log.open('a') as stream:
            stream.write(f'{entry.part}\n')
        done += 1
        if where == 'between' and done == count:
            kill()

    def stop_writing(*arguments: Any, **options: Any) -> None:
        write_window(*arguments, **options)
        if done == count:
            kill()

    patch = pytest.MonkeyPatch()
    patch.setattr(Journal, 'append', note)
    if where == 'writing':
        patch.setattr('gersp_geo.geoio.write.parts.write_window', stop_writing)
    if where == 'finishing':
        copy = kill_soon(rasterio.shutil.copy, 0.002 * count)
        patch.setattr('rasterio.shutil.copy', copy)
    predict(scene, destination, **options)


@pytest.fixture(scope='module')
def server() -> ForkServerContext:
    return multiprocessing.get_context('forkserver')


def run_through_kills(
    server: ForkServerContext,
    scene: Path,
    folder: Path,
    kills: list[tuple[str, int]],
    **options: Any,
) -> tuple[bytes, list[int]]:
    """Kill it here and there, let it finish, and list the parts in the order they were finished."""
    destination, log = folder / 'map.tif', folder / 'log.txt'
    for where, count in [*kills, ('nowhere', 0)]:
        process = server.Process(
            target=run_until_killed, args=(scene, destination, log, where, count, options)
        )
        process.start()
        process.join(timeout=300)
        expected = 0 if where == 'nowhere' else -signal.SIGKILL
        assert process.exitcode == expected, (where, count)
        if where != 'nowhere':
            assert not destination.exists()
            assert work_folder(destination).is_dir()
    return destination.read_bytes(), [int(line) for line in log.read_text().split()]


@pytest.mark.parametrize(
    'kills', [[('between', 5), ('writing', 3)], [('writing', 0), ('finishing', 1)]], ids=str
)
def test_two_kills_change_no_byte_and_no_part_is_done_twice(
    kills: list[tuple[str, int]], server: ForkServerContext, scene: Path, tmp_path: Path,
    uninterrupted: bytes,
) -> None:  # fmt: skip
    found, finished = run_through_kills(server, scene, tmp_path, kills)
    assert found == uninterrupted
    assert set(Counter(finished).values()) == {1}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'log.txt',
        'map.qml',
        'map.tif',
        'map.tif.aux.xml',
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    'options',
    [
        {'runtime': 'onnx'}, {'runtime': 'compiled'}, {'runtime': 'openvino'},
        {'runtime': 'onnx', 'precision': 'int8'},
    ],
    ids=str,
)  # fmt: skip
def test_a_kill_and_shards_change_no_byte_whatever_runs_the_model(
    options: dict[str, Any], server: ForkServerContext, scene: Path, tmp_path: Path
) -> None:
    if options['runtime'] == 'openvino':
        pytest.importorskip('openvino')
    torch.set_num_threads(1)
    predict(scene, tmp_path / 'once.tif', **options)
    expected = (tmp_path / 'once.tif').read_bytes()
    assert run_through_kills(server, scene, tmp_path, [('between', 5)], **options)[0] == expected
    if options.get('precision') == 'int8':
        # each shard of a job is rounded alike: the law of their own tests
        return
    for index in range(2):
        predict(scene, tmp_path / 'shards.tif', shard=f'{index}/2', **options)
    predict(scene, tmp_path / 'shards.tif', merge=True, **options)
    assert (tmp_path / 'shards.tif').read_bytes() == expected


@pytest.mark.slow
def test_thirty_kills_change_no_byte_and_no_part_is_done_twice(
    server: ForkServerContext, scene: Path, tmp_path: Path, uninterrupted: bytes
) -> None:
    # one or two parts further each time; then while the map is made, at ever later moments
    kills = [('between' if place % 4 else 'writing', 1 + place % 2) for place in range(24)]
    kills += [('finishing', place) for place in (0, 1, 3, 6, 10, 15)]
    assert sum(where == 'writing' for where, _ in kills) >= 5
    found, finished = run_through_kills(server, scene, tmp_path, kills)
    assert found == uninterrupted
    assert set(Counter(finished).values()) == {1}


def interrupt(scene: Path, destination: Path, *, parts: int = 5, **options: Any) -> None:
    """Fail after some parts."""
    append, done = Journal.append, 0

    def fail(journal: Journal, entry: Entry) -> None:
        nonlocal done
        if done == parts:
            raise OSError('the network is gone')
        append(journal, entry)
        done += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, 'append', fail)
        with pytest.raises(OSError, match='the network is gone'):
            predict(scene, destination, **options)


def test_a_failure_leaves_a_state_that_resumes(
    scene: Path, tmp_path: Path, uninterrupted: bytes
) -> None:
    interrupt(scene, tmp_path / 'map.tif')
    assert not (tmp_path / 'map.tif').exists()
    summary = predict(scene, tmp_path / 'map.tif')
    assert summary.parts_before == 5
    assert 'done before' in str(summary)
    assert (tmp_path / 'map.tif').read_bytes() == uninterrupted


def test_a_resumed_summary_is_that_of_the_whole(scene: Path, tmp_path: Path) -> None:
    whole = predict(scene, tmp_path / 'whole.tif')
    interrupt(scene, tmp_path / 'map.tif')
    resumed = predict(scene, tmp_path / 'map.tif')
    for name in ('valid_pixels', 'forwarded', 'class_pixels', 'class_areas_m2'):
        assert getattr(resumed, name) == getattr(whole, name)


@pytest.mark.quick("{'overlap': 16}", "{'memory_limit': '8MiB'}")
@pytest.mark.parametrize(
    ('options', 'difference'),
    [
        ({'overlap': 16}, 'overlap was 32, is 16'),
        ({'blend': 'crop'}, 'blend was "hann", is "crop"'),
        ({'batch_size': 2}, 'batch_size was 64, is 2'),
        ({'output': 'probabilities'}, 'maps was'),
        ({'nodata': 7.0}, 'nodata was null, is "7.0"'),
        ({'memory_limit': '8MiB'}, 'panels was'),
    ],
    ids=str,
)
def test_another_option_is_refused_by_name(
    options: dict[str, Any], difference: str, scene: Path, tmp_path: Path
) -> None:
    interrupt(scene, tmp_path / 'map.tif', parts=1)
    with pytest.raises(ValueError, match=difference) as error:
        predict(scene, tmp_path / 'map.tif', **options)
    assert 'holds the parts of another prediction' in str(error.value)
    # and the parts are still there
    assert predict(scene, tmp_path / 'map.tif').parts_before == 1


def test_what_decides_the_last_bits_is_taken_over(scene: Path, tmp_path: Path) -> None:
    interrupt(scene, tmp_path / 'map.tif', batch_size=3)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        # batch_size is 'auto' here
        summary = predict(scene, tmp_path / 'map.tif')
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert summary.parts_before == 5


def test_a_map_that_was_complete_is_not_made_again(scene: Path, tmp_path: Path) -> None:
    predict(scene, tmp_path / 'map.tif')
    # as if it had been stopped while it removed the parts
    work_folder(tmp_path / 'map.tif').mkdir()
    with pytest.raises(FileExistsError, match=r'map\.tif exists'):
        predict(scene, tmp_path / 'map.tif')
    assert not work_folder(tmp_path / 'map.tif').exists()


def test_what_another_prediction_has_begun_stays_though_the_map_is_complete(
    scene: Path, tmp_path: Path
) -> None:
    predict(scene, tmp_path / 'map.tif')
    interrupt(scene, tmp_path / 'map.tif', blend='crop', overwrite=True)
    parts = sorted(work_folder(tmp_path / 'map.tif').iterdir())
    with pytest.raises(FileExistsError, match=r'map\.tif exists'):
        predict(scene, tmp_path / 'map.tif')
    assert sorted(work_folder(tmp_path / 'map.tif').iterdir()) == parts


def test_a_second_map_may_lie_in_a_folder_that_is_not_there_yet(
    scene: Path, tmp_path: Path
) -> None:
    other = tmp_path / 'new' / 'probabilities.tif'
    # few large patches and parts
    large = {'size': 512, 'part_pixels': 2**22, 'memory_limit': '1GiB'}
    predict(scene, tmp_path / 'map.tif', probabilities=other, **large)
    assert other.exists()


def test_another_map_of_that_name_is_not_replaced_by_going_on(scene: Path, tmp_path: Path) -> None:
    interrupt(scene, tmp_path / 'map.tif')
    (tmp_path / 'map.tif').write_text('precious')
    with pytest.raises(FileExistsError, match=r'map\.tif exists'):
        predict(scene, tmp_path / 'map.tif')
    assert (tmp_path / 'map.tif').read_text() == 'precious'


def test_another_scene_or_model_is_refused(scene: Path, tmp_path: Path) -> None:
    own = tmp_path / 'scene.tif'
    own.write_bytes(scene.read_bytes())
    interrupt(own, tmp_path / 'map.tif', parts=1)
    options = MapOptions(**CHANGES)
    other = model()
    torch.nn.init.zeros_(other[0].weight)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='model_sha256 was'):
        run_plan(prepare(MapMaker, other, own, tmp_path / 'map.tif', options), progress=False)
    os.utime(own)
    with pytest.raises(ValueError, match='source_files was'):
        predict(own, tmp_path / 'map.tif')


def test_overwriting_begins_anew(scene: Path, tmp_path: Path, uninterrupted: bytes) -> None:
    interrupt(scene, tmp_path / 'map.tif', blend='crop')
    summary = predict(scene, tmp_path / 'map.tif', overwrite=True)
    assert summary.parts_before == 0
    assert (tmp_path / 'map.tif').read_bytes() == uninterrupted


def test_a_failure_before_the_first_part_leaves_nothing(scene: Path, tmp_path: Path) -> None:
    def fail(images: Tensor) -> Tensor:
        if len(images) > 1:
            raise RuntimeError('out of memory')
        return images

    with pytest.raises(RuntimeError, match='out of memory'):
        predict_geotiff(
            fail, scene, tmp_path / 'map.tif', size=128, preprocessing=RECORD, progress=False
        )
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_and_once_there_is_room_it_goes_on(
    scene: Path, tmp_path: Path, uninterrupted: bytes,
    small_disk: Callable[[int], AbstractContextManager[None]],
) -> None:  # fmt: skip
    interrupt(scene, tmp_path / 'map.tif')
    with small_disk(2000), pytest.raises(OSError, match='is the disk full'):
        predict(scene, tmp_path / 'map.tif')
    assert not (tmp_path / 'map.tif').exists()
    assert predict(scene, tmp_path / 'map.tif').parts_before >= 5
    assert (tmp_path / 'map.tif').read_bytes() == uninterrupted


def test_shards_and_their_merge_are_the_whole(
    scene: Path, tmp_path: Path, uninterrupted: bytes
) -> None:
    path = tmp_path / 'map.tif'
    summaries = [predict(scene, path, shard=f'{index}/3') for index in (2, 0)]
    assert not any(summary.complete for summary in summaries)
    assert 'not merged yet' in str(summaries[0])
    with pytest.raises(ValueError, match=r'parts of .*map\.tif are not there yet'):
        predict(scene, path, merge=True)
    summaries.append(predict(scene, path, shard='1/3'))
    assert not path.exists()
    merged = predict(scene, path, merge=True)
    assert merged.parts == 0
    assert merged.parts_before == sum(summary.parts for summary in summaries)
    assert path.read_bytes() == uninterrupted
    assert sorted(other.name for other in tmp_path.iterdir()) == [
        'map.qml',
        'map.tif',
        'map.tif.aux.xml',
    ]


def test_a_share_without_parts_leaves_those_of_others_alone(scene: Path, tmp_path: Path) -> None:
    path, options = tmp_path / 'map.tif', {'part_pixels': 2**30, 'memory_limit': '1GiB'}
    # one part, which belongs to the last of three shares
    assert predict(scene, path, shard='0/3', **options).parts == 0
    assert work_folder(path).is_dir()
    assert predict(scene, path, shard='2/3', **options).parts == 1
    assert predict(scene, path, shard='1/3', **options).parts == 0
    assert predict(scene, path, merge=True, **options).complete


def test_a_merge_before_any_shard_is_refused_and_stops_none(scene: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'no shard of .*map\.tif has begun'):
        predict(scene, tmp_path / 'map.tif', merge=True)
    assert not work_folder(tmp_path / 'map.tif').exists()
    assert predict(scene, tmp_path / 'map.tif', shard='0/2').parts > 0


def test_overwriting_does_not_touch_what_another_process_is_at(scene: Path, tmp_path: Path) -> None:
    interrupt(scene, tmp_path / 'map.tif')
    folder = work_folder(tmp_path / 'map.tif')
    with (folder / 'parts.jsonl').open('rb') as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(OSError, match='another process is predicting into'):
            predict(scene, tmp_path / 'map.tif', overwrite=True)
    assert predict(scene, tmp_path / 'map.tif').parts_before == 5


@pytest.mark.parametrize('shard', ['3/3', '1', 'a/b', '-1/2', '0/0'])
def test_shards_that_there_are_not_are_refused(shard: str) -> None:
    with pytest.raises(ValueError, match=r"shard must be 'I/N' with I in \[0, N\)"):
        MapOptions(shard=shard)


def test_a_shard_does_not_remove_what_others_made() -> None:
    with pytest.raises(ValueError, match='shard goes with neither overwrite nor merge'):
        MapOptions(shard='0/2', overwrite=True)
