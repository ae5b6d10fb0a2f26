"""Augmentation on the device: scaling, the recipe for photographs, a recipe for any bands."""

from collections.abc import Sequence
from typing import Any

import kornia.augmentation as K
import torch
from torch import Tensor, nn
from torch.nn import functional as F

CROP_SCALE = (0.2, 1.0)
"""Smallest and largest share of the area that the released code crops."""


class ScaleValues(nn.Module):
    """Bring file values into the unit in which mean and standard deviation are given.

    uint8 is divided by 255, other integers are multiplied by *scale*, and floating point is
    taken as already scaled unless told otherwise, so that ``x`` (uint8) and ``x.float() / 255``
    give equal results.
    """

    factors: Tensor

    def __init__(
        self, scale: float | Sequence[float] = 1.0, *, scales_floats: bool = False
    ) -> None:
        """Initialize a new ScaleValues instance.

        Args:
            scale: Factor for integers wider than uint8, one or one per band.
            scales_floats: Multiply floating point as well.
        """
        super().__init__()
        self.register_buffer('factors', torch.as_tensor(scale).reshape(-1, 1, 1), persistent=False)
        self.scales_floats = scales_floats

    def forward(self, images: Tensor) -> Tensor:
        """Scale a batch.

        Args:
            images: Any real dtype, shape (B, C, H, W).

        Returns:
            A new floating point tensor, or *images* itself where it already is as wanted.
        """
        if images.is_floating_point():
            return images * self.factors.to(images.dtype) if self.scales_floats else images
        dtype = torch.get_default_dtype()
        if images.dtype == torch.uint8:
            return images.to(dtype) / 255
        return images.to(dtype) * self.factors.to(dtype)


