"""Any backbone into any model, completely or not at all."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..bands import color_order
from ..preprocessing import Preprocessing
from .architectures import head_names, is_counter, stem_name, without_heads
from .backbone_weights import BackboneWeights, tell_part
from .first_layer import adapt_stem
from .remote_files import tell_download
from .weight_sources import WeightsSource, resolve_weights

# timm's feature extractors call the module 'stages.0' 'stages_0'
_FLATTENED = re.compile(r'_(\d+)(?=\.)')


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What :func:`load_backbone` did."""

    format: str
    """Format of the weights."""

    modules: tuple[str, ...]
    """Paths of the modules that were filled; '' is the target itself."""

    tensors_set: int
    """Tensors that were set in each of them."""

    tensors_total: int
    """Tensors that each of them has, its classifier aside; equal to *tensors_set*."""

    stem_adapted: bool
    """Whether the first layer was spread over other bands."""

    unused: int
    """Tensors of stages that the target does not have."""

    preprocessing: Preprocessing | None
    """How the input of the weights was prepared, which the target needs too; None if unknown."""

    provenance: dict[str, str]
    """Where the weights come from: file, SHA-256, configuration, data, commit, as far as known."""

    def __str__(self) -> str:
        """Sum up in one line."""
        where = ' and '.join(module or 'the model itself' for module in self.modules)
        stem = ', first layer adapted to other bands' if self.stem_adapted else ''
        unused = f', {self.unused} of stages that it does not have left out' if self.unused else ''
        counted = f'{self.tensors_set} of {self.tensors_total}'
        taken = tell_part(self.format, self.provenance.get('part'))
        taken += tell_download(self.provenance)
        return f'{counted} tensors of {where} set ({self.format} format{taken}{stem}{unused})'


