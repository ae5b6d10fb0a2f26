"""How far models look is found: known radii of convolutions, and none of what sees everything."""

import pytest
import torch
from torch import Tensor, nn

from gersp_geo.inference.model.load import LoadedModel, load_model
from gersp_geo.inference.model.receptive_field import SIDE, measure_layers, measure_radius
from gersp_geo.preprocessing import Preprocessing

RECORD = Preprocessing(bands=('x',), scale=(1.0,), mean=(0.0,), std=(1.0,))


class Pooled(nn.Module):
    """Adds the mean of a patch to each of its pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images + images.mean(dim=(2, 3), keepdim=True)


def convolutions(*sizes: int) -> nn.Sequential:
    layers = [nn.Conv2d(1, 1, size, padding=size // 2) for size in sizes]
    for layer in layers:
        nn.init.constant_(layer.weight, 0.1)
        assert layer.bias is not None
        nn.init.constant_(layer.bias, 0.1)
    return nn.Sequential(*layers)


def loaded(module: nn.Module) -> LoadedModel:
    return load_model(module, preprocessing=RECORD)


def images() -> Tensor:
    return torch.rand((1, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
@pytest.mark.parametrize(
    ('sizes', 'radius'), [((1,), 0), ((3,), 1), ((5,), 2), ((3, 5), 3), ((5, 5, 3), 5)]
)
def test_the_radius_of_convolutions_is_what_they_add_up_to(
    sizes: tuple[int, ...], radius: int
) -> None:
    assert measure_radius(convolutions(*sizes), images()) == radius


@torch.inference_mode()
def test_what_looks_down_only_is_found_too() -> None:
    layer = nn.Conv2d(1, 1, (7, 1), padding=(3, 0))
    nn.init.constant_(layer.weight, 0.1)
    assert measure_radius(layer, images()) == 3


@torch.inference_mode()
def test_a_model_that_sees_the_whole_patch_has_no_radius() -> None:
    rising = images() * torch.linspace(0, 1, SIDE)[:, None] * torch.linspace(0, 1, SIDE)
    assert measure_radius(Pooled(), rising) is None
    assert measure_radius(lambda strip: strip + torch.nan, images()) is None


@torch.inference_mode()
def test_layers_tell_step_and_bytes() -> None:
    zeros = torch.zeros((1, 1, 64, 64))
    assert measure_layers(loaded(convolutions(5, 3)), zeros).step == 1
    halved = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 8, 4, stride=4), nn.AdaptiveAvgPool2d(1))
    assert measure_layers(loaded(halved), zeros).step == 8
    # one float goes in and one comes out, and as much again
    assert measure_layers(loaded(nn.Sequential(nn.ReLU())), zeros).pixel_bytes == 16
    # nobody can look into a function
    assert measure_layers(load_model(torch.relu, preprocessing=RECORD), zeros).step == 32


@pytest.mark.slow
@torch.inference_mode()
def test_the_steps_of_networks_of_the_field() -> None:
    import segmentation_models_pytorch as smp

    zeros = torch.zeros((1, 1, 256, 256))
    for build, step in ((smp.Unet, 32), (smp.DeepLabV3Plus, 16)):
        torch.manual_seed(0)
        model = build('resnet18', encoder_weights=None, in_channels=1, classes=5).eval()
        assert measure_layers(loaded(model), zeros).step == step
