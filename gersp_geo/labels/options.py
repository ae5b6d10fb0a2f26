"""Labels of pixels as a user chooses them: class rasters, or polygons with an attribute."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..datasets.raster_files import Paths
from ..datasets.raster_tiles import RasterTiles
from .mask_files import ChosenValues, MaskFiles
from .polygons import VectorLabels, WithBackground
from .sources import LabelSource


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOptions:
    """Masks or polygons, and how they are read; each as the data module documents it."""

    masks: Paths | None
    """Class rasters."""

    labels: str | Path | None
    """Vector file."""

    attribute: str | None
    """Its column with the class."""

    layer: str | None
    """Its layer."""

    background: str | None
    """Class of pixels under no polygon."""

    mask_values: Sequence[int] | None
    """Values of masks that are classes."""

    class_names: tuple[str, ...]
    """Names of the classes; empty where the labels tell."""

    def __post_init__(self) -> None:
        """Check that they go together.

        Raises:
            ValueError: If not exactly one of *masks* and *labels* is given, or an option belongs to
                the other.
        """
        if (self.masks is None) == (self.labels is None):
            raise ValueError('pass either masks or labels, one of them')
        if (self.labels is None) != (self.attribute is None):
            raise ValueError(
                f'labels and attribute go together, got {self.labels} and {self.attribute}'
            )
        if self.layer is not None and self.labels is None:
            raise ValueError(f'layer goes with labels, got {self.layer!r} and masks')
        if self.background is not None and self.labels is None:
            raise ValueError(f'background goes with labels, got {self.background!r} and masks')
        if self.mask_values is not None and self.masks is None:
            raise ValueError(f'mask_values go with masks, got {self.mask_values} and labels')

    def open(self, images: RasterTiles) -> LabelSource:
        """Open the masks or polygons of the images."""
        names = self.class_names
        if self.masks is not None and self.mask_values is not None:
            return ChosenValues(images, self.masks, values=self.mask_values, class_names=names)
        if self.masks is not None:
            return MaskFiles(images, self.masks, class_names=names)
        if self.labels is None or self.attribute is None:
            raise ValueError('pass either masks or labels with attribute')
        polygons = VectorLabels(
            images, self.labels, attribute=self.attribute, layer=self.layer, class_names=names
        )
        if self.background is None:
            return polygons
        return WithBackground(polygons, name=self.background)
