"""``gersp-geo weights``: what is known, what lies here, and what will be refused."""

from hashlib import sha256
from pathlib import Path

import pytest
import torch

from gersp_geo import GeRSP_Weights
from gersp_geo.main import main
from gersp_geo.models.downloads import FOLDER_VARIABLE, remember_checksum
from gersp_geo.models.layouts import FORMATS
from gersp_geo.models.weights_table import describe_member, describe_weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    return tmp_path


def test_every_member_is_listed_and_absent_at_first(folder: Path) -> None:
    members = list(GeRSP_Weights)
    found = [describe_member(member).lines for member in members]
    for member, epochs, (title, place) in zip(members, (100, 200), found, strict=True):
        assert title == f'{member}  resnet50, {epochs} epochs, 3 bands'
        assert place.startswith('  not here; looked for ')
    assert str(describe_weights()).startswith('\n'.join(line for lines in found for line in lines))


def test_a_file_is_listed_with_its_checksum(folder: Path) -> None:
    (folder / 'CVT_epoch_200.pth').write_bytes(b'content')
    first, second = (each.lines for each in map(describe_member, GeRSP_Weights))
    assert len(first) == 2
    assert second[1:] == [
        f'  {folder / "CVT_epoch_200.pth"}', f'  SHA-256 {sha256(b"content").hexdigest()}'
    ]  # fmt: skip
    assert 'refused' not in str(describe_weights())


def test_a_changed_file_is_listed_as_refused(folder: Path) -> None:
    path = folder / 'GeRSP.pth'
    path.write_bytes(b'content')
    remember_checksum(path)
    assert 'refused' not in str(describe_weights())
    path.write_bytes(b'other')
    assert f'\n  refused: {path} has changed' in str(describe_weights())


def test_the_command_prints_folders_and_formats(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['weights']) == 0
    printed = capsys.readouterr().out
    assert f'{folder}, {folder}/hub/checkpoints' in printed
    lines = {line.split()[0]: line for line in printed.splitlines() if line.startswith('  ')}
    assert all(lines[form.name].endswith(form.source) for form in FORMATS)
    # nothing was downloaded or written
    assert list(folder.iterdir()) == []


def test_a_folder_that_does_not_exist_is_one_line_and_exit_code_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder / 'absent'))
    assert main(['weights']) == 1
    error = capsys.readouterr().err
    assert error == f'gersp-geo: error: GERSP_WEIGHTS_DIR={folder}/absent is not a folder\n'
