"""What README and docs show runs: every ``bash`` and ``python`` block, in order, page by page.

Blocks marked ``shell`` set up a machine or take minutes; ``make slow`` runs those of the README.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]
BLOCK = re.compile(r'^```(bash|python)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
RUNNABLE = [page for page in PAGES if BLOCK.search(page.read_text())]


@pytest.mark.parametrize('page', RUNNABLE, ids=lambda page: page.name)
def test_every_block_of_a_page_runs(page: Path, workplace: Path) -> None:
    if 'gersp-geo sample-data' in page.read_text():
        (workplace / 'sample-data').rename(workplace / 'spare')
    (workplace / 'configs').symlink_to(ROOT / 'configs')
    environment = os.environ | {'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'}
    for language, code in BLOCK.findall(page.read_text()):
        command = ['bash', '-euc', code] if language == 'bash' else [sys.executable, '-c', code]
        answer = subprocess.run(
            command, cwd=workplace, env=environment, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, f'{code}\n{answer.stdout}\n{answer.stderr}'


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
