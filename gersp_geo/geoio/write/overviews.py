"""Overviews of a map that is mostly empty: only where it holds something."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import batched
from os import PathLike
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from ...windows import Window
from ..gdal import enter_gdal
from .cog import MapLayout, OverviewResampling
from .geotiff import new_raster, write_window
from .parts import BLOCK_SIZE, Part, part_profile, read_parts

# blocks along the side of a window, which so becomes one block of the overview
_BLOCKS_PER_WINDOW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One overview to make."""

    level: Part
    """The overview."""

    side: int
    """Side of the windows of the level before, in its pixels; even."""

    sources: Mapping[tuple[int, int], Sequence[Part]]
    """Per row and column of a window in which something lies: what lies there."""


def build_overviews(
    parts: Sequence[Part],
    folder: str | PathLike[str],
    layout: MapLayout,
    *,
    resampling: OverviewResampling,
    threads: int = 1,
    block_size: int = BLOCK_SIZE,
) -> list[str]:
    """Make ever coarser copies of a map, until one fits into a block.

    Each halves the one before, the first the map: 2 x 2 pixels become one, from the corner at
    (0, 0) on, so that n pixels become ceil(n / 2). Windows in which no part lies are neither read
    nor written; time is linear in the area of the parts.

    Args:
        parts: What the map is made of; they do not overlap.
        folder: Where to put the files; existing ones are replaced.
        layout: The map.
        resampling: How four pixels become one; see :func:`halve`.
        threads: Threads that read and halve.
        block_size: Side of a block in pixels.

    Returns:
        The files, the finest first; none if the map fits into a block.

    Raises:
        OSError: If a part is damaged, or there is no room.
    """
    side = block_size * _BLOCKS_PER_WINDOW
    bands = range(1, len(layout.descriptions) + 1)
    steps = _plan_steps(parts, folder, layout, side=side, block_size=block_size)
    for step in steps:
        profile = part_profile(
            shape=(len(bands), step.level.height, step.level.width),
            dtype=layout.dtype,
            nodata=layout.nodata,
            threads=threads,
            block_size=block_size,
        )
        with (
            new_raster(step.level.path, overwrite=True) as unfinished,
            rasterio.open(unfinished, 'w', **profile) as dst,
        ):
            for band, window, pixels in _halves(step, layout, resampling, bands, threads=threads):
                write_window(dst, pixels, window, band=band)
    return [step.level.path for step in steps]


def halve(
    pixels: NDArray[np.generic], *, resampling: OverviewResampling, nodata: float
) -> NDArray[np.generic]:
    """Make one pixel of every 2 x 2.

    Args:
        pixels: Shape (rows, cols), both even.
        resampling: 'nearest' takes the upper left pixel; 'mode' the most frequent value, the first
            in reading order among equals; 'average' the mean, rounded for integers. The last two
            leave out nodata, if anything else is there.
        nodata: Value that means "no observation"; may be NaN.

    Returns:
        Shape (rows / 2, cols / 2).
    """
    if resampling == 'nearest':
        return pixels[::2, ::2]
    # contiguous, as each is used several times
    four = [np.ascontiguousarray(pixels[row::2, col::2]) for row in (0, 1) for col in (0, 1)]
    empty = pixels.dtype.type(nodata)
    valid = [~np.isnan(one) if np.isnan(empty) else one != empty for one in four]
    return (_mode if resampling == 'mode' else _average)(four, valid, empty)


def _mode(
    four: Sequence[NDArray[np.generic]], valid: Sequence[NDArray[np.bool_]], empty: np.generic
) -> NDArray[np.generic]:
    """Choose the most frequent of four values."""
    a, b, c, d = four
    result = np.full_like(d, empty)
    # a later line overrules an earlier one, so that the first value that is there at all remains
    for one, is_valid in zip((d, c, b, a), reversed(valid), strict=True):
        _overrule(result, one, is_valid)
    # a value that is there twice or more overrules it
    _overrule(result, c, valid[2] & (c == d))
    _overrule(result, b, valid[1] & ((b == c) | (b == d)))
    _overrule(result, a, valid[0] & ((a == b) | (a == c) | (a == d)))
    return result


def _overrule(
    result: NDArray[np.generic], values: NDArray[np.generic], where: NDArray[np.bool_]
) -> None:
    """Write values at some places, by their bits: under a mask, that may take five times as long."""
    kind = np.dtype(f'u{result.itemsize}')
    ones = where.view(np.uint8).astype(kind)
    # all bits of what is taken, and none of the rest
    np.negative(ones, out=ones)
    bits = result.view(kind)
    bits ^= (bits ^ values.view(kind)) & ones


def _average(
    four: Sequence[NDArray[np.generic]], valid: Sequence[NDArray[np.bool_]], empty: np.generic
) -> NDArray[np.generic]:
    """Compute the mean of those of four values that are there."""
    total = np.zeros(four[0].shape)
    count = np.zeros(four[0].shape, dtype=np.uint8)
    # infinite values are not judged here
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        for one, is_valid in zip(four, valid, strict=True):
            np.add(total, one, out=total, where=is_valid)
            count += is_valid
        total /= count
        if empty.dtype.kind in 'iu':
            np.rint(total, out=total)
        return np.where(count > 0, total, empty).astype(empty.dtype)


def _plan_steps(
    parts: Sequence[Part],
    folder: str | PathLike[str],
    layout: MapLayout,
    *,
    side: int,
    block_size: int,
) -> list[_Step]:
    """List the overviews, the finest first."""
    sources: dict[tuple[int, int], list[Part]] = defaultdict(list)
    for part in parts:
        for row in range(part.row_off // side, (part.row_off + part.height - 1) // side + 1):
            for col in range(part.col_off // side, (part.col_off + part.width - 1) // side + 1):
                sources[row, col].append(part)
    steps: list[_Step] = []
    height, width = layout.height, layout.width
    while max(height, width) > block_size:
        height, width = -(-height // 2), -(-width // 2)
        path = str(Path(folder, f'overview-{len(steps) + 1}.tif'))
        level = Part(path=path, row_off=0, col_off=0, height=height, width=width)
        steps.append(_Step(level=level, side=side, sources=dict(sources)))
        sources = defaultdict(list, {(row // 2, col // 2): [level] for row, col in sources})
    return steps


def _halves(
    step: _Step,
    layout: MapLayout,
    resampling: OverviewResampling,
    bands: Sequence[int],
    *,
    threads: int,
) -> Iterator[tuple[int, RasterioWindow, NDArray[np.generic]]]:
    """Yield bands, windows and pixels of an overview; no more than *threads* of them wait."""

    def make(job: tuple[int, int, int]) -> tuple[int, RasterioWindow, NDArray[np.generic]]:
        row, col, band = job
        read = Window(
            row_off=row * step.side,
            col_off=col * step.side,
            # odd numbers of pixels are filled up with nodata
            height=min(step.side, 2 * step.level.height - row * step.side),
            width=min(step.side, 2 * step.level.width - col * step.side),
        )
        pixels = read_parts(
            step.sources[row, col], read, band=band, dtype=layout.dtype, nodata=layout.nodata
        )
        place = (read.col_off // 2, read.row_off // 2, read.width // 2, read.height // 2)
        halved = halve(pixels, resampling=resampling, nodata=layout.nodata)
        return band, RasterioWindow(*place), halved

    jobs = ((row, col, band) for row, col in sorted(step.sources) for band in bands)
    with ThreadPoolExecutor(threads, initializer=enter_gdal) as pool:
        for some in batched(jobs, threads):
            yield from pool.map(make, some)
