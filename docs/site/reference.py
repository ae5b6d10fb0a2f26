"""The reference that is made from the code: commands, configurations and public names.

Written into ``docs/_generated`` before Sphinx looks for pages; what has not changed is left alone, so
that a second build reads again only what has.
"""

import argparse
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sphinx.application import Sphinx
from sphinx.config import Config

from gersp_geo import __all__ as TOP
from gersp_geo.command_line import TRAINING, build_parser

ROOT = Path(__file__).parents[2]
CONFIGS = {
    'finetune': 'Fine-tuning on your own data',
    'pretrain': 'Pre-training',
    'data': 'Data for pre-training',
    'downstream': 'Published comparisons',
}
# options that two commands share, from which on they are described once
MUCH = 9
# in the order of the data flow; names are those of __all__, or what the module itself defines
PACKAGES = (
    'gersp_geo', 'gersp_geo.bands', 'gersp_geo.datasets', 'gersp_geo.samplers', 'gersp_geo.labels',
    'gersp_geo.datamodules', 'gersp_geo.tasks', 'gersp_geo.callbacks', 'gersp_geo.models',
    'gersp_geo.inference', 'gersp_geo.accuracy', 'gersp_geo.reports', 'gersp_geo.comparison',
    'gersp_geo.geoio', 'gersp_geo.windows', 'gersp_geo.sample_data',
)  # fmt: skip


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx lists what there is."""
    app.connect('config-inited', write_pages)
    return {'parallel_read_safe': True}


def write_pages(app: Sphinx, config: Config) -> None:
    """Write whatever is made from the code."""
    folder = Path(app.srcdir) / '_generated'
    write(folder / 'commands.txt', '\n\n'.join(describe_commands()))
    write(folder / 'configurations.txt', '\n\n'.join(describe_configurations()))
    for package in PACKAGES:
        write(folder / 'api' / f'{package}.rst', describe_package(import_module(package)))


def write(path: Path, text: str) -> None:
    """Write a file unless it is there already."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def describe_commands() -> Iterator[str]:
    """Give each command its section, in Markdown."""
    parsers = next(
        action.choices
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    before: dict[str, set[str]] = {}
    for name, parser in parsers.items():
        if name not in TRAINING:
            yield from describe_command(name, parser, before)


def describe_command(
    name: str, parser: argparse.ArgumentParser, before: dict[str, set[str]]
) -> Iterator[str]:
    """Give a command its section: what it is for, then its words and options by group.

    Args:
        name: Of the command.
        parser: What reads its words.
        before: What commands above it take, as text; that of this one is added. What is shared with
            one of them is not said again, where it is much.
    """
    groups = {
        str(group.title): [
            describe_option(action)
            for action in group._group_actions
            if not isinstance(action, argparse._HelpAction)
        ]
        for group in parser._action_groups
    }
    own = {text for texts in groups.values() for text in texts}
    shared = next((other for other, texts in before.items() if len(texts & own) > MUCH), None)
    said = before[shared] if shared else set()
    before[name] = own
    yield f'## {name}\n\n{sentence(parser.description)}\n\n```{{program}} gersp-geo {name}\n```'
    yield f'```text\n{" ".join(list_words(parser))}\n```'
    if shared:
        missing = re.findall(r'^```{option} (\S+)', '\n'.join(sorted(said - own)), re.MULTILINE)
        but = f' but {", ".join(f"`{word}`" for word in missing)}' if missing else ''
        yield f'Takes what [{shared}](#{shared}) takes{but}.'
    for group, texts in groups.items():
        new = [text for text in texts if text not in said]
        if new and group not in ('positional arguments', 'options'):
            yield f'### {group[0].upper()}{group[1:]}'
        yield from new


def list_words(parser: argparse.ArgumentParser) -> Iterator[str]:
    """List what has to be typed."""
    yield parser.prog
    for action in parser._actions:
        word = str(action.metavar or action.dest.upper())
        if not action.option_strings:
            yield f'{word} [{word} ...]' if action.nargs == '+' else word
        elif action.required:
            yield f'{action.option_strings[0]} {word}'
    yield '[OPTION ...]'


def describe_option(action: argparse.Action) -> str:
    """Describe one word or option, as Sphinx's own directive wants it."""
    value = action.metavar or (
        f'{{{",".join(map(str, action.choices))}}}' if action.choices else ''
    )
    if action.nargs == 0:
        value = ''
    elif not value:
        value = action.dest.upper()
    words = ', '.join(action.option_strings)
    return f'```{{option}} {words} {value}\n{sentence(action.help)}\n```'


def sentence(text: str | None) -> str:
    """Begin with a capital and end with a full stop, without what Markdown would take for its own."""
    text = re.sub(r'([\\`*_{}\[\]<>#|])', r'\\\1', (text or '').replace('%%', '%').strip())
    text = re.sub(r'(?<![\w-])(--[a-z][a-z-]+)', r'`\1`', text)
    end = '' if not text or text.endswith(('.', ')')) else '.'
    return f'{text[:1].upper()}{text[1:]}{end}'


def describe_configurations() -> Iterator[str]:
    """Show each file that is shipped, after what it says of itself."""
    for folder, purpose in CONFIGS.items():
        yield f'## {purpose}'
        for path in sorted((ROOT / 'configs' / folder).glob('*.yaml')):
            text = path.read_text()
            name = path.relative_to(ROOT).as_posix()
            classes = sorted(set(re.findall(r'class_path: (gersp_geo\.[\w.]+)', text)))
            yield f'### {path.name}\n\n{opening(text)}'
            if classes:
                yield 'Of this package: ' + ', '.join(map(link_class, classes)) + '.'
            yield (
                f'````{{dropdown}} {name}\n```{{literalinclude}} /../{name}\n:language: yaml\n```\n````'
            )


def link_class(path: str) -> str:
    """Link to the page of a class, which is at the top level where that has its name."""
    name = path.rpartition('.')[2]
    return f'{{py:class}}`~{PACKAGES[0]}.{name}`' if name in TOP else f'{{py:class}}`~{path}`'


def opening(text: str) -> str:
    """Take the first sentence of the comment at the head of a file."""
    lines = []
    for line in text.splitlines():
        if not line.startswith('#') or line.startswith('#  '):
            break
        lines.append(line.removeprefix('#').strip())
    first = re.split(r'(?<=[.:])\s', ' '.join(lines) + ' ', maxsplit=1)[0]
    return sentence(first.rstrip(' :'))


def describe_package(module: ModuleType) -> str:
    """List the public names of a package, each with a page of its own, in reStructuredText.

    Names that the top level has are imported from there, and have their page there.
    """
    name = module.__name__
    names = set(getattr(module, '__all__', None) or list_defined(module)) - {'__version__'}
    above = names & set(TOP) if name != PACKAGES[0] else set()
    text = f'{name}\n{"=" * len(name)}\n\n.. currentmodule:: {name}\n\n{inspect.getdoc(module)}\n\n'
    if names - above:
        listed = '\n   '.join(sorted(names - above, key=str.lower))
        text += f'.. autosummary::\n   :toctree: {name}\n   :nosignatures:\n\n   {listed}\n\n'
    if above:
        listed = ', '.join(
            f':py:obj:`{one} <{PACKAGES[0]}.{one}>`' for one in sorted(above, key=str.lower)
        )
        text += f'Also here, as at the top level: {listed}.\n'
    return text


def list_defined(module: ModuleType) -> Iterator[str]:
    """List what a module without ``__all__`` defines itself."""
    for name, value in vars(module).items():
        if not name.startswith('_') and getattr(value, '__module__', None) == module.__name__:
            yield name
