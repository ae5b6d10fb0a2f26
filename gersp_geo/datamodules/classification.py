"""Fine-tuning data for classification: own images with one class, or several labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor

from ..datasets.raster_tiles import RasterTiles
from ..labels.patch_classes import ClassOptions, PatchClasses
from ..pictures import draw_images, stretch
from ..preprocessing import Preprocessing
from ..provenance import name_source
from .classifier_checks import check_classifier, check_labels, report_labels, warn_of_small_images
from .ground import WHOLE_IMAGES
from .labelled import LabelledDataModule
from .patches import ScannedBlocks
from .segmentation import Files
from .splits import Splits


class GeoTIFFClassificationDataModule(LabelledDataModule):
    """Patches of labelled images for torchgeo's ``Classification``.

    Batches hold file values under 'image' (float32, NaN where there is no observation) and under
    'label' a class index (int64, shape (B,)), or 0 and 1 per class (int64, (B, classes)); ``aug`` and
    ``train_aug`` normalise on the device, as prediction does. Nothing is resized: of larger images,
    patches are cut out, and smaller ones are filled by reflection.
    """

    def __init__(
        self,
        images: Files,
        labels: str | Path | None = None,
        *,
        attribute: str | None = None,
        layer: str | None = None,
        columns: dict[str, str] | None = None,
        multilabel: bool = False,
        separator: str = ';',
        class_names: Sequence[str] | None = None,
        balance: bool = True,
        **options: Any,
    ) -> None:
        """Initialize a new GeoTIFFClassificationDataModule instance.

        Whole images that are labelled by their folder or by name belong to one split each, with
        those that show the same ground; each class is shared by itself. Scenes with labels at
        points or in polygons are split by blocks of ground.

        Args:
            images: GeoTIFFs, or pictures such as PNG and JPEG files, or folders, patterns or lists.
                Without *labels*, a folder that holds one folder per class.
            labels: A CSV with the class of each image, or of points on the ground; or a vector file
                of points or polygons in any CRS. A patch has the class of the point in its middle
                half, the nearest one to its centre; or of the polygon over its centre.
            attribute: Column of *labels* with the class. In a CSV of images, it may have a usual
                name, such as label or class.
            layer: Layer of a vector file, where it has several with features.
            columns: What columns of a CSV are called: ``{image: ..., label: ...}``, or ``{x: ...,
                y: ..., crs: 'EPSG:4326'}`` for points.
            multilabel: Each image or place has any number of labels: joined by *separator* in one
                column; or, without *attribute*, in columns of 0 and 1, one per class.
            separator: Between several labels.
            class_names: Names of the classes in an order of one's own, or the columns of 0 and 1.
                Defaults to the folders or values, sorted.
            balance: Draw training patches of each class equally often; else as often as there are
                labels of it.
            **options: As in :class:`~gersp_geo.datamodules.labelled.LabelledDataModule`. Blocks are
                whole images by default where these are labelled.

        Raises:
            ValueError: If options do not go together, or a number is out of range.
        """
        super().__init__(images, **options)
        self.labels, self.balance = labels, balance
        self.class_options = ClassOptions(
            labels=labels,
            attribute=attribute,
            layer=layer,
            columns=columns,
            multilabel=multilabel,
            separator=separator,
            class_names=tuple(class_names or ()),
        )
        if not self.class_options.on_ground and options.get('block_size') is None:
            self.block_size, self.stratified = WHOLE_IMAGES, True

    def open_labels(self, images: RasterTiles) -> PatchClasses:
        """Read the classes of the images, or of places on them."""
        return self.class_options.open(
            images, self.images, splits=self.folders or {}, size=self.size, nodata=self.nodata
        )

    def opened(self, scanned: ScannedBlocks) -> PatchClasses:
        """Give the labels that were opened."""
        labels = scanned.tiles.labels
        assert isinstance(labels, PatchClasses)  # open_labels() gave them
        return labels

    def shares(self, scanned: ScannedBlocks) -> Sequence[float] | None:
        """Say how often training patches are drawn around each kind of label; None for equally."""
        return None if self.balance else scanned.counts.sum(axis=0).astype(float).tolist()

    def check(self, scanned: ScannedBlocks, *, stage: str) -> None:
        """Refuse labels of too few classes."""
        several = self.class_options.multilabel
        check_labels(
            scanned,
            self.opened(scanned),
            at_least=2 if stage == 'fit' and not several else 1,
            source=str(self.images if self.labels is None else self.labels),
        )

    def report(self, scanned: ScannedBlocks, splits: Splits, record: Preprocessing) -> None:
        """Say how many labels each class has in each split."""
        report_labels(scanned, splits.blocks, self.opened(scanned))
        warn_of_small_images(scanned, size=self.size)

    def check_task(self, task: LightningModule, record: Preprocessing) -> None:
        """Refuse a task that would learn something else than these classes."""
        check_classifier(task, record.class_names, multilabel=self.class_options.multilabel)

    def sources(self) -> dict[str, str]:
        """Name what images and labels are read from, for checkpoints."""
        known = {} if self.labels is None else {'labels': name_source(self.labels)}
        return super().sources() | known

    def plot(self, sample: dict[str, Tensor], *, title: str | None = None) -> Figure:
        """Draw the image of a sample, and name its class and that of the prediction.

        Args:
            sample: 'image' of shape (C, H, W) in file values, 'label', and 'prediction' where there
                is one.
            title: Above the figure.
        """
        record = self.describe()
        named = [
            f'{key}: {self.name_label(sample[key])}'
            for key in ('label', 'prediction')
            if key in sample
        ]
        image = stretch(sample['image'].detach().cpu().numpy(), record.bands)
        return draw_images({', '.join(named) or 'Image': image}, title=title)

    def name_label(self, label: Tensor) -> str:
        """Name a class, or several labels."""
        names = self.describe().class_names
        numbers = label.nonzero()[:, 0].tolist() if self.class_options.multilabel else [int(label)]
        return ', '.join(names[i] for i in numbers) or 'none'
