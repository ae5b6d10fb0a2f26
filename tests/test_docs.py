"""What README and docs show runs: every ``bash`` and ``python`` block, in reading order.

Blocks marked ``shell`` set up a machine or take minutes; ``make slow`` runs those of the README.
"""

import os
import re
import runpy
import subprocess
import sys
from itertools import groupby
from multiprocessing import get_context, set_start_method
from operator import itemgetter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
BLOCK = re.compile(r'^```(bash|python)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
READING_ORDER = (
    'README',
    'loading',
    'pretraining',
    'finetuning',
    'weights',
    'prediction',
    'detection',
    'polygons',
    'patches',
    'change',
)


def test_every_block_runs_in_reading_order(tmp_path: Path) -> None:
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    environment = os.environ | {'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'}
    pages = {page.stem: BLOCK.findall(page.read_text()) for page in PAGES}
    assert {name for name, blocks in pages.items() if blocks} == set(READING_ORDER)
    # neighbours of one language go on from each other, as a reader would
    sections = [
        (language, '\n'.join(code for _, code in blocks))
        for name in READING_ORDER
        for language, blocks in groupby(pages[name], key=itemgetter(0))
    ]
    for language, code in sections:
        if language == 'bash':
            answer = subprocess.run(
                ['bash', '-euc', code],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert answer.returncode == 0, f'{code}\n{answer.stdout}\n{answer.stderr}'
        else:
            run_python(code, tmp_path)


def run_python(code: str, folder: Path) -> None:
    """Run a block in a process of its own, forked from one that has the large imports behind it."""
    context = get_context('forkserver')
    context.set_forkserver_preload(['gersp_geo.tasks', 'gersp_geo.datamodules', 'torchgeo.tasks'])
    script, log = folder.with_suffix('.py'), folder.with_suffix('.log')
    script.write_text(code)
    process = context.Process(target=execute, args=(script, folder, log))
    process.start()
    process.join()
    assert process.exitcode == 0, f'{code}\n{log.read_text()}'


def execute(script: Path, folder: Path, log: Path) -> None:
    os.chdir(folder)
    with log.open('w') as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    # the platform's default, which a child of a fork server does not have
    set_start_method('fork', force=True)
    runpy.run_path(str(script), run_name='__main__')


LINK = re.compile(r'\]\((?!https?://|#)([^)#]+)')


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


COMMAND = re.compile(r'^(?:\$ )?make ([a-z]+)', re.MULTILINE)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'^([a-z]+):', makefile, re.MULTILINE))
    assert set(COMMAND.findall(page.read_text())) <= targets


def test_the_index_lists_every_decision() -> None:
    folder = ROOT / 'docs' / 'decisions'
    listed = LINK.findall((folder / 'index.md').read_text())
    assert listed == sorted(path.name for path in folder.glob('0*.md'))
