"""The options of all kinds of results together, as the command has them."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from .common import PredictionOptions
from .maps import MapOptions
from .objects import ObjectOptions
from .patches import PatchOptions

_KINDS = (MapOptions, ObjectOptions, PatchOptions)
# in the order of a help text; results of one kind stand together
_GROUPS = (
    'scene', 'patches', 'maps', 'objects', 'whole patches', 'results', 'running', 'several workers',
)  # fmt: skip


def list_options() -> list[Field[Any]]:
    """List the options that the command has words for, group by group, whatever is made."""
    known: dict[str, Field[Any]] = {}
    for kind in _KINDS:
        for each in fields(kind):
            if each.metadata['group']:
                known.setdefault(each.name, each)
    return sorted(known.values(), key=lambda each: _GROUPS.index(each.metadata['group']))


def describe_default(name: str) -> str:
    """Say what holds where the command has no such word; nothing where the option's text does."""
    defaults = {kind: each.default for kind in _KINDS for each in fields(kind) if each.name == name}
    usual = next(iter(defaults.values()))
    of_patches = defaults.get(PatchOptions, usual)
    texts = [] if usual in (None, ()) or isinstance(usual, bool) else [f'{usual}']
    return '; '.join(texts + ([f'of whole patches {of_patches}'] if of_patches != usual else []))


def take_options[Kind: PredictionOptions](
    kind: type[Kind], given: Mapping[str, Any], *, made: str
) -> Kind:
    """Take what was given to the command, whose words are those of all kinds of results.

    Args:
        kind: Options of what is made.
        given: Name to value.
        made: What is made with the options, for messages.

    Returns:
        The options.

    Raises:
        ValueError: If one is not for what is made, or out of range.
    """
    names = {each.name for each in fields(kind)}
    usual = {each.name: each.default for each in list_options()}
    for name in sorted(given.keys() - names):
        if name not in usual or given[name] != usual[name]:
            raise ValueError(f'{name} is no option of {made}, got {given[name]!r}; leave it out')
    return kind(**{name: value for name, value in given.items() if name in names})
