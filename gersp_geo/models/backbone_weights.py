"""A backbone out of a checkpoint of any known format."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from os import PathLike
from typing import Any

from torch import Tensor

from ..preprocessing import Preprocessing
from .architectures import RESNET_TENSOR, Architecture, find_damage, identify, without_heads
from .checkpoint_files import Content, open_checkpoint, parse
from .layouts import FORMATS, Format
from .spellings import SPELLINGS, Spelling, find_backbones, find_spelling, unwrap

# What a copy is called whose weights are an average of the other's. Not 'target': of two domains,
# one is called so too.
_TEACHER = re.compile(r'(?:^|[._])(?:momentum|teacher|ema|key|k)(?=[._])')

# What modules of a ResNet are called. What tools add beside a whole one under other names are
# heads: SwAV's prototypes, linear probes.
_OF_RESNET = ('conv', 'bn', 'layer', 'stem', 'downsample')

# OpenMMLab's name of the three convolutions before the first stage
_DEEP_STEM = 'stem.'


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneWeights:
    """A backbone from any format, under the names that timm and torchvision use."""

    state_dict: dict[str, Tensor]
    """Tensors of the backbone without any classifier, on the CPU if they come from a file."""

    model: str | None
    """timm's name of the backbone; stated only if names and shapes agree with it."""

    in_channels: int | None
    """Number of bands that the first layer reads; None where *model* is None."""

    preprocessing: Preprocessing | None
    """How input is prepared, if the source says so."""

    provenance: dict[str, str]
    """Where the weights come from: file, SHA-256, part, and what the file itself says."""

    format: str
    """Name of the format, see :data:`FORMATS`."""

    left_out: tuple[str, ...] = ()
    """Modules beside the backbone, such as the head of a fine-tuned model; not listed of
    pre-training with two networks."""


def read_checkpoint(path: str | PathLike[str], *, teacher: bool = False) -> BackboneWeights:
    """Read the backbone from a file or folder of any known format.

    Nothing in the file is run (``weights_only=True``).

    Args:
        path: Checkpoint, state dict, safetensors file or timm folder.
        teacher: Take the teacher instead of the student.

    Returns:
        The backbone without classifier.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it is damaged, of no known format, has no teacher where one is asked for, or
            holds a value that is not finite.
    """
    return _interpret(open_checkpoint(path), teacher=teacher, source=str(path))


def read_state_dict(
    state_dict: Mapping[str, Any], *, teacher: bool = False, source: str = 'the state dict'
) -> BackboneWeights:
    """Read the backbone from a mapping in memory, named in any known format.

    Args:
        state_dict: Tensors by name, or a whole checkpoint as ``torch.load`` returns it.
        teacher: Take the teacher instead of the student.
        source: Named in errors.

    Returns:
        The backbone without classifier; tensors are shared, not copied.

    Raises:
        ValueError: As :func:`read_checkpoint`.
    """
    return _interpret(parse(state_dict, source=source), teacher=teacher, source=source)


def tell_part(form: str, part: str | None) -> str:
    """Say which of two backbones was taken, in words to append to reports; '' where that is clear.

    Of our own format, everybody expects the student.
    """
    if part is None or form == FORMATS[0].name:
        return ''
    return f', {part} not {"teacher" if part == "student" else "student"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in a content the backbone is."""

    form: Format
    prefix: str
    """What the names of the backbone begin with, without what wrappers put into them."""

    part: str | None
    """'student' or 'teacher' where there are both."""


def _interpret(content: Content, *, teacher: bool, source: str) -> BackboneWeights:
    """Cut the backbone out of a content."""
    bare = unwrap(content.tensors)
    place = _locate(content, bare, teacher=teacher, source=source)
    inside = {
        name.removeprefix(place.prefix): raw
        for name, raw in bare.items()
        if name.startswith(place.prefix)
    }
    spelling = find_spelling(inside) or SPELLINGS[0]
    names = {spelling.to_own(name): raw for name, raw in inside.items()}
    named = {name: content.tensors[raw] for name, raw in names.items()}
    found = identify(named, hint=content.model)
    if found is None:
        plain = {name: value for name, value in named.items() if name.startswith(_OF_RESNET)}
        found = identify(plain)
        named = plain if found else named
    if found is None and (fault := find_damage(named, hint=content.model)):
        name = names.get(fault.tensor) or _beside(inside) + spelling.to_theirs(fault.tensor)
        raise ValueError(
            f'{source}: tensor {name} {fault.complaint}; everything else is a {fault.backbone}'
        )
    state_dict = _cut(named, found)
    _check(state_dict, names=names, source=source)
    return BackboneWeights(
        state_dict=state_dict,
        model=found.name if found else None,
        in_channels=state_dict[found.stem].shape[1] if found else None,
        preprocessing=content.preprocessing or place.form.preprocessing,
        provenance=content.provenance | ({'part': place.part} if place.part else {}),
        format=place.form.name,
        left_out=() if place.part else _list_others(bare, place, spelling, state_dict),
    )


