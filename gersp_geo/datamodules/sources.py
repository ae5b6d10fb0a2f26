"""From what a user names to a stream of unlabelled samples."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from shapely import Polygon, box
from torch.utils.data import Dataset
from torchgeo.datasets import GeoDataset

from ..datasets.folders import ImageChips, holds_chips
from ..datasets.geotiff_patches import GeoTIFFPatches
from ..datasets.joint_batches import RemoteSensingStream
from ..datasets.raster_files import check_reals
from ..datasets.samples import check_numbered
from ..samplers import PatchSampler
from .patch_record import tell_scaling
from .streams import ChipStream, DatasetStream, GeoDatasetStream, PairStream, PatchStream

type Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Dataset[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchOptions:
    """How GeoTIFFs are opened and sampled; see :class:`~gersp_geo.GeRSPDataModule`."""

    kind: Literal['auto', 'geotiffs', 'chips'] = 'auto'
    bands: Sequence[int | str] | None = None
    nodata: float | None = None
    min_valid: float = 0.0
    roi: Sequence[float] | None = None
    toi: Sequence[str] | None = None
    small_tiles: Literal['pad', 'skip'] = 'pad'
    patches_per_block: int = 1
    patches_per_pass: int | None = None
    filename_regex: str | None = None
    date_format: str | None = None
    two_dates: bool = False
    on_error: Literal['raise', 'skip'] = 'raise'


def open_remote_sensing(
    source: Source, *, size: int, seed: int, options: PatchOptions
) -> RemoteSensingStream:
    """Open the unlabelled stream: a torchgeo data set, chips or GeoTIFFs, by what there is.

    Args:
        source: Folder, files, or a data set.
        size: Side of the patches in pixels.
        seed: Decides the places of patches.
        options: How to open and to sample.

    Raises:
        FileNotFoundError: If a path does not exist or holds no image.
        ValueError: If an option does not fit the kind of source, or the source holds both kinds.
    """
    if isinstance(source, Dataset):
        if not isinstance(source, GeoDataset):
            check_numbered(source)
            refuse(options, GEOTIFF_ONLY + PLACES, kind='a data set without places')
            return DatasetStream(source, size=size)
        refuse(options, GEOTIFF_ONLY, kind='a torchgeo data set')
        sampler = make_sampler(source, size=size, seed=seed, options=options)
        return GeoDatasetStream(source, sampler)
    if options.kind not in ('auto', 'geotiffs', 'chips'):
        raise ValueError(f"kind must be 'auto', 'geotiffs' or 'chips', got {options.kind!r}")
    if options.kind == 'chips' or (options.kind == 'auto' and holds_chips(source)):
        refuse(options, PLACES + tuple(set(GEOTIFF_ONLY) - {'bands'}), kind='a folder of chips')
        chips = ImageChips(source, size=size, bands=options.bands)
        if chips.is_tiff:
            tell_scaling([str(chips.files[0])], [chips.header], chips.band_indexes)
        return ChipStream(chips)
    geotiffs = GeoTIFFPatches(
        source,
        bands=options.bands,
        raw=True,
        nodata=options.nodata,
        filename_regex=options.filename_regex,
        date_format=options.date_format,
        on_error=options.on_error,
    )
    check_reals(geotiffs.files, geotiffs.tiles)
    tell_scaling(geotiffs.files, geotiffs.tiles, geotiffs.chosen)
    sampler = make_sampler(geotiffs, size=size, seed=seed, options=options)
    if options.two_dates:
        return PairStream(geotiffs, sampler, seed=seed)
    return PatchStream(geotiffs, sampler)


# options that need files of our own reading, and those that need places
GEOTIFF_ONLY = ('bands', 'nodata', 'min_valid', 'filename_regex', 'date_format', 'two_dates')
PLACES = ('roi', 'toi', 'patches_per_block', 'patches_per_pass')


def refuse(options: PatchOptions, names: Sequence[str], *, kind: str) -> None:
    """Refuse options of these *names* that would have no effect on this *kind* of source."""
    default = PatchOptions()
    for name in names:
        if getattr(options, name) != getattr(default, name):
            raise ValueError(
                f'{name} is for GeoTIFFs, got {getattr(options, name)!r} for {kind}; leave it out'
            )


def make_sampler(
    dataset: GeoDataset, *, size: int, seed: int, options: PatchOptions
) -> PatchSampler:
    """Sample a data set as the options say."""
    return PatchSampler(
        dataset,
        size=size,
        length=options.patches_per_pass,
        seed=seed,
        min_valid=options.min_valid,
        roi=None if options.roi is None else rectangle(options.roi),
        toi=None if options.toi is None else time_span(options.toi),
        small_tiles=options.small_tiles,
        patches_per_block=options.patches_per_block,
    )


def rectangle(bounds: Sequence[float]) -> Polygon:
    """Make a region of interest of left, bottom, right, top in the CRS of the data.

    Raises:
        ValueError: If these are not four numbers in that order.
    """
    if len(bounds) != 4 or bounds[0] >= bounds[2] or bounds[1] >= bounds[3]:
        raise ValueError(f'roi must be [left, bottom, right, top], got {list(bounds)}')
    return box(*bounds)


def time_span(dates: Sequence[str]) -> pd.Interval:
    """Make a time of interest of its first and last day, such as 2020-06-01.

    Raises:
        ValueError: If these are not two dates in that order.
    """
    try:
        first, last = (pd.Timestamp(date) for date in dates)
        return pd.Interval(first, last, closed='both')
    except (TypeError, ValueError) as error:
        raise ValueError(f'toi must be two dates, first and last, got {list(dates)}') from error
