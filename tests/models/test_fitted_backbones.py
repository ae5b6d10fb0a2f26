"""Weights for three bands in models for others, by each rule."""

from dataclasses import replace
from typing import Any, cast

import pytest
import timm
import torch
from huggingface_hub import constants

from gersp_geo.models.backbone_weights import BackboneWeights
from gersp_geo.models.first_layer import adapt_stem
from gersp_geo.models.fitted_backbones import draw_backbone, fit_backbone, read_timm

IMAGES = torch.rand(2, 5, 32, 32, generator=torch.Generator().manual_seed(0))


def weights_of(name: str) -> BackboneWeights:
    """Random weights as a reader gives them."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0)
    return BackboneWeights(
        state_dict=dict(model.state_dict()), model=name, in_channels=3,
        preprocessing=None, provenance={}, format='timm',
    )  # fmt: skip


FOUND = weights_of('test_resnet')
STEM = FOUND.state_dict['conv1.0.weight']


def filters(backbone: torch.nn.Module) -> torch.Tensor:
    return cast(torch.Tensor, cast(Any, backbone).conv1[0].weight).detach()


def test_scaled_is_what_loading_does() -> None:
    wanted = adapt_stem(STEM, 5, rgb_bands=(2, 1, 0))
    fitted = fit_backbone(FOUND, in_channels=5, size=32, rgb_bands=(2, 1, 0))
    assert torch.equal(filters(fitted), wanted)


def test_repeat_gives_what_timm_gives(tmp_path: Any) -> None:
    path = tmp_path / 'weights.pth'
    torch.save(timm.create_model('test_resnet', num_classes=0).state_dict(), path)
    theirs = timm.create_model(
        'test_resnet', in_chans=5, num_classes=0, pretrained=True,
        pretrained_cfg_overlay={'file': str(path)},
    ).eval()  # fmt: skip
    found = replace(FOUND, state_dict=torch.load(path))
    ours = fit_backbone(found, in_channels=5, size=32, first_layer='repeat')
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGES), theirs(IMAGES))


def test_random_filters_are_those_that_the_model_draws() -> None:
    fitted = filters(
        fit_backbone(FOUND, in_channels=5, size=32, first_layer='random', rgb_bands=(3, 1, 0),
                     seed=7)
    )  # fmt: skip
    drawn = filters(draw_backbone('test_resnet', in_channels=5, size=32, seed=7))
    assert torch.equal(fitted[:, [3, 1, 0]], STEM)
    assert torch.equal(fitted[:, [2, 4]], drawn[:, [2, 4]])


@pytest.mark.parametrize('name', ['test_resnet', 'test_convnext', 'test_vit'])
def test_weights_of_as_many_bands_are_the_model_itself(name: str) -> None:
    found = weights_of(name)
    model = timm.create_model(name, num_classes=0)
    model.load_state_dict(found.state_dict)
    if hasattr(model, 'set_input_size'):
        cast(Any, model).set_input_size(img_size=32)
    with torch.no_grad():
        fitted = fit_backbone(found, in_channels=3, size=32)(IMAGES[:, :3])
        assert torch.equal(fitted, model.eval()(IMAGES[:, :3]))


def test_drawing_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    one = draw_backbone('test_resnet', in_channels=3, size=32, seed=0)
    fit_backbone(FOUND, in_channels=4, size=32, first_layer='random')
    assert torch.equal(torch.rand(3), wanted)
    other = draw_backbone('test_resnet', in_channels=3, size=32, seed=0)
    assert torch.equal(filters(one), filters(other))
    third = draw_backbone('test_resnet', in_channels=3, size=32, seed=1)
    assert not torch.equal(filters(one), filters(third))


def test_timm_weights_that_are_not_here_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r'resnet18\.a1_in1k into a folder and give timm:lo'
    ):
        read_timm('resnet18')
    with pytest.raises(ValueError, match=r"no model 'resnet17'; names like it are resnet18"):
        read_timm('resnet17')
    with pytest.raises(ValueError, match='random:resnet18 takes random ones'):
        read_timm('resnet18.nothing')
