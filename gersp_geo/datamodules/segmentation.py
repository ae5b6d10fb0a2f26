"""Fine-tuning data: own GeoTIFFs with masks or polygons, split by blocks of ground."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchgeo.datamodules import BaseDataModule
from torchgeo.tasks import PixelwiseRegression

from ..datasets.geotiff_patches import GeoTIFFPatches
from ..geoio.write import class_color
from ..normalization import Normalize
from ..pictures import Picture, draw_images, paint_classes, stretch
from ..preprocessing import Preprocessing
from ..provenance import name_source
from ..samplers import EpochIndices
from ..transforms import RandomFlips
from .chosen_labels import LabelOptions
from .class_balance import check_classes, report_classes
from .label_sources import IGNORE
from .labelled_tiles import LabelledTiles, ScannedBlocks, TrainingPatches, scan_blocks
from .patch_record import check_types, describe_patches
from .splits import CHOSEN, check_split, describe_split, share_blocks, warn_of_unknown_split
from .task_checks import check_task

# Path, not PathLike: jsonargparse 4.53 makes text of lists and null where it may be one
type Files = list[str] | str | Path


class GeoTIFFSegmentationDataModule(BaseDataModule):
    """Patches of labelled GeoTIFFs in torchgeo's dialect.

    Batches hold file values under 'image' (float32, NaN where there is no observation) and class
    indices under 'mask' (int64, 255 for none); ``aug`` and ``train_aug`` normalise them on the
    device, NaN to the mean, as prediction does. No pixel of a file is in two splits.
    """

    ignore_index = IGNORE

    def __init__(
        self,
        images: Files,
        masks: Files | None = None,
        *,
        labels: str | Path | None = None,
        attribute: str | None = None,
        layer: str | None = None,
        background: str | None = None,
        mask_values: Sequence[int] | None = None,
        class_names: Sequence[str] | None = None,
        class_colors: Sequence[Sequence[int]] | None = None,
        bands: Sequence[int | str] | None = None,
        nodata: float | None = None,
        size: int = 256,
        batch_size: int = 8,
        length: int | None = None,
        num_workers: int = 0,
        val_split: float = 0.2,
        test_split: float = 0.0,
        block_size: int | None = None,
        seed: int = 0,
        scale: float | Sequence[float] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        augment: bool = True,
    ) -> None:
        """Initialize a new GeoTIFFSegmentationDataModule instance.

        Args:
            images: GeoTIFFs, or folders of them.
            masks: Class rasters on the grids of the images and with their file names, or folders
                of them. Either this or *labels*.
            labels: Vector file with polygons, in any CRS; pixels under none are not learned from,
                unless they are the *background*.
            attribute: Column of *labels* with the class.
            layer: Layer of *labels*, where it has several with features.
            background: Name of a class of its own, the first one, for all pixels under no polygon.
                Only for images in which every object was drawn.
            mask_values: Values of the masks that are the classes 0, 1, ..., such as 0 and 255.
                Defaults to these numbers themselves, where 255 and nodata mean no label.
            class_names: Names of the classes, without *background*. Defaults to the band tag
                CLASS_NAMES of the masks or the sorted values of *attribute*.
            class_colors: Red, green and blue per class, in [0, 255]. Defaults to the colour table
                of the masks.
            bands: 1-based band indices or names. Defaults to all but alpha.
            nodata: Value that means "no observation", in all bands of 8 bits or in any band of
                other types, for files that do not say so themselves. Such pixels are not learned
                from.
            size: Side of the patches in pixels.
            batch_size: Patches per step.
            length: Training patches per epoch. Defaults to about the number that covers the
                training blocks once.
            num_workers: Processes that read; 0 reads in the main process.
            val_split: Share of the labelled pixels for validation.
            test_split: Share of the labelled pixels for the test.
            block_size: Side in pixels, >= *size*, of the blocks that are assigned to the splits.
                Defaults to 2 * *size*.
            seed: Decides the split and all training patches, >= 0.
            scale: Per band or for all, factor from file values to the unit of *mean*. Defaults
                to 1 / 255 for uint8, else 1.
            mean: Per band, after scaling. Defaults to ImageNet's for three uint8 bands, else to
                what seeded training patches show.
            std: Per band, after scaling. Defaults like *mean*.
            augment: Turn and mirror training patches at random.

        Raises:
            ValueError: If not exactly one of *masks* and *labels* is given, *labels* without
                *attribute*, or *mean* without *std*, or a number is out of range.
        """
        if seed < 0 or batch_size < 1 or (length is not None and length < 1):
            raise ValueError(
                'batch_size and length must be >= 1 and seed >= 0, '
                f'got {batch_size}, {length} and {seed}'
            )
        if (mean is None) != (std is None):
            raise ValueError(f'mean and std go together, got {mean} and {std}')
        super().__init__(GeoTIFFPatches, batch_size, num_workers)
        self.images, self.masks, self.labels = images, masks, labels
        self.label_options = LabelOptions(
            masks=masks,
            labels=labels,
            attribute=attribute,
            layer=layer,
            background=background,
            mask_values=mask_values,
            class_names=tuple(class_names or ()),
        )
        self.class_colors = class_colors
        self.bands, self.nodata = bands, nodata
        self.size, self.length, self.seed, self.augment = size, length, seed, augment
        self.val_split, self.test_split = val_split, test_split
        self.block_size = 2 * size if block_size is None else block_size
        self.scale, self.given = scale, (mean, std)
        self.record: Preprocessing | None = None
        self.train_patches: TrainingPatches | None = None
        self.scanned: ScannedBlocks | None = None
        self.unlabelled = 0.0
        self.split_is_known = False

    def setup(self, stage: str) -> None:
        """Open the files, split them into blocks and prepare normalisation, all once.

        Raises:
            FileNotFoundError: If an image, a mask or the labels are missing.
            ValueError: If files do not fit together, there are too few classes or too few blocks
                for the splits, or the task does not fit the classes.
        """
        scanned = self.scan()
        check_classes(
            scanned.tiles.labels,
            scanned.counts.sum(axis=0),
            at_least=2 if stage == 'fit' else 1,
            source=self.sources().get('masks', str(self.labels)),
        )
        if self.record is None:
            self.record = self.share(scanned)
        if (task := self.task()) is not None:
            check_task(
                task,
                self.record.class_names,
                present=np.flatnonzero(scanned.counts.any(axis=0)).tolist(),
                unlabelled=self.unlabelled,
                numbered=not scanned.tiles.labels.class_names,
            )

    def task(self) -> LightningModule | None:
        """Give the task that is trained or tested; None without a trainer."""
        return None if self.trainer is None else self.trainer.lightning_module

    def scan(self) -> ScannedBlocks:
        """Open the files and look which classes their blocks hold, once."""
        if self.scanned is None:
            images = GeoTIFFPatches(self.images, bands=self.bands)
            check_types(images.files, [tile.dtype for tile in images.tiles])
            tiles = LabelledTiles(images, self.label_options.open(images), nodata=self.nodata)
            self.scanned = scan_blocks(
                tiles, block_size=self.block_size, size=self.size, seed=self.seed
            )
        return self.scanned

    def share(self, scanned: ScannedBlocks) -> Preprocessing:
        """Share the blocks between the splits, prepare normalisation, and say what there is."""
        splits = share_blocks(
            scanned,
            val_split=self.val_split,
            test_split=self.test_split,
            seed=self.seed,
            size=self.size,
            length=self.length,
            batch_size=self.batch_size,
        )
        self.train_patches, self.unlabelled = splits.train, splits.unlabelled
        self.train_dataset, self.val_dataset = splits.train, splits.val
        self.test_dataset = splits.test
        labels, (mean, std) = scanned.tiles.labels, self.given
        highest = int(np.flatnonzero(scanned.counts.any(axis=0))[-1])
        record = describe_patches(
            splits.train,
            scale=self.scale,
            mean=mean,
            std=std,
            # of masks that do not name their classes
            class_names=labels.class_names or tuple(f'class_{i}' for i in range(highest + 1)),
            class_colors=labels.class_colors if self.class_colors is None else self.class_colors,
        )
        self.normalize_with(record)
        report_classes(scanned, splits.blocks, record.class_names, block_size=self.block_size)
        return record

    def normalize_with(self, record: Preprocessing) -> None:
        """Prepare what runs on the device.

        ``mean`` and ``std`` are what torchgeo's plotting needs to get from model input back to
        file values: ``input * std + mean``.
        """
        scale = torch.tensor(record.scale)
        self.mean, self.std = torch.tensor(record.mean) / scale, torch.tensor(record.std) / scale
        normalize = Normalize(record)
        self.aug = normalize
        self.train_aug = nn.Sequential(normalize, RandomFlips()) if self.augment else normalize

    def describe(self) -> Preprocessing:
        """Say how file values become what the model is trained on, and what its classes mean."""
        if self.record is None:
            self.setup('fit')
        if self.record is None:
            raise RuntimeError('setup() left no record')
        if isinstance(self.task(), PixelwiseRegression):
            # its one output is a value, no class
            return replace(self.record, class_names=(), class_colors=())
        return self.record

    @property
    def left_out(self) -> tuple[int, ...]:
        """1-based bands of the images that are taken for transparency, and not read."""
        return self.scan().tiles.images.left_out

    def state_dict(self) -> dict[str, Any]:
        """Say what decides the split, for checkpoints."""
        if self.scanned is None or self.record is None:
            return {}
        # plain numbers, which every checkpoint is read with
        chosen = {name: plain(getattr(self, name)) for name, plain in CHOSEN.items()}
        return chosen | describe_split(self.scanned, self.record)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to go on from a checkpoint where what it learned from would be tested on.

        Raises:
            ValueError: Names what differs.
        """
        # other data may be tested, but not be trained on
        fitting = self.trainer is None or self.trainer.state.fn == TrainerFn.FITTING
        check_split(state_dict, self.state_dict(), fitting=fitting)
        self.split_is_known = True

    def sources(self) -> dict[str, str]:
        """Name what images and labels are read from, for checkpoints."""
        named = {'images': self.images, 'masks': self.masks, 'labels': self.labels}
        return {name: name_source(source) for name, source in named.items() if source is not None}

    def train_dataloader(self) -> DataLoader[Any]:
        """Load training patches, other ones in each epoch."""
        if self.train_patches is None:
            raise RuntimeError('call setup("fit") before train_dataloader()')
        processes, rank = 1, 0
        if self.trainer is not None:
            processes, rank = self.trainer.world_size, self.trainer.global_rank
        sampler = EpochIndices(len(self.train_patches), processes=processes, rank=rank)
        # batch normalisation dislikes a last batch of one
        drop_last = len(sampler) >= self.batch_size
        return self.load(self.train_patches, sampler=sampler, drop_last=drop_last)

    def val_dataloader(self) -> DataLoader[Any]:
        """Load the validation patches, the same in each epoch."""
        return self.load(self.val_dataset)

    def test_dataloader(self) -> DataLoader[Any]:
        """Load the test patches.

        Raises:
            ValueError: If there are none.
        """
        if self.test_split == 0:
            raise ValueError('test_split=0 leaves nothing to test on; pass a share above 0')
        return self.load(self.test_dataset)

    def load(self, dataset: Dataset[Any] | None, **options: Any) -> DataLoader[Any]:
        """Make a loader; *options* as of ``DataLoader``."""
        if dataset is None:
            raise RuntimeError('call setup() before asking for a data loader')
        path = None if self.trainer is None else self.trainer.ckpt_path
        if path is not None and not self.split_is_known:
            warn_of_unknown_split(path)
            self.split_is_known = True
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            **options,
        )

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
