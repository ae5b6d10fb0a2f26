"""Objects in stores, over a store on loopback."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gersp_geo.geoio.storage import (
    ObjectName,
    check_stores,
    download,
    is_remote,
    list_objects,
    local_copy,
    look_up,
    object_of,
    object_read,
    objects,
    settings,
    upload,
)
from tests.geoio.object_store import Store, serve_objects


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    pytest.importorskip('obstore')
    monkeypatch.setattr(settings, 'RETRIES', 1)
    with serve_objects(monkeypatch) as served:
        yield served


def write(folder: Path, content: bytes) -> Path:
    path = folder / 'file'
    path.write_bytes(content)
    return path


words = st.text(st.characters(exclude_characters='/?\x00', exclude_categories=['Cs']), min_size=1)


@given(st.sampled_from(['s3', 'gs', 'az']), st.lists(words, min_size=2, max_size=4))
def test_a_name_and_its_file_say_the_same(scheme: str, parts: list[str]) -> None:
    name = f'{scheme}://{"/".join(parts)}'
    if {'.', '..'} & {*parts[1:]}:
        with pytest.raises(ValueError, match='leave it out'):
            local_copy(name, 'work')
        return
    assert is_remote(name)
    assert object_of(local_copy(name, 'work'), 'work') == name
    # a path has lost a slash
    assert str(ObjectName.of(f'{scheme}:/{"/".join(parts)}')) == name


@pytest.mark.parametrize(
    'name', ['s3://', 's3:///', 's3://b/a//c', 's3://b/../c', 'C:/a.tif', '/vsis3/b/a']
)
def test_what_is_no_object_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=r'names no object|leave it out') as caught:
        ObjectName.of(name)
    assert '\n' not in str(caught.value)


def test_a_query_is_not_repeated() -> None:
    with pytest.raises(ValueError, match='environment') as caught:
        ObjectName.of('az://c/map.tif?sv=1&sig=PASSWORD')
    assert 'PASSWORD' not in str(caught.value)


def test_files_elsewhere_are_no_objects() -> None:
    assert object_of(Path('work/map.tif'), 'work') is None
    assert object_of(Path('s3/b/map.tif'), 'work') is None


def test_names_of_gdal_mean_the_same_objects() -> None:
    for name in (
        's3://b/a/c.tif',
        's3:/b/a/c.tif',
        '/vsis3/b/a/c.tif',
        '/vsis3_streaming/b/a/c.tif',
    ):
        assert object_read(name) == 's3://b/a/c.tif'
    assert object_read('/vsiaz/b/c.tif') == 'az://b/c.tif'
    assert object_read('a.tif') is object_read('/vsizip/a.zip/b.tif') is None


def test_nothing_is_imported_for_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('obstore', 'obstore.store', 'obstore.exceptions'):
        monkeypatch.setitem(sys.modules, name, None)
    assert not is_remote('a.tif')
    assert local_copy('s3://b/a.tif', 'w') == Path('w/s3/b/a.tif')


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'obstore.exceptions', None)
    with pytest.raises(ValueError, match=r"pip install 'gersp-geo\[storage\]'"):
        check_stores(['s3://bucket/a'])


@pytest.mark.parametrize('size', [0, 1, 300, 1000])
def test_an_object_is_its_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(objects, '_PIECE', 128)
    content = os.urandom(size)
    check_stores(['s3://bucket/a', 's3://bucket/maps/b'])
    assert look_up('s3://bucket/maps/ä 1#%20.tif') is None
    upload(write(tmp_path, content), 's3://bucket/maps/ä 1#%20.tif', fingerprint='f1')
    assert store.objects == {'maps/ä 1#%20.tif': content}
    found = look_up('s3://bucket/maps/ä 1#%20.tif')
    assert found is not None
    assert (found.size, found.fingerprint) == (size, 'f1')
    assert not store.uploads
    download('s3://bucket/maps/ä 1#%20.tif', tmp_path / 'copy')
    assert (tmp_path / 'copy').read_bytes() == content
    for folder in ('s3://bucket/maps', 's3://bucket/'):
        assert list_objects(folder, ('.tif',)) == ['s3://bucket/maps/ä 1#%20.tif']
    assert list_objects('s3://bucket/map', ('.tif',)) == []


def test_what_lay_beside_an_older_object_is_removed(store: Store, tmp_path: Path) -> None:
    upload(write(tmp_path, b'old'), 's3://bucket/a.tif', fingerprint='f1')
    for ending in ('.aux.xml', '.ovr', '.msk', '.other'):
        upload(tmp_path / 'file', f's3://bucket/a.tif{ending}')
    (tmp_path / 'file.ovr').write_bytes(b'newer')
    upload(write(tmp_path, b'new'), 's3://bucket/a.tif')
    assert store.objects == {'a.tif': b'new', 'a.tif.ovr': b'newer', 'a.tif.other': b'old'}
    found = look_up('s3://bucket/a.tif')
    assert found is not None
    assert found.fingerprint is None


@pytest.mark.parametrize('limit', [0, 100, 500, 900])
def test_a_connection_cut_midway_leaves_no_object(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(objects, '_PIECE', 128)
    path = write(tmp_path, b'x' * 1000)
    store.left = limit
    with pytest.raises(OSError, match='connection broke') as caught:
        upload(path, 's3://bucket/a.tif')
    check_message(caught.value)
    store.left = float('inf')
    assert not store.objects
    assert look_up('s3://bucket/a.tif') is None
    upload(path, 's3://bucket/a.tif')
    assert store.objects == {'a.tif': b'x' * 1000}


def test_a_file_that_cannot_be_read_on_leaves_no_object(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C arrives where the pieces are read, too."""
    monkeypatch.setattr(objects, '_PIECE', 128)
    path = write(tmp_path, b'x' * 10**6)
    threading.Thread(target=interrupt, args=(store,), daemon=True).start()
    # commands of other tests may have set how Ctrl-C ends them
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        upload(path, 's3://bucket/a.tif')
    assert not store.objects
    assert not store.uploads


