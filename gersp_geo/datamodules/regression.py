"""Fine-tuning data for regression: own images with a value per pixel, or values at points."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from matplotlib.figure import Figure
from torch import Tensor

from ..datasets.raster_tiles import RasterTiles
from ..labels.pixel_values import PixelValues, ValueFiles
from ..labels.point_values import PointOptions, PointValues
from ..labels.value_counts import ValueCount
from ..pictures import Picture, draw_images, find_limits, stretch, stretch_values
from ..preprocessing import Preprocessing
from ..provenance import name_source
from .labelled import LabelledDataModule
from .patches import ScannedBlocks
from .regression_checks import check_regression, learns_from_gaps
from .segmentation import Files
from .splits import Splits


class GeoTIFFRegressionDataModule(LabelledDataModule):
    """Patches of own images with values in torchgeo's dialect.

    Batches hold file values under 'image' (float32, NaN where there is no observation); and under
    'mask' a value per pixel, shape (B, H, W), or under 'label' one per patch, shape (B,), both
    float32 in the unit of the files times *target_scale*. They are not standardised, so that a map
    shows them as they are.
    """

    def __init__(
        self,
        images: Files,
        targets: dict[str, str] | Files | None = None,
        *,
        points: str | Path | None = None,
        value: str | None = None,
        layer: str | None = None,
        columns: Mapping[str, str] | None = None,
        quantity: str | None = None,
        units: str | None = None,
        target_scale: float | None = None,
        resampling: Literal['nearest', 'bilinear'] = 'nearest',
        whole_patches: bool | None = None,
        **options: Any,
    ) -> None:
        """Initialize a new GeoTIFFRegressionDataModule instance.

        Args:
            images: GeoTIFFs, or pictures such as PNG and JPEG files, or folders, patterns or lists.
            targets: Rasters of one band with a value per pixel, and the file names of the images,
                or folders of them; or one for all images; or a mapping, which makes the path of
                each out of that of its image by replacing parts of it. For pixelwise regression.
            points: Vector file of points in any CRS, or CSV, with a value each. For regression of
                whole patches.
            value: Column of *points* with the value.
            layer: Layer of *points*, where it has several with features.
            columns: Of points in a CSV: the columns of their coordinates, and the CRS of these,
                such as ``{x: longitude, y: latitude, crs: EPSG:4326}``.
            quantity: What is measured, such as 'height', the name of the band of maps. Defaults to
                *value*.
            units: Unit of what is learned, such as 'm'; maps carry it.
            target_scale: Factor from the values of files to *units*, such as 0.01 from centimetres
                to metres. Defaults to 1: values are learned as they are stored.
            resampling: What becomes of *targets* on another grid than their image: 'nearest' takes
                values as they are, 'bilinear' blends neighbours, as heights allow.
            whole_patches: Take only patches with a value in each pixel. Defaults to what the task
                needs: torchgeo's knows no value to ignore, ``gersp_geo.tasks.PixelwiseRegression``
                leaves gaps out.
            **options: As in :class:`~gersp_geo.datamodules.labelled.LabelledDataModule`.

        Raises:
            ValueError: If not exactly one of *targets* and *points* is given, or an option belongs
                to the other, or a number is out of range.
        """
        super().__init__(images, **options)
        if (targets is None) == (points is None):
            raise ValueError('pass either targets or points, one of them')
        if (points is None) != (value is None):
            raise ValueError(f'points and value go together, got {points} and {value}')
        if points is None and (layer is not None or columns is not None):
            raise ValueError(f'layer and columns go with points, got {layer} and {columns}')
        if target_scale is not None and not (np.isfinite(target_scale) and target_scale):
            raise ValueError(f'target_scale must be a number other than 0, got {target_scale}')
        self.targets, self.points = targets, points
        self.point_options = None
        if points is not None and value is not None:
            self.point_options = PointOptions(
                points=points, value=value, layer=layer, columns=columns
            )
        self.quantity, self.units = quantity or value, units
        self.target_scale, self.resampling = target_scale, resampling
        self.whole_patches = whole_patches
        self.whole = bool(whole_patches)

    def setup(self, stage: str) -> None:
        """Prepare patches as the task needs them, as :meth:`LabelledDataModule.setup`."""
        task = self.task()
        if task is not None and self.targets is not None and self.whole_patches is None:
            whole = learns_from_gaps(task)
            if whole != self.whole:
                self.whole, self.scanned, self.splits, self.record = whole, None, None, None
        super().setup(stage)

    def open_labels(self, images: RasterTiles) -> PixelValues | PointValues:
        """Open the rasters or points of the images."""
        scale = 1.0 if self.target_scale is None else self.target_scale
        shared: dict[str, Any] = {
            'size': self.size, 'scale': scale, 'name': self.quantity, 'nodata': self.nodata
        }  # fmt: skip
        if self.point_options is not None:
            return PointValues(images, self.point_options, **shared)
        if self.targets is None:
            raise ValueError('pass either targets or points')
        files = ValueFiles(images, self.targets, resampling=self.resampling)
        tell_scaling(files, given=self.target_scale)
        return PixelValues(images, files, whole=self.whole, **shared)

    def values(self, scanned: ScannedBlocks, chosen: Sequence[int] | None = None) -> ValueCount:
        """Count the values of some blocks, or of all."""
        labels = scanned.tiles.labels
        assert isinstance(labels, PixelValues | PointValues)  # open_labels() gave them
        numbers = range(len(scanned.blocks)) if chosen is None else chosen
        blocks = [scanned.blocks[i] for i in numbers]
        return ValueCount.together(labels.found[block.tile, block.window] for block in blocks)

    def check(self, scanned: ScannedBlocks, *, stage: str) -> None:
        """Refuse values of which nothing can be learned."""
        source, found = self.sources(), self.values(scanned)
        name = source.get('targets') or source['points']
        if not found.count:
            raise ValueError(
                f'{name} holds no value over an observed pixel of an image; check nodata, and that '
                'both lie at one place'
            )
        if stage == 'fit' and found.low == found.high:
            raise ValueError(
                f'all {found.count:,} values of {name} are {found.low:g}, of which nothing can be '
                'learned; check that they are the right files'
            )
        if not scanned.counts.any():
            raise ValueError(
                f'no patch of {self.size} px has a value in each pixel, and the task learns from '
                'those alone; pass a smaller size, or gersp_geo.tasks.PixelwiseRegression, which '
                'leaves gaps out'
            )

    def check_task(self, task: LightningModule, record: Preprocessing) -> None:
        """Refuse a task that would learn something else than these values."""
        check_regression(task, pixelwise=self.targets is not None, whole=self.whole)

    def share(self, scanned: ScannedBlocks) -> Preprocessing:
        """Share the blocks, and add the unit and the range of the values to the record."""
        record = super().share(scanned)
        if self.splits is None:
            raise RuntimeError('no blocks were shared')
        found = self.values(scanned, self.splits.blocks.train)
        units = () if self.units is None else (self.units,)
        return replace(record, units=units, value_range=(found.low, found.high))

    def report(self, scanned: ScannedBlocks, splits: Splits, record: Preprocessing) -> None:
        """Say between which values there is to learn in each split, and what is lost to gaps."""
        unit = f' {self.units}' if self.units else ''
        parts = {
            'training': splits.blocks.train,
            'validation': splits.blocks.val,
            'test': splits.blocks.test,
        }
        counted = {name: self.values(scanned, part) for name, part in parts.items() if part}
        told = [
            f'{name} {of.count:,} from {of.low:.4g} to {of.high:.4g}{unit}, mean {of.mean:.4g}'
            for name, of in counted.items()
        ]
        rank_zero_info(f'values: {"; ".join(told)}')
        if self.whole:
            used = sum(of.count for of in counted.values())
            total = self.values(scanned).count
            if lost := total - used:
                rank_zero_warn(
                    f'{lost / total:.1%} of the values lie in blocks without a patch of '
                    f'{self.size} px that has one in each pixel, and are not learned from; '
                    'gersp_geo.tasks.PixelwiseRegression leaves gaps out, and takes all patches'
                )
        if not len(splits.val):
            rank_zero_warn('no validation patch has values; pass another seed, or a smaller size')

    def sources(self) -> dict[str, str]:
        """Name what images and values are read from, for checkpoints."""
        named = {'targets': self.targets, 'points': self.points}
        known = {name: name_source(source) for name, source in named.items() if source is not None}
        return super().sources() | known

    def plot(self, sample: dict[str, Tensor], *, title: str | None = None) -> Figure:
        """Draw the image, the values and the prediction of a sample.

        Args:
            sample: 'image' of shape (C, H, W) in file values; 'mask' and 'prediction', each of shape
                (H, W), where there are any, or 'label' and 'prediction' of the patch.
            title: Above the figure.
        """
        images: dict[str, Picture] = {
            'Image': stretch(sample['image'].detach().cpu().numpy(), self.describe().bands)
        }
        if 'mask' not in sample:
            words = [
                f'{key} {float(sample[key]):.4g}'
                for key in ('label', 'prediction')
                if key in sample
            ]
            return draw_images(
                images, title=', '.join([title] if title else []) or ', '.join(words)
            )
        values = {
            key: sample[key].detach().cpu().float().numpy()
            for key in ('mask', 'prediction')
            if key in sample
        }
        limits = find_limits(values['mask'])
        for key, pixels in values.items():
            shown = stretch_values(pixels.reshape(pixels.shape[-2:]), limits)
            images[key.capitalize()] = np.repeat(shown[..., None], 3, axis=2)
        return draw_images(images, title=title)


def tell_scaling(files: ValueFiles, *, given: float | None) -> None:
    """Warn once that values are learned as stored, where files tag a scale or an offset."""
    if given is not None:
        return
    for file, header in zip(files.files, files.headers, strict=True):
        if (told := header.describe_scaling([1])) is not None:
            rank_zero_warn(
                f'values of {file} are {told}, and learned as they are stored; pass target_scale '
                'to learn them in their unit (1 to confirm)'
            )
            return
