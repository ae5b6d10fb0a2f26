"""Which arguments and inputs GeRSP is defined for."""

from collections.abc import Mapping
from typing import Any

import timm
from torch import Tensor

POSITIVE = (
    'in_channels',
    'hidden_dim',
    'output_dim',
    'temperature',
    'memory_bank_size',
    'lr',
    'size',
    'num_classes',
    'restart_period',
)
NOT_NEGATIVE = ('supervised_weight', 'weight_decay', 'momentum', 'min_lr')


def check_sizes(query_view: Tensor, natural_view: Tensor) -> None:
    """Refuse views that cannot share one forward pass.

    Raises:
        ValueError: If height or width differ.
    """
    if query_view.shape[2:] != natural_view.shape[2:]:
        raise ValueError(
            'augmentation1 and augmentation_natural must give one size, since both streams share '
            f'a forward pass; got {tuple(query_view.shape[2:])} and {tuple(natural_view.shape[2:])}'
        )


def check_labels(label: Tensor, *, num_classes: int) -> None:
    """Refuse labels that the classification head has no logit for.

    Raises:
        ValueError: Names the largest label and the number of classes.
    """
    if (largest := int(label.max())) >= num_classes:
        raise ValueError(
            f'num_classes must be above every label, got num_classes={num_classes} and a natural '
            f'image of class {largest}'
        )


def check_arguments(hparams: Mapping[str, Any]) -> None:
    """Refuse values for which the method is not defined.

    Raises:
        ValueError: Names the argument, the rule and the value.
    """
    for name in POSITIVE:
        if hparams[name] <= 0:
            raise ValueError(f'{name} must be > 0, got {hparams[name]}')
    for name in NOT_NEGATIVE:
        if hparams[name] < 0:
            raise ValueError(f'{name} must be >= 0, got {hparams[name]}')
    if not 0 <= hparams['moco_momentum'] <= 1:
        raise ValueError(f'moco_momentum must be in [0, 1], got {hparams["moco_momentum"]}')
    if hparams['min_lr'] > hparams['lr']:
        raise ValueError(f'min_lr must be <= lr={hparams["lr"]}, got {hparams["min_lr"]}')
    if hparams['teacher_projector'] not in ('ema', 'frozen'):
        raise ValueError(
            f"teacher_projector must be 'ema' or 'frozen', got {hparams['teacher_projector']!r}"
        )
    bands, channels = tuple(hparams['rgb_bands']), hparams['in_channels']
    placeable = len(set(bands)) == 3 and all(0 <= band < channels for band in bands)
    if hparams['supervised_weight'] > 0 and not placeable:
        raise ValueError(
            f'rgb_bands must be three different bands in [0, in_channels={channels}), got {bands}'
        )
    # names with a colon are folders and hubs, which timm checks when it reads them
    if ':' not in hparams['model'] and not timm.is_model(hparams['model']):
        raise ValueError(
            f'model must be a timm model (timm.list_models() names them), got {hparams["model"]!r}'
        )
