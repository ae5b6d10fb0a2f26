"""Labelled natural images as a stream: a folder per class, or any data set of images and labels."""

from collections.abc import Sequence
from functools import partial
from os import PathLike, fspath
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import DatasetFolder

from ..batch_types import LabelledSample
from .decoding import Crop, decode_image, draw_crop, middle, resize
from .folders import NaturalImages
from .hidden import is_hidden

type FileAndLabel = tuple[str | PathLike[str], int]


class NaturalStream:
    """Labelled images as a stream: files that are decoded here, or the items of a data set."""

    def __init__(
        self,
        source: Dataset[Any],
        *,
        size: int,
        seed: int = 0,
        crop_scale: tuple[float, float] | None = None,
    ) -> None:
        """Initialize a new NaturalStream instance.

        Args:
            source: Of :class:`.folders.NaturalImages` and torchvision's folders, the files are
                decoded here. Items of others are (image, label), or dictionaries with 'image' and
                'label'. Images are PIL images, arrays of shape (H, W, 3) or tensors of shape
                (3, H, W), of 8 bits or in [0, 1].
            size: Side of the images returned, in pixels.
            seed: Decides the crops.
            crop_scale: Shares of the area for random crops; None takes the middle of the whole.

        Raises:
            ValueError: If *crop_scale* is not ascending in (0, 1].
        """
        if crop_scale is not None and not 0 < crop_scale[0] <= crop_scale[1] <= 1:
            raise ValueError(
                f'natural_crop_scale must be [smallest, largest] in (0, 1], got {list(crop_scale)}'
            )
        self.size, self.seed, self.crop_scale = size, seed, crop_scale
        self.samples: Sequence[FileAndLabel] | None = None
        """Path and label of each image; None where a data set reads them."""
        names = getattr(source, 'classes', None)
        self.classes = list(names) if isinstance(names, list | tuple) else None
        if isinstance(source, NaturalImages | DatasetFolder):
            self.samples, self.classes = without_hidden(source.samples, source.classes)
        else:
            self.dataset = source
        self.files = len(self)

    def __len__(self) -> int:
        """Number of images in one pass."""
        # map-style data sets have a length
        return len(self.dataset if self.samples is None else self.samples)  # type: ignore[arg-type]

    def draw(self, *, cycle: int, index: int) -> LabelledSample:
        """Read image *index*; each pass has crops of its own.

        Returns:
            Under 'image': uint8, shape (3, *size*, *size*); under 'label': int64, shape ().

        Raises:
            ValueError: If an item of a data set is no image with a label.
        """
        crop = self.choose_crop(cycle, index)
        if self.samples is None:
            whole, label = take_apart(self.dataset[index], dataset=self.dataset)
            image = resize(crop(*whole.shape[1:]).cut(whole), size=self.size)
        else:
            file, label = self.samples[index]
            image = decode_image(file, size=self.size, crop=crop)
        return {'image': image, 'label': torch.tensor(label)}

    def choose_crop(self, cycle: int, index: int) -> Crop:
        """Seed the crop of one sample, where any is drawn."""
        if self.crop_scale is None:
            return middle
        # one number per place: an image has no 2**48th neighbour, a run no 2**32th pass. Python's
        # generator starts in a third of the time of NumPy's.
        generator = Random((self.seed << 80) | (cycle << 48) | index)
        return partial(draw_crop, scale=self.crop_scale, generator=generator)


def open_natural(
    source: str | PathLike[str] | Dataset[Any],
    *,
    size: int,
    seed: int = 0,
    crop_scale: tuple[float, float] | None = None,
) -> NaturalStream:
    """Open labelled natural images.

    Args:
        source: Folder with one sub-folder per class; or a data set, such as torchvision's. Hidden
            folders are no classes of an ``ImageFolder`` or ``ImageNet`` either.
        size: Side of the images returned, in pixels.
        seed: Decides the crops.
        crop_scale: Smallest and largest share of the area for random crops; None takes the middle
            of the whole image.

    Raises:
        FileNotFoundError: As :class:`.folders.NaturalImages`.
        ValueError: If *crop_scale* is out of range, or the data set has a transform of its own.
    """
    if not isinstance(source, Dataset):
        source = NaturalImages(source, size=size)
    elif isinstance(source, DatasetFolder) and source.transforms is not None:
        raise ValueError(
            f'{type(source).__name__} must have no transform of its own, got '
            f'{source.transforms}; images are resized here, and augmented in the task'
        )
    return NaturalStream(source, size=size, seed=seed, crop_scale=crop_scale)


def without_hidden(
    samples: Sequence[FileAndLabel], classes: Sequence[str]
) -> tuple[Sequence[FileAndLabel], list[str]]:
    """Leave out hidden folders, of which torchvision makes classes, and number the others anew."""
    # those of ImageNet are tuples of synonyms
    kept = [i for i, name in enumerate(classes) if not (isinstance(name, str) and is_hidden(name))]
    if len(kept) == len(classes):
        return samples, list(classes)
    anew = {label: number for number, label in enumerate(kept)}
    visible = [(file, anew[label]) for file, label in samples if label in anew]
    return visible, [classes[label] for label in kept]


def take_apart(item: Any, *, dataset: Any) -> tuple[Tensor, int]:
    """Take image (uint8, shape (3, H, W)) and label out of an item, or refuse it."""
    pair = (item.get('image'), item.get('label')) if isinstance(item, dict) else item
    if isinstance(pair, tuple | list) and len(pair) == 2:
        image, label = to_bytes(pair[0]), pair[1]
        if image is not None and np.ndim(label) == 0 and label is not None:
            return image, int(label)
        found = f'{describe(pair[0])} with {describe(label)}'
    else:
        found = describe(item)
    raise ValueError(
        'natural items must be (image, label), the image a PIL image, an array (H, W, 3) or a '
        f'tensor (3, H, W) of 8 bits or in [0, 1]; {type(dataset).__name__} gives {found}'
    )


def to_bytes(image: Any) -> Tensor | None:
    """Turn any usual image into uint8 of shape (3, H, W); None if it is none."""
    if isinstance(image, Image.Image):
        image = np.array(image if image.mode == 'RGB' else image.convert('RGB'))
    if isinstance(image, np.ndarray) and image.ndim == 3:
        image = torch.from_numpy(image).permute(2, 0, 1)
    if not isinstance(image, Tensor) or image.ndim != 3 or len(image) not in (1, 3):
        return None
    if image.is_floating_point():
        if image.min() < 0 or image.max() > 1:
            return None
        image = (image * 255).round().byte()
    return image.expand(3, -1, -1) if image.dtype == torch.uint8 else None


def describe(value: Any) -> str:
    """Name the kind of a value in messages."""
    shape = getattr(value, 'shape', None)
    kind = type(value).__name__
    if shape is None:
        return kind if not isinstance(value, str | PathLike) else f'{kind} {fspath(value)}'
    extremes = f' in [{value.min():g}, {value.max():g}]' if np.prod(shape) else ''
    return f'{kind} of shape {tuple(shape)}{extremes}'
