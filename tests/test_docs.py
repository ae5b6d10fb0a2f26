"""What README and docs show runs: the ``bash`` and ``python`` blocks of each page, in their order.

Pages go on from what the README has made, each in a folder of its own. Blocks marked ``shell`` set up
a machine or take minutes.
"""

import ast
import inspect
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from itertools import groupby
from multiprocessing import get_context, set_start_method
from operator import itemgetter
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest
import yaml
from lightning.pytorch import Trainer

from gersp_geo.command_line import TRAINING, build_parser
from gersp_geo.main import main

ROOT = Path(__file__).parent.parent
README = ROOT / 'README.md'
# without what `make docs` writes
PAGES = [
    README,
    *(page for page in sorted((ROOT / 'docs').rglob('*.md')) if '/docs/_' not in str(page)),
]
BLOCK = re.compile(r'^```(bash|python)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
WITH_BLOCKS = [page for page in PAGES if page != README and BLOCK.search(page.read_text())]


# the README's first command, which is run once for all tests
SAMPLE_DATA = ['sample-data', 'sample-data']
# pages that take longest
LONG = (
    'coming_from', 'own_classes', 'own_dates', 'own_masks', 'own_objects', 'own_values', 'pre_trainer',
    'prediction', 'runtimes',
)  # fmt: skip


@pytest.fixture(scope='session')
def read_before(
    make_once: Callable[[str, Callable[[Path], object]], Path], sample_data: Path
) -> Path:
    """The folder of a reader of the README; read only."""

    def read(folder: Path) -> None:
        (folder / 'configs').symlink_to(ROOT / 'configs')
        shutil.copytree(sample_data, folder / 'sample-data')
        run_page(README, folder)

    return make_once('readme', read)


def test_every_block_of_the_readme_runs(read_before: Path) -> None:
    assert (read_before / 'backbone.ckpt').exists()


@pytest.mark.parametrize(
    'page',
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if page.stem in LONG else [])
        for page in WITH_BLOCKS
    ],
)
def test_every_block_of_a_page_runs(page: Path, read_before: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'reader'
    shutil.copytree(read_before, folder, symlinks=True)
    assert run_page(page, folder) > 0


@pytest.mark.parametrize(
    'page', [page for page in WITH_BLOCKS if page.stem in LONG], ids=lambda page: page.stem
)
def test_what_a_long_page_calls_is_there(page: Path, tmp_path: Path) -> None:
    code = {language: '' for language in ('bash', 'python')}
    for language, block in BLOCK.findall(page.read_text()):
        code[language] += block
    for words in commands(code['bash'], tmp_path):
        if words[0] in TRAINING:
            check_training(words[1:], tmp_path)
        else:
            build_parser().parse_args(words)
    tree = ast.parse(code['python'])
    names = dict(find_imports(tree))
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in names:
            given = {keyword.arg for keyword in call.keywords if keyword.arg}
            assert given <= list_options(names[call.func.id]), call.func.id


def list_options(called: Any) -> set[str]:
    """List what can be passed to a function or class, and on to its bases."""
    owners = inspect.getmro(called) if inspect.isclass(called) else (called,)
    return {name for owner in owners for name in inspect.signature(owner).parameters}


def check_training(words: list[str], folder: Path) -> None:
    """Look up the options of a task, its data and its trainer where these are made.

    The configuration is one that is shipped, or that the page has written into *folder*.
    """
    options = dict(zip(words[::2], words[1::2], strict=True))
    name = options.pop('--config')
    written = folder / name
    config = yaml.safe_load((written if written.exists() else ROOT / name).read_text())
    made = {part: find_class(config[part]['class_path']) for part in ('data', 'model')}
    for name in options.keys() - {'--ckpt_path'}:
        part, _, option = name.removeprefix('--').partition('.')
        assert option in list_options(made.get(part, Trainer)), name


def find_class(path: str) -> Any:
    """Find a class by its path, or by its name alone as the command does."""
    homes = ('gersp_geo.datamodules', 'torchgeo.tasks')
    return locate(path) or next(filter(None, (locate(f'{home}.{path}') for home in homes)))


def find_imports(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Import what a script imports, by name."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, import_module(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = import_module(str(node.module))
            yield from ((alias.name, getattr(module, alias.name)) for alias in node.names)


def run_page(page: Path, folder: Path) -> int:
    """Run what a page shows; neighbours of one language go on from each other, as a reader would.

    Each ends without an error; how many there were is returned.
    """
    count = 0
    for language, blocks in groupby(BLOCK.findall(page.read_text()), key=itemgetter(0)):
        code = '\n'.join(code for _, code in blocks)
        if language == 'python':
            run_apart(run_script, code, folder)
            count += 1
        else:
            for words in commands(code, folder):
                if words == SAMPLE_DATA:
                    continue
                run_apart(run_command, words, folder)
                count += 1
    return count


def commands(code: str, folder: Path) -> Iterator[list[str]]:
    """Let bash read a block, and give the words of each call of ``gersp-geo``."""
    note = 'gersp-geo() { printf "%q " "$@"; echo; }\n'
    answer = subprocess.run(
        ['bash', '-euc', note + code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, f'{code}\n{answer.stderr}'
    return map(shlex.split, answer.stdout.splitlines())


def run_apart[T](function: Callable[[T], None], argument: T, folder: Path) -> None:
    """Run in a process of its own, forked from one that has the large imports behind it."""
    log = folder.with_suffix('.log')
    process = get_context('forkserver').Process(
        target=work_in, args=(folder, log, function, argument)
    )
    process.start()
    process.join()
    assert process.exitcode == 0, f'{argument}\n{log.read_text()}'


def work_in[T](folder: Path, log: Path, function: Callable[[T], None], argument: T) -> None:
    os.chdir(folder)
    with log.open('w') as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    # the platform's default, which a child of a fork server does not have
    set_start_method('fork', force=True)
    function(argument)


def run_script(code: str) -> None:
    """Run a script as Python does."""
    script = Path.cwd().with_suffix('.py')
    script.write_text(code)
    runpy.run_path(str(script), run_name='__main__')


def run_command(words: list[str]) -> None:
    """Run a command as the shell does."""
    raise SystemExit(main(words))


LINK = re.compile(r'\]\((?!https?://)([^)#]*)(?:#([^)]+))?\)')
FENCED = re.compile(r'^(`{3,}|:{3,})(.*?)\n(.*?)^\1$', re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_or_a_heading_leads_somewhere(page: Path) -> None:
    links = LINK.findall(FENCED.sub('', page.read_text()))
    targets = [(page.parent / name if name else page, anchor) for name, anchor in links]
    assert [str(file) for file, _ in targets if not file.exists()] == []
    missing = [
        (file.name, anchor) for file, anchor in targets if anchor not in {'', *anchors(file)}
    ]
    assert missing == []


@cache
def anchors(page: Path) -> frozenset[str]:
    """Name the headings of a page as GitHub and the site do; another file has none."""
    if page.suffix != '.md':
        return frozenset()
    headings = re.findall(r'^#+ (.*)$', FENCED.sub('', page.read_text()), re.MULTILINE)
    return frozenset(re.sub(r'[^\w\- ]', '', name.lower()).replace(' ', '-') for name in headings)


def test_every_page_of_the_site_is_reached_from_its_front_page() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / 'docs' / 'index.md']
    while waiting:
        page = waiting.pop()
        reached.add(page)
        waiting += [other for other in list_below(page) if other not in reached]
    assert {page for page in PAGES if 'decisions/0' not in str(page)} - reached == {README}


def list_below(page: Path) -> Iterator[Path]:
    """List the pages that a page names in its tables of contents; what is made from code is none."""
    for _, kind, content in FENCED.findall(page.read_text()):
        if kind == '{toctree}':
            for name in re.findall(r'^(?:.* <)?((?!_)[\w/]+)>?$', content, re.MULTILINE):
                yield page.parent / f'{name}.md'


# where blocks of other data than the sample's show what to type
SHOWN = [
    page
    for page in PAGES
    if page.parent.name == 'journeys' or page.name in ('commands.md', 'index.md', 'recipes.md')
]


@pytest.mark.parametrize(
    'page', [page for page in SHOWN if '```shell' in page.read_text()], ids=lambda page: page.stem
)
def test_what_the_site_shows_can_be_typed(page: Path, tmp_path: Path) -> None:
    blocks = re.findall(r'^```shell\n(.*?)^```$', page.read_text(), re.MULTILINE | re.DOTALL)
    for words in commands('make() { :; }\nsbatch() { :; }\n' + ''.join(blocks), tmp_path):
        if words[0] not in TRAINING:
            build_parser().parse_args(words)
        elif '--config' in words:
            check_training(words[1:], tmp_path)


def test_every_message_that_is_explained_is_one_of_the_package() -> None:
    page = (ROOT / 'docs' / 'troubleshooting.md').read_text()
    explained = re.findall(r'^### `(.*)`$', page, re.MULTILINE)
    assert len(explained) > 30
    files = (ROOT / 'gersp_geo').rglob('*.py')
    # texts over several lines are one, and what is filled in is a gap
    source = re.sub(r"""['"]\s*\n\s*f?['"]""", '', '\n'.join(file.read_text() for file in files))
    source = re.sub(r'(\{[^{}\n]*\})+', '…', source.replace("\\'", "'"))
    assert [message for message in explained if message not in source] == []


@pytest.mark.slow
def test_the_site_is_made_without_a_warning_and_asks_no_other_server(tmp_path: Path) -> None:
    pytest.importorskip('sphinx', reason='`make docs` installs it')
    words = [sys.executable, '-m', 'sphinx', '-W', '--keep-going', '-q', '-b', 'html']
    answer = subprocess.run(
        [*words, ROOT / 'docs', tmp_path], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    for page in (
        'index.html',
        'changelog.html',
        '_generated/api/gersp_geo/gersp_geo.GeRSPTask.html',
    ):
        assert (tmp_path / page).exists()
    loaded = re.compile(r'<(?:script|img|iframe)[^>]* src="https?:|<link[^>]* href="https?:')
    assert [page.name for page in tmp_path.rglob('*.html') if loaded.search(page.read_text())] == []


COMMAND = re.compile(r'^(?:\$ )?make ([a-z]+)', re.MULTILINE)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    makefile = (ROOT / 'Makefile').read_text()
    targets = set(re.findall(r'^([a-z]+):', makefile, re.MULTILINE))
    assert set(COMMAND.findall(page.read_text())) <= targets


def test_the_index_lists_every_decision() -> None:
    folder = ROOT / 'docs' / 'decisions'
    listed = [name for name, _ in LINK.findall((folder / 'index.md').read_text())]
    assert listed == sorted(path.name for path in folder.glob('0*.md'))
