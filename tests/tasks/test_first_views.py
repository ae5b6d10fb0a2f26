import kornia.augmentation as K
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gersp_geo.tasks.first_views import FirstViews, share_at_bounds
from gersp_geo.transforms import released_recipe, spectral_recipe

BATCH, SIDE = 32, 48


def ground(*, mean: float, std: float) -> Tensor:
    """Smooth images of three bands, with noise, in [0, 1]."""
    smooth = F.interpolate(torch.randn(BATCH, 3, 6, 6), size=SIDE, mode='bicubic')
    return (mean + std * (smooth + 0.3 * torch.randn(BATCH, 3, SIDE, SIDE))).clamp(0, 1)


def collars() -> Tensor:
    images = ground(mean=0.4, std=0.2)
    for number, image in enumerate(images):
        image[:, :, : number * SIDE // BATCH] = 0
    return images


VALID = {
    'photographs': lambda: ground(mean=0.4, std=0.2),
    'snow': lambda: ground(mean=0.95, std=0.03),
    'saturated clouds': lambda: ground(mean=1.0, std=0.2),
    'water': lambda: ground(mean=0.03, std=0.02),
    'black collars': collars,
    'constant': lambda: torch.full((BATCH, 3, SIDE, SIDE), 0.3),
    'masks': lambda: (ground(mean=0.5, std=0.3) > 0.5).float(),
}


@pytest.mark.quick('32', '4-photographs')
@pytest.mark.parametrize('kind', VALID)
@pytest.mark.parametrize('batch_size', [4, BATCH])
def test_valid_images_are_never_stopped(kind: str, batch_size: int) -> None:
    torch.manual_seed(0)
    for recipe in (released_recipe, spectral_recipe):
        pipeline = recipe(size=32, scale=1.0, mean=[0.4] * 3, std=[0.2] * 3)
        first = FirstViews()
        for images in (VALID[kind]() for _ in range(2)):
            for part in images.split(batch_size):
                first.look(part, (pipeline(part), pipeline(part)))
        # they were looked at, and until enough was seen
        assert first.looks > 0
        assert first.is_done or first.looks == 2


@pytest.mark.parametrize('kind', ['photographs', 'snow', 'water'])
def test_views_that_keep_half_of_the_values_are_stopped(kind: str) -> None:
    torch.manual_seed(0)
    images = VALID[kind]()
    middle = images.median()
    views = images.clamp(min=middle)
    with pytest.raises(ValueError, match='views are constant or cut'):
        FirstViews().look(images, (views, views))


@pytest.mark.parametrize(
    'step', [K.RandomAffine(45, translate=(0.3, 0.3), p=1.0), K.RandomErasing(p=1.0)]
)
def test_padding_and_erasing_are_warned_of_alone(step: nn.Module) -> None:
    torch.manual_seed(0)
    images = ground(mean=0.4, std=0.2)
    pipeline = nn.Sequential(step, K.Normalize(torch.full((3,), 0.4), torch.full((3,), 0.2)))
    with pytest.warns(UserWarning, match='padding and erasing do that, and are fine'):
        FirstViews().look(images, (pipeline(images), pipeline(images)))


def test_a_part_of_one_band_that_is_cut_is_warned_of_and_all_of_it_is_stopped() -> None:
    torch.manual_seed(0)
    images = ground(mean=0.4, std=0.2)[:, :1]
    views = images.clamp(min=images.quantile(0.4))
    with pytest.warns(UserWarning, match='a clamp that the values exceed is not'):
        FirstViews().look(images, (views, views))
    views = images.clamp(min=2.0)
    with pytest.raises(ValueError, match='constant or cut'):
        FirstViews().look(images, (views, views))


def test_each_date_is_compared_with_its_own_view() -> None:
    torch.manual_seed(0)
    dates = torch.cat([ground(mean=0.4, std=0.2), torch.zeros(BATCH, 3, SIDE, SIDE)], dim=1)
    FirstViews().look(dates, (dates[:, :3], dates[:, 3:]))
    FirstViews().look(dates.unflatten(1, (2, 3)), (dates[:, :3], dates[:, 3:]))
    with pytest.raises(ValueError, match='constant or cut'):
        FirstViews().look(dates, (dates[:, 3:], dates[:, 3:]))


def test_missing_pixels_of_the_images_count_for_nothing_and_of_the_views_stop_the_run() -> None:
    torch.manual_seed(0)
    images = ground(mean=0.4, std=0.2)
    views = images.clone()
    images[:, :, :20] = torch.nan
    FirstViews().look(images, (views, views))
    with pytest.raises(ValueError, match="the student's view holds values that are not finite"):
        FirstViews().look(images, (images, views))


def test_the_share_at_bounds_is_counted_per_band() -> None:
    image = torch.tensor([[0.0, 0.0, 0.5, 1.0], [7.0, 7.0, 7.0, 7.0]]).view(1, 2, 2, 2)
    assert share_at_bounds(image).tolist() == [(0.75 + 1.0) / 2]
    image[0, 0, 1, 1] = torch.inf
    # 0, 0 and 0.5 are left: two thirds at the lowest, one third at the highest
    assert share_at_bounds(image).tolist() == [1.0]