def interrupt(store: Store) -> None:
    """Press Ctrl-C once something of an object is there."""
    while not any(store.uploads.values()):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def check_message(error: BaseException) -> None:
    text = str(error)
    assert '\n' not in text
    assert len(text) < 200
    for secret in ('VERYSECRET', 'AKIDSECRET', 'http:', 'uploadId'):
        assert secret not in text
    assert error.__suppress_context__


def test_a_store_that_cannot_be_used_is_named_in_one_line(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match='there is no bucket other') as caught:
        check_stores(['s3://bucket/a', 's3://other/a'])
    check_message(caught.value)
    store.forbidden = True
    for act in (lambda: check_stores(['s3://bucket/a']), lambda: look_up('s3://bucket/a')):
        with pytest.raises(OSError, match='forbids it \\(403') as caught:
            act()
        check_message(caught.value)
    monkeypatch.setenv('AWS_S3_ENDPOINT', '127.0.0.1:9')
    with pytest.raises(OSError, match='no store answers') as caught:
        check_stores(['s3://bucket/a'])
    check_message(caught.value)


def test_settings_of_gdal_go_before_others(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9')
    monkeypatch.setenv('AWS_ENDPOINT_URL_S3', 'http://127.0.0.1:9')
    monkeypatch.setenv('AWS_S3_ENDPOINT', f'http://127.0.0.1:{store.port}/')
    monkeypatch.delenv('AWS_HTTPS')
    assert look_up('s3://bucket/a') is None


def test_settings_of_gdal_are_translated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(('AWS_', 'AZURE_'))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv('HOME', str(tmp_path))
    plain = settings.settings_of_s3('b')
    monkeypatch.setenv('AWS_S3_ENDPOINT', 'host:1')
    assert settings.settings_of_s3('b')['aws_endpoint_url_s3'] == 'https://b.host:1'
    # as GDAL does with dots
    assert settings.settings_of_s3('b.c')['aws_endpoint_url_s3'] == 'https://host:1'
    monkeypatch.setenv('AWS_VIRTUAL_HOSTING', 'FALSE')
    assert settings.settings_of_s3('b')['aws_endpoint_url_s3'] == 'https://host:1'
    monkeypatch.delenv('AWS_S3_ENDPOINT')
    (tmp_path / '.aws').mkdir()
    (tmp_path / '.aws/credentials').write_text(
        '[default]\naws_access_key_id=a%1\naws_secret_access_key=b\n[other]\naws_access_key_id=c\n'
    )
    (tmp_path / '.aws/config').write_text(
        '[default]\nregion=eu-west-1\n[profile other]\nregion=x\n'
    )
    keys = {'access_key_id': 'a%1', 'secret_access_key': 'b', 'region': 'eu-west-1'}
    assert settings.settings_of_s3('b') == plain | keys
    monkeypatch.setenv('AWS_PROFILE', 'other')
    assert settings.settings_of_s3('b') == plain | {'access_key_id': 'c', 'region': 'x'}
    monkeypatch.setenv('AWS_NO_SIGN_REQUEST', 'YES')
    assert settings.settings_of_s3('b') == plain | {'skip_signature': True}
    monkeypatch.setenv(
        'AZURE_STORAGE_CONNECTION_STRING',
        'DefaultEndpointsProtocol=https;AccountName=n;AccountKey=k==;EndpointSuffix=e',
    )
    assert settings.settings_of_azure() == {'account_name': 'n', 'account_key': 'k=='}


@pytest.mark.parametrize('scheme', ['gs', 'az'])
def test_other_stores_are_opened_by_their_names(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip('obstore')
    monkeypatch.setenv('AZURE_STORAGE_ACCOUNT', 'account')
    monkeypatch.setenv('AZURE_NO_SIGN_REQUEST', 'YES')
    monkeypatch.setenv('GS_NO_SIGN_REQUEST', 'YES')
    opened = settings.open_store(ObjectName.of(f'{scheme}://place/a/b.tif'))
    assert 'place' in repr(opened)
