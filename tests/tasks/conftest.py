"""Backbones in which no tensor is what a new one has."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import timm
import torch
from torch import Tensor

type StateDict = dict[str, Tensor]

SIZE = 64


@cache
def random_backbone(name: str) -> StateDict:
    generator = torch.Generator().manual_seed(5)
    state: StateDict = timm.create_model(name, num_classes=0).state_dict()
    return {
        key: torch.rand(value.shape, generator=generator) * 0.1 + 0.01
        if value.is_floating_point()
        else value + 7
        for key, value in state.items()
    }


@pytest.fixture(scope='session')
def make_backbone() -> Callable[[str], StateDict]:
    """From a name of timm's to a state dict; not to be changed."""
    return random_backbone


@pytest.fixture(scope='session')
def make_boxes() -> Callable[[int], dict[str, Any]]:
    """From a number of bands to a batch with one object per image."""

    def make(bands: int) -> dict[str, Any]:
        image = torch.rand(2, bands, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
        return {
            'image': image,
            'bbox_xyxy': [torch.tensor([[5.0, 8.0, 40.0, 50.0]]) for _ in image],
            'label': [torch.tensor([1]) for _ in image],
            'mask': [torch.ones(1, SIZE, SIZE, dtype=torch.uint8) for _ in image],
        }

    return make
