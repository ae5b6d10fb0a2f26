"""Names on the hub and URLs, answered by real servers on loopback."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rasterio
import timm
import torch
from huggingface_hub import constants
from torch import Tensor

from gersp_geo.comparison.candidates import parse_candidates
from gersp_geo.main import main
from gersp_geo.models import export_backbone, load_backbone
from gersp_geo.models.downloads import FOLDER_VARIABLE, LARGEST_VARIABLE
from gersp_geo.models.remote_files import is_elsewhere, localize, obtain_file
from gersp_geo.models.weight_sources import resolve_weights
from gersp_geo.tasks import ChangeDetection, GeRSPTask, ObjectDetection
from tests.models.file_servers import COMMIT, Served, serve

BODY = bytes(range(256)) * 40
DIGEST = sha256(BODY).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files from URLs go."""
    (tmp_path / 'weights').mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / 'weights'))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    return tmp_path / 'weights'


@pytest.fixture
def web(folder: Path) -> Iterator[Served]:
    with serve() as served:
        yield served


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """As HF_ENDPOINT and HF_HUB_CACHE would have it, which are read when the client is imported."""
    with serve(hub=True) as served:
        template = served.url + '/{repo_id}/resolve/{revision}/{filename}'
        monkeypatch.setattr(constants, 'ENDPOINT', served.url)
        monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template)
        monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
        yield served


@pytest.fixture(scope='module')
def exported(
    write_format: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """A repository as our export makes it."""
    folder = tmp_path_factory.mktemp('exported') / 'timm'
    export_backbone(write_format('gersp_geo.ckpt'), folder, format='timm')
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob('*') if path.is_file())


@pytest.mark.parametrize('name', ['model.ckpt', f'model-{DIGEST[:8]}.pth', 'model-20240131.pth'])
def test_a_url_is_downloaded_once(name: str, web: Served, folder: Path) -> None:
    web.files[f'/a/{name}'] = BODY
    first = obtain_file(f'{web.url}/a/{name}?token=secret')
    assert (first.path.read_bytes(), first.sha256) == (BODY, DIGEST)
    assert first.origin == f'{web.url}/a/{name}'
    assert first.provenance['downloaded_sha256'] == DIGEST
    web.files.clear()
    assert obtain_file(f'{web.url}/a/{name}?token=secret') == first
    assert len(web.asked) == 1


def test_two_urls_that_end_in_one_name_are_two_files(web: Served) -> None:
    web.files |= {'/a/model.ckpt': b'one', '/b/model.ckpt': b'two'}
    found = [obtain_file(f'{web.url}/{place}/model.ckpt').path for place in 'ab']
    assert [path.read_bytes() for path in found] == [b'one', b'two']


@pytest.mark.parametrize(
    ('headers', 'cut', 'words'),
    [
        ({}, 900, r'cut after 900 of 10240 bytes'),
        ({'Content-Type': 'text/html'}, None, 'answers with a page'),
        ({'Content-Length': None}, None, 'does not say how long'),
    ],
)
def test_what_is_not_a_whole_file_is_never_taken_for_one(
    headers: dict[str, str | None], cut: int | None, words: str, web: Served, folder: Path
) -> None:
    web.files['/model.ckpt'], web.headers, web.cut = BODY, headers, cut
    with pytest.raises(FileNotFoundError, match=words) as caught:
        obtain_file(f'{web.url}/model.ckpt')
    assert left(folder) == []
    web.headers, web.cut = {}, None
    found = obtain_file(f'{web.url}/model.ckpt')
    assert found.sha256 == DIGEST
    # the message said where it belongs, and there it is
    assert f'save it as {found.path}, or pass the path' in str(caught.value)


