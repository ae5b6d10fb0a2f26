"""Laws of workers on a cluster of Ray: same bytes as one process, and nothing is lost with anybody."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import torch
from torchgeo.tasks import Classification, SemanticSegmentation

from gersp_geo.inference.options import MapOptions
from gersp_geo.inference.workers.cluster import share_cluster
from gersp_geo.main import main
from gersp_geo.tasks import ChangeDetection, ObjectDetection
from tests.inference.patches.scenes import noise, save, write_scene

SCRIPT = Path(__file__).parents[3] / 'runs' / 'ray_cluster.sh'

PATIENCE = 180.0  # seconds, of a busy machine

# Two nodes of one core each, the second of which is taken away when a line comes
NODES = """
import sys
from ray.cluster_utils import Cluster

settings = {'num_cpus': 1, 'include_dashboard': False, 'object_store_memory': 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args=settings)
other = cluster.add_node(**settings)
print(cluster.address, flush=True)
for line in sys.stdin:
    cluster.remove_node(other, allow_graceful=False)
    print('removed', flush=True)
cluster.shutdown()
"""

DRIVER = """
import json, sys
from gersp_geo.inference.jobs import predict

print(predict(**json.loads(sys.argv[1])))
"""


@dataclass
class Nodes:
    """A cluster, in a process of its own."""

    host: subprocess.Popen[str]
    address: str
    environment: dict[str, str]

    def remove_one(self) -> None:
        assert self.host.stdin is not None
        assert self.host.stdout is not None
        print('remove', file=self.host.stdin, flush=True)
        assert self.host.stdout.readline() == 'removed\n'

    def actors(self) -> list[int]:
        """Processes of workers, of this cluster only."""
        mark = f'RAY_TMPDIR={self.environment["RAY_TMPDIR"]}'.encode()
        found = []
        for folder in Path('/proc').glob('[0-9]*'):
            with suppress(OSError):
                words = (folder / 'cmdline').read_bytes(), (folder / 'environ').read_bytes()
                if b'ray::RayWorker' in words[0] and mark in words[1].split(b'\0'):
                    found.append(int(folder.name))
        return found


@contextmanager
def two_nodes() -> Iterator[Nodes]:
    pytest.importorskip('ray')
    # names of sockets have 107 bytes at most
    folder = tempfile.mkdtemp(prefix='r', dir='/tmp')
    environment = os.environ | {
        'RAY_TMPDIR': folder, 'RAY_USAGE_STATS_ENABLED': '0', 'OMP_NUM_THREADS': '1'
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, '-c', NODES], env=environment, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as host:  # fmt: skip
        try:
            assert host.stdin is not None
            assert host.stdout is not None
            yield Nodes(host, host.stdout.readline().strip(), environment)
            host.stdin.close()
            host.wait(60)
        finally:
            host.kill()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope='module')
def nodes() -> Iterator[Nodes]:
    with two_nodes() as found:
        yield found


@contextmanager
def driver(nodes: Nodes, **arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """Predict in a process of its own."""
    words = json.dumps(
        arguments | {'progress': False, 'part_pixels': 1, 'device': 'cpu'}, default=str
    )
    with subprocess.Popen(
        [sys.executable, '-c', DRIVER, words], env=nodes.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def predict(nodes: Nodes, **arguments: Any) -> str:
    with driver(nodes, **arguments) as process:
        told, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, complaints
    return told


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


@pytest.fixture(scope='module')
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene, another date, a folder of scenes with two broken ones, and models."""
    folder = tmp_path_factory.mktemp('work')
    torch.manual_seed(0)
    settings: dict[str, Any] = {'in_channels': 2, 'num_classes': 3}
    save(folder / 'maps.ckpt', SemanticSegmentation('fcn', num_filters=8, **settings))
    save(folder / 'slow.ckpt', SemanticSegmentation('unet', 'resnet18', **settings))
    save(folder / 'classify.ckpt', Classification('resnet18', **settings))
    save(folder / 'objects.ckpt', ObjectDetection('faster-rcnn', 'resnet18', **settings))
    change = ChangeDetection('unet', 'resnet18', in_channels=2, num_classes=2)
    save(folder / 'change.ckpt', change, names=('same', 'changed'))
    write_scene(folder / 'scene.tif', noise(300, 200))
    write_scene(folder / 'after.tif', noise(300, 200, seed=1))
    write_scene(folder / 'long.tif', noise(1600, 200))
    (folder / 'scenes').mkdir()
    for number in range(5):
        write_scene(folder / 'scenes' / f'{number}.tif', noise(150, 150, seed=number))
    (folder / 'scenes' / '5.tif').write_text('no raster')
    whole = (folder / 'scenes' / '4.tif').read_bytes()
    (folder / 'scenes' / '6.tif').write_bytes(whole[: len(whole) // 2])
    return folder


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
    case: str, nodes: Nodes, work: Path, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {'kind': case, 'model': f'{case}.ckpt', 'source': 'scene.tif'}
    arguments |= {'size': 64, **CASES[case]}
    for name in ('model', 'source', 'after'):
        if name in arguments:
            arguments[name] = work / arguments[name]
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
            assert '5 of 7 scenes' in line
            assert re.search(r'failed +\S*5\.tif: ', line)
            assert re.search(r'failed +\S*6\.tif: ', line)


def finished(folder: Path) -> Counter[int]:
    """Count how often each part stands in the journals."""
    lines = [
        line for path in folder.glob('*.jsonl') for line in path.read_bytes().split(b'\n')[:-1]
    ]
    return Counter(json.loads(line)['entry']['part'] for line in lines)


def await_parts(folder: Path, count: int, process: subprocess.Popen[str]) -> Counter[int]:
    """Wait until more parts are finished than a number."""
    until = monotonic() + PATIENCE
    while len(found := finished(folder)) <= count:
        assert process.poll() is None, process.communicate()
        assert monotonic() < until
        sleep(0.05)
    return found


@pytest.fixture
def long_job(work: Path, tmp_path: Path) -> dict[str, Any]:
    """Takes a while: some hundred parts."""
    return {
        'kind': 'maps', 'model': work / 'slow.ckpt', 'source': [work / 'long.tif'], 'size': 64,
        'overlap': 48, 'destination': tmp_path / 'map.tif',
    }  # fmt: skip


@pytest.fixture(scope='module')
def long_map(work: Path, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp('one') / 'map.tif'
    predict(
        nodes, kind='maps', model=work / 'slow.ckpt', source=[work / 'long.tif'], size=64, overlap=48,
        destination=path,
    )  # fmt: skip
    return path.read_bytes()


def kill_actor(nodes: Nodes) -> None:
    os.kill(nodes.actors()[0], signal.SIGKILL)


def remove_node(nodes: Nodes) -> None:
    nodes.remove_one()


@pytest.mark.slow
@pytest.mark.parametrize('harm', [kill_actor, remove_node])
def test_a_worker_that_dies_loses_nothing_and_no_finished_part_is_made_again(
    harm: Callable[[Nodes], None],
    long_job: dict[str, Any],
    long_map: bytes,
    nodes: Nodes,
    tmp_path: Path,
) -> None:
    folder = tmp_path / '.map.tif.parts'
    kills = 3 if harm is kill_actor else 1
    with (
        two_nodes() if harm is remove_node else nullcontext(nodes) as own,
        driver(own, cluster=own.address, lease=5.0, **long_job) as process,
    ):
        before = Counter[int]()
        for _ in range(kills):
            before = await_parts(folder, len(before) + 8, process)
            harm(own)
        while process.poll() is None:
            before |= finished(folder)
            sleep(0.05)
        complaints = process.communicate()[1]
    assert process.returncode == 0, complaints
    # each text is said once
    assert re.search(r'worker \d has died \(its ', complaints)
    assert '(raylet)' not in complaints
    assert set(before.values()) == {1}
    assert (tmp_path / 'map.tif').read_bytes() == long_map
    assert not folder.exists()


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_driver_and_the_next_one_goes_on(
    number: signal.Signals, long_job: dict[str, Any], long_map: bytes, nodes: Nodes, tmp_path: Path
) -> None:
    folder = tmp_path / '.map.tif.parts'
    with driver(nodes, cluster=nodes.address, **long_job) as process:
        await_parts(folder, 8, process)
        process.send_signal(number)
        process.wait(60)
    until = monotonic() + 30
    while nodes.actors():
        assert monotonic() < until
        sleep(0.1)
    done = len(finished(folder))
    told = predict(nodes, cluster=nodes.address, **long_job)
    assert f'{done} done before' in told
    assert (tmp_path / 'map.tif').read_bytes() == long_map


@pytest.mark.slow
def test_a_port_at_which_nobody_speaks_ray_is_refused_in_one_line(
    nodes: Nodes, work: Path, tmp_path: Path
) -> None:
    words = ['predict', work / 'maps.ckpt', work / 'scene.tif', '-o', tmp_path / 'map.tif']
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


@pytest.mark.slow
def test_ctrl_c_ends_a_cluster_on_this_machine_and_the_next_one_goes_on(
    long_job: dict[str, Any], long_map: bytes, nodes: Nodes, tmp_path: Path
) -> None:
    folder = tmp_path / '.map.tif.parts'
    # where Ray leaves a secret
    own = replace(nodes, environment=nodes.environment | {'HOME': str(tmp_path)})
    local = {'cluster': 'local', 'workers': 2}
    with driver(own, **local, **long_job) as process:
        await_parts(folder, 8, process)
        # as a terminal does
        os.killpg(process.pid, signal.SIGINT)
        complaints = process.communicate(timeout=60)[1]
    assert 'KeyboardInterrupt' in complaints
    assert not own.actors()
    done = len(finished(folder))
    assert f'{done} done before' in predict(own, **local, **long_job)
    assert (tmp_path / 'map.tif').read_bytes() == long_map


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
    work: Path, sample_data: Path, nodes: Nodes, tmp_path: Path
) -> None:
    (tmp_path / 'sample-data').symlink_to(sample_data)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    variables = {
        'PORT': port, 'MODEL': str(work / 'maps.ckpt'), 'SCENES': str(work / 'scene.tif'),
        'RAY_TMPDIR': nodes.environment['RAY_TMPDIR'],
    }  # fmt: skip
    answer = run_script(tmp_path, **variables)
    assert answer.returncode == 0, answer.stderr[-4000:]
    assert (tmp_path / 'map.tif').exists()
    assert not nodes.actors()
