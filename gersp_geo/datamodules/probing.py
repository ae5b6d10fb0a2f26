"""Find what a foreign data module does to images by trying it."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torchgeo.datamodules import BaseDataModule
from torchgeo.datasets import LoveDA
from torchgeo.tasks import ChangeDetection

from ..datasets.samples import name_bands
from ..preprocessing import CHANGE_CLASSES, Preprocessing

# A transform is probed with images of 0 and of this value: far enough apart that float32 shows the
# slope to 1e-6 where statistics are those of 16-bit data, and a power of two, so that it is exact.
LEVER = 8192.0

# Side of the probe images where the data module does not say which it uses
PROBE_SIZE = 64


def probe_datamodule(datamodule: BaseDataModule, pl_module: LightningModule) -> Preprocessing:
    """Find out what the evaluation transform of a torchgeo data module does to images.

    Args:
        datamodule: After its ``setup``.
        pl_module: A torchgeo task; its hyperparameters say how many bands and classes there are.

    Returns:
        The record, for values as the data module's dataset gives them (scale 1); of two dates, it
        holds for both.

    Raises:
        ValueError: If the transform is anything but one affine map per band.
    """
    in_channels: int | None = pl_module.hparams.get('in_channels')
    if in_channels is None:
        raise ValueError(
            f'{type(pl_module).__name__} does not say in_channels; '
            'pass PreprocessingRecord(preprocessing=...)'
        )
    patch_size = getattr(datamodule, 'patch_size', None)
    sides = (patch_size, patch_size) if isinstance(patch_size, int) else patch_size
    height, width = (int(side) for side in sides or (PROBE_SIZE, PROBE_SIZE))
    # not `or`: a transform without steps is false
    transform = datamodule.aug if datamodule.val_aug is None else datamodule.val_aug
    dates = (2,) if isinstance(pl_module, ChangeDetection) else ()
    mean, std = probe_transform(transform, shape=(*dates, in_channels, height, width))
    dataset = find_dataset(datamodule)
    return Preprocessing(
        bands=name_bands(dataset, count=in_channels),
        scale=(1.0,) * in_channels,
        mean=tuple(mean),
        std=tuple(std),
        size=height if patch_size is not None and height == width else None,
        class_names=name_classes(dataset, pl_module),
    )


def probe_transform(transform: Any, *, shape: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Find mean and standard deviation that a transform of batches applies per band.

    Args:
        transform: Takes and returns a dictionary with 'image' of shape (B, C, H, W), or of two
            dates (B, 2, C, H, W).
        shape: (C, H, W) or (2, C, H, W) of the images to try.

    Returns:
        Mean and standard deviation, so that the transform equals ``(image - mean) / std``.

    Raises:
        ValueError: If there are none: it was tried on random images of several value ranges.
    """
    low = apply(transform, torch.zeros(1, *shape, dtype=torch.float64))
    high = apply(transform, torch.full((1, *shape), LEVER, dtype=torch.float64))
    # of the first date; the images tried below show whether the second one's are the same
    offset, slope = (
        values[..., 0, 0].flatten(end_dim=-2)[0] for values in (low, (high - low) / LEVER)
    )
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(2, *shape, dtype=torch.float64, generator=generator)
    # reflectances, bytes, digital numbers, and values below zero
    for tried in (noise, noise * 255, noise * 1e4, noise * 20 - 10):
        expected = tried * slope[:, None, None] + offset[:, None, None]
        tolerance = 1e-5 * expected.abs().max().clamp(min=1.0)
        if not torch.allclose(apply(transform, tried), expected, rtol=0, atol=float(tolerance)):
            raise not_affine('it changes values in another way')
    if not (slope > 0).all():
        raise not_affine('it does not grow with the values')
    return (-offset / slope).tolist(), (1 / slope).tolist()


def apply(transform: Any, image: Tensor) -> Tensor:
    """Run a transform on images alone, and insist on images of the same shape."""
    try:
        result = transform({'image': image.clone()})['image']
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise not_affine(f'it fails on plain images ({error})') from error
    if not isinstance(result, Tensor) or result.shape != image.shape:
        raise not_affine(f'it changes the shape {tuple(image.shape)}')
    return result.double()


def not_affine(reason: str) -> ValueError:
    """Make the error that says what to do instead."""
    return ValueError(
        'the evaluation transform is not (value - mean) / std per band: '
        f'{" ".join(reason.split())}; pass PreprocessingRecord(preprocessing=...)'
    )


def find_dataset(datamodule: BaseDataModule) -> Any:
    """Find the dataset that holds the images, behind subsets and intersections."""
    dataset: Any = datamodule.train_dataset or datamodule.dataset or datamodule.val_dataset
    while hasattr(dataset, 'dataset') or hasattr(dataset, 'datasets'):
        dataset = dataset.dataset if hasattr(dataset, 'dataset') else dataset.datasets[0]
    return dataset


def name_classes(dataset: Any, pl_module: LightningModule) -> tuple[str, ...]:
    """Take the class names of a dataset if they are as many as the task's, else number them.

    A change that the dataset has no name for is called so.
    """
    hparams = pl_module.hparams
    count = 2 if hparams.get('task') == 'binary' else hparams.get('num_classes') or 0
    names = read_names(dataset, 'classes')
    if isinstance(dataset, LoveDA):
        # masks hold 0 where there is no label, and torchgeo names that last
        names = (*names[-1:], *names[:-1])
    if len(names) == count:
        return names
    if count == 2 and isinstance(pl_module, ChangeDetection):
        return CHANGE_CLASSES
    return tuple(f'class_{i}' for i in range(count))


def read_names(dataset: Any, attribute: str) -> tuple[str, ...]:
    """Read an attribute that may hold a sequence of texts; empty if it holds anything else."""
    names: Any = getattr(dataset, attribute, None)
    is_sequence = isinstance(names, Sequence) and not isinstance(names, str)
    return tuple(names) if is_sequence and all(isinstance(n, str) for n in names) else ()
