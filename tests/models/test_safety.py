"""Files made to do harm are refused within seconds; nothing is run, and no other file changes."""

import json
import os
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from gersp_geo import export_backbone, load_backbone
from gersp_geo.models import size_limits
from gersp_geo.models.backbone_weights import read_checkpoint
from gersp_geo.models.checkpoint_files import open_checkpoint
from gersp_geo.models.size_limits import LARGE_FILE

type StateDict = dict[str, Tensor]
GIB = 2**30
SECONDS = 10


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def assert_refused(path: Path, words: str) -> None:
    """Expect one line that names the file, soon, and everything around it unchanged."""
    before = {other: other.stat().st_mtime_ns for other in path.parent.rglob('*')}
    target = path.parent / 'out.safetensors'
    start = time.monotonic()
    with pytest.raises(ValueError, match=words) as error:
        export_backbone(path, target, format='torchvision')
    assert time.monotonic() - start < SECONDS
    assert path.name in str(error.value)
    assert '\n' not in str(error.value)
    assert {other: other.stat().st_mtime_ns for other in path.parent.rglob('*')} == before


def make_sparse(path: Path, size: int = 2 * GIB) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open('wb') as stream:
        stream.truncate(size)
    return path


@pytest.mark.parametrize('old', [False, True])
@pytest.mark.parametrize('where', ['hyper_parameters', 'state_dict'])
@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
def test_code_in_a_file_does_not_run(
    where: str, old: bool, tmp_path: Path, student: StateDict
) -> None:
    payload = Payload(tmp_path / 'ran')
    content = {'state_dict': student, 'hyper_parameters': {}}
    content[where] = {**content[where], 'extra': payload}  # type: ignore[dict-item]
    torch.save(content, tmp_path / 'evil.ckpt', _use_new_zipfile_serialization=not old)
    assert_refused(tmp_path / 'evil.ckpt', r'it needs (posix|nt)\.mkdir, which is not data')
    assert not (tmp_path / 'ran').exists()


def test_a_refused_source_leaves_an_existing_export_as_it_is(tmp_path: Path) -> None:
    torch.save({'state_dict': {}, 'extra': Payload(tmp_path / 'ran')}, tmp_path / 'evil.pth')
    (tmp_path / 'mine.safetensors').write_text('precious')
    with pytest.raises(ValueError, match=r'evil\.pth'):
        export_backbone(
            tmp_path / 'evil.pth', tmp_path / 'mine.safetensors', format='torchvision',
            overwrite=True,
        )  # fmt: skip
    assert (tmp_path / 'mine.safetensors').read_text() == 'precious'


@pytest.mark.parametrize('name', ['a.pth', 'a.ckpt', 'a.safetensors', 'a.bin', 'a'])
def test_two_gigabytes_of_nothing_are_refused(name: str, tmp_path: Path) -> None:
    path = make_sparse(tmp_path / name)
    assert path.stat().st_blocks < 100
    assert_refused(path, 'is 2147483648 bytes long, of which 0 were ever written')


def test_a_folder_with_files_of_nothing_is_refused(tmp_path: Path, student: StateDict) -> None:
    (tmp_path / 'first').mkdir()
    (tmp_path / 'first' / 'config.json').write_text('{}')
    make_sparse(tmp_path / 'first' / 'model.safetensors')
    with pytest.raises(ValueError, match=r'model\.safetensors is 2147483648 bytes long'):
        read_checkpoint(tmp_path / 'first')
    make_sparse(tmp_path / 'second' / 'config.json')
    save_file(student, tmp_path / 'second' / 'model.safetensors')
    with pytest.raises(ValueError, match=r'config\.json must have at most \d+ bytes, got 2147'):
        read_checkpoint(tmp_path / 'second')
    torch.save(student, tmp_path / 'a.pth')
    make_sparse(tmp_path / 'a.pth.json')
    with pytest.raises(ValueError, match=r'a\.pth\.json must have at most \d+ bytes'):
        read_checkpoint(tmp_path / 'a.pth')


