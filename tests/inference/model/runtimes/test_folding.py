"""Batch normalisation becomes a part of the convolution before it, on a copy."""

import torch
from torch import Tensor, nn

from gersp_geo.inference.model.runtimes.folding import fold


class Shared(nn.Module):
    """One convolution before two normalisations, as heads over a pyramid have it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(2))

    def forward(self, images: Tensor) -> Tensor:
        first, second = (norm(self.convolution(images)) for norm in self.norms)
        return torch.cat([first, second], dim=1)


def trained(module: nn.Module) -> nn.Module:
    """Give statistics that are not those of the start."""
    torch.manual_seed(0)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            layer.running_mean.uniform_(-1, 1)
            layer.running_var.uniform_(0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


@torch.no_grad()
def test_a_pair_becomes_one_layer_that_returns_the_same() -> None:
    module = trained(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1)
        )
    )
    images = torch.randn(2, 3, 16, 16)
    expected = module(images)
    folded = fold(module, images[:1, :, :8, :8])
    assert norms(folded) == 0
    torch.testing.assert_close(folded(images), expected)
    assert norms(module) == 1
    torch.testing.assert_close(module(images), expected, rtol=0, atol=0)


@torch.no_grad()
def test_a_convolution_that_is_used_twice_stays() -> None:
    module, images = trained(Shared()), torch.randn(1, 3, 8, 8)
    folded = fold(module, images)
    assert norms(folded) == 2
    torch.testing.assert_close(folded(images), module(images))


@torch.no_grad()
def test_a_normalisation_by_each_batch_stays() -> None:
    module = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)).eval()
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(fold(module, images)(images), module(images))


class Twice(nn.Module):
    """Uses what a convolution returns before and after it is normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        found = self.convolution(images)
        both: Tensor = found + self.norm(found)
        return both


@torch.no_grad()
def test_nothing_is_folded_where_that_changes_what_is_returned() -> None:
    module, images = trained(Twice()), torch.randn(1, 3, 8, 8)
    folded = fold(module, images)
    assert norms(folded) == 1
    torch.testing.assert_close(folded(images), module(images))