def load_backbone(
    target: nn.Module,
    weights: WeightsSource,
    *,
    in_channels: int | None = None,
    rgb_bands: Sequence[int] = (0, 1, 2),
) -> LoadReport:
    """Load a pre-trained backbone into a task or a model.

    The part of *target* to fill is found by the names of its tensors: a timm model itself, the
    encoder of a segmentation model, the body of a torchvision detector, these inside a task of
    torchgeo, or student and teacher of a self-supervised task. Classifiers and decoders stay as
    they are. Either every tensor of the backbone is set, or none is and an error says why. For
    weights with three bands and a target with others, see :func:`.first_layer.adapt_stem`. If the
    weights carry a record that names red, green and blue in another order, their filters are taken
    by name; otherwise three filters read red, green and blue, and as many filters as the target has
    bands are taken in their order.

    Args:
        target: A task of torchgeo or this package, or a model of timm, torchvision or
            segmentation_models_pytorch; changed in place.
        weights: Enum member, its name, a path to any known format, ``hf-hub:ORG/NAME``, an https
            URL, or a state dict.
        in_channels: Number of bands of one image. Defaults to that of the task, else to that of
            the first layer. A first layer that reads a multiple of it reads that many dates.
        rgb_bands: Bands where the target's images have red, green and blue, 0-based.

    Returns:
        What was set.

    Raises:
        FileNotFoundError: If *weights* do not exist.
        ValueError: If a tensor of the backbone would stay as it is, the architectures or the bands
            do not match, or the weights are of no known format.
        TypeError: If *weights* are something else.
    """
    loaded = resolve_weights(weights)
    modules = _find_modules(target, loaded)
    bands = in_channels or _bands_of(target)
    plans = [_plan(m, loaded, in_channels=bands, rgb_bands=rgb_bands) for m in modules.values()]
    # nothing is written before everything is known to fit
    for plan in plans:
        plan.apply()
    first = plans[0]
    return LoadReport(
        format=loaded.format,
        modules=tuple(modules),
        tensors_set=len(first.values),
        tensors_total=len(first.values),
        stem_adapted=first.stem_adapted,
        unused=first.unused,
        preprocessing=loaded.preprocessing,
        provenance=loaded.provenance,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What will be written where."""

    places: Mapping[str, Tensor]
    """Tensors of the target, which are parameters and buffers themselves."""

    values: Mapping[str, Tensor]
    """Their new values."""

    stem_adapted: bool
    unused: int

    @torch.no_grad()
    def apply(self) -> None:
        """Write."""
        for name, value in self.values.items():
            self.places[name].copy_(value)


def _find_modules(target: nn.Module, loaded: BackboneWeights) -> dict[str, nn.Module]:
    """Find the modules whose tensors have the names of the backbone."""
    wanted = {_canonical(name) for name in loaded.state_dict if not is_counter(name)}
    shared: Counter[str] = Counter()
    for name in target.state_dict():
        for start in (0, *(dot.end() for dot in re.finditer(r'\.', name))):
            if _canonical(name[start:]) in wanted:
                shared[name[:start]] += 1
    best = max(shared.values(), default=0)
    # one shared name may be chance: every block of a ResNet has a 'conv1.weight'
    if best < 2:
        raise ValueError(
            f'{type(target).__name__} has no backbone with tensors such as '
            f'{_first(list(loaded.state_dict))}; are these weights of its architecture?'
        )
    paths = [prefix.removesuffix('.') for prefix, count in shared.items() if count == best]
    return {path: target.get_submodule(path) for path in paths}


def _canonical(name: str) -> str:
    """Undo the renaming of timm's feature extractors."""
    return _FLATTENED.sub(r'.\1', name)


def _bands_of(target: nn.Module) -> int | None:
    """Read the number of bands that a task was told."""
    hparams = getattr(target, 'hparams', {})
    bands = hparams.get('in_channels') if isinstance(hparams, Mapping) else None
    return bands if isinstance(bands, int) else None


def _plan(
    module: nn.Module, loaded: BackboneWeights, *, in_channels: int | None, rgb_bands: Sequence[int]
) -> _Plan:
    """Pair the tensors of a module with those of the backbone."""
    places = module.state_dict()
    source = {_canonical(name): tensor for name, tensor in loaded.state_dict.items()}
    names = without_heads(places, head_names(module))
    values = {name: source[_canonical(name)] for name in names if _canonical(name) in source}
    missing = [name for name in names if name not in values and not is_counter(name)]
    if missing:
        raise ValueError(
            f'{len(names) - len(missing)} of {len(names)} tensors of the backbone would be set; '
            f'the weights lack {_first(missing)}'
        )
    used = {_canonical(name) for name in values}
    unused = [name for name in source if name not in used and not is_counter(name)]
    _check_unused(unused, names)
    fitted = dict(values)
    if stem := stem_name({name: places[name] for name in values}):
        fitted[stem] = _fit_stem(
            values[stem],
            places[stem],
            in_channels=in_channels,
            rgb_bands=rgb_bands,
            order=color_order(loaded.preprocessing.bands if loaded.preprocessing else ()),
        )
    _check_shapes(fitted, places)
    return _Plan(
        places=places,
        values=fitted,
        stem_adapted=any(fitted[name] is not values[name] for name in values),
        unused=len(unused),
    )


def _fit_stem(
    weight: Tensor,
    place: Tensor,
    *,
    in_channels: int | None,
    rgb_bands: Sequence[int],
    order: Sequence[int],
) -> Tensor:
    """Spread the first layer over the bands and dates that the target reads."""
    channels = place.shape[1]
    bands = channels if in_channels is None else in_channels
    if bands < 1 or channels % bands:
        raise ValueError(
            f'the first layer reads {channels} channels, which is no multiple of '
            f'in_channels={bands}'
        )
    return adapt_stem(weight, bands, rgb_bands=rgb_bands, dates=channels // bands, order=order)


def _check_unused(unused: Sequence[str], names: Sequence[str]) -> None:
    """Accept weights of whole stages that the target leaves out, and nothing else.

    ResNet-101 has all tensors of ResNet-50 and more in the same stages: it is another network.
    """
    stages = {_canonical(name).partition('.')[0] for name in names}
    foreign = [name for name in unused if name.partition('.')[0] in stages]
    if foreign:
        raise ValueError(
            f'the weights have {len(foreign)} tensors that the target lacks, {_first(foreign)}: '
            'they belong to another architecture'
        )


def _check_shapes(values: Mapping[str, Tensor], places: Mapping[str, Tensor]) -> None:
    """Refuse tensors that do not fit."""
    wrong = [name for name, value in values.items() if value.shape != places[name].shape]
    if wrong:
        name = wrong[0]
        raise ValueError(
            f'{len(values) - len(wrong)} of {len(values)} tensors of the backbone fit; {name} has '
            f'shape {tuple(values[name].shape)}, the target needs {tuple(places[name].shape)}'
        )


def _first(names: Sequence[str], count: int = 3) -> str:
    """List the first few names."""
    more = ', ...' if len(names) > count else ''
    return ', '.join(names[:count]) + more
