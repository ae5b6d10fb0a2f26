"""The options of a prediction, checked as far as neither model nor scene is needed."""

from dataclasses import dataclass
from os import PathLike
from typing import Literal

from lightning.pytorch import LightningModule

from ..records import Preprocessing
from ..tiling import plan_tile
from .outputs import Output

type Blend = Literal['hann', 'crop']
"""Fade between neighbours over what they share, or cut in the middle of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionOptions:
    """The keyword arguments of :func:`gersp_geo.inference.predict_geotiff`."""

    size: int
    overlap: int
    blend: Blend
    margin: int
    batch_size: int | Literal['auto']
    bands: tuple[int, ...] | None
    preprocessing: Preprocessing | str | PathLike[str] | None
    nodata: float | None
    output: Output | Literal['auto']
    device: str
    task_class: str | type[LightningModule] | None
    overwrite: bool

    def __post_init__(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            ValueError: If a value is out of range.
        """
        if self.blend not in ('hann', 'crop'):
            raise ValueError(f"blend must be 'hann' or 'crop', got {self.blend!r}")
        if self.output not in ('auto', 'classes', 'probabilities', 'values'):
            raise ValueError(
                "output must be 'auto', 'classes', 'probabilities' or 'values', "
                f'got {self.output!r}'
            )
        if self.batch_size != 'auto' and self.batch_size < 1:
            raise ValueError(f"batch_size must be >= 1 or 'auto', got {self.batch_size}")
        # raises on its own for size and overlap
        plan_tile(1, 1, size=self.size, overlap=self.overlap)
        if not 0 <= 2 * self.margin <= self.overlap:
            raise ValueError(
                f'margin must be in [0, overlap / 2={self.overlap / 2:g}], got {self.margin}'
            )
