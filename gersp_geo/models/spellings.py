"""How tools name the tensors of one ResNet, and what they wrap around the names."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from .architectures import RESNET_TENSOR

# What DataParallel and DDP, torch.compile, FSDP and activation checkpointing put into names, at any
# depth: each holds the module that it wraps under this attribute.
_WRAPPERS = frozenset(('module', '_orig_mod', '_fsdp_wrapped_module', '_checkpoint_wrapped_module'))

# The children of torchvision's ResNets in an nn.Sequential, which numbers them.
_NUMBERED = {'0': 'conv1', '1': 'bn1', '4': 'layer1', '5': 'layer2', '6': 'layer3', '7': 'layer4'}
_NAMED = {own: number for number, own in _NUMBERED.items()}

# Hugging Face's names of stem, blocks and shortcuts, and of a convolution with its BatchNorm.
_HF_STEM = re.compile(r'embedder\.embedder\.(convolution|normalization)\.(.+)')
_HF_LAYER = re.compile(
    r'encoder\.stages\.(\d+)\.layers\.(\d+)\.(layer\.\d+|shortcut)\.(convolution|normalization)\.(.+)'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """One way to name the tensors of a ResNet, without any prefix."""

    signs: tuple[str, ...]
    """Each of these begins some name."""

    tensors: tuple[str, ...]
    """Tensors that every ResNet has; together they tell one from the blocks of a decoder."""

    to_own: Callable[[str], str]
    """From a name to that of timm and torchvision."""

    to_theirs: Callable[[str], str]
    """The way back, as far as one is needed in messages."""


def _rename_first(name: str, renames: Mapping[str, str]) -> str:
    """Give the first part of a name another name."""
    first, dot, rest = name.partition('.')
    return f'{renames.get(first, first)}{dot}{rest}'


def _from_hugging_face(name: str) -> str:
    """Name a tensor of Hugging Face's ResNet as torchvision does."""
    if stem := _HF_STEM.fullmatch(name):
        return f'{"conv1" if stem[1] == "convolution" else "bn1"}.{stem[2]}'
    found = _HF_LAYER.fullmatch(name)
    if not found:
        return name
    stage, block, part, kind, rest = found.groups()
    is_convolution = kind == 'convolution'
    if part == 'shortcut':
        layer = f'downsample.{0 if is_convolution else 1}'
    else:
        layer = f'{"conv" if is_convolution else "bn"}{int(part.removeprefix("layer.")) + 1}'
    return f'layer{int(stage) + 1}.{block}.{layer}.{rest}'


SPELLINGS = (
    Spelling(
        signs=('layer1.', 'layer2.'),
        tensors=(RESNET_TENSOR, 'layer2.0.conv1.weight'),
        to_own=lambda name: name,
        to_theirs=lambda name: name,
    ),
    Spelling(
        signs=('4.0.', '5.0.', '6.0.', '7.0.'),
        tensors=tuple(f'{stage}.0.conv1.weight' for stage in (4, 5, 6, 7)),
        to_own=lambda name: _rename_first(name, _NUMBERED),
        to_theirs=lambda name: _rename_first(name, _NAMED),
    ),
    Spelling(
        signs=('embedder.embedder.', 'encoder.stages.0.layers.'),
        tensors=tuple(
            f'encoder.stages.{stage}.layers.0.layer.0.convolution.weight' for stage in (0, 1)
        ),
        to_own=_from_hugging_face,
        to_theirs=lambda name: name,
    ),
)


def find_spelling(names: Iterable[str]) -> Spelling | None:
    """Say how the tensors of a ResNet are named; None if they are those of no ResNet.

    Names have no prefix. A few may be missing.
    """
    names = tuple(names)
    for spelling in SPELLINGS:
        if all(any(name.startswith(sign) for name in names) for sign in spelling.signs):
            return spelling
    return None


def find_backbones(names: Iterable[str]) -> list[str]:
    """List the prefixes under which there is something like a ResNet; '' for one without any."""
    known = dict.fromkeys(names)
    found: dict[str, None] = {}
    for name in known:
        for spelling in SPELLINGS:
            first, *others = spelling.tensors
            prefix = name.removesuffix(first)
            whole = prefix != name and (not prefix or prefix.endswith('.'))
            if whole and all(f'{prefix}{other}' in known for other in others):
                found[prefix] = None
    return list(found)


def unwrap(names: Iterable[str]) -> dict[str, str]:
    """Leave out of names what wrappers have put there.

    Returns:
        Names without wrappers, and the names themselves; these alone if two would become one.
    """
    names = tuple(names)
    bare = {
        '.'.join(part for part in name.split('.') if part not in _WRAPPERS): name for name in names
    }
    return bare if len(bare) == len(names) else {name: name for name in names}
