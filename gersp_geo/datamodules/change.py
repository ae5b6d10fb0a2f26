"""Fine-tuning data for change detection: two dates of a place with masks or polygons of change."""

from collections.abc import Sequence
from typing import Any, ClassVar

from matplotlib.figure import Figure
from torch import Tensor

from ..datasets.raster_tiles import RasterTiles
from ..geoio.write import class_color
from ..labels.pixels import PixelLabels
from ..labels.two_dates import ChangeLabels, LaterDate
from ..pictures import Picture, draw_images, paint_classes, stretch
from ..preprocessing import CHANGE_CLASSES
from ..provenance import name_source
from .patches import ScannedBlocks
from .segmentation import Files, GeoTIFFSegmentationDataModule

# grey and red: what has changed is looked for
CHANGE_COLORS = (235, 235, 235), (214, 39, 40)


class GeoTIFFChangeDetectionDataModule(GeoTIFFSegmentationDataModule):
    """Patches of two dates of own GeoTIFFs in torchgeo's dialect.

    Batches hold file values of both dates under 'image', shape (B, 2, C, H, W) (float32, NaN in
    both where either has no observation), and classes of change under 'mask', shape (B, 1, H, W)
    (int64, 255 for none). Both dates are normalised alike, as prediction does.
    """

    dates: ClassVar[int] = 2

    def __init__(
        self,
        before: Files,
        after: dict[str, str] | Files,
        masks: dict[str, str] | Files | None = None,
        **options: Any,
    ) -> None:
        """Initialize a new GeoTIFFChangeDetectionDataModule instance.

        Args:
            before: Images of the first date: GeoTIFFs, or pictures such as PNG and JPEG files, or
                folders of them.
            after: Those of the second date, with the same file names; one scene and one scene
                belong together whatever their names. Or a mapping such as ``{/A/: /B/}``, which
                makes each path out of that of its first date by replacing parts of it. What lies
                on another grid is resampled bilinearly to that of the first date.
            masks: Class rasters of change, found by the names of the first date; as in
                :class:`GeoTIFFSegmentationDataModule`. Either this or *labels*, polygons of
                change.
            **options: As in :class:`GeoTIFFSegmentationDataModule`.

        Raises:
            ValueError: As :class:`GeoTIFFSegmentationDataModule`.
        """
        super().__init__(before, masks, **options)
        self.after = after

    def open_labels(self, images: RasterTiles) -> PixelLabels:
        """Open the second date, and the masks or polygons of change."""
        later = LaterDate(
            images, self.after, bands=self.bands, nodata=self.nodata, tile_pattern=self.tile_pattern
        )
        return ChangeLabels(images, self.label_options.open(images), later, nodata=self.nodata)

    def name_classes(self, scanned: ScannedBlocks) -> tuple[str, ...]:
        """Name the classes; two that nothing names are those of maps of change."""
        names = super().name_classes(scanned)
        is_told = any(not name.startswith('class_') for name in names)
        return names if is_told or len(names) != 2 else CHANGE_CLASSES

    def color_classes(self, scanned: ScannedBlocks) -> Sequence[Sequence[int]]:
        """Give the colours of the classes: grey where nothing has changed, unless files tell."""
        known = super().color_classes(scanned)
        return known or (CHANGE_COLORS if self.name_classes(scanned) == CHANGE_CLASSES else ())

    def sources(self) -> dict[str, str]:
        """Name what both dates and labels are read from, for checkpoints."""
        named = super().sources()
        return {'before': named.pop('images'), 'after': name_source(self.after), **named}

    def plot(self, sample: dict[str, Tensor], *, title: str | None = None) -> Figure:
        """Draw both dates, the mask and the prediction of a sample.

        Args:
            sample: 'image' of shape (2, C, H, W) in file values, and 'mask' and 'prediction', each
                of shape (1, H, W), where there are any.
            title: Above the figure.
        """
        record = self.describe()
        colors = record.class_colors or [class_color(i) for i in range(len(record.class_names))]
        dates = sample['image'].detach().cpu().numpy()
        images: dict[str, Picture] = {
            name: stretch(date, record.bands)
            for name, date in zip(('Before', 'After'), dates, strict=True)
        }
        for key in ('mask', 'prediction'):
            if key in sample:
                classes = sample[key].detach().cpu().numpy().reshape(dates.shape[-2:])
                images[key.capitalize()] = paint_classes(classes, colors)
        return draw_images(images, title=title)
