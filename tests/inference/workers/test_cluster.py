"""Laws of workers on a cluster of Ray: same bytes as one process, and nothing is lost with anybody."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.workers.cluster import share_cluster
from gersp_geo.main import main
from tests.inference.patches.scenes import noise, write_scene
from tests.inference.workers.ray_nodes import Nodes, predict

SCRIPT = Path(__file__).parents[3] / 'runs' / 'ray_cluster.sh'


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


CASES: dict[str, dict[str, Any]] = {
    'maps': {'output': 'probabilities'},
    'objects': {'score_threshold': 0.0},
    'classify': {},
    'change': {'kind': 'maps', 'after': 'after.tif'},
    'folder': {'kind': 'maps', 'model': 'maps.ckpt', 'source': 'scenes'},
}
SUFFIXES = {'objects': '.parquet', 'classify': '.parquet', 'folder': ''}


@pytest.mark.slow
@pytest.mark.parametrize('case', CASES)
def test_two_nodes_make_the_bytes_of_one_process(
    case: str, nodes: Nodes, cluster_work: Path, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {'kind': case, 'model': f'{case}.ckpt', 'source': 'scene.tif'}
    arguments |= {'size': 64, **CASES[case]}
    for name in ('model', 'source', 'after'):
        if name in arguments:
            arguments[name] = cluster_work / arguments[name]
    arguments['source'] = [arguments['source']]
    told = {}
    for name, cluster in (('one', None), ('two', nodes.address)):
        (tmp_path / name).mkdir()
        target = tmp_path / name / f'made{SUFFIXES.get(case, ".tif")}'
        told[name] = predict(nodes, destination=target, cluster=cluster, **arguments)
    assert files(tmp_path / 'one') == files(tmp_path / 'two')
    assert len(files(tmp_path / 'one')) >= 1
    assert not list(tmp_path.rglob('*.parts'))
    if case == 'folder':
        for line in told.values():
            assert '18 of 20 scenes' in line
            assert re.search(r'failed +\S*18\.tif: ', line)
            assert re.search(r'failed +\S*19\.tif: ', line)


@pytest.mark.slow
def test_a_port_at_which_nobody_speaks_ray_is_refused_in_one_line(
    nodes: Nodes, cluster_work: Path, tmp_path: Path
) -> None:
    words = [
        'predict',
        cluster_work / 'maps.ckpt',
        cluster_work / 'scene.tif',
        '-o',
        tmp_path / 'map.tif',
    ]
    server = (
        'import http.server as s; h = s.HTTPServer(("127.0.0.1", 0), s.BaseHTTPRequestHandler);'
    )
    with subprocess.Popen(
        [sys.executable, '-c', f'{server} print(h.server_port, flush=True); h.serve_forever()'],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        address = f'127.0.0.1:{process.stdout.readline().strip()}'
        command = [sys.executable, '-m', 'gersp_geo.main', *words, '--cluster', address]
        answer = subprocess.run(
            [*map(str, command)],
            check=False,
            env=nodes.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        process.kill()
    assert answer.returncode == 1
    # Ray has said before that it cannot connect, in its own words
    last = answer.stderr.splitlines()[-1]
    assert f'the cluster at {address} cannot be used: no answer within' in last


@pytest.mark.parametrize(
    ('address', 'message'),
    [
        ('somewhere', "cluster must be the address of a head, such as 10.0.0.1:6379, 'auto' or"),
        ('ray://head:10001', 'cluster must be the address of a head'),
        ('127.0.0.1:1', 'no cluster of Ray answers at 127.0.0.1:1: '),
        ('127.0.0.1:99999', 'no cluster of Ray answers at 127.0.0.1:99999: '),
    ],
)
def test_an_address_without_a_cluster_is_refused_in_one_line(
    address: str,
    message: str,
    small_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip('ray')
    scene = write_scene(tmp_path / 'scene.tif', noise(64, 64, bands=3))
    words = ['predict', small_checkpoint, scene, '-o', tmp_path / 'map.tif', '--cluster', address]
    assert main([str(word) for word in words]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count('\n') == 1


def test_without_ray_a_cluster_is_refused_in_one_line(
    small_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, 'ray', None)
    scene = write_scene(tmp_path / 'scene.tif', noise(64, 64, bands=3))
    words = ['predict', small_checkpoint, scene, '-o', tmp_path / 'map.tif', '--cluster', 'local']
    assert main([str(word) for word in words]) == 1
    assert "pip install 'gersp-geo[ray]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('rooms', 'options', 'shared'),
    [
        # one worker per machine, with its cores; a small head has none
        ([(8, 0), (8, 0)], {}, (2, 8, 0)),
        ([(2, 0), (64, 0), (64, 0)], {}, (2, 64, 0)),
        ([(8, 0), (6, 0), (0, 0)], {}, (2, 6, 0)),
        # one per GPU
        ([(16, 4), (16, 4), (8, 0)], {}, (8, 4, 1)),
        ([(16, 4), (8, 0)], {'device': 'cpu'}, (2, 8, 0)),
        # as many as are asked for, with as many cores as all can have
        ([(8, 0), (4, 0)], {'workers': 3}, (3, 4, 0)),
        ([(8, 0), (4, 0)], {'workers': 12}, (12, 1, 0)),
        ([(16, 2)], {'workers': 1}, (1, 16, 1)),
    ],
)
def test_the_cores_of_a_cluster_are_shared(
    rooms: list[tuple[int, int]], options: dict[str, Any], shared: tuple[int, int, int]
) -> None:
    assert share_cluster(rooms, MapOptions(**options)) == shared


@pytest.mark.parametrize(
    ('rooms', 'room'),
    [([(2, 0)], 'for 2, got 3'), ([], 'for 0, got 3'), ([(9, 2)], 'for 2, got 3')],
)
def test_more_workers_than_there_is_room_for_are_refused(
    rooms: list[tuple[int, int]], room: str
) -> None:
    with pytest.raises(ValueError, match=room):
        share_cluster(rooms, MapOptions(workers=3))


def run_script(place: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return subprocess.run(
        ['sh', str(SCRIPT)],
        cwd=place,
        check=False,
        env=os.environ | {'PATH': path} | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ('variables', 'message'),
    [
        ({'PROFILE': 'huge'}, 'PROFILE must be tiny or cluster, got huge'),
        ({'PROFILE': 'cluster'}, 'pass head, worker or predict'),
    ],
)
def test_the_script_refuses_what_it_does_not_know(
    variables: dict[str, str], message: str, tmp_path: Path
) -> None:
    pytest.importorskip('ray')
    answer = run_script(tmp_path, **variables)
    assert answer.returncode == 2
    assert message in answer.stderr


@pytest.mark.slow
def test_the_script_makes_a_map_on_two_nodes_and_leaves_none_running(
    cluster_work: Path, sample_data: Path, nodes: Nodes, tmp_path: Path
) -> None:
    (tmp_path / 'sample-data').symlink_to(sample_data)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    variables = {
        'PORT': port, 'MODEL': str(cluster_work / 'maps.ckpt'), 'SCENES': str(cluster_work / 'scene.tif'),
        'RAY_TMPDIR': nodes.environment['RAY_TMPDIR'],
    }  # fmt: skip
    answer = run_script(tmp_path, **variables)
    assert answer.returncode == 0, answer.stderr[-4000:]
    assert (tmp_path / 'map.tif').exists()
    assert not nodes.actors()
