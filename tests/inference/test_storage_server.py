"""Results in a store, over another server of S3 than ours: all kinds, killed and called again."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import torch

from gersp_geo.geoio.storage import settings, upload
from gersp_geo.inference.jobs import Kind, predict
from gersp_geo.inference.resume.entries import Entry
from gersp_geo.inference.resume.journal import Journal
from gersp_geo.main import main
from tests.geoio.object_store import point_at
from tests.inference.detection.detectors import RECORD, Exact, draw, plant, write_scene
from tests.inference.patches.scenes import Corners
from tests.inference.test_storage import write_scene as write_rgb

pytestmark = pytest.mark.slow

# a row of patches per part, and a few panels
OPTIONS: dict[str, Any] = {
    'preprocessing': RECORD, 'size': 32, 'part_pixels': 1, 'device': 'cpu', 'runtime': 'eager',
    'memory_limit': '60KiB', 'progress': False, 'batch_size': 2,
}  # fmt: skip
MAKE: dict[str, tuple[Kind, Any, dict[str, Any]]] = {
    'a.parquet': ('objects', Exact, {'overlap': 16}),
    'a.gpkg': ('objects', Exact, {'overlap': 16}),
    'vectors.parquet': ('embed', Corners, {}),
    'vectors.tif': ('embed', Corners, {}),
}


def wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError('the server does not answer')


@pytest.fixture(scope='module')
def server() -> Iterator[Any]:
    """A client of an empty bucket in a server of its own."""
    pytest.importorskip('obstore')
    pytest.importorskip('moto.server')
    boto3 = pytest.importorskip('boto3')
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, '-m', 'moto.server', '-H', '127.0.0.1', '-p', str(port)]
    quiet = subprocess.DEVNULL
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(command, stdout=quiet, stderr=quiet) as process,
    ):
        wait_for(port)
        point_at(patch, port)
        client = boto3.client('s3', endpoint_url=f'http://127.0.0.1:{port}')
        client.create_bucket(Bucket='bucket')
        yield client
        process.terminate()


@pytest.fixture(scope='module')
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(5)
    boxes = plant(
        (220, 300), 150, largest=14, integer=lambda low, high: int(random.integers(low, high + 1))
    )
    return write_scene(tmp_path_factory.mktemp('scene') / 'scene.tif', draw((220, 300), boxes))


class Cut:
    """Stands between a client and a server, and breaks every connection after some bytes."""

    def __init__(self, server: int, left: int) -> None:
        self.server, self.left = server, left
        self.door = socket.create_server(('127.0.0.1', 0))
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self.let_in, daemon=True).start()

    def let_in(self) -> None:
        while True:
            client = self.door.accept()[0]
            server = socket.create_connection(('127.0.0.1', self.server))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.pass_on, args=pair, daemon=True).start()

    def pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while self.left > 0 and (piece := source.recv(4096)):
                self.left -= len(piece)
                target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def make(name: str, scene: str | Path, destination: str | Path, **options: Any) -> str:
    kind, model, more = MAKE[name]
    return str(predict(kind, model(), [scene], destination, **OPTIONS, **more, **options))


def content(server: Any, key: str) -> bytes:
    body: bytes = server.get_object(Bucket='bucket', Key=key)['Body'].read()
    return body


def run_until_killed(name: str, scene: str, destination: str, work: Path, count: int) -> None:
    torch.set_num_threads(1)
    append, done = Journal.append, 0

    def note(journal: Journal, entry: Entry) -> None:
        nonlocal done
        append(journal, entry)
        done += 1
        if done == count:
            os.kill(os.getpid(), signal.SIGKILL)

    def stop(*arguments: Any, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    patch = pytest.MonkeyPatch()
    patch.setattr(Journal, 'append', note)
    if count == -1:
        # all has its name, and nothing is uploaded
        patch.setattr('gersp_geo.inference.finishing.deliver', stop)
    if count == -2:
        # all is uploaded, and the parts are still there
        patch.setattr(Journal, 'remove', stop)
    make(name, scene, destination, work=work)


def test_kills_change_no_byte_and_leave_no_half_object(
    server: Any, scene: Path, tmp_path: Path
) -> None:
    server.upload_file(str(scene), 'bucket', 'killed/scene.tif')
    source, target = 's3://bucket/killed/scene.tif', 's3://bucket/killed/a.parquet'
    context = multiprocessing.get_context('spawn')
    for count in (3, -1, -2):
        process = context.Process(
            target=run_until_killed, args=('a.parquet', source, target, tmp_path / 'w', count)
        )
        process.start()
        process.join(timeout=300)
        assert process.exitcode == -signal.SIGKILL
        listed = server.list_objects_v2(Bucket='bucket', Prefix='killed/')['Contents']
        expected = {'killed/scene.tif'} | ({'killed/a.parquet'} if count == -2 else set())
        assert {each['Key'] for each in listed} == expected
    with pytest.raises(FileExistsError, match=f'{target} exists'):
        make('a.parquet', source, target, work=tmp_path / 'w')
    assert [path for path in (tmp_path / 'w').rglob('*') if path.is_file()] == []
    make('a.parquet', source, tmp_path / 'a.parquet')
    assert content(server, 'killed/a.parquet') == (tmp_path / 'a.parquet').read_bytes()


@pytest.mark.parametrize('name', MAKE)
def test_every_kind_of_result_is_that_on_disk(
    name: str, server: Any, scene: Path, tmp_path: Path
) -> None:
    said = make(name, scene, f's3://bucket/kinds/{name}', work=tmp_path / 'w')
    assert f's3://bucket/kinds/{name}' in said
    assert str(tmp_path) not in said
    made = content(server, f'kinds/{name}')
    make(name, scene, tmp_path / name)
    if name.endswith('.gpkg'):
        # it says when it was made
        (tmp_path / 'stored.gpkg').write_bytes(made)
        assert geopandas.read_file(tmp_path / 'stored.gpkg', layer=0).equals(
            geopandas.read_file(tmp_path / name, layer=0)
        )
    else:
        assert made == (tmp_path / name).read_bytes()
    with pytest.raises(FileExistsError):
        make(name, scene, f's3://bucket/kinds/{name}', work=tmp_path / 'w')
    make(name, scene, f's3://bucket/kinds/{name}', work=tmp_path / 'w', overwrite=True)


def test_two_workers_bring_the_same_objects(
    server: Any, small_checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        write_rgb(tmp_path / f'scenes/s{number}.tif', number)
    (tmp_path / 'scenes/bad.tif').write_bytes(b'no raster')
    begin = ['predict', str(small_checkpoint), str(tmp_path / 'scenes')]
    options = ['--size', '32', '--overlap', '8', '--no-progress', '--runtime', 'eager']
    work = ['--work', str(tmp_path / 'w'), '--workers', '2']
    assert main([*begin, '-o', 's3://bucket/two/', *options, *work]) == 1
    said = capfd.readouterr().out
    assert '3 of 4 scenes predicted' in said
    assert 's3://bucket/two/s0.tif' in said
    assert main([*begin, '-o', str(tmp_path / 'maps'), *options]) == 1
    for number in range(3):
        found = content(server, f'two/s{number}.tif')
        assert found == (tmp_path / f'maps/s{number}.tif').read_bytes()
    assert [path for path in (tmp_path / 'w').rglob('*') if path.is_file()] == []
    assert main([*begin, '-o', 's3://bucket/two/', *options, *work]) == 1
    assert '0 of 4 scenes predicted, 3 before' in capfd.readouterr().out


@pytest.mark.parametrize('left', [3_000, 3_000_000, 12_000_000, 24_000_000])
def test_a_connection_that_breaks_leaves_no_object(
    left: int, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, 'RETRIES', 1)
    (tmp_path / 'map.tif').write_bytes(os.urandom(25_000_000))
    port = int(server.meta.endpoint_url.rpartition(':')[2])
    monkeypatch.setenv('AWS_S3_ENDPOINT', f'127.0.0.1:{Cut(port, left).port}')
    with pytest.raises(OSError, match='cannot be reached') as caught:
        upload(tmp_path / 'map.tif', 's3://bucket/cut/map.tif')
    assert '\n' not in str(caught.value)
    assert 'Contents' not in server.list_objects_v2(Bucket='bucket', Prefix='cut/')
    monkeypatch.setenv('AWS_S3_ENDPOINT', f'127.0.0.1:{port}')
    upload(tmp_path / 'map.tif', 's3://bucket/cut/map.tif')
    assert content(server, 'cut/map.tif') == (tmp_path / 'map.tif').read_bytes()
    server.delete_object(Bucket='bucket', Key='cut/map.tif')
