import json
import resource
from pathlib import Path

import pytest

from gersp_geo.main import main
from gersp_geo.shipped_configs import resolve_configs

FOLDER = Path(__file__).parents[1] / 'configs'
NAMES = sorted(p.relative_to(FOLDER).with_suffix('').as_posix() for p in FOLDER.rglob('*.yaml'))


def test_each_is_listed_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['configs']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    assert all(len(line.split()) > 1 for line in lines)
    assert main(['configs', '--json']) == 0
    listed = json.loads(capsys.readouterr().out)['configs']
    assert [Path(each['path']).read_text() for each in listed] == [
        (FOLDER / f'{name}.yaml').read_text() for name in NAMES
    ]


@pytest.mark.parametrize('name', ['finetune/change', 'configs/finetune/change.yaml'])
def test_one_is_printed_and_copied(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (FOLDER / 'finetune' / 'change.yaml').read_text()
    assert main(['configs', name]) == 0
    assert capsys.readouterr().out == text
    copy = tmp_path / 'my.yaml'
    copy.write_text('mine')
    assert main(['configs', name, '-o', str(copy)]) == 1
    assert 'my.yaml exists' in capsys.readouterr().err
    assert copy.read_text() == 'mine'
    assert main(['configs', name, '-o', str(copy), '--overwrite']) == 0
    assert copy.read_text() == text


def test_a_copy_that_is_not_complete_leaves_the_older_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / 'my.yaml'
    copy.write_text('mine')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # a limit of the system stands for a disk that is full
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        assert main(['configs', 'finetune/change', '-o', str(copy), '--overwrite']) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert 'too large' in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ['mine']


def test_what_is_written_as_yaml_itself_is_no_name() -> None:
    words = ['fit', '--config', '{trainer: {default_root_dir: ' + 'a/' * 300 + '}}']
    assert resolve_configs(words) == (words, [])


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (
            ['segmentation'],
            'no configuration is called segmentation; there is finetune/segmentation;',
        ),
        (['nothing'], 'no configuration is called nothing; `gersp-geo configs` lists all'),
        (['-o', 'my.yaml'], 'my.yaml would be a copy of one configuration; name it'),
    ],
)
def test_what_is_not_there_is_one_line(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['configs', *words]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count('\n') == 1


def test_a_name_stands_for_the_file_where_no_such_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = 'configs/finetune/change.yaml'
    words = [
        'fit',
        '--config',
        named,
        '--data=data/landsat',
        '--model',
        'finetune/change',
        '--config',
    ]
    resolved, found = resolve_configs(words)
    assert [config.name for config in found] == ['finetune/change', 'data/landsat']
    path, data = FOLDER / 'finetune' / 'change.yaml', FOLDER / 'data' / 'landsat.yaml'
    assert resolved == [
        'fit', '--config', str(path), f'--data={data}', '--model', 'finetune/change', '--config'
    ]  # fmt: skip
    (tmp_path / named).parent.mkdir(parents=True)
    (tmp_path / named).touch()
    assert resolve_configs(['fit', '--config', named]) == (['fit', '--config', named], [])
