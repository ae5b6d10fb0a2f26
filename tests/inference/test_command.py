"""The commands predict and plan."""

import os
import signal
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from torchgeo.tasks import SemanticSegmentation

from gersp_geo.main import main

RECORD = {
    'bands': ['red', 'green', 'blue'], 'scale': [1 / 255] * 3, 'mean': [0.5] * 3, 'std': [0.25] * 3,
    'class_names': ['field', 'water'], 'task_class': 'torchgeo.tasks.SemanticSegmentation',
}  # fmt: skip


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    arguments = {'model': 'fcn', 'num_classes': 2, 'num_filters': 4}
    task = SemanticSegmentation(**arguments)  # type: ignore[arg-type]
    path = tmp_path_factory.mktemp('model') / 'model.ckpt'
    torch.save(
        {'state_dict': task.state_dict(), 'hyper_parameters': arguments, 'gersp_geo': RECORD}, path
    )
    return path


def write_scene(path: Path, *, side: int = 200) -> Path:
    path.parent.mkdir(exist_ok=True)
    with rasterio.open(
        path, 'w', driver='GTiff', height=side, width=side, count=3, dtype='uint8',
        crs='EPSG:32632', transform=Affine(1, 0, 4e5, 0, -1, 5e6), tiled=True,
    ) as dst:  # fmt: skip
        dst.write(np.random.default_rng(0).integers(0, 256, (3, side, side), dtype='uint8'))
    return path


def command(*words: str | Path) -> int:
    return main([str(word) for word in words])


def test_a_scene_becomes_a_map_a_second_map_and_a_picture(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / 'scene.tif')
    code = command(
        'predict', checkpoint, scene, '-o', tmp_path / 'map.tif', '--size', '64', '--overlap', '16',
        '--probabilities', tmp_path / 'p.tif', '--probability-type', 'uint8', '--averaging', 'flips',
        '--preview', tmp_path / 'map.png', '--memory-limit', '1MiB', '--threads', '2',
        '--batch-size', '3', '--no-progress',
    )  # fmt: skip
    assert code == 0
    said = capsys.readouterr()
    assert 'field' in said.out
    assert ' ha' in said.out
    assert str(tmp_path / 'map.png') in said.out
    assert said.err == ''
    with rasterio.open(tmp_path / 'map.tif') as map_, rasterio.open(tmp_path / 'p.tif') as second:
        assert map_.shape == second.shape == (200, 200)
        assert second.dtypes == ('uint8', 'uint8')
    assert (tmp_path / 'map.png').read_bytes().startswith(b'\x89PNG')


def test_a_plan_is_printed_and_nothing_written(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / 'scene.tif')
    assert command('plan', checkpoint, scene, '-o', tmp_path / 'map.tif', '--calibrate') == 0
    said = capsys.readouterr().out
    for word in ('patches', 'panels', 'memory', 'read', 'time', '/s read'):
        assert word in said
    assert [path.name for path in tmp_path.iterdir()] == ['scene.tif']


def test_twenty_scenes_two_of_them_broken(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        write_scene(tmp_path / 'scenes' / f's{number:02}.tif', side=60)
    broken = [tmp_path / 'scenes' / name for name in ('s03.tif', 's17.tif')]
    whole = [path.read_bytes() for path in broken]
    broken[0].write_bytes(whole[0][:100])
    broken[1].write_bytes(whole[1][:-4000])
    words = (
        'predict', checkpoint, tmp_path / 'scenes', '-o', tmp_path / 'maps', '--size', '64',
        '--overlap', '16', '--no-progress',
    )  # fmt: skip
    assert command(*words) == 1
    said = capsys.readouterr().out
    assert '18 of 20 scenes predicted' in said
    failures = [line for line in said.splitlines() if line.startswith('failed')]
    assert [path.name in line for path, line in zip(broken, failures, strict=True)] == [True, True]
    maps = sorted((tmp_path / 'maps').glob('*.tif'))
    assert len(maps) == 18
    times = {path: path.stat().st_mtime_ns for path in maps}

    for path, content in zip(broken, whole, strict=True):
        path.write_bytes(content)
    assert command(*words) == 0
    assert '2 of 20 scenes predicted, 18 before' in capsys.readouterr().out
    assert len(list((tmp_path / 'maps').glob('*.tif'))) == 20
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in times.items())


def test_a_map_of_another_model_is_not_taken_for_done(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ('a.tif', 'b.tif'):
        write_scene(tmp_path / 'scenes' / name, side=60)
    words = (
        'predict', checkpoint, tmp_path / 'scenes', '-o', tmp_path / 'maps', '--no-progress',
        '--size', '64',
    )  # fmt: skip
    assert command(*words, '--overlap', '16') == 0
    capsys.readouterr()
    assert command(*words, '--overlap', '8') == 1
    assert 'exists; pass another path, or overwrite' in capsys.readouterr().out


def test_shards_and_a_merge_from_the_command_line(checkpoint: Path, tmp_path: Path) -> None:
    scene = write_scene(tmp_path / 'scene.tif')
    words = (
        'predict', checkpoint, scene, '--size', '64', '--overlap', '16', '--no-progress', '-o',
    )  # fmt: skip
    for shard in ('1/2', '0/2'):
        assert command(*words, tmp_path / 'map.tif', '--shard', shard) == 0
        assert not (tmp_path / 'map.tif').exists()
    assert command(*words, tmp_path / 'map.tif', '--merge') == 0
    assert command(*words, tmp_path / 'whole.tif') == 0
    assert (tmp_path / 'map.tif').read_bytes() == (tmp_path / 'whole.tif').read_bytes()


def command_apart(log: Path, words: list[str | Path]) -> None:
    """Run the command as the work of a process, with what it says in a file."""
    torch.set_num_threads(1)
    with log.open('w') as out:
        os.dup2(out.fileno(), 2)
    sys.exit(command(*words))


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no SIGTERM to catch')
def test_sigterm_says_how_to_go_on_and_ends_with_its_own_code(
    checkpoint: Path, tmp_path: Path
) -> None:
    # large enough not to be done before the signal
    scene = write_scene(tmp_path / 'scene.tif', side=4000)
    words = [
        'predict', checkpoint, scene, '-o', tmp_path / 'map.tif', '--size', '64', '--overlap', '48',
    ]  # fmt: skip
    log = tmp_path / 'log'
    process = get_context('forkserver').Process(target=command_apart, args=(log, words))
    process.start()
    folder = tmp_path / '.map.tif.parts'
    deadline = time.monotonic() + 120
    while not folder.exists() and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    process.join(timeout=60)
    assert process.exitcode == 128 + signal.SIGTERM
    said = log.read_text()
    assert 'the same command goes on where it was' in said
    assert 'Traceback' not in said
    assert not (tmp_path / 'map.tif').exists()


@pytest.mark.parametrize('name', ['--batch-size', '--threads'])
@pytest.mark.parametrize('value', ['-3', '0', '2.5', 'many'])
def test_a_number_that_must_be_positive_is(
    name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match='2'):
        command('predict', 'model.ckpt', 'scene.tif', '-o', 'map.tif', f'{name}={value}')
    assert "must be a whole number >= 1, or 'auto', got" in capsys.readouterr().err


def test_a_record_that_is_missing_is_named_with_the_fix(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / 'scene.tif', side=32)
    words = ('-o', tmp_path / 'map.tif', '--preprocessing', tmp_path / 'no.json')
    assert command('plan', checkpoint, scene, *words) == 1
    error = capsys.readouterr().err
    assert 'no.json does not exist; pass the JSON file of a record (--preprocessing' in error
    assert 'Errno' not in error
