"""The options of a prediction, checked as far as neither model nor scene is needed."""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from os import PathLike
from typing import Any, Literal, Self

from lightning.pytorch import LightningModule

from ..geoio.read import Observed
from ..geoio.write import OverviewResampling
from ..preprocessing import Preprocessing
from ..tiling import plan_tile
from .model.predictor import VIEWS, Averaging, Precision
from .outputs.map_values import Output

type Blend = Literal['hann', 'crop']
"""Fade between neighbours over what they share, or cut in the middle of it."""

_CHOICES: dict[str, tuple[object, ...]] = {
    'blend': ('hann', 'crop'),
    'output': ('auto', 'classes', 'probabilities', 'values'),
    'probability_type': ('float32', 'uint8'),
    'precision': ('float32', 'bfloat16'),
    'averaging': tuple(VIEWS),
    'overviews': ('auto', 'nearest', 'mode', 'average'),
    'observed': ('auto', 'any', 'all'),
}

CUTTING = frozenset({
    'size', 'overlap', 'batch_size', 'bands', 'preprocessing', 'nodata', 'observed', 'area',
    'area_layer', 'crs', 'res', 'device', 'memory_limit', 'threads', 'task_class', 'overwrite',
})  # fmt: skip
"""Options of everything that cuts a scene into patches, whatever is made of these."""

# pixels that neighbours share where nothing else is said, of patches that are at least twice as
# large
_OVERLAP = 64

# arguments of functions that are no options
_CONTEXT = frozenset({'model', 'source', 'destination', 'preview', 'progress'})

_UNITS = {'': 1, 'K': 2**10, 'M': 2**20, 'G': 2**30, 'T': 2**40}
_SIZE = re.compile(r'\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionOptions:
    """The keyword arguments of :func:`gersp_geo.inference.predict_geotiff`, and *part_pixels*."""

    size: int = 512
    overlap: int | None = None
    blend: Blend = 'hann'
    margin: int = 0
    batch_size: int | Literal['auto'] = 'auto'
    after: str | PathLike[str] | None = None
    bands: tuple[int, ...] | None = None
    preprocessing: Preprocessing | str | PathLike[str] | None = None
    nodata: float | None = None
    observed: Observed = 'auto'
    area: str | PathLike[str] | None = None
    area_layer: str | None = None
    crs: str | None = None
    res: float | tuple[float, float] | None = None
    output: Output | Literal['auto'] = 'auto'
    probabilities: str | PathLike[str] | None = None
    probability_type: Literal['float32', 'uint8'] = 'float32'
    overviews: OverviewResampling | Literal['auto'] = 'auto'
    precision: Precision = 'float32'
    channels_last: bool = False
    compile: bool = False
    averaging: Averaging = 'none'
    device: str = 'auto'
    memory_limit: int | str = '1GiB'
    threads: int | Literal['auto'] = 'auto'
    task_class: str | type[LightningModule] | None = None
    overwrite: bool = False
    shard: str | None = None
    merge: bool = False
    part_pixels: int = 2**22
    """Pixels of a file on the way to the map, at least: smaller ones cost more than they hold."""

    @classmethod
    def of(
        cls,
        arguments: dict[str, Any],
        *,
        shared: Collection[str] | None = None,
        own: Collection[str] = (),
        made: str = 'maps',
    ) -> Self:
        """Take the options among the arguments of a function.

        Args:
            arguments: Name to value.
            shared: Options that may differ from their defaults; None means all.
            own: Other options, which the caller takes itself.
            made: What is made with them, for messages.

        Returns:
            The options.

        Raises:
            ValueError: If an option is not known, or not for what is made.
        """
        defaults = {field.name: field.default for field in fields(cls)}
        taken = {k: value for k, value in arguments.items() if k not in _CONTEXT.union(own)}
        for name, value in taken.items():
            is_given = name not in defaults or value != defaults[name]
            if is_given and name not in (defaults if shared is None else shared):
                raise ValueError(f'{name} is no option of {made}, got {value!r}; leave it out')
        return cls(**taken)

    def __post_init__(self) -> None:
        """Check what depends on neither model nor raster.

        Raises:
            ValueError: If a value is out of range.
        """
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                *others, last = (repr(choice) for choice in choices)
                raise ValueError(f'{name} must be {", ".join(others)} or {last}, got {value!r}')
        for name in ('batch_size', 'threads'):
            value = getattr(self, name)
            if value != 'auto' and value < 1:
                raise ValueError(f"{name} must be >= 1 or 'auto', got {value}")
        # raises on its own for size and overlap
        plan_tile(1, 1, size=self.size, overlap=self.shared)
        if not 0 <= 2 * self.margin <= self.shared:
            raise ValueError(
                f'margin must be in [0, overlap / 2={self.shared / 2:g}], got {self.margin}; raise '
                'overlap (--overlap) or lower margin'
            )
        if self.margin and self.blend == 'crop':
            raise ValueError(
                f"margin goes with blend='hann', got {self.margin} with 'crop', which cuts in the "
                'middle'
            )
        if self.probabilities is not None and self.output not in ('auto', 'classes'):
            raise ValueError(
                'probabilities names a second map beside one of classes, got '
                f'output={self.output!r}'
            )
        parse_bytes(self.memory_limit)
        if self.shard is not None:
            parse_shard(self.shard)
            if self.overwrite or self.merge:
                raise ValueError(
                    'shard goes with neither overwrite nor merge: shards share their parts; remove '
                    'the folder of an old prediction first, and merge when all shards are done'
                )

    @property
    def shared(self) -> int:
        """Pixels that neighbouring patches share: 64 unless given, half of smaller patches."""
        return min(_OVERLAP, self.size // 2) if self.overlap is None else self.overlap

    @property
    def dates(self) -> int:
        """Scenes of one place that are predicted together."""
        return 1 if self.after is None else 2

    @property
    def memory_bytes(self) -> int:
        """The limit of memory in bytes."""
        return parse_bytes(self.memory_limit)

    @property
    def thread_count(self) -> int:
        """Threads that read, and that compress."""
        if self.threads != 'auto':
            return self.threads
        return min(usable_cores(), _MOST_THREADS)


# more readers than this wait for each other more than for the disk
_MOST_THREADS = 8


def describe_observed(observed: Observed) -> dict[str, str]:
    """Say where a pixel is an observation, for a plan; nothing where that is left to the file."""
    where = {'any': 'where any band is there', 'all': 'where all bands are there'}
    return {'observed': where[observed]} if observed in where else {}


def usable_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parse_shard(shard: str) -> tuple[int, int]:
    """Read which share of a prediction is meant.

    Args:
        shard: Such as '0/3', the first of three.

    Returns:
        Number of the shard, from 0, and number of shards.

    Raises:
        ValueError: If it is none.
    """
    index, _, count = shard.partition('/')
    if index.isdecimal() and count.isdecimal() and int(index) < int(count):
        return int(index), int(count)
    raise ValueError(f"shard must be 'i/n' with i in [0, n), such as '0/3', got {shard!r}")


def parse_bytes(limit: int | str) -> int:
    """Read a number of bytes.

    Args:
        limit: A number, or text such as '1GiB', '512 MiB', '2G'; units are powers of 1024.

    Returns:
        Bytes, > 0.

    Raises:
        ValueError: If it is neither.
    """
    found = _SIZE.fullmatch(str(limit))
    count = int(float(found[1]) * _UNITS[found[2].upper()]) if found else 0
    if count < 1:
        raise ValueError(
            f"memory_limit must be a number of bytes or text such as '1GiB', got {limit!r}"
        )
    return count
