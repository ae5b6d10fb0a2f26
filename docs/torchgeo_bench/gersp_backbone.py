"""Any backbone that `gersp-geo export` writes, or a checkpoint itself, as a model of torchgeo-bench.

Put this folder on PYTHONPATH, and run, with its path as FOLDER:

``torchgeo-bench run --config-dir FOLDER model=gersp model.weights=FILE dataset.names=[m-eurosat]``
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchgeo_bench.datasets.base import BandSpec
from torchgeo_bench.models import BenchModel

from gersp_geo.models.backbones import create_backbone
from gersp_geo.models.loading import load_backbone
from gersp_geo.models.weight_sources import resolve_weights

COLORS = ('red', 'green', 'blue')


class GerspBackbone(BenchModel):
    """Pooled features of a frozen backbone, of images normalised as the benchmark wants."""

    def __init__(
        self, bands: list[BandSpec], *, weights: str, size: int = 224, **settings: object
    ) -> None:
        """Build the backbone for the bands of a data set, and fill it.

        Args:
            bands: Of the data set, which torchgeo-bench gives. Filters of three bands are spread over
                others: red, green and blue keep theirs.
            weights: Path to any format that `gersp-geo export` writes but ONNX, to a checkpoint, or
                the name of a member of a weights enum.
            size: Side of the images in pixels.
            settings: What else torchgeo-bench gives, such as the normalisation.

        Raises:
            FileNotFoundError: If *weights* do not exist.
            ValueError: If they do not tell their architecture or do not fit the bands.
        """
        super().__init__(bands=bands, **settings)
        found = resolve_weights(weights)
        if found.model is None:
            raise ValueError(f'{weights} does not say which backbone it holds')
        self.backbone = create_backbone(found.model, in_channels=len(bands), size=size)
        places = place_colors([band.name for band in bands])
        if places is None and found.in_channels == 3:
            raise ValueError(f'{weights} reads red, green and blue, got {len(bands)} other bands')
        load_backbone(self.backbone, weights, rgb_bands=places or (0, 1, 2))
        self.backbone.eval()

    @torch.no_grad()
    def _forward_patch_features(self, images: Tensor) -> Tensor:
        """Compute features, shape (B, D), of normalised images, shape (B, C, H, W)."""
        features: Tensor = self.backbone(images)
        return features


def place_colors(names: Sequence[str]) -> tuple[int, ...] | None:
    """Say where red, green and blue are among bands, 0-based; None where one is missing."""
    if not set(COLORS) <= set(names):
        return None
    return tuple(names.index(color) for color in COLORS)
