"""Fine-tuning data: own GeoTIFFs with masks or polygons, split by blocks of ground."""

from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchgeo.datamodules import BaseDataModule

from ..datasets.geotiff import GeoTIFFPatches
from ..provenance import name_source
from ..records import Preprocessing
from ..samplers import EpochIndices
from .figures import default_colors, plot_classes
from .labelled import BlockLabels, GridPatches, LabelledTiles, TrainingPatches
from .labels import IGNORE, LabelSource, MaskFiles, VectorLabels
from .normalization import Normalize, RandomFlips, imagenet_statistics, measure_bands
from .splitting import Block, cut_blocks, split_blocks

# Training patches that mean and standard deviation are measured on: 64 of 256 x 256 pixels are
# 4 million values per band, far more than the three digits that matter need.
MEASURED_PATCHES = 64

type Files = str | PathLike[str] | list[str]


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
        labels: str | PathLike[str] | None = None,
        attribute: str | None = None,
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
            labels: Vector file with polygons, in any CRS; pixels under none are not learned from.
            attribute: Column of *labels* with the class.
            class_names: Names of the values 0, 1, ... Defaults to the band tag CLASS_NAMES of the
                masks or the sorted values of *attribute*.
            class_colors: Red, green and blue per class, in [0, 255]. Defaults to the colour table
                of the masks.
            bands: 1-based band indices or names. Defaults to all but alpha.
            nodata: Value that means "no observation" where all bands have it, for files that do
                not say so themselves. Such pixels are not learned from.
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
        if (masks is None) == (labels is None):
            raise ValueError('pass either masks or labels, one of them')
        if (labels is None) != (attribute is None):
            raise ValueError(f'labels and attribute go together, got {labels} and {attribute}')
        if (mean is None) != (std is None):
            raise ValueError(f'mean and std go together, got {mean} and {std}')
        super().__init__(GeoTIFFPatches, batch_size, num_workers)
        self.images, self.masks, self.labels, self.attribute = images, masks, labels, attribute
        self.class_names, self.class_colors = tuple(class_names or ()), class_colors
        self.bands, self.nodata = bands, nodata
        self.size, self.length, self.seed, self.augment = size, length, seed, augment
        self.val_split, self.test_split = val_split, test_split
        self.block_size = 2 * size if block_size is None else block_size
        self.scale, self.given = scale, (mean, std)
        self.record: Preprocessing | None = None
        self.train_patches: TrainingPatches | None = None

    def setup(self, stage: str) -> None:
        """Open the files, split them into blocks and prepare normalisation, all once.

        Raises:
            FileNotFoundError: If an image, a mask or the labels are missing.
            ValueError: If files do not fit together, or there are too few blocks for the splits.
        """
        if self.record is not None:
            return
        images = GeoTIFFPatches(self.images, bands=self.bands)
        tiles = LabelledTiles(images, self.open_labels(images), nodata=self.nodata)
        blocks = cut_blocks(
            [(tile.height, tile.width) for tile in images.tiles],
            block_size=self.block_size,
            size=self.size,
        )
        scans = [tiles.scan(block, seed=(self.seed, i)) for i, block in enumerate(blocks)]
        counts = np.stack([scan.counts for scan in scans])
        split = split_blocks(
            counts.sum(axis=1).tolist(),
            val_split=self.val_split,
            test_split=self.test_split,
            seed=self.seed,
        )
        train, val, test = (
            [blocks[i] for i in part] for part in (split.train, split.val, split.test)
        )
        self.train_patches = self.training_patches(tiles, train, [scans[i] for i in split.train])
        self.train_dataset = self.train_patches
        self.val_dataset = GridPatches(tiles, val, size=self.size)
        self.test_dataset = GridPatches(tiles, test, size=self.size)
        highest = int(np.flatnonzero(counts.any(axis=0))[-1])
        self.record = self.make_record(self.train_patches, classes=highest + 1)
        self.check_classes(len(self.record.class_names))
        self.normalize_with(self.record)
        unseen = set(range(highest + 1)) - set(self.train_patches.classes.tolist())
        if lost := [self.record.class_names[i] for i in sorted(unseen) if counts[:, i].any()]:
            rank_zero_warn(
                f'no training block holds {", ".join(lost)}; pass another seed or a smaller '
                f'block_size than {self.block_size}'
            )
        rank_zero_info(
            f'training: {len(self.train_patches)} patches per epoch from {len(train)} blocks; '
            f'validation: {len(self.val_dataset)} from {len(val)}; '
            f'test: {len(self.test_dataset)} from {len(test)}'
        )

    def check_classes(self, count: int) -> None:
        """Refuse a task that has too few classes for the labels.

        Raises:
            ValueError: Names both numbers.
        """
        task = None if self.trainer is None else self.trainer.lightning_module
        wanted = None if task is None else task.hparams.get('num_classes')
        if wanted is not None and wanted < count:
            raise ValueError(
                f'num_classes of the task must be at least the {count} classes of the labels, '
                f'got {wanted}'
            )

    def training_patches(
        self, tiles: LabelledTiles, blocks: list[Block], labels: list[BlockLabels]
    ) -> TrainingPatches:
        """Draw training patches from some blocks."""
        area = sum(block.window.height * block.window.width for block in blocks)
        return TrainingPatches(
            tiles,
            blocks,
            labels,
            size=self.size,
            length=self.length or max(area // self.size**2, self.batch_size),
            seed=self.seed,
        )

    def open_labels(self, images: GeoTIFFPatches) -> LabelSource:
        """Open the masks or polygons of the images."""
        if self.masks is not None:
            return MaskFiles(images, self.masks, class_names=self.class_names)
        if self.labels is None or self.attribute is None:
            raise ValueError('pass either masks or labels with attribute')
        return VectorLabels(
            images, self.labels, attribute=self.attribute, class_names=self.class_names
        )

    def make_record(self, train: TrainingPatches, *, classes: int) -> Preprocessing:
        """Say how file values become model input; measure what is not known.

        Args:
            train: Training patches.
            classes: Number of classes, for masks that do not name them.
        """
        images, labels = train.tiles.images, train.tiles.labels
        names = tuple(images.bands)
        photograph = images.tiles[0].dtype == 'uint8'
        scale = self.scale or (1 / 255 if photograph else 1.0)
        factors = tuple(scale) if isinstance(scale, Sequence) else (float(scale),) * len(names)
        mean, std = self.given
        if mean is None or std is None:
            if photograph and len(names) == 3 and self.scale is None:
                mean, std = imagenet_statistics(names)
            else:
                mean, std = measure_bands(observed(train), scale=factors)
            rank_zero_info(f'bands {names}: scale {factors}, mean {mean}, std {std}')
        class_names = labels.class_names or tuple(f'class_{i}' for i in range(classes))
        colors = labels.class_colors if self.class_colors is None else self.class_colors
        return Preprocessing(
            bands=names,
            dtype=images.tiles[0].dtype,
            scale=factors,
            mean=tuple(mean),
            std=tuple(std),
            size=self.size,
            res_m=images.res_m,
            nodata=self.nodata,
            class_names=class_names,
            class_colors=tuple((red, green, blue) for red, green, blue in colors),
        )

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
        self.setup('fit')
        if self.record is None:
            raise RuntimeError('setup() left no record')
        return self.record

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
        colors = record.class_colors or default_colors(len(record.class_names))
        return plot_classes(sample, bands=record.bands, class_colors=colors, title=title)


def observed(train: TrainingPatches) -> Iterator[tuple[NDArray[np.generic], NDArray[np.bool_]]]:
    """Yield the first training patches with their observed pixels."""
    tiles = train.tiles
    for index in range(MEASURED_PATCHES):
        place = train.patch(0, index)
        valid = tiles.images.read_valid(*place, nodata=tiles.nodata)
        yield tiles.images.read_patch(*place).numpy(), valid