class FillMissing(nn.Module):
    """Put the mean of its band in place of NaN and infinite values, before they can spread."""

    mean: Tensor

    def __init__(self, mean: Sequence[float]) -> None:
        """Initialize a new FillMissing instance.

        Args:
            mean: Per band, in the unit of the images.
        """
        super().__init__()
        self.register_buffer('mean', torch.as_tensor(mean).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Fill a batch.

        Args:
            images: Floating point, shape (B, C, H, W).

        Returns:
            A new tensor.
        """
        return torch.where(images.isfinite(), images, self.mean.to(images.dtype))


class CropTogether(K.RandomResizedCrop):
    """Crop and resize as kornia does; on accelerators all images at a time, to rounding the same.

    kornia resizes image by image, which an accelerator waits for.
    """

    def apply_transform(
        self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Any = None
    ) -> Tensor:
        """Crop a batch by parameters that are drawn."""
        if input.device.type != 'cpu':
            return resample_boxes(input, params['src'], size=flags['size'])
        cropped: Tensor = super().apply_transform(input, params, flags, transform)
        return cropped


def resample_boxes(images: Tensor, corners: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Resample a box of each image bilinearly, from the centre of one corner pixel to the other.

    Args:
        images: Shape (B, C, H, W).
        corners: x and y of the corners of the boxes in pixels, from the upper left one clockwise,
            shape (B, 4, 2).
        size: Rows and columns of the output.

    Returns:
        Shape (B, C, *size*).
    """
    # whole pixels, as kornia cuts them
    start, stop = corners[:, 0].long(), corners[:, 2].long()
    axes = []
    for axis, count in ((0, size[1]), (1, size[0])):
        first, last = (
            ends[:, axis, None].to(images.device, torch.float32) for ends in (start, stop)
        )
        steps = torch.linspace(0, 1, count, device=images.device)
        # [-1, 1] is from the first centre to the last
        span = max(images.shape[3 - axis] - 1, 1)
        axes.append((first + steps * (last - first)) * (2 / span) - 1)
    columns, rows = (
        axes[0][:, None].expand(-1, size[0], -1),
        axes[1][:, :, None].expand(-1, -1, size[1]),
    )
    grid = torch.stack([columns, rows], dim=-1).to(images.dtype)
    return F.grid_sample(images, grid, padding_mode='border', align_corners=True)


# Share of values outside [0, 1] that colours may have: clouds and glint, where a scale was measured
# on other images. Values of another kind have nearly all, or half of them, there.
LARGEST_SHARE_OUTSIDE = 0.1

# batches that are looked at: the check waits for the device
CHECKED_BATCHES = 8

# Values before anything is said: a single image may be of one cloud
ENOUGH_VALUES = 4 * 3 * 32**2


class CheckUnitRange(nn.Module):
    """Refuse values that a colour jitter, which ends at 0 and 1, would destroy."""

    def __init__(self) -> None:
        """Initialize a new CheckUnitRange instance."""
        super().__init__()
        self.checked = 0
        self.outside, self.values = 0, 0

    def forward(self, images: Tensor) -> Tensor:
        """Look at the first batches.

        Args:
            images: Scaled, without NaN, shape (B, C, H, W).

        Returns:
            *images* itself.

        Raises:
            ValueError: If more than a tenth of the values of all batches so far lies outside [0,
                1].
        """
        if self.checked < CHECKED_BATCHES:
            self.checked += 1
            self.outside += int(((images < 0) | (images > 1)).sum())
            self.values += images.numel()
            share = self.outside / max(self.values, 1)
            if share > LARGEST_SHARE_OUTSIDE and self.values >= ENOUGH_VALUES:
                raise ValueError(
                    f'colours must lie in [0, 1] after scaling, got {share:.0%} of the values '
                    f'outside, from {float(images.min()):.4g} to {float(images.max()):.4g}; pass '
                    'the data module scale for colours; for other bands leave augmentation1 out, '
                    'with a GeRSPDataModule, or pass transforms.spectral_recipe; a pipeline for '
                    'natural images of your own is augmentation_natural'
                )
        return images


def released_recipe(
    *,
    size: int,
    scale: float | Sequence[float],
    mean: Sequence[float],
    std: Sequence[float],
    crop: bool = True,
    scales_floats: bool = False,
    crop_scale: tuple[float, float] = CROP_SCALE,
    color_strength: float = 1.0,
) -> nn.Sequential:
    """Augment photographs as the authors' released code does, for both streams.

    ``configs/selfsup/GeRSP/GeRSP.py`` of https://github.com/floatingstarZ/GeRSP: crop of 0.2 to 1
    of the area, grayscale with probability 0.2, colour jitter of 0.4 in brightness, contrast,
    saturation and hue always, horizontal flip, normalisation. Parameters are drawn per image; the
    order of the four jitters is drawn per batch.

    Args:
        size: Side of the output in pixels.
        scale: Factor for integers wider than uint8, one or one per band.
        mean: Per band, subtracted after scaling to [0, 1].
        std: Per band, divides after that.
        crop: False leaves the crop out, for images that come cropped at random to *size*.
        scales_floats: Multiply floating point by *scale* as well.
        crop_scale: Smallest and largest share of the area that a crop keeps.
        color_strength: Factor of the jitter and of the probability of grayscale, 0 to 1.25.

    Returns:
        A pipeline from colours that scaling brings to [0, 1], shape (B, 3, H, W), to normalised
        float, shape (B, 3, *size*, *size*). The input is not changed; NaN counts as the mean. It
        refuses other values, see :class:`CheckUnitRange`, since the jitter ends at 0 and 1.
    """
    jitter = 0.4 * color_strength
    return without_state(
        ScaleValues(scale, scales_floats=scales_floats),
        FillMissing(mean),
        CheckUnitRange(),
        *([CropTogether((size, size), scale=crop_scale)] if crop else []),
        K.RandomGrayscale(p=0.2 * color_strength),
        K.ColorJitter(jitter, jitter, jitter, jitter, p=1.0),
        K.RandomHorizontalFlip(),
        K.Normalize(torch.as_tensor(mean), torch.as_tensor(std)),
    )


def spectral_recipe(
    *,
    size: int,
    scale: float | Sequence[float],
    mean: Sequence[float],
    std: Sequence[float],
    scales_floats: bool = False,
    crop_scale: tuple[float, float] = CROP_SCALE,
    color_strength: float = 1.0,
) -> nn.Sequential:
    """Augment images of any bands and values, without mixing bands or ending at a bound.

    Hue, saturation and grayscale are defined for red, green and blue only. In their place: a gain
    and an offset common to all bands (illumination, haze), and both flips, since an image from
    above has no upright direction.

    Args:
        size: Side of the output in pixels.
        scale: Factor for integers wider than uint8, one or one per band.
        mean: Per band, subtracted after scaling.
        std: Per band, divides after that.
        scales_floats: Multiply floating point by *scale* as well.
        crop_scale: Smallest and largest share of the area that a crop keeps.
        color_strength: Factor of the changes of gain and offset, 0 to 1.25.

    Returns:
        A pipeline from integers or scaled float, shape (B, C, H, W), to normalised float, shape
        (B, C, *size*, *size*). The input is not changed; NaN counts as the mean.
    """
    change = (1 - 0.4 * color_strength, 1 + 0.4 * color_strength)
    return without_state(
        ScaleValues(scale, scales_floats=scales_floats),
        FillMissing(mean),
        CropTogether((size, size), scale=crop_scale),
        K.RandomHorizontalFlip(),
        K.RandomVerticalFlip(),
        K.Normalize(torch.as_tensor(mean), torch.as_tensor(std)),
        # after normalisation, so that one strength fits reflectances, decibels and counts
        K.RandomContrast(contrast=change, clip_output=False, p=1.0),
        K.RandomBrightness(brightness=change, clip_output=False, p=1.0),
    )


def without_state(*steps: nn.Module) -> nn.Sequential:
    """Chain transforms so that a checkpoint holds nothing of them.

    kornia keeps the ranges of some parameters in buffers. In a checkpoint they would tie its keys
    to the recipe that was in use.
    """
    pipeline = nn.Sequential(*steps)
    for module in pipeline.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, buffer, persistent=False)
    return pipeline


