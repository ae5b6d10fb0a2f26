"""The base of all data modules of own labelled images: split, patches, statistics, record."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from geopandas import GeoDataFrame
from lightning.pytorch import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchgeo.datamodules import BaseDataModule

from ..datasets.raster_tiles import RasterTiles
from ..datasets.scene_names import Paths
from ..labels.sources import PatchLabels
from ..normalization import Normalize
from ..preprocessing import Preprocessing
from ..provenance import name_source
from ..samplers import EpochIndices
from ..transforms import RandomFlips
from .patch_record import check_types, describe_patches
from .patches import LabelledTiles, ScannedBlocks, TrainingPatches, scan_blocks
from .split_table import tabulate_split
from .splits import CHOSEN, Splits, check_split, describe_split, share_blocks, warn_of_unknown_split
from .stateful_loader import pins_memory


class LabelledDataModule(BaseDataModule, ABC):
    """Patches of own labelled images in torchgeo's dialect; a kind of labels is a subclass.

    Batches hold file values under 'image' (float32, NaN where there is no observation); ``aug`` and
    ``train_aug`` normalise them on the device, NaN to the mean, as prediction does. No ground is in
    two splits.
    """

    fewest_strata: ClassVar[int] = 1
    """Kinds of labels that training needs."""

    stratified: bool = False
    """Whether each kind of label is shared between the splits by itself."""

    def __init__(
        self,
        images: Paths,
        *,
        bands: Sequence[int | str] | None = None,
        nodata: float | None = None,
        tile_pattern: str | None = None,
        size: int = 256,
        batch_size: int = 8,
        length: int | None = None,
        num_workers: int = 0,
        val_split: float = 0.2,
        test_split: float = 0.0,
        block_size: int | None = None,
        folders: Mapping[str, str] | None = None,
        seed: int = 0,
        scale: float | Sequence[float] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        augment: bool | nn.Module = True,
    ) -> None:
        """Initialize a new LabelledDataModule instance.

        Args:
            images: GeoTIFFs or pictures such as PNG and JPEG files, or folders, patterns or lists.
            bands: 1-based band indices or names. Defaults to all but alpha.
            nodata: Value that means "no observation", in all bands of 8 bits or in any band of
                other types, for files that do not say so themselves. Such pixels are not learned
                from.
            tile_pattern: How paths of tiles of a web map end, without the suffix, such as
                '{x}-{y}-{z}' or '{z}/{x}/{y}': tiles that do not say where they lie get their
                place.
            size: Side of the patches in pixels.
            batch_size: Patches per step.
            length: Training patches per epoch. Defaults to about the number that covers the
                training blocks once.
            num_workers: Processes that read; 0 reads in the main process.
            val_split: Share of the labels for validation.
            test_split: Share of the labels for the test.
            block_size: Side in pixels, >= *size*, of the blocks that are assigned to the splits.
                Defaults to 2 * *size*.
            folders: Names of folders whose images are of one split as a whole, such as
                ``{train: train, val: valid, test: test}``, in place of *val_split* and
                *test_split*. The nearest folder of such a name above an image decides.
            seed: Decides the split and all training patches, >= 0.
            scale: Per band or for all, factor from file values to the unit of *mean*. Defaults
                to 1 / 255 for uint8, else 1.
            mean: Per band, after scaling. Defaults to ImageNet's for three uint8 bands, else to
                what seeded training patches show.
            std: Per band, after scaling. Defaults like *mean*.
            augment: Turn and mirror training patches at random; or a module of one's own in place
                of that, which gets a normalised batch and returns it.

        Raises:
            ValueError: If *mean* is given without *std*, or a number is out of range.
        """
        counts = (batch_size, length, block_size)
        if seed < 0 or any(count is not None and count < 1 for count in counts):
            raise ValueError(
                'batch_size, length and block_size must be >= 1 and seed >= 0, '
                f'got {batch_size}, {length}, {block_size} and {seed}'
            )
        if (mean is None) != (std is None):
            raise ValueError(f'mean and std go together, got {mean} and {std}')
        super().__init__(TrainingPatches, batch_size, num_workers)
        self.images, self.bands, self.nodata = images, bands, nodata
        self.tile_pattern, self.folders = tile_pattern, folders
        self.size, self.length, self.seed, self.augment = size, length, seed, augment
        self.val_split, self.test_split = val_split, test_split
        self.block_size = 2 * size if block_size is None else block_size
        self.scale, self.given = scale, (mean, std)
        self.record: Preprocessing | None = None
        self.splits: Splits | None = None
        self.scanned: ScannedBlocks | None = None
        self.split_is_known = False

    @abstractmethod
    def open_labels(self, images: RasterTiles) -> PatchLabels:
        """Open what is known about the images; a kind of labels says how."""

    def check(self, scanned: ScannedBlocks, *, stage: str) -> None:
        """Refuse labels of which nothing can be learned, before they are split."""

    def report(self, scanned: ScannedBlocks, splits: Splits, record: Preprocessing) -> None:
        """Say what there is to learn from in each split."""

    def check_task(self, task: LightningModule, record: Preprocessing) -> None:
        """Refuse a task that would learn something else than these labels."""

    def name_classes(self, scanned: ScannedBlocks) -> tuple[str, ...]:
        """Name the classes for the record."""
        return scanned.tiles.labels.class_names

    def color_classes(self, scanned: ScannedBlocks) -> Sequence[Sequence[int]]:
        """Give the colours of the classes for the record; empty where nothing tells."""
        return scanned.tiles.labels.class_colors

    def shares(self, scanned: ScannedBlocks) -> Sequence[float] | None:
        """Say how often training patches are drawn around each kind of label; None for equally."""
        return None

    def setup(self, stage: str) -> None:
        """Open the files, split them into blocks and prepare normalisation, all once.

        Raises:
            FileNotFoundError: If images or labels are missing.
            ValueError: If files do not fit together, there is too little to learn from or too few
                blocks for the splits, or the task does not fit the labels.
        """
        scanned = self.scan()
        self.check(scanned, stage=stage)
        if self.record is None:
            self.record = self.share(scanned)
        if (task := self.task()) is not None:
            self.check_task(task, self.record)

    def task(self) -> LightningModule | None:
        """Give the task that is trained or tested; None without a trainer."""
        return None if self.trainer is None else self.trainer.lightning_module

    def scan(self) -> ScannedBlocks:
        """Open the files and look what their blocks hold, once."""
        if self.scanned is None:
            images = RasterTiles(
                self.images, bands=self.bands, nodata=self.nodata, tile_pattern=self.tile_pattern
            )
            check_types(images.files, [tile.dtype for tile in images.tiles])
            tiles = LabelledTiles(images, self.open_labels(images), nodata=self.nodata)
            self.scanned = scan_blocks(
                tiles, block_size=self.block_size, size=self.size, seed=self.seed
            )
        return self.scanned

    def share(self, scanned: ScannedBlocks) -> Preprocessing:
        """Share the blocks between the splits, prepare normalisation, and say what there is."""
        self.splits = share_blocks(
            scanned,
            val_split=self.val_split,
            test_split=self.test_split,
            folders=self.folders,
            seed=self.seed,
            size=self.size,
            length=self.length,
            batch_size=self.batch_size,
            shares=self.shares(scanned),
            stratified=self.stratified,
        )
        self.train_dataset, self.val_dataset = self.splits.train, self.splits.val
        self.test_dataset = self.splits.test
        mean, std = self.given
        record = describe_patches(
            self.splits.train,
            scale=self.scale,
            mean=mean,
            std=std,
            class_names=self.name_classes(scanned),
            class_colors=self.color_classes(scanned),
        )
        self.normalize_with(record)
        self.report(scanned, self.splits, record)
        return record

    def normalize_with(self, record: Preprocessing) -> None:
        """Prepare what runs on the device; plotting gets back by ``input * std + mean``."""
        scale = torch.tensor(record.scale)
        self.mean, self.std = torch.tensor(record.mean) / scale, torch.tensor(record.std) / scale
        normalize = Normalize(record)
        self.aug = normalize
        own = self.augment if isinstance(self.augment, nn.Module) else RandomFlips()
        self.train_aug = nn.Sequential(normalize, own) if self.augment else normalize

    def describe(self) -> Preprocessing:
        """Say how file values become what the model is trained on, and what its classes mean."""
        if self.record is None:
            self.setup('fit')
        assert self.record is not None  # setup() made it
        return self.record

    @property
    def left_out(self) -> tuple[int, ...]:
        """1-based bands of the images that are taken for transparency, and not read."""
        return self.scan().tiles.images.left_out

    def split_table(self) -> GeoDataFrame | None:
        """Say which ground is of which split: one row per block; None where nothing has a place."""
        if self.splits is None:
            self.setup('fit')
        assert self.splits is not None  # setup() made them
        return tabulate_split(self.scan(), self.splits.blocks)

    def state_dict(self) -> dict[str, Any]:
        """Say what decides the split, for checkpoints."""
        if self.scanned is None or self.record is None:
            return {}
        # plain numbers, which every checkpoint is read with
        chosen = {name: plain(getattr(self, name)) for name, plain in CHOSEN.items()}
        named = {'folders': dict(self.folders)} if self.folders else {}
        return chosen | named | describe_split(self.scanned, self.record)

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
        return {'images': name_source(self.images)}

    def train_dataloader(self) -> DataLoader[Any]:
        """Load training patches, other ones in each epoch."""
        if self.splits is None:
            raise RuntimeError('call setup("fit") before train_dataloader()')
        known = self.trainer
        processes, rank = (1, 0) if known is None else (known.world_size, known.global_rank)
        sampler = EpochIndices(len(self.splits.train), processes=processes, rank=rank)
        # batch normalisation dislikes a last batch of one
        drop_last = len(sampler) >= self.batch_size
        return self.load(self.splits.train, sampler=sampler, drop_last=drop_last)

    @property
    def train_patches(self) -> TrainingPatches | None:
        """What is trained on; None before the files are split."""
        return None if self.splits is None else self.splits.train

    def val_dataloader(self) -> DataLoader[Any]:
        """Load the validation patches, the same in each epoch."""
        return self.load(self.val_dataset)

    def test_dataloader(self) -> DataLoader[Any]:
        """Load the test patches.

        Raises:
            ValueError: If there are none.
        """
        if self.splits is not None and not self.splits.blocks.test:
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
            pin_memory=pins_memory(self.trainer),
            **options,
        )
