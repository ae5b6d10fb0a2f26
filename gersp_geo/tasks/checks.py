"""Refuse arguments and inputs for which GeRSP is not defined."""

from collections.abc import Mapping
from typing import Any

import timm
import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from ..batch_types import JointBatch
from ..transforms import CROP_SCALE

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
# the color_strength with which hue turns by half a circle either way
STRONGEST = 1.25


def check_sizes(query_view: Tensor, natural_view: Tensor) -> None:
    """Refuse views of different height or width, which cannot share one forward pass."""
    if query_view.shape[2:] != natural_view.shape[2:]:
        raise ValueError(
            'augmentation1 and augmentation_natural must give one size, since both streams share '
            f'a forward pass; got {tuple(query_view.shape[2:])} and {tuple(natural_view.shape[2:])}'
        )


def check_labels(label: Tensor, *, num_classes: int) -> None:
    """Refuse labels that the classification head has no logit for."""
    if (largest := int(label.max())) >= num_classes:
        raise ValueError(
            f'num_classes must be above every label, got num_classes={num_classes} and a natural '
            f'image of class {largest}'
        )


def check_classes(classes: int, *, num_classes: int) -> None:
    """Refuse natural images of more classes than the classification head has logits."""
    if classes > num_classes:
        raise ValueError(
            f'num_classes must be at least the number of classes of the natural images, {classes}, '
            f'got {num_classes}'
        )


def check_precision(dtype: torch.dtype) -> None:
    """Refuse weights too coarse for a moving average.

    A teacher of momentum 0.996 moves by less than half precision can hold, that is, not at all.
    """
    if dtype in (torch.float16, torch.bfloat16):
        raise ValueError(
            f'weights must be of 32 or 64 bits, got {dtype}: the teacher would not move; use '
            "precision='bf16-mixed' or '16-mixed'"
        )


class NoViews(nn.Module):
    """Stands where a pipeline will be, once the statistics of the bands are known."""

    def forward(self, images: Tensor) -> Tensor:
        """Refuse to pass images on as they are, and say where statistics come from."""
        raise ValueError(
            f'images of {images.shape[1]} bands need augmentation1, or a Trainer with a data '
            'module that describes its bands (GeRSPDataModule)'
        )


def check_normalization(backbone: nn.Module) -> None:
    """Refuse a backbone that lost layers when its normalisation was converted.

    torch's conversion knows BatchNorm alone; timm's normalisation with activation (EfficientNet,
    MobileNet, RegNet) keeps its activation as a child that is no longer called.
    """
    kinds = [module for module in backbone.modules() if type(module) is nn.SyncBatchNorm]
    if any(list(module.children()) for module in kinds):
        raise ValueError(
            'sync_batchnorm=True has dropped the activations of this backbone; convert backbone '
            'and backbone_momentum with timm.layers.convert_sync_batchnorm, and leave it out'
        )


def check_streams(batch: JointBatch) -> None:
    """Refuse a batch without natural images where the supervised loss needs them."""
    if 'natural' not in batch:
        raise ValueError(
            'supervised_weight > 0 needs natural images, and the batch has none; give the data '
            'module natural=FOLDER, or the task supervised_weight=0'
        )


def warn_of_large_queue(memory_bank_size: int, *, samples: float) -> None:
    """Warn where many queries meet keys of their own image, made in the pass before.

    *samples* is the number of remote-sensing images in a pass.
    """
    if 2 * memory_bank_size > samples:
        rank_zero_warn(
            f'memory_bank_size={memory_bank_size} is more than half of the {samples:.0f} '
            'remote-sensing images of a pass: images will meet keys of their own as negatives; '
            f'memory_bank_size <= {max(samples // 2, 1):.0f} avoids it'
        )


def check_recipe(hparams: Mapping[str, Any]) -> None:
    """Refuse settings of the default recipes that are out of range."""
    shares = list(hparams['crop_scale'])
    if len(shares) != 2 or not 0 < shares[0] <= shares[1] <= 1:
        raise ValueError(f'crop_scale must be [smallest, largest] in (0, 1], got {shares}')
    if not 0 <= (strength := hparams['color_strength']) <= STRONGEST:
        raise ValueError(f'color_strength must be in [0, {STRONGEST}], got {strength}')


def check_recipe_is_used(hparams: Mapping[str, Any], *pipelines: nn.Module | None) -> None:
    """Refuse settings of the default recipes where *pipelines* replace those in every view."""
    settings = (tuple(hparams['crop_scale']), hparams['color_strength'])
    if settings != (CROP_SCALE, 1.0) and None not in pipelines:
        raise ValueError(
            f'crop_scale={list(settings[0])} and color_strength={settings[1]} are for the default '
            'recipes, and your own pipelines replace those in every view; leave both settings out'
        )


def check_arguments(hparams: Mapping[str, Any]) -> None:
    """Refuse arguments for which the method is not defined."""
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