def place_rgb(natural: Tensor, *, in_channels: int, rgb_bands: Sequence[int]) -> Tensor:
    """Give normalised natural images the bands of a remote-sensing sensor.

    Args:
        natural: Normalised red, green and blue, shape (B, 3, H, W).
        in_channels: Number of bands wanted.
        rgb_bands: Where red, green and blue go, 0-based.

    Returns:
        Shape (B, *in_channels*, H, W); other bands hold 0, which is their mean after normalisation.
    """
    if in_channels == 3 and tuple(rgb_bands) == (0, 1, 2):
        return natural
    placed = natural.new_zeros(len(natural), in_channels, *natural.shape[2:])
    placed[:, list(rgb_bands)] = natural
    return placed


class RandomFlips(nn.Module):
    """Turn and mirror each image of a batch and its labels, some ways being equally likely.

    kornia's quarter turns resample, so that values would change; these only move pixels.
    """

    def __init__(self, ways: Sequence[int] = range(8)) -> None:
        """Initialize a new RandomFlips instance.

        Args:
            ways: As :func:`move` numbers them; (0, 4) mirrors left and right alone.
        """
        super().__init__()
        self.ways = tuple(ways)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Draw from torch's generator of the CPU.

        Args:
            batch: 'image' of shape (B, ..., S, S); 'mask' of shape (B, S, S), or one tensor of
                shape (n, S, S) per image; and 'bbox_xyxy' in pixels, one tensor of shape (n, 4)
                per image; those that are there. All else stays.

        Returns:
            A new dictionary with the same shapes.
        """
        drawn = torch.randint(len(self.ways), (len(batch['image']),)).tolist()
        ways = [self.ways[i] for i in drawn]
        moved: dict[str, Any] = {}
        for key in {'image', 'mask'} & set(batch):
            parts = [move(x, way) for x, way in zip(batch[key], ways, strict=True)]
            moved[key] = torch.stack(parts) if isinstance(batch[key], Tensor) else parts
        if 'bbox_xyxy' in batch:
            side = batch['image'].shape[-1]
            boxes = zip(batch['bbox_xyxy'], ways, strict=True)
            moved['bbox_xyxy'] = [move_boxes(x, way, side=side) for x, way in boxes]
        return {**batch, **moved}


def move(image: Tensor, way: int) -> Tensor:
    """Turn the last two axes by *way* % 4 quarter turns, mirrored first for *way* >= 4."""
    return torch.rot90(image.flip(-1) if way >= 4 else image, way % 4, dims=(-2, -1))


def move_boxes(boxes: Tensor, way: int, *, side: int) -> Tensor:
    """Move left, top, right and bottom, shape (n, 4), as :func:`move` moves a square image."""
    left, top, right, bottom = boxes.unbind(dim=1)
    if way >= 4:
        left, right = side - right, side - left
    for _ in range(way % 4):
        left, top, right, bottom = top, side - right, bottom, side - left
    return torch.stack([left, top, right, bottom], dim=1)


class RandomCrops(nn.Module):
    """Cut a square out of each image of a batch and its mask, anywhere with equal probability."""

    def __init__(self, size: int) -> None:
        """Initialize a new RandomCrops instance.

        Args:
            size: Side of the square in pixels.
        """
        super().__init__()
        self.size = size

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Draw from torch's generator of the CPU.

        Args:
            batch: 'image' of shape (B, ..., H, W), 'mask' of shape (B, H, W). All else stays.

        Returns:
            A new dictionary; images and masks have the sides *size*.

        Raises:
            ValueError: If the images are smaller.
        """
        sides, size = batch['image'].shape[-2:], self.size
        if min(sides) < size:
            raise ValueError(
                f'images must be at least as large as their crops of {size} px, got '
                f'{sides[1]} x {sides[0]} px; pass a smaller size'
            )
        starts = [
            [int(torch.randint(side - size + 1, ())) for side in sides] for _ in batch['image']
        ]
        cut = {
            key: torch.stack(
                [
                    one[..., row : row + size, column : column + size]
                    for one, (row, column) in zip(batch[key], starts, strict=True)
                ]
            )
            for key in ('image', 'mask')
        }
        return {**batch, **cut}
