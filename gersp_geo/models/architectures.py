"""Identify the backbone of a set of tensors by their names and shapes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

# ResNets are tried where a file does not say what it holds; torchvision, timm and OpenMMLab agree
# on their names and shapes.
_RESNETS = (
    'resnet50', 'resnet18', 'resnet34', 'resnet101', 'resnet152',
    'wide_resnet50_2', 'resnext50_32x4d', 'resnext101_32x8d',
)  # fmt: skip

# A tensor that every ResNet has.
RESNET_TENSOR = 'layer1.0.conv1.weight'

# Rows and columns of the first layer of networks for images such as those of CIFAR, 32 x 32 pixels
_SMALL_KERNEL = (3, 3)

# With so few wrong tensors, a file is taken for a damaged backbone rather than another one.
_MOST_WRONG = 3

# The head of a ResNet.
_USUAL_HEAD = ('fc',)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A timm backbone without its classifier."""

    name: str
    """What timm calls it."""

    shapes: Mapping[str, torch.Size]
    """Shape of each tensor, in the order in which timm registers them."""

    heads: tuple[str, ...]
    """Modules that classify; they belong to no backbone."""

    stem: str
    """Name of the weight that reads the bands, shape (O, bands, rows, cols)."""

    num_features: int
    """Channels of the last feature map."""


def architecture(name: str) -> Architecture | None:
    """Describe a timm model without allocating it; None if timm has no such model.

    Names that would make timm read a folder or a server are not followed.
    """
    # seconds, which prediction by a graph does without
    import timm

    return _describe(name) if timm.is_model(name) else None


@lru_cache(maxsize=32)
def _describe(name: str) -> Architecture:
    """Build a model on the meta device and write down what it looks like."""
    import timm

    with torch.device('meta'):
        model: Any = timm.create_model(name, pretrained=False, num_classes=0)
    return Architecture(
        name=name,
        shapes={key: tensor.shape for key, tensor in model.state_dict().items()},
        heads=head_names(model),
        stem=stem_name(model.state_dict()),
        num_features=model.num_features,
    )


def head_names(model: nn.Module) -> tuple[str, ...]:
    """List the names of modules that classify; they need not exist.

    Args:
        model: From timm, or anything whose classifier is called ``fc``, as in torchvision's
            ResNets.
    """
    config = getattr(model, 'pretrained_cfg', None) or {}
    named = config.get('classifier') or _USUAL_HEAD
    return (named,) if isinstance(named, str) else tuple(named)


def stem_name(tensors: Mapping[str, Tensor]) -> str:
    """Name the weight that reads the bands: the first of four dimensions, '' if there is none."""
    return next((name for name, tensor in tensors.items() if tensor.ndim == 4), '')


def without_heads(names: Iterable[str], heads: Iterable[str]) -> list[str]:
    """Leave out the names of tensors that belong to these classifiers."""
    prefixes = tuple(f'{head}.' for head in heads)
    return [name for name in names if not name.startswith(prefixes)]


def is_counter(name: str) -> bool:
    """Say whether a tensor is BatchNorm's step counter, which frozen BatchNorm does not have."""
    return name.rpartition('.')[2] == 'num_batches_tracked'


def identify(tensors: Mapping[str, Tensor], *, hint: str | None = None) -> Architecture | None:
    """Find the backbone whose names and shapes these are, any number of bands.

    Args:
        tensors: State dict, with or without classifier and BatchNorm counters.
        hint: What the file says it holds; believed only if it fits.

    Returns:
        The backbone, or None if neither *hint* nor a common ResNet fits.
    """
    common = _RESNETS if RESNET_TENSOR in tensors else ()
    for candidate in (hint, *common) if hint else common:
        found = architecture(candidate)
        if found is not None and _fits(tensors, found):
            return found
    return None


class Fault(NamedTuple):
    """What keeps tensors from being a backbone."""

    tensor: str
    complaint: str
    backbone: str


def find_damage(tensors: Mapping[str, Tensor], *, hint: str | None = None) -> Fault | None:
    """Find the tensor that keeps these from being a backbone that they nearly are.

    *hint* is what the file says it holds. The first fault is returned; None if more than a few
    tensors are wrong.
    """
    names = (hint, *_RESNETS) if hint else _RESNETS
    candidates = [found for name in names if (found := architecture(name)) is not None]
    faults = [list(_faults(tensors, candidate)) for candidate in candidates]
    fewest = min(faults, key=len)
    return fewest[0] if 0 < len(fewest) <= _MOST_WRONG else None


def _faults(tensors: Mapping[str, Tensor], wanted: Architecture) -> Iterator[Fault]:
    """Compare with a backbone, but for classifier, counters and number of bands."""
    names = {name for name in without_heads(tensors, wanted.heads) if not is_counter(name)}
    for name, shape in wanted.shapes.items():
        if is_counter(name):
            continue
        if name not in names:
            yield Fault(name, 'is missing', wanted.name)
            continue
        has, stem = tensors[name].shape, name == wanted.stem
        if has[:1] + has[2:] != shape[:1] + shape[2:] if stem else has != shape:
            complaint = f'has shape {tuple(has)} instead of {tuple(shape)}'
            if stem and has[2:] == _SMALL_KERNEL:
                complaint += ', as networks for small images have (CIFAR)'
            yield Fault(name, complaint, wanted.name)
    for name in sorted(names - wanted.shapes.keys()):
        yield Fault(name, 'does not belong there', wanted.name)


def _fits(tensors: Mapping[str, Tensor], wanted: Architecture) -> bool:
    """Say whether nothing is wrong, and the number of bands can be read."""
    readable = bool(wanted.stem) and tensors.get(wanted.stem, torch.empty(0)).ndim == 4
    return readable and next(_faults(tensors, wanted), None) is None
