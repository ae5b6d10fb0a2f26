"""DIOR and DOTA as the published results of detection use them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset
from torchgeo.datamodules import NonGeoDataModule
from torchgeo.datamodules.utils import collate_fn_detection
from torchgeo.datasets import DIOR, DOTA
from torchgeo.datasets.dior import parse_pascal_voc

from ..bands import RGB
from ..datasets.dota_tiles import CLASS_COUNT, SPLITS, VERSION, cut_dota, place_tiles
from ..messages import name_some
from ..preprocessing import Preprocessing
from ..transforms import RandomFlips
from .published import describe_bytes

type Sample = dict[str, Any]


class NumberedBoxes(Dataset[Sample]):
    """A data set of torchgeo with boxes, in the terms of its tasks.

    torchgeo's DIOR and DOTA count classes from 0, which Faster R-CNN takes for the background, DOTA
    calls them 'labels', and an image of DIOR without objects has boxes of shape (0,).
    """

    def __init__(self, dataset: Dataset[Any], *, annotations: Sequence[Path] | None = None) -> None:
        """Initialize a new NumberedBoxes instance.

        Args:
            dataset: DIOR or DOTA with upright boxes.
            annotations: A file of DIOR for each image, where *dataset* has no boxes.
        """
        self.dataset, self.annotations = dataset, annotations

    def __len__(self) -> int:
        """Count the images."""
        return len(self.dataset)  # type: ignore[arg-type]  # data sets of torchgeo have a length

    def __getitem__(self, index: int) -> Sample:
        """Read an image, float32, shape (3, H, W), with boxes (n, 4) and labels (n,) from 1."""
        sample = self.dataset[index]
        if self.annotations is not None:
            found = parse_pascal_voc(self.annotations[index])
            numbers = [number_class(name, self.annotations[index]) for name in found['labels']]
            sample |= {'bbox_xyxy': torch.tensor(found['bboxes']), 'label': torch.tensor(numbers)}
        boxes: Tensor = sample['bbox_xyxy'].reshape(-1, 4).float()
        labels: Tensor = sample['label' if 'label' in sample else 'labels'].long() + 1
        # as mmdet does: such an object has no pixel
        # https://github.com/open-mmlab/mmdetection/blob/v2.24.1/mmdet/datasets/coco.py
        large = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)
        return {'image': sample['image'].float(), 'bbox_xyxy': boxes[large], 'label': labels[large]}


def number_class(name: str, file: Path) -> int:
    """Number a class of DIOR as torchgeo does; its authors write Expressway-Service-area."""
    plain = name.strip().lower().replace('-', '')
    if plain not in DIOR.classes:
        raise ValueError(f'{file} has the class {name!r}, which is none of DIOR: {DIOR.classes}')
    return DIOR.classes.index(plain)


class PublishedBoxes(NonGeoDataModule):
    """Boxes numbered from 1, as 0 is the background; images with ImageNet's mean and deviation."""

    mean = torch.tensor(RGB.mean) * 255
    std = torch.tensor(RGB.std) * 255
    classes: ClassVar[tuple[str, ...]]
    size: int | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Initialize a new PublishedBoxes instance.

        Args:
            *arguments: NonGeoDataModule's.
            **options: NonGeoDataModule's.
        """
        super().__init__(*arguments, **options)
        self.collate_fn = collate_fn_detection
        # mirrored left and right alone
        self.train_aug = nn.Sequential(cast(nn.Module, self.aug), RandomFlips((0, 4)))

    def val_dataloader(self) -> DataLoader[Any]:
        """Load what is left of the labels for validation.

        Raises:
            ValueError: If nothing is, as all are trained on.
        """
        if self.val_dataset is None:
            raise ValueError(
                'all labelled images are trained on, none is left to validate on; pass '
                '--trainer.limit_val_batches 0, or, to choose by validation, --data.train_splits '
                '[train] to a data module that has it'
            )
        return super().val_dataloader()

    def describe(self) -> Preprocessing:
        """Say how images become input, and what labels mean, from 1."""
        return describe_bytes(size=self.size, class_names=self.classes)


class DIORBoxesDataModule(PublishedBoxes):
    """:class:`torchgeo.datasets.DIOR`, trained on trainval and tested on test."""

    classes = DIOR.classes

    def __init__(
        self,
        root: str = 'data/dior',
        annotations: str | None = None,
        train_splits: Sequence[Literal['train', 'val']] = ('train', 'val'),
        batch_size: int = 4,
        num_workers: int = 4,
        **options: Any,
    ) -> None:
        """Initialize a new DIORBoxesDataModule instance.

        Args:
            root: Folder of DIOR as torchgeo reads it.
            annotations: Folder of the XML files of the test images, named after them. The authors
                of DIOR publish them, and torchgeo's copy lacks them.
            train_splits: 'train' and 'val', or one of them; 'val' is validated on unless trained on.
            batch_size: Images per step.
            num_workers: Processes that read; 0 reads in the main process.
            **options: Of :class:`torchgeo.datasets.DIOR`.

        Raises:
            ValueError: If *train_splits* are others.
        """
        if not train_splits or not set(train_splits) <= {'train', 'val'}:
            raise ValueError(f"train_splits must be of 'train' and 'val', got {train_splits}")
        super().__init__(DIOR, batch_size, num_workers, root=root, **options)
        self.annotations, self.train_splits = annotations, tuple(train_splits)

    def setup(self, stage: str) -> None:
        """Open the splits of a stage.

        Raises:
            DatasetNotFoundError: If they are not there.
            FileNotFoundError: If test images have no annotations.
            ValueError: If the folder of these is not given.
        """
        if stage == 'fit':
            parts = [NumberedBoxes(DIOR(split=s, **self.kwargs)) for s in self.train_splits]
            self.train_dataset = ConcatDataset(parts)
        if stage in ('fit', 'validate') and 'val' not in self.train_splits:
            self.val_dataset = NumberedBoxes(DIOR(split='val', **self.kwargs))
        if stage == 'test':
            self.test_dataset = self.open_test()

    def open_test(self) -> NumberedBoxes:
        """Open the test split, and find a file of boxes for each image."""
        if self.annotations is None:
            raise ValueError(
                "torchgeo's DIOR has no boxes of the test split; pass --data.annotations with the "
                'folder of XML files that the authors of DIOR publish'
            )
        dataset = DIOR(split='test', **self.kwargs)
        stems = [Path(path).stem for path in dataset.sample_df['image_path']]
        files = [Path(self.annotations) / f'{stem}.xml' for stem in stems]
        if missing := [file.name for file in files if not file.is_file()]:
            raise FileNotFoundError(
                f'each test image must have an XML file in {self.annotations}, {len(missing)} of '
                f'{len(files)} are missing: {name_some(missing)}'
            )
        return NumberedBoxes(dataset, annotations=files)


class DOTATilesDataModule(PublishedBoxes):
    """:class:`torchgeo.datasets.DOTA` 1.0 in tiles with upright boxes, from train to val."""

    classes = DOTA.classes[:CLASS_COUNT]
    size: int

    def __init__(
        self,
        root: str = 'data/dota',
        size: int = 800,
        overlap: int = 160,
        batch_size: int = 4,
        num_workers: int = 4,
        **options: Any,
    ) -> None:
        """Initialize a new DOTATilesDataModule instance.

        Args:
            root: Folder of DOTA as torchgeo reads it. Tiles are written below it, once.
            size: Side of a tile in pixels.
            overlap: Pixels that neighbouring tiles share, in [0, *size*).
            batch_size: Tiles per step.
            num_workers: Processes that read; 0 reads in the main process.
            **options: Of :class:`torchgeo.datasets.DOTA`.

        Raises:
            ValueError: If *overlap* is out of range.
        """
        if not 0 <= overlap < size:
            raise ValueError(f'overlap must be in [0, size={size}), got {overlap}')
        super().__init__(DOTA, batch_size, num_workers, root=root, **options)
        self.size, self.overlap = size, overlap

    def prepare_data(self) -> None:
        """Download the images if that was asked for, and cut them, unless that was done."""
        if self.kwargs.get('download', False):
            for split in SPLITS:
                DOTA(split=split, version=VERSION, **self.kwargs)
        place = {'size': self.size, 'overlap': self.overlap}
        folder = place_tiles(self.kwargs['root'], **place)
        if not folder.exists():
            rank_zero_info(f'cuts DOTA into tiles, once, in {folder}')
        cut_dota(self.kwargs['root'], **place)

    def setup(self, stage: str) -> None:
        """Open the tiles of a stage; the split val is what is tested on, and nothing else."""
        if stage == 'fit':
            self.train_dataset = self.open_tiles('train')
        if stage == 'test':
            self.test_dataset = self.open_tiles('val')

    def open_tiles(self, split: Any) -> NumberedBoxes:
        """Open the tiles of a split."""
        folder = cut_dota(self.kwargs['root'], size=self.size, overlap=self.overlap)
        options = {**self.kwargs, 'root': folder}
        return NumberedBoxes(
            DOTA(split=split, version=VERSION, bbox_orientation='horizontal', **options)
        )
