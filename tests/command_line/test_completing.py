import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gersp_geo.command_line import build_parser
from gersp_geo.command_line.completing import SHELLS
from gersp_geo.main import COMMANDS, main


@pytest.mark.parametrize('shell', SHELLS)
def test_a_script_knows_every_command_and_option(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['completion', shell]) == 0
    script = capsys.readouterr().out
    options = {
        word.lstrip('-') if shell == 'fish' else word
        for command in build_parser()._subparsers._group_actions[0].choices.values()  # type: ignore # noqa: SLF001
        for action in command._actions  # noqa: SLF001
        for word in action.option_strings
    }
    assert len(options) > 90
    for word in (*COMMANDS, *options, 'finetune/segmentation'):
        assert word in script
    (tmp_path / 'script').write_text(script)
    if program := shutil.which(shell):
        subprocess.run([program, '-n', str(tmp_path / 'script')], check=True)


@pytest.mark.skipif(shutil.which('bash') is None, reason='needs bash')
@pytest.mark.parametrize(
    ('typed', 'expected'),
    [
        ('gersp-geo pol', {'polygons'}),
        ('gersp-geo draw-sample --by n', {'neyman'}),
        (
            'gersp-geo configs finetune/seg',
            {'finetune/segmentation', 'finetune/segmentation_13band'},
        ),
        ('gersp-geo polygons --min', {'--min-area'}),
        ('gersp-geo fit --conf', {'--config'}),
    ],
)
def test_bash_completes(
    typed: str, expected: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['completion', 'bash']) == 0
    words = typed.split()
    code = (
        f'{capsys.readouterr().out}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}\n'
        'function=$(complete -p gersp-geo | sed "s/.*-F \\([^ ]*\\).*/\\1/")\n'
        f'$function gersp-geo {words[-1]} {words[-2]}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    (tmp_path / 'run').write_text(code)
    answer = subprocess.run(
        ['bash', str(tmp_path / 'run')], capture_output=True, text=True, check=True
    )
    assert {line.strip() for line in answer.stdout.split('\n') if line} == expected


def test_making_a_script_imports_nothing_heavy() -> None:
    code = (
        'import sys\nfrom gersp_geo.main import main\nmain(["completion", "bash"])\n'
        'print(sorted({"torch", "numpy", "rasterio"} & set(sys.modules)))'
    )
    answer = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.endswith('\n[]\n')