def _list_others(
    bare: Mapping[str, str], place: _Place, spelling: Spelling, kept: Mapping[str, Tensor]
) -> tuple[str, ...]:
    """List the modules that are not part of the backbone, in their order."""
    own = {name.partition('.')[0] for name in kept}
    within = place.prefix.split('.')[:-1]
    others: dict[str, None] = {}
    for name in bare:
        parts = name.split('.')
        if name.startswith(place.prefix):
            first = spelling.to_own(name.removeprefix(place.prefix)).partition('.')[0]
        else:
            first = next((one for one, way in zip_longest(parts, within) if one != way), '') or ''
        # weights of classes in a loss are no module of a network
        if first not in own and first not in ('', 'criterion'):
            others[first] = None
    return tuple(others)


def _beside(inside: Mapping[str, str]) -> str:
    """Say what the name of a tensor that is missing would begin with, judged by the others'."""
    starts = (raw.removesuffix(name) for name, raw in inside.items() if raw.endswith(name))
    return next(starts, '')


def _locate(content: Content, bare: Mapping[str, str], *, teacher: bool, source: str) -> _Place:
    """Find the format of a content, and in it the student or the teacher."""
    found = find_backbones(bare)
    for form in FORMATS:
        if not _may_be(form, content, bare):
            continue
        students, teachers = _divide(found) if form.anywhere else (form.student, form.teacher)
        students, teachers = (
            [prefix for prefix in prefixes if _has(bare, prefix)]
            for prefixes in (students, teachers)
        )
        # where there is a ResNet, it is what is looked for
        if not students or (found and not _holds_resnet(bare, students[0])):
            continue
        chosen = _choose(form, students, teachers, teacher=teacher, source=source)
        part = 'teacher' if teacher else 'student'
        return _Place(form=form, prefix=chosen, part=part if teachers else None)
    raise ValueError(f'{source} {_UNKNOWN}')


def _may_be(form: Format, content: Content, bare: Mapping[str, str]) -> bool:
    """Say whether a content has what a format needs."""
    return (
        all(_has(bare, prefixes) for prefixes in form.needs)
        and (content.folder or not form.folder)
        and (content.lightning or not form.lightning)
        and (not form.wrapped or any(name != raw for name, raw in bare.items()))
    )


def _divide(found: list[str]) -> tuple[list[str], list[str]]:
    """Tell students from teachers by what they are called."""
    prefixes = [prefix for prefix in found if prefix]
    teachers = [prefix for prefix in prefixes if _TEACHER.search(prefix)]
    students = [prefix for prefix in prefixes if prefix not in teachers]
    return (students, teachers) if students else (teachers, [])


def _choose(
    form: Format, students: list[str], teachers: list[str], *, teacher: bool, source: str
) -> str:
    """Take the student or the teacher."""
    if teacher and not teachers:
        raise ValueError(f'{source} has no teacher: format {form.name} holds one backbone')
    chosen = teachers if teacher else students
    if form.anywhere and len(chosen) > 1:
        raise ValueError(
            f'{source} holds {len(chosen)} backbones, {", ".join(chosen)}; save the state dict '
            'of the one that is wanted'
        )
    return chosen[0]


def _holds_resnet(bare: Mapping[str, str], prefix: str) -> bool:
    """Say whether there is a ResNet, or most of one, behind a prefix."""
    inside = (name.removeprefix(prefix) for name in bare if name.startswith(prefix))
    return find_spelling(inside) is not None


def _has(names: Mapping[str, str], prefixes: str | tuple[str, ...]) -> bool:
    """Say whether some name begins like that."""
    return any(name.startswith(prefixes) for name in names)


def _cut(named: Mapping[str, Tensor], found: Architecture | None) -> dict[str, Tensor]:
    """Leave classifiers out, and put a known backbone in timm's order."""
    if found is None:
        return {name: named[name] for name in without_heads(named, ('fc',))}
    # safetensors sorts by name; registration order makes exports of one backbone equal
    return {name: named[name] for name in found.shapes if name in named}


def _check(state_dict: Mapping[str, Tensor], *, names: Mapping[str, str], source: str) -> None:
    """Refuse what is no image backbone, or none that anything here has, and non-finite values."""
    if not any(tensor.ndim == 4 for tensor in state_dict.values()):
        raise ValueError(f'{source} {_UNKNOWN}')
    deep = [names[name] for name in state_dict if name.startswith(_DEEP_STEM)]
    if deep and RESNET_TENSOR in state_dict:
        raise ValueError(
            f'{source}: {deep[0]} belongs to a stem of three convolutions, as of ResNetV1c and '
            'ResNetV1d of OpenMMLab, where other ResNets have conv1; only plain ResNets are read'
        )
    for name, tensor in state_dict.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(f'{source}: tensor {names[name]} has values that are not finite')


_UNKNOWN = 'holds no backbone in a known format; known are ' + ', '.join(
    f'{form.name} ({form.source})' for form in FORMATS
)
