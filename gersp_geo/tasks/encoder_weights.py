"""The encoder of a network for pixels, filled from any weights."""

from collections.abc import Sequence
from typing import Any

from torchgeo.tasks import BaseTask

from ..models import load_backbone
from ..models.loading import LoadReport


class EncoderWeights(BaseTask):
    """A task of torchgeo whose encoder takes whatever :func:`~gersp_geo.load_backbone` takes."""

    report: LoadReport | None
    """What was loaded; None without weights."""

    rgb_bands: Sequence[int]
    """Bands where red, green and blue are, 0-based."""

    weights: Any
    """As the user passed them."""

    def configure_models(self) -> None:
        """Build the model and fill its encoder."""
        weights = self.weights
        if weights is None or isinstance(weights, bool):
            super().configure_models()  # type: ignore[safe-super]  # the task beside it builds
            return
        # torchgeo takes its own alone, and refuses a first layer of two dates
        self.weights = None
        super().configure_models()  # type: ignore[safe-super]  # as above
        self.weights = weights
        self.report = load_backbone(
            self.model.encoder,
            weights,
            in_channels=self.hparams['in_channels'],
            rgb_bands=self.rgb_bands,
        )
