"""Choose the pipeline of the remote-sensing images, and look at what it makes of the first."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from ..bands import are_colors
from ..preprocessing import Preprocessing
from ..transforms import released_recipe, spectral_recipe

# Images that are looked at before anything is said: fewer may all be bright by chance.
ENOUGH_IMAGES = 8

# Images after which smaller losses are believed
MANY_IMAGES = 32

# Batches after which nothing more is looked at, since it waits for the device
LAST_LOOK = 16

# Share of an image's own pixels at its darkest and brightest value (a black collar, saturated snow,
# a mask) above which its views tell nothing of what the pipeline does.
LARGEST_SHARE_AT_BOUNDS = 0.25

# Shares of pixels that reach a bound in views alone, at which an image counts as destroyed, or cut.
# Jitter of the released recipe brings bright snow to 1 in under half of its views, and other
# photographs in a tenth. Padding and erasing bring pixels to a bound in all bands at once, a clamp
# in each band where its values are.
DESTROYED, CUT, PADDED = 0.5, 0.05, 0.1


def choose_pipeline(
    data: Any, *, size: int, crop_scale: tuple[float, float], color_strength: float
) -> nn.Module | None:
    """Choose the recipe that suits the values of a data module.

    Args:
        data: Describes its values if it has ``describe``, and says by ``photographs`` whether they
            are colours in [0, 1]. Where it does not, bytes are taken for colours unless their names
            mean something else.
        size: Side of the views in pixels.
        crop_scale: Smallest and largest share of the area that a crop keeps.
        color_strength: Factor of the changes of colours.

    Returns:
        The released recipe for photographs, else the one for any bands; None where *data* does not
        describe its values.
    """
    describe = getattr(data, 'describe', None)
    if describe is None:
        return None
    known: Preprocessing = describe()
    photographs: bool | None = getattr(data, 'photographs', None)
    # where GeRSPDataModule names no type, a data set gives floating point in a unit of its own
    has_own_unit = photographs is not None
    if photographs is None:
        photographs = known.dtype == 'uint8' and are_colors(known.bands) is not False
    recipe = released_recipe if photographs else spectral_recipe
    return recipe(
        size=size,
        scale=known.scale,
        mean=known.mean,
        std=known.std,
        scales_floats=known.dtype.startswith('float') if known.dtype else has_own_unit,
        crop_scale=crop_scale,
        color_strength=color_strength,
    )


class FirstViews:
    """Looks at the first views of a run, whatever pipeline made them.

    A pipeline that ends at bounds which the values do not fit (colour jitter on decibels, a clamp
    to [0, 1] on digital numbers) gives constant or half-cut images, on which a contrastive loss
    falls all the same.
    """

    def __init__(self) -> None:
        """Initialize a new FirstViews instance."""
        self.looks = 0
        self.is_done = False
        self.lost: list[Tensor] = []
        self.cut: list[Tensor] = []

    def look(self, images: Tensor, views: Sequence[Tensor]) -> None:
        """Compare views with the images that they were made of, until enough were seen.

        Args:
            images: As loaded: one date (B, C, H, W), or two as (B, 2 * C, H, W) or (B, 2, C, H, W).
            views: The student's and the teacher's, each (B, C, H', W').

        Raises:
            ValueError: If values are lost at a bound beyond what the images have there, or are not
                finite.

        Warns:
            UserWarning: If pixels are lost in all bands at once, which may be meant.
        """
        if self.is_done:
            return
        channels = views[0].shape[1]
        dates = images.flatten(1, -3).split(channels, dim=1)
        for name, view, date in zip(
            ('student', 'teacher'), views, (dates[0], dates[-1]), strict=True
        ):
            if not view.isfinite().all():
                raise ValueError(
                    f"the {name}'s view holds values that are not finite; an augmentation of your "
                    'own '
                    'has to fill what is missing, as transforms.FillMissing does'
                )
            self.lost.append(share_lost(date, view))
            self.cut.append(share_lost(date, view, apart=True))
        self.looks += 1
        lost, cut = (torch.cat(found).sort().values for found in (self.lost, self.cut))
        # two views each
        are_many = len(lost) >= 2 * MANY_IMAGES
        self.is_done = are_many or self.looks >= LAST_LOOK
        if len(lost) < 2 * ENOUGH_IMAGES:
            return
        # of many images, more may be bright
        few = len(lost) // (4 if are_many else 8)
        if lost[few] > DESTROYED or (are_many and cut[few] > CUT):
            raise ValueError(explain_loss(float(lost.mean()), dates[0]))
        if are_many and lost[few] > PADDED:
            rank_zero_warn(
                f'{float(lost.mean()):.0%} of the pixels of augmented views lie at the darkest or '
                'brightest value in all bands at once, and not in the images: padding and erasing '
                'do that, and are fine; a clamp that the values exceed is not'
            )


def explain_loss(lost: float, images: Tensor) -> str:
    """Say what is lost, in which values, and what to do."""
    values = images.float()
    values = values[values.isfinite()]
    return (
        f'the augmented views are constant or cut: {lost:.0%} of their pixels lie at the darkest '
        f'or brightest value, and not in the images as loaded, whose values go from '
        f'{float(values.min()):.4g} to {float(values.max()):.4g}. Leave augmentation1 out with a '
        'GeRSPDataModule, which chooses what fits the values, or give it a pipeline without a '
        'clamp that they exceed; scale brings colours to [0, 1]'
    )


def share_lost(images: Tensor, views: Tensor, *, apart: bool = False) -> Tensor:
    """Measure which share of each image's pixels reaches a bound in its view alone.

    Args:
        images: Shape (B, C, H, W); NaN and infinite values are left out.
        views: Shape (B, C, H', W'), made of them, perhaps of a part.
        apart: Leave out pixels that are at a bound in every band, as padded and erased ones are.

    Returns:
        Shape (N,), mean over bands, in [-0.25, 1]; images that already have more than a quarter of
        their pixels at a bound, or half of them at one value, are left out.
    """
    valid = (share_at_bounds(images) <= LARGEST_SHARE_AT_BOUNDS) & ~are_flat(images)
    before, after = (share_at_bounds(x, apart=apart) for x in (images, views))
    return (after - before)[valid]


def are_flat(images: Tensor) -> Tensor:
    """Say which images have one value in more than half of the pixels of a band, shape (B,).

    A part of such an image may be constant.
    """
    values = images.flatten(2).float()
    middle = values.nanmedian(dim=2, keepdim=True).values
    return ((values == middle).float().mean(dim=2) > 0.5).any(dim=1)


def share_at_bounds(images: Tensor, *, apart: bool = False) -> Tensor:
    """Measure which share of an image's pixels has its smallest or largest value, per band.

    Args:
        images: Shape (B, C, H, W); what is not finite counts as no pixel.
        apart: Leave out pixels that are at a bound in every band, as padded and erased ones are. Of
            one band these are all, so that a clamp that cuts a part of it is warned of alone.

    Returns:
        Shape (B,), mean over bands; 1 where every band is constant or has no pixel.
    """
    values = images.flatten(2).float()
    known = values.isfinite()
    low = values.where(known, torch.inf).amin(dim=2, keepdim=True)
    high = values.where(known, -torch.inf).amax(dim=2, keepdim=True)
    # views pass through arithmetic that moves equal values apart by its rounding
    slack = 1e-5 * (high - low)
    extreme = known & ((values <= low + slack) | (values >= high - slack))
    if apart:
        extreme &= ~extreme.all(dim=1, keepdim=True)
    share = extreme.sum(dim=2) / known.sum(dim=2)
    return share.nan_to_num(nan=1.0).mean(dim=1)
