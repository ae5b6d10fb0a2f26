"""Every checkpoint format that is understood, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from torch import Tensor

from ..bands import RGB
from ..records import Preprocessing
from .architectures import RESNET_TENSOR, Architecture, find_damage, identify, without_heads
from .containers import Content, open_checkpoint, parse


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One way to name the tensors of a backbone."""

    name: str
    """How reports call it."""

    needs: tuple[str, ...]
    """It is this format if for each of these prefixes there is a tensor."""

    student: tuple[str, ...]
    """What to cut off the names of the backbone: the first prefix that some tensor has."""

    teacher: str | None = None
    """The same for the teacher."""

    folder: bool = False
    """Whether it is a folder."""

    lightning: bool = False
    """Whether only Lightning writes it; the backbone may then lie under any attribute."""

    renames: Mapping[str, str] = field(default_factory=dict)
    """First parts of names that the backbone has in this format, and its own for them."""

    preprocessing: Preprocessing | None = None
    """What is known of every file of this format."""

    source: str
    """Who writes it."""


# What the released code does to both streams:
# https://github.com/floatingstarZ/GeRSP/blob/main/configs/selfsup/GeRSP/GeRSP.py
RELEASED_PREPROCESSING = Preprocessing(
    bands=RGB.bands, scale=(RGB.scale,) * 3, mean=RGB.mean, std=RGB.std, size=224
)

# The children of torchvision's ResNets in an nn.Sequential, which numbers them.
_NUMBERED = {'0': 'conv1', '1': 'bn1', '4': 'layer1', '5': 'layer2', '6': 'layer3', '7': 'layer4'}

# The first that fits is taken, so the more telling come first.
FORMATS = (
    Format(
        name='gersp_geo',
        needs=('backbone.', 'backbone_momentum.', 'classification_head.'),
        student=('backbone.',),
        teacher='backbone_momentum.',
        source='GeRSPTask, saved by Lightning',
    ),
    Format(
        name='seco',
        needs=('encoder_q.4.', 'encoder_q.7.', 'heads_q.'),
        student=('encoder_q.',),
        teacher='encoder_k.',
        renames=_NUMBERED,
        source=(
            'SeCo and CACo, saved by Lightning: '
            'https://github.com/ServiceNow/seasonal-contrast, https://github.com/utkarshmall13/CACo'
        ),
    ),
    Format(
        name='gersp',
        needs=('encoder_q.', 'encoder_k.'),
        student=('encoder_q.',),
        teacher='encoder_k.',
        preprocessing=RELEASED_PREPROCESSING,
        source='https://github.com/floatingstarZ/GeRSP, epoch_N.pth',
    ),
    Format(
        name='torchgeo-moco',
        needs=('backbone.', 'backbone_momentum.'),
        student=('backbone.',),
        teacher='backbone_momentum.',
        source='torchgeo.tasks.MoCo, saved by Lightning',
    ),
    Format(
        name='torchgeo-simclr',
        needs=('backbone.', 'projection_head.'),
        student=('backbone.',),
        source='torchgeo.tasks.SimCLR, saved by Lightning',
    ),
    Format(
        name='moco',
        needs=('module.encoder_q.',),
        student=('module.encoder_q.',),
        teacher='module.encoder_k.',
        source=(
            'MoCo v1 and v2, and GASSL: https://github.com/facebookresearch/moco, '
            'https://github.com/sustainlab-group/geography-aware-ssl'
        ),
    ),
    Format(
        name='cmid',
        needs=('online_encoder.model.',),
        student=('online_encoder.model.',),
        teacher='branch_encoder.',
        source='https://github.com/NJU-LHRS/official-CMID',
    ),
    Format(
        name='vissl',
        needs=('_feature_blocks.',),
        student=('_feature_blocks.',),
        source='https://github.com/facebookresearch/vissl',
    ),
    Format(
        name='openmmlab',
        needs=('backbone.',),
        student=('backbone.',),
        source='OpenMMLab, and the converted files of https://github.com/floatingstarZ/GeRSP',
    ),
    Format(
        name='torchgeo-byol',
        needs=('model.backbone.model.', 'model.target.model.'),
        student=('model.backbone.model.',),
        teacher='model.target.model.',
        source='torchgeo.tasks.BYOL, saved by Lightning',
    ),
    Format(
        name='torchgeo',
        needs=('model.',),
        # segmentation with encoders of timm and of smp, detection, classification
        student=('model.encoder.model.', 'model.encoder.', 'model.backbone.body.', 'model.'),
        source='tasks of torchgeo, saved by Lightning',
    ),
    Format(
        name='numbered',
        needs=('4.0.', '5.0.', '6.0.', '7.0.'),
        student=('',),
        renames=_NUMBERED,
        source="CACo's .pth files: nn.Sequential of a ResNet's children",
    ),
    Format(
        name='lightning',
        needs=(),
        student=(),
        lightning=True,
        source='any other LightningModule with one backbone',
    ),
    Format(name='timm', needs=(), student=('',), folder=True, source='timm hub folders'),
    Format(name='torchvision', needs=(), student=('',), source='state dicts'),
)  # fmt: skip


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


