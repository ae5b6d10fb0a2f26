"""Configurations that cannot be read are refused in one line, at once."""

import os
from pathlib import Path

import pytest

from gersp_geo.command_line.config_files import check_configs
from gersp_geo.main import main


@pytest.mark.parametrize('command', ['fit', 'validate', 'test'])
@pytest.mark.parametrize('words', [['--config', 'none.yaml'], ['--model=none.yaml']])
def test_one_that_is_missing_is_one_line(
    command: str,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, *words]) == 1
    told = capfd.readouterr().err
    assert told.startswith('gersp-geo: error: none.yaml does not exist, and no configuration is')
    assert told.endswith('`gersp-geo configs` lists all\n')
    assert told.count('\n') == 1


def test_a_name_that_is_nearly_one_is_answered_by_those_that_are_like_it() -> None:
    with pytest.raises(FileNotFoundError, match='there is finetune/segmentation or '):
        check_configs(['fit', '--config', 'finetune/segmentatoin'])


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        (b'a: 1\nmodel: [1,\n  b: c: d\n', r'my\.yaml, line 3: this is no YAML \('),
        (b'a: \x07\n', r'my\.yaml is no YAML \('),
        (b'a: \xff\n', r'my\.yaml must be text in UTF-8'),
        (b'- a\n', r'my\.yaml must hold options and their values'),
        (b'', r'my\.yaml must hold options and their values'),
    ],
)
@pytest.mark.parametrize('option', ['--config', '-c', '--data'])
def test_one_that_cannot_be_read_is_named(
    option: str, content: bytes, told: str, tmp_path: Path
) -> None:
    path = tmp_path / 'my.yaml'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=told):
        check_configs(['fit', option, str(path)])


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='is a folder; name a file in it'):
        check_configs(['fit', '--config', str(tmp_path)])


@pytest.mark.parametrize(
    'words',
    [
        ['--config', '{trainer: {max_epochs: 3}}'],
        ['--config', 'trainer:\n  max_epochs: 3'],
        ['--model', 'SemanticSegmentation', '--data=GeoTIFFSegmentationDataModule'],
        ['--config'],
        ['--config', '--trainer.max_epochs=3'],
        ['--config', 's3://bucket/my.yaml', '--data=https://host/data.yaml'],
    ],
)
def test_what_is_no_path_is_left_to_the_parser(words: list[str]) -> None:
    check_configs(['fit', *words])


def test_what_is_in_a_pipe_is_left_in_it() -> None:
    reader, writer = os.pipe()
    os.write(writer, b'a: 1')
    os.close(writer)
    check_configs(['fit', '--config', f'/dev/fd/{reader}'])
    with open(reader, 'rb') as pipe:
        assert pipe.read() == b'a: 1'


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'my.yaml').write_text('- a')
    with pytest.raises(ValueError, match=r'~/my\.yaml must hold options'):
        check_configs(['fit', '--config=~/my.yaml'])
