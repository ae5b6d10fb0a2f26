"""Fine-tuning data for segmentation: own images with masks or polygons."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor
from torchgeo.tasks import PixelwiseRegression

from ..datasets.raster_tiles import RasterTiles
from ..geoio.write import class_color
from ..labels.options import LabelOptions
from ..labels.pixels import PixelLabels
from ..labels.sources import IGNORE, LabelSource
from ..pictures import Picture, draw_images, paint_classes, stretch
from ..preprocessing import Preprocessing
from ..provenance import name_source
from .class_balance import check_classes, report_classes
from .labelled import LabelledDataModule
from .patches import ScannedBlocks
from .splits import Splits
from .task_checks import check_dates, check_task

# Path, not PathLike: jsonargparse 4.53 makes text of lists and null where it may be one
type Files = list[str] | str | Path

# text first: jsonargparse 4.53 makes a number of '010' and nothing of '#3c1098' where it may
type Value = str | int | float | bool


class GeoTIFFSegmentationDataModule(LabelledDataModule):
    """Patches of labelled GeoTIFFs in torchgeo's dialect.

    Batches hold file values under 'image' (float32, NaN where there is no observation) and class
    indices under 'mask' (int64, 255 for none); ``aug`` and ``train_aug`` normalise them on the
    device, NaN to the mean, as prediction does. No ground is in two splits.
    """

    ignore_index: ClassVar[int] = IGNORE

    dates: ClassVar[int] = 1
    """Dates of a place in each sample."""

    def __init__(
        self,
        images: Files,
        masks: dict[str, str] | Files | None = None,
        *,
        labels: str | Path | None = None,
        attribute: str | None = None,
        layer: str | None = None,
        background: str | None = None,
        area: str | Path | None = None,
        classes: dict[str, Value | list[Value | list[int]]] | None = None,
        ignore: list[Value | list[int]] | None = None,
        tolerance: int = 0,
        threshold: float | None = None,
        mask_values: Sequence[int] | None = None,
        class_names: Sequence[str] | None = None,
        class_colors: Sequence[Sequence[int]] | None = None,
        **options: Any,
    ) -> None:
        """Initialize a new GeoTIFFSegmentationDataModule instance.

        Args:
            images: GeoTIFFs, or pictures such as PNG and JPEG files, or folders, patterns or lists.
            masks: Class rasters with the file names of the images, or folders of them; or one of
                another name for all images. Or parts of the path of each image, and what they are
                in that of its mask: ``{'/images/': '/masks/', '.jpg': '.png'}``. Masks of as many
                pixels as their image lie on these; all others are resampled by their place, each
                pixel of the image taking the nearest. Either this or *labels*.
            labels: Vector file with polygons, in any CRS; pixels under none are not learned from,
                unless they are the *background*.
            attribute: Column of *labels* with the class. None where all features are of the one
                class in *class_names*.
            layer: Layer of *labels*, where it has several with features.
            background: Name of a class of its own, the first one, for all pixels under no polygon.
                Only for images in which every object was drawn, or with *area*.
            area: Vector file with polygons in which every object was drawn: outside of them,
                nothing is learned.
            classes: Name of each class and its value, or values, in the masks or the *attribute*:
                ``{'forest': [10, 20], 'water': 50}``. Of masks in colours, '#rrggbb' or [red,
                green, blue]. Any other value is refused. In place of *mask_values* and
                *class_names*.
            ignore: Values besides those of *classes* that are no label.
            tolerance: Levels by which a value of a mask may differ from that of its class, as in
                masks that were stored as JPEG. What differs by more is no label then.
            threshold: From this value on, pixels of grey masks are of the second of two classes,
                whose name, or those of both, *class_names* gives.
            mask_values: Values of the masks that are the classes 0, 1, ..., such as 0 and 255.
                Defaults to these numbers themselves, where 255 and nodata mean no label.
            class_names: Names of the classes, without *background*. Defaults to the band tag
                CLASS_NAMES of the masks or the sorted values of *attribute*.
            class_colors: Red, green and blue per class, in [0, 255]. Defaults to the colour table
                of the masks.
            **options: As in :class:`~gersp_geo.datamodules.labelled.LabelledDataModule`.

        Raises:
            ValueError: If not exactly one of *masks* and *labels* is given, *labels* without
                *attribute*, or *mean* without *std*, or a number is out of range.
        """
        super().__init__(images, **options)
        self.masks, self.labels = masks, labels
        self.label_options = LabelOptions(
            masks=masks,
            labels=labels,
            attribute=attribute,
            layer=layer,
            background=background,
            area=area,
            classes=classes,
            ignore=tuple(ignore or ()),
            tolerance=tolerance,
            threshold=threshold,
            mask_values=mask_values,
            class_names=tuple(class_names or ()),
        )
        self.class_colors = class_colors

    def open_labels(self, images: RasterTiles) -> PixelLabels:
        """Open the masks or polygons of the images."""
        return PixelLabels(images, self.label_options.open(images), nodata=self.nodata)

    def check(self, scanned: ScannedBlocks, *, stage: str) -> None:
        """Refuse labels of too few classes."""
        check_classes(
            self.label_source(scanned),
            scanned.counts.sum(axis=0),
            at_least=2 if stage == 'fit' else 1,
            source=self.sources().get('masks', str(self.labels)),
        )

    def label_source(self, scanned: ScannedBlocks) -> LabelSource:
        """Give the masks or polygons that were opened."""
        labels = scanned.tiles.labels
        assert isinstance(labels, PixelLabels)  # open_labels() gave them
        return labels.source

    def name_classes(self, scanned: ScannedBlocks) -> tuple[str, ...]:
        """Name the classes; those of masks that do not name them by their numbers."""
        highest = int(np.flatnonzero(scanned.counts.any(axis=0))[-1])
        numbered = tuple(f'class_{i}' for i in range(highest + 1))
        return scanned.tiles.labels.class_names or numbered

    def color_classes(self, scanned: ScannedBlocks) -> Sequence[Sequence[int]]:
        """Give the colours of the classes."""
        own = scanned.tiles.labels.class_colors
        return own if self.class_colors is None else self.class_colors

    def report(self, scanned: ScannedBlocks, splits: Splits, record: Preprocessing) -> None:
        """Say how many pixels of each class are in each split."""
        report_classes(scanned, splits.blocks, record.class_names, block_size=self.block_size)

    def check_task(self, task: LightningModule, record: Preprocessing) -> None:
        """Refuse a task that would learn something else than these classes.

        Where the task ignores pixels without a label, its metrics count each pixel once, also where
        patches overlap.
        """
        if self.splits is not None:
            once = task.hparams.get('ignore_index') == IGNORE
            self.splits.val.once = self.splits.test.once = once
        check_dates(task, self.dates)
        scanned = self.scan()
        check_task(
            task,
            record.class_names,
            present=np.flatnonzero(scanned.counts.any(axis=0)).tolist(),
            unlabelled=0.0 if self.splits is None else self.splits.unlabelled,
            numbered=not scanned.tiles.labels.class_names,
        )

    def describe(self) -> Preprocessing:
        """Say how file values become what the model is trained on, and what its classes mean."""
        record = super().describe()
        if isinstance(self.task(), PixelwiseRegression):
            # its one output is a value, no class
            return replace(record, class_names=(), class_colors=())
        return record

    def sources(self) -> dict[str, str]:
        """Name what images and labels are read from, for checkpoints."""
        masks = str(self.masks) if isinstance(self.masks, dict) else self.masks
        named = {'masks': masks, 'labels': self.labels}
        known = {name: name_source(source) for name, source in named.items() if source is not None}
        return super().sources() | known

    def plot(self, sample: dict[str, Tensor], *, title: str | None = None) -> Figure:
        """Draw the image, mask and prediction of a sample.

        Args:
            sample: 'image' of shape (C, H, W) in file values, and 'mask' and 'prediction', each of
                shape (H, W), where there are any.
            title: Above the figure.
        """
        record = self.describe()
        colors = record.class_colors or [class_color(i) for i in range(len(record.class_names))]
        images: dict[str, Picture] = {}
        for key in ('image', 'mask', 'prediction'):
            if key in sample:
                pixels = sample[key].detach().cpu().numpy()
                is_image = key == 'image'
                images[key.capitalize()] = (
                    stretch(pixels, record.bands) if is_image else paint_classes(pixels, colors)
                )
        return draw_images(images, title=title)
