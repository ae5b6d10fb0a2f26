"""Labels as a user chooses them: values of masks that are classes, or a class of background."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..datasets.geotiff_patches import GeoTIFFPatches
from ..datasets.raster_files import Paths
from ..geoio.read import read_valid, read_window
from ..windows import Window
from .label_sources import IGNORE, Colors, LabelSource, MaskFiles, VectorLabels, read_colors


class ChosenValues(MaskFiles):
    """Class rasters whose classes are given values, such as 0 and 255, or 10, 50 and 95."""

    def __init__(
        self,
        images: GeoTIFFPatches,
        masks: Paths,
        *,
        values: Sequence[int],
        class_names: Sequence[str] = (),
    ) -> None:
        """Initialize a new ChosenValues instance.

        Args:
            images: The images.
            masks: As in :class:`MaskFiles`.
            values: Values of the masks that are the classes 0, 1, ...
            class_names: One per value. Defaults to what the band tag CLASS_NAMES of the first mask
                says, else to 'class_' and the value.

        Raises:
            FileNotFoundError: If a mask is missing.
            ValueError: As :class:`MaskFiles`; if values are repeated, too many, or not as many as
                names.
        """
        if len(set(values)) != len(values) or not 1 < len(values) <= IGNORE:
            raise ValueError(
                f'mask_values must be two to {IGNORE} different values, got {list(values)}'
            )
        super().__init__(images, masks, class_names=class_names)
        if class_names and len(class_names) != len(values):
            raise ValueError(
                f'class_names must have one name per value of mask_values ({len(values)}), '
                f'got {len(class_names)}'
            )
        self.class_names = name_values(values, class_names, tagged=self.class_names)
        self.values = np.array(values, dtype=np.int64)
        colors = read_colors(self._readers.get(self.files[0]), count=max(values) + 1)
        self.class_colors = tuple(colors[v] for v in values) if colors and min(values) >= 0 else ()

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        A chosen value is a class also where the mask names it as nodata. Another value that is
        neither 255 nor nodata is an error.
        """
        src = self._readers.get(self.files[tile])
        values = read_window(src, window, bands=[1])[0].astype(np.int64)
        valid = read_valid(src, window)
        if self.nodata[tile] is not None:
            # of a tagged value, GDAL makes a mask, which the choice overrules
            valid = valid | (values == self.nodata[tile])
        order = np.argsort(self.values)
        place = np.searchsorted(self.values[order], values).clip(max=len(order) - 1)
        classes = order[place]
        known = self.values[classes] == values
        meant = values != IGNORE
        if self.nodata[tile] is not None:
            meant &= values != self.nodata[tile]
        wrong = values[valid & ~known & meant]
        if wrong.size:
            raise ValueError(
                f'{self.files[tile]} holds the value {wrong[0]}, which is none of '
                f'mask_values={self.values.tolist()}; add it, or make it nodata'
            )
        return np.where(valid & known, classes, IGNORE).astype(np.uint8)


def name_values(
    values: Sequence[int], given: Sequence[str], *, tagged: Sequence[str]
) -> tuple[str, ...]:
    """Name the *values* of masks that are classes.

    Args:
        values: The classes, in their order.
        given: Names by the user, one per value, or none.
        tagged: Names that the masks give: of all values from 0 on, or of the classes.
    """
    if given:
        return tuple(given)
    if min(values) >= 0 and max(values) < len(tagged):
        return tuple(tagged[value] for value in values)
    if len(tagged) == len(values):
        return tuple(tagged)
    return tuple(f'class_{value}' for value in values)


class WithBackground:
    """Polygons, and a class of its own, the first one, for all pixels under none."""

    def __init__(self, labels: VectorLabels, *, name: str) -> None:
        """Initialize a new WithBackground instance, whose first class is called *name*.

        Raises:
            ValueError: If a class of *labels* has that name, or there are too many.
        """
        if name in labels.class_names:
            raise ValueError(
                f'background={name!r} is a class of the labels already; pass another name, and '
                'class_names without it'
            )
        if len(labels.class_names) >= IGNORE - 1:
            raise ValueError(
                f'background needs at most {IGNORE - 1} other classes, got '
                f'{len(labels.class_names)}'
            )
        self.labels = labels
        self.class_names = (name, *labels.class_names)
        # no colour is known for it
        self.class_colors: Colors = ()

    def read(self, tile: int, window: Window) -> NDArray[np.uint8]:
        """Read the classes of a window inside image *tile*, shape (window.height, window.width).

        Class 0 lies under no polygon, and the others are moved up by one. What lies under a polygon
        without a class is neither this nor that.
        """
        classes = self.labels.read(tile, window)
        moved = np.where(classes == IGNORE, IGNORE, classes + 1)
        return np.where(self.labels.read_outside(tile, window), 0, moved).astype(np.uint8)


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

    def open(self, images: GeoTIFFPatches) -> LabelSource:
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