def _interpret(content: Content, *, teacher: bool, source: str) -> BackboneWeights:
    """Cut the backbone out of a content."""
    form = _recognise(content, source=source)
    prefix = _prefix(form, content, teacher=teacher, source=source)
    stored = [name for name in content.tensors if name.startswith(prefix)]
    names = {_rename(name.removeprefix(prefix), form.renames): name for name in stored}
    named = {name: content.tensors[names[name]] for name in names}
    found = identify(named, hint=content.model)
    if found is None and (fault := find_damage(named, hint=content.model)):
        name = names.get(fault.tensor) or _store(fault.tensor, prefix=prefix, renames=form.renames)
        raise ValueError(
            f'{source}: tensor {name} {fault.complaint}; everything else is a {fault.backbone}'
        )
    state_dict = _cut(named, found)
    _check(state_dict, names=names, source=source)
    part = {'part': 'teacher' if teacher else 'student'} if form.teacher else {}
    return BackboneWeights(
        state_dict=state_dict,
        model=found.name if found else None,
        in_channels=state_dict[found.stem].shape[1] if found else None,
        preprocessing=content.preprocessing or form.preprocessing,
        provenance=content.provenance | part,
        format=form.name,
    )


def _recognise(content: Content, *, source: str) -> Format:
    """Find the format of a content."""
    for form in FORMATS:
        fits = all(_has(content.tensors, prefix) for prefix in form.needs)
        container = (content.folder or not form.folder) and (
            not form.lightning or bool(content.lightning and _attributes(content.tensors))
        )
        if fits and container:
            return form
    raise ValueError(f'{source} {_UNKNOWN}')


def _prefix(form: Format, content: Content, *, teacher: bool, source: str) -> str:
    """Say what the names of the wanted backbone begin with."""
    if teacher:
        if form.teacher is None or not _has(content.tensors, form.teacher):
            raise ValueError(f'{source} has no teacher: format {form.name} holds one backbone')
        return form.teacher
    prefixes = _attributes(content.tensors) if form.lightning else list(form.student)
    if form.lightning and len(prefixes) > 1:
        raise ValueError(
            f'{source} holds {len(prefixes)} backbones, {", ".join(prefixes)}; save the state dict '
            'of the one that is wanted'
        )
    return next((prefix for prefix in prefixes if _has(content.tensors, prefix)), '')


def _attributes(tensors: Mapping[str, Tensor]) -> list[str]:
    """List the prefixes under which there is something like a ResNet."""
    ends = (name.removesuffix(RESNET_TENSOR) for name in tensors if name.endswith(RESNET_TENSOR))
    return [prefix for prefix in ends if prefix]


def _store(name: str, *, prefix: str, renames: Mapping[str, str]) -> str:
    """Give a tensor of the backbone the name that its file should have for it."""
    return prefix + _rename(name, {own: theirs for theirs, own in renames.items()})


def _rename(name: str, renames: Mapping[str, str]) -> str:
    """Give the first part of a name the name that it has in the backbone."""
    first, dot, rest = name.partition('.')
    return f'{renames.get(first, first)}{dot}{rest}'


def _has(tensors: Mapping[str, Tensor], prefix: str) -> bool:
    """Say whether some tensor has this prefix."""
    return any(name.startswith(prefix) for name in tensors)


def _cut(named: Mapping[str, Tensor], found: Architecture | None) -> dict[str, Tensor]:
    """Leave classifiers out, and put a known backbone in timm's order."""
    if found is None:
        return {name: named[name] for name in without_heads(named, ('fc',))}
    # safetensors sorts by name; registration order makes exports of one backbone equal
    return {name: named[name] for name in found.shapes if name in named}


def _check(state_dict: Mapping[str, Tensor], *, names: Mapping[str, str], source: str) -> None:
    """Refuse what is no image backbone, and values that are not finite."""
    if not any(tensor.ndim == 4 for tensor in state_dict.values()):
        raise ValueError(f'{source} {_UNKNOWN}')
    for name, tensor in state_dict.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(f'{source}: tensor {names[name]} has values that are not finite')


_UNKNOWN = 'holds no backbone in a known format; known are ' + ', '.join(
    f'{form.name} ({form.source})' for form in FORMATS
)
