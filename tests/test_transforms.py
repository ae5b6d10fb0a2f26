from typing import Any

import pytest
import torch
from torch import nn

from gersp_geo.bands import RGB
from gersp_geo.transforms import (
    CropTogether,
    RandomCrops,
    RandomFlips,
    ScaleValues,
    move,
    place_rgb,
    released_recipe,
    resample_boxes,
    spectral_recipe,
)


def recipes(bands: int) -> list[nn.Module]:
    spectral = spectral_recipe(size=16, scale=1 / 255, mean=[0.4] * bands, std=[0.2] * bands)
    if bands != 3:
        return [spectral]
    return [spectral, released_recipe(size=16, scale=RGB.scale, mean=RGB.mean, std=RGB.std)]


@pytest.mark.parametrize('bands', [1, 3, 4, 13])
def test_uint8_and_its_float_in_unit_range_give_one_result(bands: int) -> None:
    images = torch.randint(256, (4, bands, 20, 20), dtype=torch.uint8)
    for recipe in recipes(bands):
        torch.manual_seed(1)
        from_bytes = recipe(images)
        torch.manual_seed(1)
        assert torch.equal(recipe(images.float() / 255), from_bytes)


@pytest.mark.parametrize('bands', [3, 4])
def test_the_input_is_never_changed(bands: int) -> None:
    images = torch.rand(4, bands, 20, 20)
    before = images.clone()
    for recipe in recipes(bands):
        recipe(images)
        assert torch.equal(images, before)


@pytest.mark.parametrize('bands', [3, 4])
def test_every_image_is_augmented_in_its_own_way(bands: int) -> None:
    images = torch.rand(1, bands, 20, 20).expand(8, -1, -1, -1)
    for recipe in recipes(bands):
        views = recipe(images)
        assert views.shape == (8, bands, 16, 16)
        assert all(not torch.equal(views[0], view) for view in views[1:])


def test_augmentation_works_as_strongly_on_bytes_as_on_unit_floats() -> None:
    grey = torch.full((64, 3, 16, 16), 128, dtype=torch.uint8)
    for recipe in recipes(3):
        assert recipe(grey).mean(dim=(1, 2, 3)).std() > 0.1


def test_wide_integers_are_multiplied_by_the_scale_of_each_band() -> None:
    images = torch.full((1, 2, 1, 1), 3000, dtype=torch.uint16)
    assert ScaleValues([1e-4, 1e-3])(images).flatten().tolist() == pytest.approx([0.3, 3.0])


def test_rgb_lands_in_its_bands_and_the_rest_is_the_mean() -> None:
    natural = torch.rand(2, 3, 4, 4)
    placed = place_rgb(natural, in_channels=5, rgb_bands=(3, 2, 1))
    assert torch.equal(placed[:, [3, 2, 1]], natural)
    assert placed[:, [0, 4]].abs().max() == 0


def test_recipes_add_nothing_to_a_checkpoint() -> None:
    assert [dict(recipe.state_dict()) for recipe in recipes(3)] == [{}, {}]


@pytest.mark.parametrize('make', [released_recipe, spectral_recipe])
def test_with_nothing_left_of_crop_and_colours_pixels_only_move(make: Any) -> None:
    images = torch.rand(8, 3, 16, 16)
    recipe = make(
        size=16, scale=1.0, mean=[0] * 3, std=[1] * 3, crop_scale=(1.0, 1.0), color_strength=0.0
    )
    for view, image in zip(recipe(images), images, strict=True):
        moved = (image, image.flip(-1), image.flip(-2), image.flip(-2, -1))
        assert min(float((view - one).abs().max()) for one in moved) < 1e-5


@pytest.mark.parametrize('make', [released_recipe, spectral_recipe])
def test_gentler_recipes_change_images_less(make: Any) -> None:
    images = torch.rand(64, 3, 1, 1).expand(-1, -1, 16, 16)

    def measure(**options: Any) -> float:
        torch.manual_seed(0)
        views = make(size=16, scale=1.0, mean=[0] * 3, std=[1] * 3, **options)(images)
        return float((views - images).abs().mean())

    assert measure(color_strength=0.25) < 0.5 * measure() < 0.5 * measure(color_strength=1.25)


