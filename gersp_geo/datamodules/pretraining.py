"""Pre-training data: a remote-sensing and a natural stream from folders."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from torch.utils.data import Dataset
from torchgeo.datamodules import BaseDataModule

from ..batch_types import JointBatch
from ..datasets.geotiff_patches import GeoTIFFPatches
from ..datasets.joint_batches import JointBatches, LabelledStream, RemoteSensingStream
from ..datasets.natural_stream import open_natural
from ..datasets.samples import check_numbered
from ..preprocessing import Preprocessing
from ..provenance import name_source
from ..samplers import EpochIndices
from .sources import PatchOptions, Source, open_remote_sensing
from .stateful_loader import ResumableLoader, check_cut, pins_memory
from .stream_record import Described, describe_stream


class GeRSPDataModule(BaseDataModule):
    """Join unlabelled remote-sensing images and labelled natural images per step.

    Batches stay in the dtype of the files until they are on the device, where the task scales,
    augments and normalises them.
    """

    def __init__(
        self,
        # Path, not PathLike: jsonargparse 4.53 makes text of lists and null where it may be one
        remote_sensing: list[str] | str | Path | None = None,
        natural: str | Path | None = None,
        *,
        # no parameter: jsonargparse would find no arguments of the classes named in YAML
        remote_sensing_dataset: Dataset | None = None,  # type: ignore[type-arg]
        natural_dataset: Dataset | None = None,  # type: ignore[type-arg]
        size: int = 224,
        batch_size: int = 256,
        natural_batch_size: int | None = None,
        steps_per_epoch: int | None = None,
        patches_per_pass: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
        kind: Literal['auto', 'geotiffs', 'chips'] = 'auto',
        bands: Sequence[int | str] | None = None,
        nodata: float | None = None,
        min_valid: float = 0.0,
        roi: Sequence[float] | None = None,
        toi: Sequence[str] | None = None,
        small_tiles: Literal['pad', 'skip'] = 'pad',
        patches_per_block: int = 1,
        filename_regex: str | None = None,
        date_format: str | None = None,
        two_dates: bool = False,
        natural_size: int | None = None,
        natural_crop_scale: tuple[float, float] | None = None,
        on_error: Literal['raise', 'skip'] = 'raise',
        scale: Sequence[float] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        prefetch_factor: int | None = None,
        multiprocessing_context: str | None = None,
    ) -> None:
        r"""Initialize a new GeRSPDataModule instance.

        Args:
            remote_sensing: GeoTIFFs to draw patches from, or JPEG, PNG or TIFF chips: files,
                folders, patterns or lists.
            natural: Folder with one sub-folder of images per class; None for plain contrastive
                learning (``supervised_weight=0``).
            remote_sensing_dataset: In place of *remote_sensing*, any data set whose samples have an
                'image', such as torchgeo's.
            natural_dataset: In place of *natural*, any data set of images with labels, such as
                torchvision's.
            size: Side in pixels of patches, and of other images as loaded.
            batch_size: Remote-sensing images per step and process.
            natural_batch_size: Natural images per step and process. Defaults to *batch_size*.
            steps_per_epoch: Defaults to one pass over the stream that needs more steps.
            patches_per_pass: GeoTIFF patches that make up one pass. Defaults to about the number
                that covers all tiles once.
            num_workers: Processes that read; 0 reads in the main process.
            seed: Decides the order of both streams and the places of patches, >= 0.
            kind: What *remote_sensing* holds; 'auto' judges by suffixes. 'chips' reads TIFF files
                without georeference as plain images.
            bands: Bands to read, 1-based or by name. Defaults to all but alpha.
            nodata: Value that means "no observation", in all bands of 8 bits or in any band of
                other types, beside what the GeoTIFFs themselves say.
            min_valid: Share of a patch's pixels that must be observations, in [0, 1]. Others get
                the mean of their band.
            roi: Region of interest as left, bottom, right, top in the CRS of the first GeoTIFF.
            toi: First and last day of interest, by the dates in file names, as ``2020-06-01``.
            small_tiles: GeoTIFFs smaller than a patch are padded, or left out with 'skip'.
            patches_per_block: So many patches in a row lie near each other, and mostly share the
                blocks that have to be decoded.
            filename_regex: GeoTIFFs whose name it does not match are left out; a group ``date``
                dates them, as in torchgeo: ``.*_(?P<date>\d{8})\.tif``.
            date_format: Of those dates; ``%Y%m%d`` by default.
            two_dates: Draw two dates of each place, one per view. Names of its files differ in the
                date alone.
            natural_size: Side in pixels of natural images as loaded. Defaults to *size*.
            natural_crop_scale: Cut natural images at random where they are decoded, to these shares
                of their area, at full resolution, and to the task's size (*natural_size*); the task
                then leaves its own crop out. Defaults to the whole image, which the task crops.
            on_error: A file that cannot be read stops the run; with 'skip' another sample is taken
                in its place, up to 1 % of all files, and its name is reported.
            scale: Per band, factor from the values of integers wider than uint8, or of floating
                point, to the unit of *mean*. Defaults to what brings 99.9 % of 256 seeded patches
                to at most 1 for integers, and to 1 for floating point. The task always divides
                uint8 by 255.
            mean: Per band, after scaling. Defaults to ImageNet's for three uint8 bands, else
                to what 256 seeded patches show.
            std: Per band, after scaling. Defaults like *mean*.
            prefetch_factor: Batches that each worker reads ahead; torch's default is 2.
            multiprocessing_context: How workers start: 'fork', 'spawn' or 'forkserver'. Defaults
                to that of the platform.

        Raises:
            ValueError: If there is no remote-sensing source, or there are two of one stream.
        """
        super().__init__(GeoTIFFPatches, batch_size, num_workers)
        if (remote_sensing is None) == (remote_sensing_dataset is None):
            raise ValueError('pass either remote_sensing or remote_sensing_dataset')
        if natural is not None and natural_dataset is not None:
            raise ValueError('pass either natural or natural_dataset, not both')
        self.remote_sensing, self.natural = remote_sensing, natural
        self.remote_sensing_dataset, self.natural_dataset = remote_sensing_dataset, natural_dataset
        self.size, self.seed, self.on_error = size, seed, on_error
        self.natural_batch_size = batch_size if natural_batch_size is None else natural_batch_size
        self.natural_size = size if natural_size is None else natural_size
        self.steps_per_epoch, self.natural_crop_scale = steps_per_epoch, natural_crop_scale
        self.given = (scale, mean, std)
        self.options = PatchOptions(
            kind=kind,
            bands=bands,
            nodata=nodata,
            min_valid=min_valid,
            roi=roi,
            toi=toi,
            small_tiles=small_tiles,
            patches_per_block=patches_per_block,
            patches_per_pass=patches_per_pass,
            filename_regex=filename_regex,
            date_format=date_format,
            two_dates=two_dates,
            on_error=on_error,
        )
        self.loading: dict[str, Any] = {
            'prefetch_factor': prefetch_factor,
            'multiprocessing_context': multiprocessing_context,
        }
        self.batches: JointBatches | None = None
        self.natural_classes: int | None = None
        self.described: Described | None = None

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
            on_error=self.on_error,
        )

    def natural_stream(self) -> LabelledStream | None:
        """Open the labelled stream, and count its classes."""
        source = self.natural_dataset if self.natural is None else self.natural
        if source is None:
            return None
        if isinstance(source, Dataset):
            check_numbered(source)
        stream = open_natural(
            source, size=self.natural_size, seed=self.seed, crop_scale=self.natural_crop_scale
        )
        self.natural_classes = None if stream.classes is None else len(stream.classes)
        return stream

    def remote_sensing_stream(self) -> RemoteSensingStream:
        """Open the unlabelled stream, and fill what was not observed with the mean."""
        paths, dataset = self.remote_sensing, self.remote_sensing_dataset
        source: Source = dataset if paths is None else paths  # type: ignore[assignment]  # one is given
        stream = open_remote_sensing(source, size=self.size, seed=self.seed, options=self.options)
        scale, mean, std = self.given
        self.described = describe_stream(
            stream,
            scale=scale,
            mean=mean,
            std=std,
            size=self.size,
            seed=self.seed,
            settings=asdict(self.options),
        )
        if hasattr(stream, 'fill'):
            record = self.described.record
            known = zip(record.mean, record.scale, strict=True)
            stream.fill = tuple(mean / scale for mean, scale in known)
        return stream

    @property
    def distinct_samples(self) -> int | None:
        """Number of remote-sensing images in a pass over them, of one epoch or of many.

        None before ``setup``. The stream goes on from epoch to epoch: where an epoch is shorter
        than a pass, the next one holds other images.
        """
        return None if self.batches is None else len(self.batches.remote_sensing)

    def train_dataloader(self) -> ResumableLoader[JointBatch]:
        """Load whole batches, in the order of their positions."""
        if self.batches is None:
            raise RuntimeError('call setup("fit") before train_dataloader()')
        rank = 0 if self.trainer is None else self.trainer.global_rank
        sampler = EpochIndices(len(self.batches), processes=self.batches.processes, rank=rank)
        return ResumableLoader(
            self.batches,
            sampler=sampler,
            num_workers=self.num_workers,
            cut=self.batches.cut(),
            files=self.batches.files,
            pin_memory=pins_memory(self.trainer),
            **self.loading,
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

    def sources(self) -> dict[str, str]:
        """Name what both streams are read from, for checkpoints."""
        named = {
            'remote_sensing': self.remote_sensing or self.remote_sensing_dataset,
            'natural': self.natural or self.natural_dataset,
        }
        return {name: name_source(source) for name, source in named.items() if source is not None}

    def describe(self) -> Preprocessing:
        """Say how file values become what the backbone is trained on.

        Returns:
            Bands, scale, mean and standard deviation; measured ones are the same on every call.

        Raises:
            ValueError: If the given scale is not what the task does, or there is not one value per
                band.
        """
        return self.find_description().record

    @property
    def left_out(self) -> tuple[int, ...]:
        """1-based bands of files that are taken for transparency, and not read."""
        stream = None if self.batches is None else self.batches.remote_sensing
        source = getattr(stream, 'tiles', None) or getattr(stream, 'chips', None)
        found: tuple[int, ...] = getattr(source, 'left_out', ())
        return found

    @property
    def photographs(self) -> bool:
        """Whether images are colours in [0, 1] after scaling, to be augmented as photographs."""
        return self.find_description().photographs

    def find_description(self) -> Described:
        """Measure what is not known, once."""
        if self.described is None:
            self.remote_sensing_stream()
        if self.described is None:
            raise RuntimeError('remote_sensing_stream() left no description')
        return self.described
