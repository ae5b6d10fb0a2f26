"""Modules that have no weights: values standardised, mean colours, statistics."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..normalization import Normalize
from ..preprocessing import Preprocessing

# Rows and columns of the means that stand for an image without any network
GRID = 4


class Standardized(nn.Module):
    """Bring values as stored to those that a network reads."""

    def __init__(self, record: Preprocessing) -> None:
        """Initialize a new Standardized instance from statistics per band."""
        super().__init__()
        self.normalize = Normalize(record)

    def forward(self, images: Tensor) -> Tensor:
        """Standardise images of shape (B, C, H, W); values that are not finite become the mean."""
        normalized: Tensor = self.normalize({'image': images})['image']
        return normalized


class MeanColors(nn.Module):
    """Means of 4 x 4 parts of each band: what is known without any network."""

    def forward(self, images: Tensor) -> Tensor:
        """Turn (B, C, H, W) into (B, C * 16)."""
        return F.adaptive_avg_pool2d(images, GRID).flatten(1)


class ImageStatistics(nn.Module):
    """Mean, standard deviation, maximum and minimum of the values of each band, in this order.

    As torchgeo-bench 0.4 takes them, that is of values as stored.
    """

    mean: Tensor

    def __init__(self, mean: Sequence[float]) -> None:
        """Initialize a new ImageStatistics instance; *mean* stands for what is not finite."""
        super().__init__()
        self.register_buffer('mean', torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Turn (B, C, H, W) into (B, C * 4)."""
        values = torch.where(images.isfinite(), images, self.mean).flatten(2)
        parts = values.mean(-1), values.std(-1), values.amax(-1), values.amin(-1)
        return torch.cat(parts, dim=1)
