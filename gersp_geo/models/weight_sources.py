"""Resolve whatever a user may mean by "weights"."""

import re
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from ..preprocessing import Preprocessing
from .backbone_weights import BackboneWeights, read_checkpoint, read_state_dict
from .remote_files import HUB, is_elsewhere, obtain_file


@runtime_checkable
class PublishedWeights(Protocol):
    """A member of a weights enum of torchvision, torchgeo or this package."""

    @property
    def meta(self) -> dict[str, Any]:
        """What is known about the weights."""

    def get_state_dict(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """Download if needed, and load."""


type WeightsSource = PublishedWeights | str | PathLike[str] | Mapping[str, Tensor]
"""An enum member, its name, a path to a known format, a name on the hub, a URL, or a state dict."""

# such as GeRSP_Weights.RESNET50; no checkpoint has an extension in capitals
_ENUM_NAME = re.compile(r'\w+_Weights\.[A-Z0-9_]+')


def resolve_weights(weights: WeightsSource, *, teacher: bool = False) -> BackboneWeights:
    """Get the backbone that *weights* stand for.

    Args:
        weights: Enum member, its name, a path to any known format, ``hf-hub:ORG/NAME``, an https
            URL, or a state dict. What exists as a path is one.
        teacher: Take the teacher instead of the student.

    Returns:
        The backbone without classifier.

    Raises:
        FileNotFoundError: If *weights* are neither a file, a folder nor a registered name, or
            cannot be downloaded.
        ValueError: If the file is damaged or of no known format, or has no teacher.
        TypeError: If *weights* are something else.
    """
    if isinstance(weights, str | PathLike):
        text = fspath(weights)
        if not Path(text).exists() and _ENUM_NAME.fullmatch(text):
            return _published(_by_name(text), teacher=teacher)
        if is_elsewhere(text):
            return _downloaded(text, teacher=teacher)
        if not Path(text).exists():
            raise FileNotFoundError(
                f'{text} is neither a file, a folder nor the name of registered weights such as '
                f'GeRSP_Weights.RESNET50, {HUB}ORG/NAME or an https URL'
            )
        return read_checkpoint(text, teacher=teacher)
    if isinstance(weights, Mapping):
        return read_state_dict(weights, teacher=teacher)
    if isinstance(weights, PublishedWeights):
        return _published(weights, teacher=teacher)
    raise TypeError(
        'weights must be an enum member, its name, a path or a state dict, '
        f'got {type(weights).__name__}'
    )


def _downloaded(name: str, *, teacher: bool) -> BackboneWeights:
    """Load what lies on the hub or behind a URL, and say so."""
    found = obtain_file(name)
    read = read_checkpoint(found.path, teacher=teacher)
    return replace(read, provenance={**read.provenance, **found.provenance})


def _by_name(name: str) -> PublishedWeights:
    """Find a registered enum member."""
    # files do without torchgeo's models, which take seconds to import
    from .weights import get_weight

    try:
        found: PublishedWeights = get_weight(name)
    except ValueError as error:
        raise FileNotFoundError(f'{name} is neither a file nor registered weights') from error
    return found


def _published(weights: PublishedWeights, *, teacher: bool) -> BackboneWeights:
    """Load an enum member and say so."""
    # the order that torchgeo's tasks use; torchvision passes it on to torch.hub
    loaded = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    read = read_state_dict(loaded, teacher=teacher, source=str(weights))
    return BackboneWeights(
        state_dict=read.state_dict,
        model=read.model,
        in_channels=read.in_channels,
        preprocessing=read.preprocessing or _described(weights.meta),
        provenance={'weights': str(weights), **_facts(weights.meta), **read.provenance},
        format=read.format,
        left_out=read.left_out,
    )


def _facts(meta: Mapping[str, Any]) -> dict[str, str]:
    """Take from the description of published weights what an export should pass on."""
    keys = ('license', 'dataset', 'publication', 'repo', 'epochs')
    facts = {key: str(meta[key]) for key in keys if isinstance(meta.get(key), str | int)}
    results = meta.get('results')
    if isinstance(results, Mapping):
        facts['figures'] = ', '.join(f'{name} {value}' for name, value in results.items())
    return facts


def _described(meta: Mapping[str, Any]) -> Preprocessing | None:
    """Read the preprocessing that our own enum describes; others leave it to their transforms."""
    record = {key: meta.get(key) for key in ('bands', 'scale', 'mean', 'std')}
    if any(value is None for value in record.values()):
        return None
    return Preprocessing.from_dict(record | {'size': meta.get('size')})


def refuse_source(source: object, destination: Path) -> None:
    """Refuse to write a backbone over what it is read from, or into it, or around it.

    An export holds less than its source: neither head nor optimizer.
    """
    if not isinstance(source, str | PathLike) or not destination.exists():
        return
    given = Path(source)
    if not given.exists():
        return
    one, other = given.resolve(), destination.resolve()
    if destination.samefile(given) or one in other.parents or other in one.parents:
        raise ValueError(
            f'{destination} would replace what it is made from, {given}, and holds less; pass '
            'another destination'
        )
