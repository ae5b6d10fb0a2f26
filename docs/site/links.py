"""Links of pages to files of the repository, which the site shows elsewhere or as text."""

import re
from os.path import relpath
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
LINK = re.compile(r'\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)')
PAGES = {'README.md': 'start', 'CHANGELOG.md': 'changelog', 'CONTRIBUTING.md': 'contributing'}
# what pages have on the site alone: decisions go below their table, and messages are too long for a
# list of headings
BEFORE = {'troubleshooting': '---\ntocdepth: 2\n---\n\n'}
AFTER = {'decisions/index': '\n\n```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n'}


def setup(app: Sphinx) -> dict[str, bool]:
    """Rewrite links before pages are parsed."""
    app.connect('source-read', rewrite)
    return {'parallel_read_safe': True}


def rewrite(app: Sphinx, page: str, source: list[str]) -> None:
    """Let links out of ``docs`` lead to the page that shows a file, and folders be words."""
    here = (Path(app.srcdir) / page).parent

    def lead(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ''
        file = (here / target).resolve()
        name = file.relative_to(ROOT).as_posix()
        if name in PAGES:
            return f'[{text}]({relpath(Path(app.srcdir) / PAGES[name], here)}.md{anchor})'
        return text if file.is_dir() else match[0]

    source[0] = BEFORE.get(page, '') + LINK.sub(lead, source[0]) + AFTER.get(page, '')
