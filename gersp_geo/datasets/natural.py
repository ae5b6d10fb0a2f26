"""Labelled natural images as a stream: a folder per class, or any data set of images and labels."""

from collections.abc import Sequence
from os import PathLike, fspath
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import DatasetFolder

from ..batches import LabelledSample
from .decoding import decode_image, draw_crop, middle, resize
from .folders import NaturalImages
from .hidden import is_hidden


class NaturalFiles:
    """Image files with labels, decoded where they are needed."""

    def __init__(
        self,
        samples: Sequence[tuple[str | PathLike[str], int]],
        *,
        classes: Sequence[str],
        size: int,
        seed: int = 0,
        crop_scale: tuple[float, float] | None = None,
    ) -> None:
        """Initialize a new NaturalFiles instance.

        Args:
            samples: Path and label of each image.
            classes: Names by label.
            size: Side of the images returned, in pixels.
            seed: Decides the crops.
            crop_scale: Shares of the area for random crops; None takes the middle of the whole.
        """
        self.samples, self.classes = samples, list(classes)
        self.size, self.seed, self.crop_scale = size, seed, check_crop(crop_scale)
        self.files = len(samples)

    def __len__(self) -> int:
        """Number of images in one pass."""
        return len(self.samples)

    def draw(self, *, cycle: int, index: int) -> LabelledSample:
        """Decode image *index*; each pass has crops of its own.

        Returns:
            Under 'image': uint8, shape (3, *size*, *size*); under 'label': int64, shape ().
        """
        file, label = self.samples[index]
        generator = crop_generator(self, cycle, index)
        image = decode_image(file, size=self.size, crop_scale=self.crop_scale, generator=generator)
        return {'image': image, 'label': torch.tensor(label)}


class NaturalItems:
    """The items of any data set of images with labels."""

    def __init__(
        self,
        dataset: Dataset[Any],
        *,
        size: int,
        seed: int = 0,
        crop_scale: tuple[float, float] | None = None,
    ) -> None:
        """Initialize a new NaturalItems instance.

        Args:
            dataset: Its items are (image, label), or dictionaries with 'image' and 'label'. Images
                are PIL images, arrays of shape (H, W, 3) or tensors of shape (3, H, W), of 8 bits
                or in [0, 1].
            size: Side of the images returned, in pixels.
            seed: Decides the crops.
            crop_scale: As of :class:`NaturalFiles`.
        """
        self.dataset, self.size, self.seed = dataset, size, seed
        self.crop_scale = check_crop(crop_scale)
        names = getattr(dataset, 'classes', None)
        self.classes = list(names) if isinstance(names, list | tuple) else None
        self.files = len(self)

    def __len__(self) -> int:
        """Number of images in one pass."""
        return len(self.dataset)  # type: ignore[arg-type]  # map-style data sets have a length

    def draw(self, *, cycle: int, index: int) -> LabelledSample:
        """Read item *index*; each pass has crops of its own.

        Returns:
            Under 'image': uint8, shape (3, *size*, *size*); under 'label': int64, shape ().

        Raises:
            ValueError: If the item is no image with a label.
        """
        image, label = take_apart(self.dataset[index], dataset=self.dataset)
        height, width = image.shape[1:]
        generator = crop_generator(self, cycle, index)
        if self.crop_scale is None or generator is None:
            box = middle(height, width)
        else:
            box = draw_crop(height, width, scale=self.crop_scale, generator=generator)
        part = image[:, box.top : box.top + box.height, box.left : box.left + box.width]
        return {'image': resize(part, size=self.size), 'label': torch.tensor(label)}


def open_natural(
    source: str | PathLike[str] | Dataset[Any],
    *,
    size: int,
    seed: int = 0,
    crop_scale: tuple[float, float] | None = None,
) -> NaturalFiles | NaturalItems:
    """Open labelled natural images.

    Args:
        source: Folder with one sub-folder per class; or a data set, such as torchvision's. Of an
            ``ImageFolder`` or ``ImageNet``, the files are decoded here, which is faster. Hidden
            folders are no classes of either.
        size: Side of the images returned, in pixels.
        seed: Decides the crops.
        crop_scale: Smallest and largest share of the area for random crops; None takes the middle
            of the whole image.

    Raises:
        FileNotFoundError: As :class:`.folders.NaturalImages`.
        ValueError: If *crop_scale* is out of range, or the data set has a transform of its own.
    """
    if not isinstance(source, Dataset):
        images = NaturalImages(source, size=size)
        return NaturalFiles(
            images.samples, classes=images.classes, size=size, seed=seed, crop_scale=crop_scale
        )
    if isinstance(source, DatasetFolder):
        if source.transforms is not None:
            raise ValueError(
                f'{type(source).__name__} must have no transform of its own, got '
                f'{source.transforms}; images are resized here, and augmented in the task'
            )
        samples, classes = without_hidden(source.samples, source.classes)
        return NaturalFiles(samples, classes=classes, size=size, seed=seed, crop_scale=crop_scale)
    return NaturalItems(source, size=size, seed=seed, crop_scale=crop_scale)


def without_hidden(
    samples: Sequence[tuple[str | PathLike[str], int]], classes: Sequence[str]
) -> tuple[Sequence[tuple[str | PathLike[str], int]], Sequence[str]]:
    """Leave out hidden folders, of which torchvision makes classes, and number the others anew.

    Args:
        samples: Path and label of each image.
        classes: Names by label.

    Returns:
        The same of the other classes.
    """
    # those of ImageNet are tuples of synonyms
    kept = [i for i, name in enumerate(classes) if not (isinstance(name, str) and is_hidden(name))]
    if len(kept) == len(classes):
        return samples, classes
    anew = {label: number for number, label in enumerate(kept)}
    visible = [(file, anew[label]) for file, label in samples if label in anew]
    return visible, [classes[label] for label in kept]


def check_crop(scale: tuple[float, float] | None) -> tuple[float, float] | None:
    """Refuse shares that no crop can have.

    Raises:
        ValueError: If they are not in (0, 1] and ascending.
    """
    if scale is not None and not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(
            f'natural_crop_scale must be [smallest, largest] in (0, 1], got {list(scale)}'
        )
    return None if scale is None else (scale[0], scale[1])


def crop_generator(stream: NaturalFiles | NaturalItems, cycle: int, index: int) -> Random | None:
    """Seed the crop of one sample; None where nothing is drawn."""
    if stream.crop_scale is None:
        return None
    # one number per place: an image has no 2**48th neighbour, a run no 2**32th pass. Python's
    # generator starts in a third of the time of NumPy's.
    return Random((stream.seed << 80) | (cycle << 48) | index)


def take_apart(item: Any, *, dataset: Any) -> tuple[Tensor, int]:
    """Take image and label out of an item.

    Returns:
        uint8, shape (3, H, W), and the label.

    Raises:
        ValueError: If it is no image with a label.
    """
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
