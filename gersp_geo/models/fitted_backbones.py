"""Backbones with weights for other bands than those of the images, and weights of timm's own."""

import logging
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import timm
import torch
from huggingface_hub import constants, try_to_load_from_cache
from timm.models import PretrainedCfg
from torch import Tensor, nn

from ..bands import RGB, color_order
from ..messages import one_line
from ..preprocessing import Preprocessing
from .architectures import stem_name
from .backbone_weights import BackboneWeights
from .backbones import create_backbone
from .first_layer import FilterRule, spread_filters
from .loading import load_backbone

# so long is waited to see whether there is a network; timm's own tries take most of a minute
SECONDS = 5

# names that timm gives to files of weights on the hub, best first
_FILES = ('model.safetensors', 'pytorch_model.bin')


def fit_backbone(
    found: BackboneWeights,
    *,
    in_channels: int,
    size: int,
    first_layer: FilterRule = 'scaled',
    rgb_bands: Sequence[int] = (0, 1, 2),
    seed: int = 0,
) -> nn.Module:
    """Build a backbone for any bands, and fill it.

    Args:
        found: Weights that say which backbone they are of.
        in_channels: Number of bands.
        size: Side of the images in pixels; models with position embeddings are set to it.
        first_layer: How filters for three bands are spread over others, see
            :func:`.first_layer.spread_filters`.
        rgb_bands: Bands where red, green and blue are, 0-based.
        seed: Draws the filters of new bands where *first_layer* is 'random'.

    Returns:
        From images (B, *in_channels*, *size*, *size*) to features (B, D), in evaluation mode.

    Raises:
        ValueError: If bands do not fit, or the weights are not of the architecture that they name.
    """
    assert found.model is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: nn.Module = timm.create_model(found.model, in_chans=in_channels, num_classes=0)
    drawn = module.state_dict()
    stem = stem_name(drawn)
    filters = spread_filters(
        found.state_dict[stem],
        in_channels,
        rule=first_layer,
        rgb_bands=rgb_bands,
        order=color_order(found.preprocessing.bands if found.preprocessing else ()),
        fresh=drawn[stem],
    )
    load_backbone(module, {**found.state_dict, stem: filters}, in_channels=in_channels)
    if hasattr(module, 'set_input_size'):
        # after loading, which fits position embeddings of the size that they were made for
        cast(Any, module).set_input_size(img_size=size)
    return module.eval()


def draw_backbone(name: str, *, in_channels: int, size: int, seed: int) -> nn.Module:
    """Build a model of timm with random weights, the same for a seed, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_backbone(name, in_channels=in_channels, size=size).eval()


def check_name(name: str) -> None:
    """Refuse what is no model of timm, by its name alone; names of servers are none."""
    bare = name.partition('.')[0]
    if not timm.is_model(bare):
        near = ', '.join(get_close_matches(bare, timm.list_models(), n=3))
        fix = f'names like it are {near}' if near else 'timm.list_models() lists names'
        raise ValueError(f'timm has no model {name!r}; {fix}')


def read_timm(name: str) -> BackboneWeights:
    """Read timm's own pre-trained weights of a model, which it downloads where it has not yet.

    Args:
        name: Such as 'resnet18' or 'resnet18.a1_in1k'.

    Returns:
        The backbone without classifier, with the values that its images were normalised by.

    Raises:
        FileNotFoundError: If the weights are not here and cannot be downloaded.
        ValueError: If timm has no such model, or no weights of it.
    """
    check_name(name)
    known = timm.get_pretrained_cfg(name) if timm.is_model_pretrained(name) else None
    if known is None or not known.has_weights:
        raise ValueError(
            f'timm has no pre-trained weights {name!r}; random:{name.partition(".")[0]} takes '
            'random ones'
        )
    _check_reachable(name, known)
    logger = logging.getLogger('huggingface_hub')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        module: Any = timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(_how_to(name, known, one_line(error))) from error
    finally:
        logger.setLevel(level)
    tensors: dict[str, Tensor] = module.state_dict()
    config = module.pretrained_cfg
    bands = tensors[stem_name(tensors)].shape[1]
    return BackboneWeights(
        state_dict=tensors,
        model=name,
        in_channels=bands,
        preprocessing=None if bands != 3 else Preprocessing(
            bands=RGB.bands,
            scale=(RGB.scale,) * 3,
            mean=tuple(config['mean']),
            std=tuple(config['std']),
            dtype='uint8',
        ),
        provenance={'weights': f'timm:{name}'},
        format='timm',
    )  # fmt: skip


def _check_reachable(name: str, known: PretrainedCfg) -> None:
    """Refuse weights that are not here where there is no network either."""
    hub = known.hf_hub_id
    if hub is None or any(
        isinstance(try_to_load_from_cache(hub, known.hf_hub_filename or file), str)
        for file in _FILES
    ):
        return
    try:
        if constants.HF_HUB_OFFLINE:
            raise URLError('HF_HUB_OFFLINE is set')
        urlopen(Request(constants.ENDPOINT, method='HEAD'), timeout=SECONDS).close()
    # it answers, whatever it says
    except HTTPError:
        return
    except OSError as error:
        raise FileNotFoundError(_how_to(name, known, one_line(error))) from error


def _how_to(name: str, known: PretrainedCfg, reason: str) -> str:
    """Say where weights come from, and where they go."""
    if known.hf_hub_id is None:
        return f'timm:{name} cannot be loaded ({reason}); its file is {known.url}'
    return (
        f'timm:{name} is not here and cannot be downloaded ({reason}); put config.json and '
        f'model.safetensors of {constants.ENDPOINT}/{known.hf_hub_id} into a folder and give '
        'timm:local-dir:FOLDER'
    )
