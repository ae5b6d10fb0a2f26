"""From file values to model input, per band: the one definition for fine-tuning and prediction."""

import torch
from torch import Tensor, nn

from .preprocessing import Preprocessing


def standardize(values: Tensor, *, scale: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Compute ``(values * scale - mean) / std`` in place, in this order, each step rounded.

    Args:
        values: Floating point, shape (..., C, H, W); changed in place.
        scale: Shape (C, 1, 1), as the others.
        mean: Subtracted after scaling.
        std: Divides after that.

    Returns:
        *values*.
    """
    return values.mul_(scale).sub_(mean).div_(std)


class Normalize(nn.Module):
    """Apply a :class:`~gersp_geo.Preprocessing` to the images of a batch."""

    scale: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, record: Preprocessing) -> None:
        """Initialize a new Normalize instance.

        Args:
            record: Scale, mean and standard deviation per band.
        """
        super().__init__()
        for name in ('scale', 'mean', 'std'):
            values = torch.tensor(getattr(record, name), dtype=torch.float32)
            self.register_buffer(name, values.view(-1, 1, 1))

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Normalise 'image'; NaN and infinite values become the mean of their band.

        Args:
            batch: 'image' of shape (B, C, H, W) or (C, H, W), in file values.

        Returns:
            A new dictionary, whose 'image' is float32.
        """
        image = batch['image'].to(torch.float32, copy=True)
        # the batch decides the device: Lightning does not move a data module
        scale, mean, std = (b.to(image.device) for b in (self.scale, self.mean, self.std))
        standardize(image, scale=scale, mean=mean, std=std)
        return {**batch, 'image': image.nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)}