@pytest.mark.parametrize('longer', [b'', BODY], ids=['as told', 'longer'])
def test_more_than_was_agreed_to_is_not_downloaded(
    longer: bytes, web: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files['/model.ckpt'], web.longer = BODY, longer
    most = len(BODY + longer)
    monkeypatch.setenv(LARGEST_VARIABLE, str((most - 1) / 2**30))
    with pytest.raises(FileNotFoundError, match=f'it has {most} bytes or more, and .* raises that'):
        obtain_file(f'{web.url}/model.ckpt')
    assert left(folder) == []
    monkeypatch.setenv(LARGEST_VARIABLE, str(most / 2**30))
    assert obtain_file(f'{web.url}/model.ckpt').path.read_bytes() == BODY + longer


@pytest.mark.parametrize('longer', [b'', BODY], ids=['as told', 'longer'])
def test_more_than_was_agreed_to_is_not_downloaded_from_the_hub(
    longer: bytes, hub: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files['model.ckpt'], hub.longer = BODY, longer
    most = len(BODY + longer)
    monkeypatch.setenv(LARGEST_VARIABLE, str((most - 1) / 2**30))
    with pytest.raises(FileNotFoundError, match=f'it has {most} bytes or more, and .* raises that'):
        obtain_file('hf-hub:org/name/model.ckpt')
    # older clients keep what has come, to go on from there
    kept = Path(constants.HF_HUB_CACHE).rglob('blobs/*')
    assert [file for file in kept if file.suffix != '.incomplete'] == []
    hub.longer = b''
    monkeypatch.setenv(LARGEST_VARIABLE, str(most / 2**30))
    assert obtain_file('hf-hub:org/name/model.ckpt').sha256 == DIGEST


@pytest.mark.parametrize('told', ['much', '0', '-1', 'nan'])
def test_a_limit_that_is_none_is_refused(
    told: str, web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.files['/model.ckpt'] = BODY
    monkeypatch.setenv(LARGEST_VARIABLE, told)
    with pytest.raises(ValueError, match=f'GERSP_GEO_DOWNLOAD_GIB must be .* > 0, got {told}'):
        obtain_file(f'{web.url}/model.ckpt')


def test_the_checksum_in_a_name_is_checked(web: Served, folder: Path) -> None:
    web.files['/model-0123abcd.pth'] = BODY
    with pytest.raises(ValueError, match=f'must begin with 0123abcd, got {DIGEST}'):
        obtain_file(f'{web.url}/model-0123abcd.pth')
    assert left(folder) == []
    name = f'model-{DIGEST[:8]}.pth'
    web.files[f'/{name}'] = BODY
    path = obtain_file(f'{web.url}/{name}').path
    path.write_bytes(BODY[:-1])
    with pytest.raises(ValueError, match='remove it'):
        obtain_file(f'{web.url}/{name}')


def test_nothing_is_put_where_torch_hub_runs_what_it_finds(web: Served, folder: Path) -> None:
    name = f'model-{DIGEST[:8]}.pth'
    web.files[f'/{name}'] = BODY
    found = obtain_file(f'{web.url}/{name}')
    assert found.path.parent.parent.name == 'urls'
    assert not [path for path in folder.iterdir() if path.is_file() and path.name == name]


def test_a_file_that_changes_after_its_download_is_refused(web: Served) -> None:
    web.files['/model.ckpt'] = BODY
    found = obtain_file(f'{web.url}/model.ckpt')
    found.path.write_bytes(BODY[:-1])
    with pytest.raises(ValueError, match='has changed'):
        obtain_file(f'{web.url}/model.ckpt')


@pytest.mark.parametrize(
    ('url', 'words'),
    [
        ('http://example.org/model.ckpt', r'example\.org/model\.ckpt must begin with https'),
        ('ftp://example.org/model.ckpt', 'must begin with https'),
        ('s3://bucket/model.ckpt', 'must begin with https'),
        ('https://me:SECRET@example.org/model.ckpt', 'password'),
        ('https://example.org/', 'names no file'),
    ],
)
def test_a_url_that_nobody_should_trust_is_refused(url: str, words: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        obtain_file(url)
    assert 'SECRET' not in str(caught.value)


def test_a_server_may_not_lead_to_one_without_encryption(web: Served, folder: Path) -> None:
    web.files['/there.ckpt'] = BODY
    web.redirects |= {'/on': '/there.ckpt', '/off': 'http://example.org/model.ckpt'}
    assert obtain_file(f'{web.url}/on').sha256 == DIGEST
    with pytest.raises(ValueError, match='must begin with https'):
        obtain_file(f'{web.url}/off')


def test_what_exists_as_a_path_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_elsewhere('hf-hub:org/name')
    (tmp_path / 'hf-hub:org').mkdir()
    (tmp_path / 'hf-hub:org' / 'name').write_bytes(BODY)
    assert not is_elsewhere('hf-hub:org/name')
    assert localize('hf-hub:org/name') == 'hf-hub:org/name'
    with pytest.raises(ValueError, match='no checkpoint'):
        resolve_weights('hf-hub:org/name')


def test_the_hub_is_asked_once(
    hub: Served, exported: dict[str, bytes], student: dict[str, Tensor]
) -> None:
    hub.files |= exported
    model: Any = timm.create_model('resnet18', num_classes=0)
    report = load_backbone(model, 'hf-hub:org/name')
    assert all(torch.equal(value, student[name]) for name, value in model.state_dict().items())
    assert report.preprocessing is not None
    origin = f'hf-hub:org/name@{COMMIT}/model.safetensors'
    digest = sha256(exported['model.safetensors']).hexdigest()
    assert report.provenance['downloaded_from'] == origin
    assert f'from {origin} with SHA-256 {digest}' in str(report)
    hub.asked.clear()
    # by branch, by what the report says, and by tag once the tag was seen
    for name in ('hf-hub:org/name', origin):
        assert resolve_weights(name).provenance['downloaded_sha256'] == digest
    assert hub.asked == []


def test_a_branch_may_gain_a_file_and_a_commit_may_not(
    hub: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files['pytorch_model.bin'] = b'old'
    at_commit = f'hf-hub:org/name@{COMMIT}'
    for name in ('hf-hub:org/name', at_commit):
        assert obtain_file(name).path.name == 'pytorch_model.bin'
    hub.asked.clear()
    assert obtain_file(at_commit).path.name == 'pytorch_model.bin'
    assert hub.asked == []
    with serve() as gone:
        pass
    hub.files['model.safetensors'] = BODY
    nowhere = gone.url + '/{repo_id}/{revision}/{filename}'
    with monkeypatch.context() as offline:
        offline.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', nowhere)
        with pytest.warns(UserWarning, match=r'asked for model\.safetensors, which org/name had'):
            assert obtain_file('hf-hub:org/name').path.name == 'pytorch_model.bin'
    assert obtain_file('hf-hub:org/name').sha256 == DIGEST
    assert obtain_file(at_commit).path.name == 'pytorch_model.bin'


def test_what_compares_and_exports_weights_takes_names(
    hub: Served, exported: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files |= exported
    for name, content in exported.items():
        (tmp_path / name).write_bytes(content)
    (here,) = parse_candidates([f'a={tmp_path / "model.safetensors"}'])
    (there,) = parse_candidates(['b=hf-hub:org/name'])
    assert (there.label, there.digest) == ('b', here.digest)
    target = tmp_path / 'a.safetensors'
    assert main(['export', 'hf-hub:org/name', str(target), '--format', 'torchvision']) == 0
    digest = sha256(exported['model.safetensors']).hexdigest()
    assert f'model.safetensors with SHA-256 {digest}' in capsys.readouterr().out
    assert resolve_weights(target).provenance['downloaded_sha256'] == digest


@pytest.mark.slow
def test_tasks_take_names(hub: Served, exported: dict[str, bytes]) -> None:
    hub.files |= exported
    tasks: list[Any] = [
        ObjectDetection('retinanet', 'resnet18', 'hf-hub:org/name', num_classes=2),
        GeRSPTask('resnet18', weights='hf-hub:org/name'),
        ChangeDetection('unet', 'resnet18', 'hf-hub:org/name'),
    ]
    for task in tasks:
        assert task.report is not None
        assert task.report.provenance['downloaded_from'].startswith('hf-hub:org/name@')


@pytest.mark.parametrize(
    ('word', 'words'),
    [
        ('hf-hub:org/name', r'has no model\.safetensors or .* but other\.pth, README'),
        ('hf-hub:org/name/none.ckpt', r'name the file: hf-hub:org/name/FILE'),
        ('hf-hub:org/other', 'there is no org/other on http://.* or it is private'),
        ('hf-hub:org/name@v2', 'no branch, tag or commit v2'),
    ],
)
def test_what_the_hub_has_not_is_said(word: str, words: str, hub: Served) -> None:
    hub.files |= {'other.pth': BODY, 'README.md': b''}
    with pytest.raises(FileNotFoundError, match=words):
        obtain_file(word)


@pytest.mark.parametrize('word', ['hf-hub:name', 'hf-hub:a/b@', 'hf-hub:', 'hf-hub:a b/c'])
def test_what_is_no_name_on_the_hub_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match='the hub has names such as'):
        obtain_file(word)


def test_a_revision_and_a_file_may_be_named(hub: Served) -> None:
    hub.files |= {'sub/other.pth': BODY, 'model.ckpt': b'', 'model.safetensors': BODY}
    found = obtain_file('hf-hub:org/name@v1/sub/other.pth')
    assert found.origin == f'hf-hub:org/name@{COMMIT}/sub/other.pth'
    # a model has a head, and a file named is never the folder
    assert obtain_file('hf-hub:org/name', purpose='model').path.name == 'model.ckpt'
    assert obtain_file('hf-hub:org/name/model.safetensors').path.name == 'model.safetensors'


def test_a_damaged_file_in_the_cache_of_the_hub_is_refused(hub: Served) -> None:
    hub.files['model.ckpt'] = BODY
    found = obtain_file('hf-hub:org/name/model.ckpt')
    found.path.resolve().write_bytes(BODY[:-1])
    with pytest.raises(ValueError, match=f'is damaged: .* the hub says {DIGEST}'):
        obtain_file('hf-hub:org/name/model.ckpt')


@pytest.mark.slow
def test_a_connection_to_the_hub_that_is_cut_leaves_nothing(hub: Served) -> None:
    hub.files['model.ckpt'], hub.cut = BODY, 900
    with pytest.raises(FileNotFoundError, match='cannot be downloaded'):
        obtain_file('hf-hub:org/name/model.ckpt')
    hub.cut = None
    assert obtain_file('hf-hub:org/name/model.ckpt').sha256 == DIGEST


def test_without_a_network_one_line_says_where_the_file_belongs(
    hub: Served, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve() as gone:
        pass
    monkeypatch.setattr(
        constants, 'HUGGINGFACE_CO_URL_TEMPLATE', gone.url + '/{repo_id}/{revision}/{filename}'
    )
    for word, place in (
        ('hf-hub:org/name', f'models--org--name of its cache into {constants.HF_HUB_CACHE}'),
        (f'{gone.url}/model.ckpt', f'save it as {folder}'),
    ):
        assert main(['export', word, str(folder / 'out.pth'), '--format', 'torchvision']) == 1
        printed = capsys.readouterr().err
        assert re.search(rf'{re.escape(word)} is not here .*{re.escape(place)}', printed)
        assert 'path of' in printed
        assert printed.count('\n') == 1


@pytest.mark.slow
def test_the_command_predicts_with_a_model_of_the_hub(
    hub: Served, small_checkpoint: Path, tmp_path: Path
) -> None:
    hub.files['model.ckpt'] = small_checkpoint.read_bytes()
    hidden = {'HF_HUB_OFFLINE', FOLDER_VARIABLE}
    told = {'HF_ENDPOINT': hub.url, 'HF_HOME': str(tmp_path / 'home')}
    scene, pixels = tmp_path / 'scene.tif', torch.arange(3 * 64 * 64).reshape(3, 64, 64) % 251
    with rasterio.open(
        scene, 'w', driver='GTiff', width=64, height=64, count=3, dtype='uint8',
        crs='EPSG:32632', transform=rasterio.Affine(1, 0, 500000, 0, -1, 5000000),
    ) as file:  # fmt: skip
        file.write(pixels.byte().numpy())
    maps: list[Path] = []
    for model in ('hf-hub:org/name', str(small_checkpoint)):
        maps.append(tmp_path / f'{len(maps)}.tif')
        command = [sys.executable, '-m', 'gersp_geo.main', 'predict', model, str(scene)]
        done = subprocess.run(
            [*command, '-o', str(maps[-1]), '--no-progress', '--size', '64'],
            env={k: v for k, v in os.environ.items() if k not in hidden} | told,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        digest = sha256(small_checkpoint.read_bytes()).hexdigest()
        assert (f'SHA-256 {digest}' in done.stderr) == (model == 'hf-hub:org/name')
    assert maps[0].read_bytes() == maps[1].read_bytes()
