"""What every cell must be, worked out in float64 from what was written into a scene."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC

from tests.corpus.models import SIZE, class_weights, record_for

type Rule = Literal['any', 'all']


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A raster on disk, and the truth about it."""

    path: str
    """A name that GDAL understands."""

    pixels: NDArray[Any]
    """Of the bands that the model wants, in its order, shape (bands, rows, columns)."""

    missing: NDArray[np.bool_] | None = None
    """Where one band has no value, shape (bands, rows, columns)."""

    hidden: NDArray[np.bool_] | None = None
    """Where a mask or transparency hides all bands, shape (rows, columns)."""

    rule: Rule = 'any'
    """Which bands an observation needs."""

    filled: bool = True
    """Whether a band that is missing in an observation enters as its mean, or as it is stored."""

    options: tuple[str, ...] = ()
    """Words for the command."""

    crs: CRS | None = None
    """Of scene and map."""

    transform: Affine = field(default_factory=Affine.identity)
    """Of scene and map."""

    gcps: tuple[GroundControlPoint, ...] = ()
    """Of scene and map."""

    gcps_crs: CRS | None = None
    """In which these lie."""

    rpcs: RPC | None = None
    """Of scene and map."""

    tolerance: float = 0
    """Of a pixel, where compression loses something."""

    @property
    def count(self) -> int:
        """Bands that the model takes."""
        return len(self.pixels)

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Where there is an observation, shape (rows, columns)."""
        shape = self.pixels.shape
        present = ~(np.zeros(shape, dtype=bool) if self.missing is None else self.missing)
        found = present.any(axis=0) if self.rule == 'any' else present.all(axis=0)
        seen: NDArray[np.bool_] = found if self.hidden is None else found & ~self.hidden
        return seen

    def normalised(self) -> NDArray[np.float64]:
        """Prepare the bands as the model gets them, shape (bands, rows, columns)."""
        record = record_for(self.count)
        mean, std = (np.array(values)[:, None, None] for values in (record.mean, record.std))
        images: NDArray[np.float64] = (self.pixels.astype('float64') - mean) / std
        if self.missing is not None and self.filled:
            images[self.missing] = 0
        images[:, ~self.observed] = 0
        return images

    def values(self) -> NDArray[np.float64]:
        """Bands and their means over 3 x 3 pixels, NaN where nothing is observed."""
        images = self.normalised()
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode='reflect')
        near = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        features = np.concatenate([images, near.mean(axis=(3, 4))])
        features[:, ~self.observed] = np.nan
        return features

    def probabilities(self) -> NDArray[np.float64]:
        """Of each class, NaN where nothing is observed."""
        weights = class_weights(self.count).astype('float64')
        logits = np.einsum('kf,fhw->khw', weights, self.values())
        powers = np.exp(logits - logits.max(axis=0))
        shares: NDArray[np.float64] = powers / powers.sum(axis=0)
        return shares

    def vectors(self) -> NDArray[np.float64]:
        """Means of patches without overlap, shape (bands, rows, columns of patches)."""
        images = self.normalised()
        rows, cols = (-(-side // SIZE) for side in images.shape[1:])
        hang = [(0, rows * SIZE - images.shape[1]), (0, cols * SIZE - images.shape[2])]
        padded = np.pad(images, ((0, 0), *hang), mode='reflect')
        cut = padded.reshape(len(images), rows, SIZE, cols, SIZE)
        seen = np.pad(self.observed, hang).reshape(rows, SIZE, cols, SIZE).any(axis=(1, 3))
        means: NDArray[np.float64] = cut.mean(axis=(2, 4))
        means[:, ~seen] = np.nan
        return means
