"""Weights that torchgeo's own tasks can read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..models.architectures import architecture, identify
from ..models.checkpoint_files import load_pickle
from ..models.weights import get_weight

# tasks whose network is that of the weights, and tasks that have it as their encoder
_WHOLE = ('Classification', 'Regression', 'BYOL', 'MoCo', 'SimCLR')
_ENCODERS = ('SemanticSegmentation', 'PixelwiseRegression', 'ChangeDetection')

# networks of these tasks without such an encoder
_WITHOUT = ('fcn', 'changevit', 'btc')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A backbone by names and shapes."""

    name: str
    """What the weights say it is."""

    stem: str
    """Name of the tensor that reads the bands."""

    tensors: Mapping[str, Tensor]


def check_torchgeo_weights(class_path: str, options: Mapping[str, object]) -> None:
    """Refuse weights that a task of torchgeo 0.10 would trip over, or read in part.

    They read checkpoints of torchgeo's tasks alone, and leave out what they do not find: ResNet-18
    fills half of a ResNet-34, without a word.

    Args:
        class_path: Full name of the task; ours read any known format, and nothing is checked.
        options: Its options.

    Raises:
        ValueError: If *weights* are neither such a checkpoint nor the name of published weights, are
            of another network than the task builds, or of other bands than it can read them with, or
            do not load safely.
    """
    weights, task = options.get('weights'), class_path.rpartition('.')[2]
    if not class_path.startswith('torchgeo.tasks.') or not isinstance(weights, str):
        return
    file, is_known = Path(weights), task in (*_WHOLE, *_ENCODERS)
    held: _Held | None = None
    if file.exists():
        held = None if file.is_dir() or file.suffix == '.safetensors' else _read(file)
        if held is None:
            raise ValueError(
                f'weights of {class_path} must be a checkpoint of a task of torchgeo, got {weights}; '
                f'`gersp-geo export {weights} backbone.ckpt --format torchgeo` writes one'
            )
    elif is_known:
        held = _describe_published(class_path, weights)
    if held is not None and is_known and options.get('model') not in _WITHOUT:
        _check_network(class_path, weights, held, options)


def _read(file: Path) -> _Held | None:
    """Read the model and its tensors where torchgeo looks for them; None if they are not there."""
    loaded = load_pickle(file)
    named, tensors = loaded.get('hyper_parameters'), loaded.get('state_dict')
    if not isinstance(named, Mapping) or not isinstance(tensors, Mapping):
        return None
    # torchgeo asks in this order
    for key, prefix in (('model', 'model.'), ('backbone', 'model.backbone.model.')):
        if key in named:
            # of a segmentation task, 'model' is not that of the encoder
            known = architecture(str(named[key]))
            found = {name.replace(prefix, ''): tensors[name] for name in tensors if prefix in name}
            if known is None or known.stem not in found:
                return None
            return _Held(name=known.name, stem=known.stem, tensors=found)
    return None


def _describe_published(class_path: str, name: str) -> _Held | None:
    """Describe published weights without reading them; None if their network is none of timm's."""
    try:
        meta = get_weight(name).meta
    except ValueError as error:
        raise ValueError(
            f'weights of {class_path} must be a file or published weights, such as '
            f'GeRSP_Weights.RESNET50, and there is neither for {name}'
        ) from error
    known = architecture(str(meta.get('model')))
    if known is None or not known.stem or 'in_chans' not in meta:
        return None
    shapes = {key: [*shape] for key, shape in known.shapes.items()}
    shapes[known.stem][1] = meta['in_chans']
    tensors = {key: torch.empty(shape, device='meta') for key, shape in shapes.items()}
    return _Held(name=known.name, stem=known.stem, tensors=tensors)


def _check_network(
    class_path: str, weights: str, held: _Held, options: Mapping[str, object]
) -> None:
    """Refuse weights of another network than a task builds, or an encoder of other bands."""
    task = class_path.rpartition('.')[2]
    key = 'backbone' if task in _ENCODERS else 'model'
    asked = str(options.get(key))
    # timm has networks in folders and on servers, too, of which nothing is known before
    if key == 'model' and architecture(asked) is None:
        return
    found = identify(held.tensors, hint=asked)
    if found is None or found.name != asked:
        raise ValueError(
            f'weights of {class_path} must be of the network that it builds, {asked}, and those of '
            f'{weights} are of {held.name}; pass {key}: {held.name}'
        )
    bands, takes = held.tensors[held.stem].shape[1], options.get('in_channels')
    if isinstance(takes, int) and task == 'ChangeDetection' and 'siam' not in str(options['model']):
        # images of two dates in one
        takes *= 2
    # where it is the whole network, torchgeo draws a new first layer, and says so
    if key == 'backbone' and takes not in (None, bands):
        raise ValueError(
            f'weights of {class_path} must read the {takes} bands of its encoder, and those of '
            f'{weights} read {bands}; fill the task by load_backbone, which spreads them'
        )