@pytest.mark.parametrize('hole', [float('nan'), float('inf')])
def test_a_missing_pixel_counts_as_the_mean(hole: float) -> None:
    images, missing = torch.rand(4, 3, 20, 20), torch.rand(4, 1, 20, 20) < 0.3
    for make in (released_recipe, spectral_recipe):
        recipe = make(size=16, scale=1 / 255, mean=RGB.mean, std=RGB.std)
        filled = torch.where(missing, torch.tensor(RGB.mean).view(-1, 1, 1), images)
        torch.manual_seed(1)
        expected = recipe(filled)
        torch.manual_seed(1)
        assert torch.equal(recipe(images.masked_fill(missing, hole)), expected)


def test_image_and_mask_turn_together_and_all_ways_occur() -> None:
    torch.manual_seed(0)
    image = torch.arange(16.0).view(1, 1, 4, 4).repeat(200, 1, 1, 1)
    result = RandomFlips()({'image': image, 'mask': image[:, 0].long()})
    assert torch.equal(result['image'][:, 0].long(), result['mask'])
    assert len({tuple(x.flatten().tolist()) for x in result['mask']}) == 8


def test_ways_can_be_chosen() -> None:
    torch.manual_seed(0)
    image = torch.arange(16.0).view(1, 1, 4, 4).repeat(50, 1, 1, 1)
    found = RandomFlips((0, 4))({'image': image})['image']
    is_mirrored = [torch.equal(x, image[0].flip(-1)) for x in found]
    assert 5 < sum(is_mirrored) < 45
    assert all(
        mirrored or torch.equal(x, image[0]) for mirrored, x in zip(is_mirrored, found, strict=True)
    )


def test_crops_are_of_image_and_mask_together_and_anywhere() -> None:
    torch.manual_seed(0)
    image = torch.arange(30.0).view(1, 1, 5, 6).repeat(200, 1, 1, 1)
    found = RandomCrops(4)({'image': image, 'mask': image[:, 0].long(), 'label': 1})
    assert found['image'].shape == (200, 1, 4, 4)
    assert torch.equal(found['image'][:, 0].long(), found['mask'])
    assert {int(x[0, 0]) for x in found['mask']} == {0, 1, 2, 6, 7, 8}
    assert torch.equal(found['mask'][0] - found['mask'][0, 0, 0], image[0, 0, :4, :4].long())
    assert found['label'] == 1
    with pytest.raises(ValueError, match=r'crops of 7 px, got 6 x 5 px; pass a smaller size'):
        RandomCrops(7)({'image': image, 'mask': image[:, 0]})


def test_the_eight_ways_differ() -> None:
    image = torch.arange(9).view(3, 3)
    assert len({tuple(move(image, way).flatten().tolist()) for way in range(8)}) == 8


def test_boxes_move_with_their_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 20, (8, 3, 2), generator=generator)
    boxes = torch.cat([corners, corners + 1 + torch.randint(0, 11, (8, 3, 2))], dim=2).float()
    masks = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    for image in range(8):
        for i, (left, top, right, bottom) in enumerate(boxes[image].int().tolist()):
            masks[image, i, top:bottom, left:right] = 1
    batch: dict[str, Any] = {
        'image': masks.float(),
        'mask': [*masks],
        'bbox_xyxy': [*boxes],
        'label': [1] * 8,
    }
    torch.manual_seed(1)
    moved = RandomFlips()(batch)
    assert not torch.equal(moved['image'], batch['image'])
    for image, mask, found in zip(moved['image'], moved['mask'], moved['bbox_xyxy'], strict=True):
        assert torch.equal(image, mask.float())
        for part, (left, top, right, bottom) in zip(mask, found.int().tolist(), strict=True):
            expected = torch.zeros(32, 32, dtype=torch.uint8)
            expected[top:bottom, left:right] = 1
            assert torch.equal(part, expected)
    assert moved['label'] == batch['label']


@pytest.mark.parametrize('sides', [(40, 40), (17, 33), (2, 5)])
def test_boxes_are_resampled_together_as_kornia_does_one_by_one(sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    images = torch.rand(8, 2, *sides)
    crop = CropTogether((24, 20), scale=(0.2, 1.0))
    drawn = crop.forward_parameters(images.shape)
    expected = crop(images, params=drawn)
    found = resample_boxes(images, drawn['src'], size=(24, 20))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
