"""Pre-training data: a remote-sensing and a natural stream from folders."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchgeo.datamodules import BaseDataModule

from ..bands import RGB
from ..datasets import folders, tiles
from ..datasets.folders import ImageChips, NaturalImages
from ..datasets.geotiff import GeoTIFFPatches
from ..datasets.streams import JointBatches, RemoteSensingStream, positions
from ..records import Batch, ImageSample, LabelledSample, Preprocessing
from ..samplers import EpochIndices, PatchSampler
from .normalization import imagenet_statistics, measure_bands
from .resuming import ResumableLoader, check_cut

# 256 patches of 64 x 64 pixels are a million values per band, enough for three digits
MEASURED_PATCHES = 256


class ChipStream:
    """Unlabelled images of one size, as a stream."""

    def __init__(self, chips: ImageChips) -> None:
        """Initialize a new ChipStream instance."""
        self.chips = chips
        self.bands = RGB.bands
        self.res_m: float | None = None

    def __len__(self) -> int:
        """Number of images in one pass."""
        return len(self.chips)

    def draw(self, *, turn: int, index: int) -> ImageSample:
        """Read image *index*, the same in every pass."""
        return self.chips[index]

    def observed(self, *, turn: int, index: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read image *index*; every pixel of it is an observation."""
        image = self.chips[index]['image'].numpy()
        return image, np.ones(image.shape[1:], dtype=np.bool_)


