"""Workers on a cluster of Ray, nodes and drivers that end: nothing is lost, and nothing goes on."""

import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tests.inference.workers.ray_nodes import PATIENCE, Nodes, driver, predict, two_nodes


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
def long_job(cluster_work: Path, tmp_path: Path) -> dict[str, Any]:
    """Takes a while: some hundred parts."""
    return {
        'kind': 'maps', 'model': cluster_work / 'slow.ckpt', 'source': [cluster_work / 'long.tif'], 'size': 64,
        'overlap': 48, 'destination': tmp_path / 'map.tif',
    }  # fmt: skip


@pytest.fixture(scope='module')
def long_map(cluster_work: Path, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp('one') / 'map.tif'
    predict(
        nodes, kind='maps', model=cluster_work / 'slow.ckpt', source=[cluster_work / 'long.tif'], size=64, overlap=48,
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