@pytest.mark.parametrize('name', ['a.pth', 'a.ckpt'])
def test_a_valid_archive_whose_values_are_a_hole_is_refused(name: str, tmp_path: Path) -> None:
    with torch.serialization.skip_data():
        torch.save({'state_dict': {'conv1.weight': torch.empty(GIB // 2)}}, tmp_path / name)
    assert (tmp_path / name).stat().st_size > 2 * GIB
    assert_refused(tmp_path / name, r'bytes long, of which \d{1,5} were ever written')


def test_a_valid_safetensors_file_whose_values_are_a_hole_is_refused(tmp_path: Path) -> None:
    header = {'conv1.weight': {'dtype': 'F32', 'shape': [GIB // 2], 'data_offsets': [0, 2 * GIB]}}
    text = json.dumps(header).encode()
    path = tmp_path / 'a.safetensors'
    path.write_bytes(struct.pack('<Q', len(text)) + text)
    os.truncate(path, path.stat().st_size + 2 * GIB)
    assert_refused(path, r'bytes long, of which \d{1,5} were ever written')


def test_small_files_and_those_that_are_mostly_written_are_read(
    tmp_path: Path, student: StateDict, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'a.pth'
    torch.save(student, path)
    size = path.stat().st_size
    assert size < LARGE_FILE
    monkeypatch.setattr(size_limits, 'LARGE_FILE', size)
    assert read_checkpoint(path).model == 'resnet18'
    # a third of it a hole
    os.truncate(path, size * 3 // 2)
    size_limits.refuse_holes(path)
    os.truncate(path, size * 3)
    with pytest.raises(ValueError, match='a sparse file, or a download that did not finish'):
        size_limits.refuse_holes(path)
    monkeypatch.setattr(size_limits, 'LARGE_FILE', size * 3 + 1)
    size_limits.refuse_holes(path)


def test_where_the_file_system_knows_no_holes_all_of_a_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_sparse(tmp_path / 'a.pth')

    def refuse(*args: object) -> int:
        raise OSError(22, 'Invalid argument')

    with pytest.raises(ValueError, match='a sparse file'):
        size_limits.refuse_holes(path)
    monkeypatch.setattr(os, 'lseek', refuse)
    size_limits.refuse_holes(path)
    monkeypatch.undo()
    monkeypatch.delattr(os, 'SEEK_DATA')
    size_limits.refuse_holes(path)


def repack(source: Path, destination: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Write an archive of torch's again, its entries changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(destination, 'w') as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)))
    return destination


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A checkpoint with one tensor of 1000 values."""
    path = tmp_path / 'plain.pth'
    torch.save({'conv1.weight': torch.ones(1000)}, path)
    return path


def test_compressed_entries_are_refused(tmp_path: Path) -> None:
    path = tmp_path / 'bomb.pth'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('a/data.pkl', bytes(50 * 2**20))
    assert path.stat().st_size < 2**17
    assert_refused(path, r'holds compressed data \(a/data\.pkl\), which torch\.save never writes')


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    # one block of data, under a hundred names
    path = tmp_path / 'overlap.pth'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a/data/0', bytes(2**20))
        (entry,) = archive.infolist()
        for number in range(1, 100):
            copy = zipfile.ZipInfo(f'a/data/{number}')
            copy.header_offset, copy.CRC = entry.header_offset, entry.CRC
            copy.file_size, copy.compress_size = entry.file_size, entry.compress_size
            archive.filelist.append(copy)
    assert_refused(path, 'claims to hold 104857600 bytes, but has 1')


def test_an_entry_that_claims_more_than_is_there_is_refused(plain: Path) -> None:
    content = plain.read_bytes()
    size = struct.pack('<II', 4000, 4000)
    start = content.rindex(size)  # in the table of contents
    claim = struct.pack('<II', 2**31, 2**31)
    plain.write_bytes(content[:start] + claim + content[start + len(size) :])
    assert_refused(plain, r'claims to hold 21474\d+ bytes, but has')


def test_an_archive_without_its_table_of_contents_is_refused(plain: Path) -> None:
    content = plain.read_bytes()
    plain.write_bytes(content[: content.rindex(b'PK\x01\x02')])
    assert_refused(plain, 'is a damaged archive')


def test_a_storage_that_claims_more_than_its_entry_is_refused(plain: Path, tmp_path: Path) -> None:
    def enlarge(name: str, content: bytes) -> bytes:
        # 1000 values, as protocol 2 writes them, become 65000
        return content.replace(struct.pack('<cH', b'M', 1000), struct.pack('<cH', b'M', 65000))

    path = repack(plain, tmp_path / 'claim.pth', enlarge)
    assert_refused(path, r'claim\.pth')


@pytest.mark.parametrize('old', [False, True])
def test_expanded_tensors_are_refused(tmp_path: Path, old: bool) -> None:
    # a million values made of one; 4 KB become 4 TB
    huge = torch.ones(1).expand(1000, 1000, 1000, 1000)
    path = tmp_path / 'huge.pth'
    torch.save({'conv1.weight': huge}, path, _use_new_zipfile_serialization=not old)
    assert path.stat().st_size < 5000
    assert_refused(path, r'conv1\.weight claims 1000000000000 values, 4 bytes are stored')


ODD: dict[str, Callable[[], Tensor]] = {
    'sparse': lambda: torch.ones(3, 3).to_sparse(),
    'meta': lambda: torch.empty(10**9, device='meta'),
    'quantized': lambda: torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8),
}


@pytest.mark.parametrize('kind', ODD)
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_tensors_of_other_kinds_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    torch.save({'conv1.weight': ODD[kind]()}, tmp_path / 'odd.pth')
    assert_refused(tmp_path / 'odd.pth', r'tensor conv1\.weight is not stored as plain values')


def test_changing_what_was_read_leaves_the_file_as_it_is(plain: Path) -> None:
    # archives are mapped into memory
    before = plain.read_bytes()
    loaded = open_checkpoint(plain).tensors['conv1.weight']
    loaded.zero_()
    assert loaded.sum() == 0
    assert plain.read_bytes() == before


@pytest.mark.parametrize(
    ('length', 'header'),
    [
        (2**63, {}),
        (10**9, {}),
        (100, {}),
        (None, {'a': {'dtype': 'F32', 'shape': [10**12], 'data_offsets': [0, 4 * 10**12]}}),
        (None, {'a': {'dtype': 'F32', 'shape': [10**12], 'data_offsets': [0, 4]}}),
        (None, {n: {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]} for n in 'ab'}),
        (None, {'a': {'dtype': 'F32', 'shape': [2**63, 4], 'data_offsets': [0, 4]}}),
        (None, {'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [8, 4]}}),
    ],
)
def test_a_safetensors_header_is_not_trusted(
    length: int | None, header: dict[str, object], tmp_path: Path
) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / 'a.safetensors'
    path.write_bytes(struct.pack('<Q', len(text) if length is None else length) + text + bytes(4))
    assert_refused(path, r'a\.safetensors is not a safetensors file')


@pytest.mark.parametrize('record', ['{' * 100, '[' * 10**5, '"text"', '{"exported_by": {"a": 1}}'])
def test_a_malformed_provenance_is_refused(record: str, tmp_path: Path, student: StateDict) -> None:
    save_file(student, tmp_path / 'a.safetensors', {'gersp_geo_provenance': record})
    assert_refused(tmp_path / 'a.safetensors', 'gersp_geo_provenance')


def test_nested_lists_that_would_print_for_ever_do_no_harm(
    tmp_path: Path, student: StateDict
) -> None:
    nested: list[object] = ['x']
    for _ in range(100):
        nested = [nested, nested]
    content = {'state_dict': student, 'hyper_parameters': {'a': nested}, 'epoch': nested}
    torch.save(content, tmp_path / 'a.ckpt')
    start = time.monotonic()
    assert len(str(read_checkpoint(tmp_path / 'a.ckpt').provenance)) < 2000
    torch.save(content | {'gersp_geo_provenance': {'a': nested}}, tmp_path / 'b.ckpt')
    with pytest.raises(ValueError, match='gersp_geo_provenance must map text to text'):
        read_checkpoint(tmp_path / 'b.ckpt')
    assert time.monotonic() - start < SECONDS


def test_a_refused_file_leaves_the_target_as_it_is(tmp_path: Path) -> None:
    target = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
    before = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    torch.save({'0.weight': torch.ones(1).expand(10**6, 10**6)}, tmp_path / 'huge.pth')
    with pytest.raises(ValueError, match=r'huge\.pth'):
        load_backbone(target, tmp_path / 'huge.pth')
    assert all(torch.equal(before[name], value) for name, value in target.state_dict().items())