class PatchStream:
    """Patches at seeded random places of GeoTIFFs, as a stream."""

    def __init__(self, tiles: GeoTIFFPatches, sampler: PatchSampler) -> None:
        """Initialize a new PatchStream instance."""
        self.tiles, self.sampler = tiles, sampler
        self.bands = tuple(tiles.bands)
        self.res_m: float | None = tiles.res_m

    def __len__(self) -> int:
        """Number of patches in one pass."""
        return len(self.sampler)

    def draw(self, *, turn: int, index: int) -> ImageSample:
        """Read patch *index* of pass *turn*; each pass has places of its own.

        In floating point, NaN stands where there is no observation; integers stay as stored.
        """
        place = self.sampler.patch(turn, index)
        image = self.tiles.read_patch(*place)
        if image.is_floating_point():
            image[:, torch.from_numpy(~self.tiles.read_valid(*place))] = torch.nan
        return {'image': image}

    def observed(self, *, turn: int, index: int) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Read patch *index* of pass *turn*, and which of its pixels are observations."""
        place = self.sampler.patch(turn, index)
        return self.tiles.read_patch(*place).numpy(), self.tiles.read_valid(*place)


class GeRSPDataModule(BaseDataModule):
    """Join unlabelled remote-sensing images and labelled natural images per step.

    Batches stay in the dtype of the files until they are on the device, where the task scales,
    augments and normalises them.
    """

    def __init__(
        self,
        remote_sensing: str | PathLike[str] | list[str],
        natural: str | PathLike[str] | None = None,
        *,
        size: int = 224,
        batch_size: int = 256,
        natural_batch_size: int | None = None,
        steps_per_epoch: int | None = None,
        patches_per_pass: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
        bands: Sequence[int] | None = None,
        scale: Sequence[float] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        """Initialize a new GeRSPDataModule instance.

        Args:
            remote_sensing: Folder or list of GeoTIFFs to draw patches from, or of JPEG or PNG
                chips.
            natural: Folder with one sub-folder of images per class; None for plain contrastive
                learning (``supervised_weight=0``).
            size: Side in pixels of patches and of natural images as loaded.
            batch_size: Remote-sensing images per step and process.
            natural_batch_size: Natural images per step and process. Defaults to *batch_size*.
            steps_per_epoch: Defaults to one pass over the stream that needs more steps.
            patches_per_pass: GeoTIFF patches that make up one pass. Defaults to about the number
                that covers all tiles once.
            num_workers: Processes that read; 0 reads in the main process.
            seed: Decides the order of both streams and the places of patches, >= 0.
            bands: GeoTIFF bands to read, 1-based. Defaults to all.
            scale: Per band, factor from integers wider than uint8 to the unit of *mean*. Defaults
                to 1. The task always divides uint8 by 255, and takes floating point as it is.
            mean: Per band, after scaling. Defaults to ImageNet's for three uint8 bands, else
                to what 256 seeded patches show.
            std: Per band, after scaling. Defaults like *mean*.
        """
        super().__init__(GeoTIFFPatches, batch_size, num_workers)
        self.remote_sensing, self.natural = remote_sensing, natural
        self.size, self.seed, self.bands = size, seed, bands
        self.natural_batch_size = batch_size if natural_batch_size is None else natural_batch_size
        self.steps_per_epoch, self.patches_per_pass = steps_per_epoch, patches_per_pass
        self.given = (scale, mean, std)
        self.batches: JointBatches | None = None
        self.natural_classes: int | None = None
        self.described: Preprocessing | None = None

    def setup(self, stage: str) -> None:
        """List the files of both streams.

        Raises:
            FileNotFoundError: If a folder is missing or holds no image.
            ValueError: If a stream is smaller than one of its batches, a number is out of range, or
                GeoTIFFs and other images are mixed.
        """
        processes = 1 if self.trainer is None else self.trainer.world_size
        if self.batches is None:
            remote_sensing, natural = self.remote_sensing_stream(), self.natural_stream()
        elif self.batches.processes == processes:
            return
        else:
            remote_sensing, natural = self.batches.remote_sensing, self.batches.natural
        self.batches = JointBatches(
            remote_sensing,
            natural,
            batch_size=self.batch_size,
            natural_batch_size=self.natural_batch_size,
            steps=self.steps_per_epoch,
            processes=processes,
            seed=self.seed,
        )

    def natural_stream(self) -> Dataset[LabelledSample] | None:
        """Open the labelled stream, and count its classes."""
        if self.natural is None:
            return None
        images = NaturalImages(self.natural, size=self.size)
        self.natural_classes = len(images.classes)
        return images

    def remote_sensing_stream(self) -> RemoteSensingStream:
        """Open the unlabelled stream, chips or GeoTIFFs by what the folder holds."""
        paths = self.remote_sensing
        if holds_chips(paths):
            return ChipStream(ImageChips(paths, size=self.size))
        geotiffs = GeoTIFFPatches(paths, bands=self.bands, raw=True)
        length = self.patches_per_pass
        sampler = PatchSampler(geotiffs, size=self.size, length=length, seed=self.seed)
        return PatchStream(geotiffs, sampler)

    @property
    def distinct_samples(self) -> int | None:
        """Number of different remote-sensing images in an epoch; None before ``setup``."""
        if self.batches is None:
            return None
        return min(len(self.batches.remote_sensing), len(self.batches) * self.batch_size)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Load whole batches, in the order of their positions."""
        if self.batches is None:
            raise RuntimeError('call setup("fit") before train_dataloader()')
        rank = 0 if self.trainer is None else self.trainer.global_rank
        sampler = EpochIndices(len(self.batches), processes=self.batches.processes, rank=rank)
        return ResumableLoader(
            self.batches, sampler=sampler, num_workers=self.num_workers, cut=self.batches.cut()
        )

    def state_dict(self) -> dict[str, Any]:
        """Say what decides which samples a position holds, for checkpoints."""
        return {} if self.batches is None else self.batches.cut()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to resume on other samples, before anything of the run is restored.

        Later, Lightning would save what it has restored so far over the checkpoint.

        Raises:
            ValueError: Names the first difference.
        """
        check_cut(state_dict, self.state_dict())

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return the batch unchanged: the task augments it."""
        return batch

    def describe(self) -> Preprocessing:
        """Say how file values become what the backbone is trained on.

        Returns:
            Bands, scale, mean and standard deviation; measured ones are the same on every call.

        Raises:
            ValueError: If the given scale is not what the task does, or there is not one value per
                band.
        """
        if self.described is None:
            opened = self.batches
            stream = self.remote_sensing_stream() if opened is None else opened.remote_sensing
            scale, mean, std = self.given
            sample = stream.draw(turn=0, index=0)['image']
            scale = choose_scale(scale, sample)
            if mean is None or std is None:
                photograph = sample.dtype == torch.uint8 and len(sample) == 3
                known = (
                    imagenet_statistics(stream.bands) if photograph else self.measure(stream, scale)
                )
                mean, std = mean or known[0], std or known[1]
            self.described = Preprocessing(
                bands=stream.bands,
                dtype=str(sample.dtype).removeprefix('torch.'),
                scale=tuple(scale),
                mean=tuple(mean),
                std=tuple(std),
                size=self.size,
                res_m=stream.res_m,
            )
        return self.described

    def measure(
        self, stream: RemoteSensingStream, scale: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        """Measure mean and standard deviation per band on seeded patches, nodata left out."""
        places = positions(seed=self.seed, length=len(stream), first=0, count=MEASURED_PATCHES)
        observed = (stream.observed(turn=turn, index=index) for turn, index in places)
        return measure_bands(observed, scale=scale)


def holds_chips(paths: str | PathLike[str] | Sequence[str | PathLike[str]]) -> bool:
    """Whether files and folders hold JPEG, PNG and the like, rather than GeoTIFFs.

    Raises:
        ValueError: If they hold both: training on one would leave out the other.
    """
    given = [paths] if isinstance(paths, str | PathLike) else paths
    suffixes = {
        file.suffix.lower()
        for path in map(Path, given)
        for file in (path.rglob('*') if path.is_dir() else [path])
    }
    chips, rasters = (sorted(suffixes & set(m.SUFFIXES)) for m in (folders, tiles))
    if chips and rasters:
        raise ValueError(
            f'{paths} holds both images ({", ".join(chips)}) and GeoTIFFs ({", ".join(rasters)}); '
            'name the files or folders of one kind'
        )
    return bool(chips)


def choose_scale(given: Sequence[float] | None, image: Tensor) -> Sequence[float]:
    """Take the given factors, or those of the data type.

    Args:
        given: One per band, or None.
        image: Values as stored, shape (C, H, W).

    Raises:
        ValueError: If the task scales this data type in another way.
    """
    unit = 1 / 255 if image.dtype == torch.uint8 else 1.0
    is_fixed = image.dtype == torch.uint8 or image.is_floating_point()
    if given is not None and is_fixed and not np.allclose(given, unit):
        raise ValueError(
            f'scale must be {unit:.6g} for {image.dtype}, which the task scales by itself, '
            f'got {list(given)}; leave it out'
        )
    return [unit] * len(image) if given is None else given
