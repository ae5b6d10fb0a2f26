import json
import os
import pty
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from gersp_geo.command_line import EXAMPLES, EXIT_CODES, TRAINING, build_parser
from gersp_geo.command_line.speaking import plain_warnings
from gersp_geo.main import COMMANDS, main

LONG = 'a-name-that-is-as-long-as-some-are ' * 5


def test_a_message_is_one_line_in_a_pipe_and_as_wide_as_a_terminal() -> None:
    words = [sys.executable, '-m', 'gersp_geo.main', 'configs', LONG]
    piped = subprocess.run(words, capture_output=True, text=True, check=False)
    assert piped.stderr.count('\n') == 1
    reader, writer = pty.openpty()
    with os.fdopen(reader, 'rb', buffering=0) as terminal:
        subprocess.run(
            ['sh', '-c', 'stty cols 50 <&2; exec "$0" "$@"', *words], stderr=writer, check=False
        )
        os.close(writer)
        shown = terminal.read(4000).decode()
    lines = shown.splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) <= 50
    assert shown.split() == piped.stderr.split()


def test_each_command_shows_an_example_that_can_be_typed() -> None:
    parser = build_parser()
    assert set(EXAMPLES) == {*COMMANDS, *TRAINING}
    for name, example in EXAMPLES.items():
        program, *words = example.partition(' > ')[0].split()
        assert (program, words[0]) == ('gersp-geo', name)
        assert parser.parse_args(words).command == name


@pytest.mark.parametrize('name', COMMANDS)
def test_help_begins_with_the_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([name, '--help'])
    assert f'\n\nExample: {EXAMPLES[name]}\n\n' in capsys.readouterr().out


def test_help_lists_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(['--help'])
    told = capsys.readouterr().out.partition('exit codes:')[2]
    assert [int(code) for code in re.findall(r'^  (\d+) ', told, re.MULTILINE)] == list(EXIT_CODES)


def test_json_is_all_that_is_on_stdout(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(['weights', '--json']) == 0
    read = json.loads(capfd.readouterr().out)
    assert [each['epochs'] for each in read['weights']] == [100, 200]
    data = tmp_path / 'data'
    assert main(['report', str(tmp_path), '-o', str(data / 'a.html'), '--json']) == 1
    assert capfd.readouterr().out == ''


NAME = os.fsdecode(b'na\xefve.yaml')


@pytest.mark.parametrize('encoding', ['utf-8', 'ascii'])
def test_a_file_whose_name_is_no_text_is_told(encoding: str, tmp_path: Path) -> None:
    words = [sys.executable, '-m', 'gersp_geo.main', 'configs', 'finetune/change', '-o', NAME]
    environment = os.environ | {'PYTHONIOENCODING': encoding}
    for more in ([], ['--json', '--overwrite']):
        done = subprocess.run(
            [*words, *more], cwd=tmp_path, env=environment, capture_output=True, check=True
        )
    assert os.listdir(tmp_path) == [NAME]
    assert json.loads(done.stdout.decode('ascii'))['destination'] == NAME


def test_a_warning_is_one_line_and_whoever_records_warnings_has_it() -> None:
    code = (
        'import warnings\nfrom gersp_geo.command_line.speaking import plain_warnings\n'
        'usual = warnings.formatwarning\n'
        'with plain_warnings(): warnings.warn("of\\n two lines")\n'
        'assert warnings.formatwarning is usual\n'
    )
    shown = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert shown.stderr == 'gersp-geo: warning: of two lines\n'
    with pytest.warns(UserWarning, match='recorded'), plain_warnings():
        warnings.warn('recorded', stacklevel=1)
