"""Find the tensors in a checkpoint, wherever tools put them."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

# Where tools put the tensors in what they pickle, outermost key first: PyTorch Lightning, MoCo and
# OpenMMLab; VISSL, twice; CMID.
_PLACES = (
    ('state_dict',),
    ('classy_state_dict', 'base_model', 'model', 'trunk'),
    ('model_state_dict',),
    ('model',),
)

# Names of keys grow with each mapping within a mapping, and a file may nest a million.
_DEEPEST = 8


def find_tensors(loaded: Mapping[str, Any]) -> dict[str, Tensor]:
    """Find the tensors in what a checkpoint holds.

    That is a state dict, a mapping with one where tools put it, or with several under keys of any
    name; then all keys that lead to a tensor are part of its name.
    """
    places = [*filter(None, (_dig(loaded, place) for place in _PLACES)), loaded]
    return next(filter(None, map(_tensors, places)), None) or _flatten(loaded)


def _dig(loaded: Mapping[str, Any], place: Iterable[str]) -> Mapping[str, Any] | None:
    """Follow keys into nested mappings."""
    found: Any = loaded
    for key in place:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _tensors(mapping: Mapping[str, Any]) -> dict[str, Tensor]:
    """Take the tensors out of a mapping."""
    return {name: value for name, value in mapping.items() if isinstance(value, Tensor)}


def _flatten(loaded: Mapping[str, Any]) -> dict[str, Tensor]:
    """Name tensors in mappings within mappings by all keys: student.backbone.conv1.weight.

    Each mapping is looked into once, wherever else it is, and no deeper than tools nest them.
    """
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, Mapping[str, Any]]] = [('', loaded)]
    while waiting:
        prefix, mapping = waiting.pop()
        if id(mapping) in seen or prefix.count('.') > _DEEPEST:
            continue
        seen.add(id(mapping))
        inside = [
            (f'{prefix}{key}', value) for key, value in mapping.items() if isinstance(key, str)
        ]
        found |= {name: value for name, value in inside if isinstance(value, Tensor)}
        waiting += [(f'{name}.', value) for name, value in inside if isinstance(value, Mapping)]
    return found
