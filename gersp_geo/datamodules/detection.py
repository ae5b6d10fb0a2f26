"""Fine-tuning data for detection and instance segmentation: own images with objects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchgeo.datamodules.utils import collate_fn_detection

from ..datasets.raster_tiles import RasterTiles
from ..labels.objects import Format, ObjectOptions, open_objects
from ..labels.objects.patch_labels import ObjectLabels
from ..pictures import draw_objects
from ..preprocessing import Preprocessing
from ..provenance import name_source
from .class_balance import check_objects, report_objects, report_unlearned
from .labelled import LabelledDataModule
from .patches import ScannedBlocks
from .segmentation import Files
from .splits import Splits
from .task_checks import check_detector


class GeoTIFFObjectDetectionDataModule(LabelledDataModule):
    """Patches of images with boxes of objects, for torchgeo's and our ``ObjectDetection``.

    Batches are torchgeo's: 'image' (float32, shape (B, C, H, W)), and one tensor per image under
    'bbox_xyxy' (float32, (n, 4): left, top, right, bottom in pixels) and 'label' (int64, (n,)),
    where classes begin at 1 and 0 is the background. Pixels of what is neither target nor
    background are blanked: they get the mean of their band.
    """

    masks: ClassVar[bool] = False

    def __init__(
        self,
        images: Files,
        labels: Files,
        *,
        format: Format = 'auto',
        attribute: str | None = None,
        layer: str | None = None,
        columns: Mapping[str, str] | None = None,
        point_size: float | None = None,
        area: str | Path | None = None,
        class_names: Sequence[str] | None = None,
        min_visible: float = 0.4,
        empty_share: float = 0.1,
        **options: Any,
    ) -> None:
        """Initialize a new GeoTIFFObjectDetectionDataModule instance.

        Args:
            images: GeoTIFFs, or pictures such as PNG and JPEG files, or folders, patterns or lists.
            labels: A vector file in any CRS; or files, or a folder of them, of one other format:
                COCO JSON, Pascal VOC XML, YOLO or DOTA text, CSV.
            format: 'vector', 'coco', 'voc', 'yolo', 'dota' or 'csv'; 'auto' tells by suffix and
                content.
            attribute: Column with the class, of a vector file or a CSV. Defaults to one class,
                'object'.
            layer: Layer of a vector file, where it has several with features.
            columns: What columns of a CSV are called: ``image, label, xmin, ymin, xmax, ymax``; or
                ``bounds`` in place of the last four; or ``x, y, crs`` for points on the ground.
            point_size: Side in metres of the square that a point stands for.
            area: Polygons of the ground where all objects are drawn; what lies outside is neither
                object nor background. Defaults to all images.
            class_names: Names of the classes, in an order of one's own.
            min_visible: Share of its area, in (0, 1], that a patch must show of an object that its
                edge cuts, or else it is neither target nor background.
            empty_share: Share of the training patches, in [0, 1), around which no object is.
            **options: As in :class:`~gersp_geo.datamodules.labelled.LabelledDataModule`.

        Raises:
            ValueError: If a number is out of range, or an option belongs to another format.
        """
        if not 0 < min_visible <= 1 or not 0 <= empty_share < 1:
            raise ValueError(
                'min_visible must be in (0, 1] and empty_share in [0, 1), '
                f'got {min_visible} and {empty_share}'
            )
        super().__init__(images, **options)
        self.labels = labels
        self.min_visible, self.empty_share = min_visible, empty_share
        self.object_options = ObjectOptions(
            labels=labels,
            format=format,
            attribute=attribute,
            layer=layer,
            columns=columns,
            point_size=point_size,
            area=area,
            class_names=tuple(class_names or ()),
        )

    def open_labels(self, images: RasterTiles) -> ObjectLabels:
        """Read the objects of the images."""
        return ObjectLabels(
            images,
            open_objects(images, self.object_options),
            size=self.size,
            min_visible=self.min_visible,
            masks=self.masks,
            nodata=self.nodata,
        )

    def shares(self, scanned: ScannedBlocks) -> Sequence[float]:
        """Draw classes equally often, and patches without any object as often as it was asked."""
        classes = len(scanned.tiles.labels.class_names)
        present = int((scanned.counts[:, :classes].sum(axis=0) > 0).sum())
        return [*[(1 - self.empty_share) / max(present, 1)] * classes, self.empty_share]

    def check(self, scanned: ScannedBlocks, *, stage: str) -> None:
        """Refuse labels without any object on observed ground."""
        check_objects(*self.counted(scanned), source=str(self.labels))

    def report(self, scanned: ScannedBlocks, splits: Splits, record: Preprocessing) -> None:
        """Say how many objects of each class are in each split."""
        report_objects(scanned, splits.blocks, record.class_names, block_size=self.block_size)
        report_unlearned(*self.counted(scanned))

    def counted(self, scanned: ScannedBlocks) -> tuple[ObjectLabels, NDArray[np.int64]]:
        """Give the objects, and how many patches are drawn around, per block and class."""
        labels = scanned.tiles.labels
        assert isinstance(labels, ObjectLabels)  # open_labels() gave them
        return labels, scanned.counts[:, : len(labels.class_names)]

    def check_task(self, task: LightningModule, record: Preprocessing) -> None:
        """Refuse a task with another number of classes."""
        check_detector(task, record.class_names)

    def sources(self) -> dict[str, str]:
        """Name what images and labels are read from, for checkpoints."""
        return super().sources() | {'labels': name_source(self.labels)}

    def load(self, dataset: Dataset[Any] | None, **options: Any) -> DataLoader[Any]:
        """Make a loader of batches in torchgeo's dialect of objects."""
        return super().load(dataset, collate_fn=collate_fn_detection, **options)

    def plot(self, sample: dict[str, Tensor], *, title: str | None = None) -> Figure:
        """Draw the image of a sample with its objects, and beside it those of the prediction.

        Args:
            sample: 'image' of shape (C, H, W) in file values, 'bbox_xyxy' and 'label', and where
                there are any 'mask', and the same keys with ``prediction_`` before them.
            title: Above the figure.
        """
        record = self.describe()
        names = ('background', *record.class_names)
        values = {
            key: torch.as_tensor(value).detach().cpu().numpy() for key, value in sample.items()
        }
        return draw_objects(values, bands=record.bands, names=names, title=title)


class GeoTIFFInstanceSegmentationDataModule(GeoTIFFObjectDetectionDataModule):
    """Patches of images with outlines of objects, for torchgeo's and our ``InstanceSegmentation``.

    As :class:`GeoTIFFObjectDetectionDataModule`, and 'mask' (uint8, (n, H, W) per image): 1 where
    the centre of a pixel lies in the object. A box is its own outline.
    """

    masks: ClassVar[bool] = True
