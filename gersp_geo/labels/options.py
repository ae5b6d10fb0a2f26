"""Labels of pixels as a user chooses them: class rasters, or polygons with an attribute."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..datasets.raster_tiles import RasterTiles
from .background import SurveyedArea, WithBackground
from .class_mapping import Classes, ClassValue
from .grey_masks import ThresholdMasks
from .mask_classes import ClassMasks
from .mask_files import ChosenValues, MaskFiles
from .mask_matching import Masks
from .polygons import VectorLabels
from .sources import LabelSource


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOptions:
    """Masks or polygons, and how they are read; each as the data module documents it."""

    masks: Masks | None = None
    """Class rasters: files or folders; or a mapping of parts of the path of each image to those of
    its mask."""

    labels: str | Path | None = None
    """Vector file."""

    attribute: str | None = None
    """Its column with the class; None where all features are of the one class in *class_names*."""

    layer: str | None = None
    """Its layer."""

    background: str | None = None
    """Class of pixels under no polygon."""

    area: str | Path | None = None
    """Vector file with polygons: outside of them, nothing is known of the *background*, nor of the
    polygons. None means all images."""

    classes: Classes | None = None
    """Name of each class to the value or values of the masks or the attribute that it has; of masks
    in colours, '#rrggbb' or [red, green, blue]."""

    ignore: Sequence[ClassValue | Sequence[int]] = ()
    """Values that are no label, besides those of *classes*."""

    tolerance: int = 0
    """Levels by which a value or colour may differ from that of its class, for masks that were
    stored as JPEG; what differs by more is no label then."""

    threshold: float | None = None
    """From this value on, pixels of grey masks are of the second class."""

    mask_values: Sequence[int] | None = None
    """Values of masks that are classes."""

    class_names: tuple[str, ...] = ()
    """Names of the classes; empty where the labels tell."""

    def __post_init__(self) -> None:
        """Check that they go together.

        Raises:
            ValueError: If not exactly one of *masks* and *labels* is given, an option belongs to
                the other, or two options say which values are classes.
        """
        if (self.masks is None) == (self.labels is None):
            raise ValueError(
                f'pass either masks or labels, got {self.masks} and {self.labels}; null takes the '
                'one out that a configuration names (--data.masks null)'
            )
        is_one = self.labels is not None and len(self.class_names) == 1
        if self.labels is None and self.attribute is not None:
            raise ValueError(f'attribute goes with labels, got {self.attribute!r} and masks')
        if self.labels is not None and self.attribute is None and not is_one:
            raise ValueError(
                f'labels need attribute, the column with the class, got {self.labels} without; '
                'pass it (--data.attribute NAME), or where all features are of one class, name it '
                'in class_names'
            )
        self._check_owners()
        self._check_values()

    def _check_owners(self) -> None:
        """Refuse options of the one kind of labels with the other."""
        for name in ('layer', 'background', 'area'):
            if self.labels is None and (value := getattr(self, name)) is not None:
                raise ValueError(f'{name} goes with labels, got {value!r} and masks')
        if self.masks is None and self.mask_values is not None:
            raise ValueError(f'mask_values go with masks, got {self.mask_values} and labels')
        if self.masks is None and self.threshold is not None:
            raise ValueError(f'threshold goes with masks, got {self.threshold} and labels')
        if self.masks is None and self.tolerance:
            raise ValueError(f'tolerance goes with masks, got {self.tolerance} and labels')
        if self.area is not None and self.background is None:
            raise ValueError(f'area goes with background, got {self.area} without')

    def _check_values(self) -> None:
        """Refuse two ways to say which values are classes."""
        ways = [
            name
            for name in ('classes', 'threshold', 'mask_values')
            if getattr(self, name) is not None
        ]
        if len(ways) > 1:
            raise ValueError(
                f'pass one of {" and ".join(ways)}: each says which values are classes'
            )
        if self.classes is not None and self.class_names:
            raise ValueError(
                f'classes names the classes, got class_names {list(self.class_names)} too; leave '
                'them out'
            )
        if self.classes is None and self.ignore:
            raise ValueError(f'ignore goes with classes, got {list(self.ignore)} without')
        if self.tolerance < 0 or (self.tolerance and self.classes is None):
            raise ValueError(f'tolerance is >= 0 and goes with classes, got {self.tolerance}')

    def open(self, images: RasterTiles) -> LabelSource:
        """Open the masks or polygons of the images."""
        if self.masks is not None:
            return self._open_masks(images, self.masks)
        if self.labels is None:
            raise ValueError('pass either masks or labels')
        polygons = VectorLabels(
            images,
            self.labels,
            attribute=self.attribute,
            layer=self.layer,
            class_names=self.class_names,
            classes=self.classes,
            ignore=self.ignore,
        )
        if self.background is None:
            return polygons
        area = None if self.area is None else SurveyedArea(images, self.area)
        return WithBackground(polygons, name=self.background, area=area)

    def _open_masks(self, images: RasterTiles, masks: Masks) -> LabelSource:
        """Open class rasters by what says which values are classes."""
        names = self.class_names
        if self.classes is not None:
            return ClassMasks(
                images, masks, classes=self.classes, ignore=self.ignore, tolerance=self.tolerance
            )
        if self.threshold is not None:
            return ThresholdMasks(images, masks, threshold=self.threshold, class_names=names)
        if self.mask_values is not None:
            return ChosenValues(images, masks, values=self.mask_values, class_names=names)
        return MaskFiles(images, masks, class_names=names)
