"""RESISC45 and LoveDA of torchgeo, mended where training on them would go wrong."""

from typing import Any, cast

import torch
from torch import nn
from torchgeo import datamodules
from torchgeo.datasets import LoveDA

from ..bands import RGB
from ..labels.sources import IGNORE
from ..preprocessing import Preprocessing
from ..transforms import RandomCrops, RandomFlips


class FlippedRESISC45DataModule(datamodules.RESISC45DataModule):
    """torchgeo's, whose training images are turned and mirrored, and nothing else.

    torchgeo 0.10 changes colours after normalisation, by functions of kornia that end at 0 and 1:
    of three training images in four, all that is darker than the mean becomes the mean.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Initialize a new FlippedRESISC45DataModule instance.

        Args:
            *arguments: torchgeo's.
            **options: torchgeo's.
        """
        super().__init__(*arguments, **options)
        self.train_aug = nn.Sequential(cast(nn.Module, self.aug), RandomFlips())


class CroppedLoveDADataModule(datamodules.LoveDADataModule):
    """torchgeo's, trained on crops, with classes from 0 and 255 for no label, tested on val.

    LoveDA stores 0 for no label and classes from 1, and torchgeo 0.10 names them as if they began
    at 0. The labels of its test split are not public.
    """

    mean = torch.tensor(RGB.mean) * 255
    std = torch.tensor(RGB.std) * 255

    def __init__(
        self, size: int = 512, batch_size: int = 16, num_workers: int = 4, **options: Any
    ) -> None:
        """Initialize a new CroppedLoveDADataModule instance.

        Args:
            size: Side of a training crop in pixels. Validation is on whole images.
            batch_size: Images per step.
            num_workers: Processes that read; 0 reads in the main process.
            **options: Of :class:`torchgeo.datasets.LoveDA`.
        """
        self.size = size
        super().__init__(batch_size, num_workers, transforms=number_classes, **options)
        # mirrored left and right alone
        self.train_aug = nn.Sequential(
            cast(nn.Module, self.aug), RandomCrops(size), RandomFlips((0, 4))
        )
        # of the largest size: crops of several images take less
        self.val_batch_size = self.test_batch_size = 1

    def setup(self, stage: str) -> None:
        """Open the splits of a stage."""
        super().setup(stage)
        if stage == 'test':
            self.test_dataset = LoveDA(split='val', **self.kwargs)

    def describe(self) -> Preprocessing:
        """Say how images become input, and what classes mean."""
        # the last name is that of what has no label
        return describe_bytes(size=self.size, class_names=LoveDA.classes[:-1])


def describe_bytes(*, size: int | None, class_names: tuple[str, ...]) -> Preprocessing:
    """Record how red, green and blue bytes get ImageNet's mean and deviation."""
    return Preprocessing(
        bands=RGB.bands,
        scale=(RGB.scale,) * 3,
        mean=RGB.mean,
        std=RGB.std,
        dtype='uint8',
        size=size,
        class_names=class_names,
    )


def number_classes(sample: dict[str, Any]) -> dict[str, Any]:
    """Number classes from 0, and mark what has no label."""
    if 'mask' in sample:
        stored = sample['mask']
        sample['mask'] = torch.where(stored == 0, IGNORE, stored - 1)
    return sample
