"""Clusters of Ray in processes of their own, and drivers that use them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
