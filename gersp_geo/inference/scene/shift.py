"""Say before the work that a scene does not look like what its model was trained on."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...geoio.read import CellSource, RasterHeader, plan_cells
from ...preprocessing import Preprocessing
from ...windows import Window

if TYPE_CHECKING:
    from ..plan import PredictionPlan

# Deviations that a mean may be away, and how many times as large or as small a deviation may be.
# Two dates or places of one sensor (NAIP, Landsat, Sentinel-2 of Beirut and Bordeaux) stay within
# 1.1 deviations and factors of 0.5 and 1.9; of 64 px with one class, 5 % are beyond 1.4.
FARTHEST = 2.0
WIDEST = 5.0
NARROWEST = 0.1

# A mean of 0 is one that nobody measured: values are then some share of the unit, and only what is
# next to nothing is too little, such as [0, 1] where [0, 255] is meant.
LEAST_SHARE = 1 / 200

# Places along each side that are looked at, and the pixels without which a mean says nothing.
_PLACES = 3
_FEWEST = 1000

# Sides of what is read at a place, and of blocks of which one is read whole.
_SIDE, _LARGEST_BLOCK = 256, 1024
# Rows at a place where each takes a long strip, and how long that is.
_FEW_ROWS, _LONG_STRIP = 32, 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A band whose values are not those of the training data."""

    band: int
    """Its place in the record, from 0."""

    mean: float
    """Of the scene, in the unit of the file, as all that follows."""

    std: float
    """Deviation in the scene."""

    expected_mean: float
    """Of the training data, by the record."""

    expected_std: float
    """Deviation there."""

    def __str__(self) -> str:
        """Say it in a few words."""
        return (
            f'mean {self.mean:.4g} and deviation {self.std:.4g}, where the record says '
            f'{self.expected_mean:.4g} and {self.expected_std:.4g}'
        )


def warn_of_shift(plan: 'PredictionPlan') -> None:
    """Compare a few places of the scenes of a plan with the record of its model.

    Warns:
        UserWarning: In one line per scene, if a band is far from what the model was trained on.
    """
    names = [plan.source] if plan.after is None else [plan.source, plan.after.path]
    record = plan.loaded.preprocessing
    for name, source in zip(names, plan.sources, strict=True):
        shifts = find_shifts(*measure_bands(source, plan.header), record=record)
        if not shifts:
            continue
        first, *others = shifts
        more = f' ({len(others)} other bands are off too)' if others else ''
        warnings.warn(
            f'{Path(name).name} does not look like what {plan.loaded.name} was trained on: band '
            f'{record.bands[first.band]} has {first}{more}; check its bands and the scale of its '
            'values, or expect a wrong result',
            stacklevel=2,
        )


def find_shifts(
    means: NDArray[np.float64], stds: NDArray[np.float64], *, record: Preprocessing
) -> list[Shift]:
    """Find the bands that are far from a record.

    Args:
        means: Per band, in the unit of the file; NaN where too little is known.
        stds: Deviations alike.
        record: Says what to expect. A band with scale 1, mean 0 and deviation 1 says nothing.

    Returns:
        What is beyond :data:`FARTHEST`, :data:`WIDEST` or :data:`NARROWEST`, in the order of bands.
    """
    found = []
    rows = zip(means, stds, record.scale, record.mean, record.std, strict=True)
    for band, (mean, std, scale, expected, spread) in enumerate(rows):
        if scale == 0 or not np.isfinite(mean) or (scale, expected, spread) == (1, 0, 1):
            continue
        away = abs(float(mean) * scale - expected) / spread
        ratio = float(std) * abs(scale) / spread
        is_little = max(away, ratio) < LEAST_SHARE if expected == 0 else ratio < NARROWEST
        if away > FARTHEST or ratio > WIDEST or is_little:
            found.append(
                Shift(
                    band=band, mean=float(mean), std=float(std), expected_mean=expected / scale,
                    expected_std=spread / abs(scale),
                )
            )  # fmt: skip
    return found


def measure_bands(
    source: CellSource, header: RasterHeader
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure mean and deviation of each band at a few places of a scene.

    Args:
        source: How it is read.
        header: Its header on the grid of the plan.

    Returns:
        Means and deviations, in the unit of the file; NaN for a band with fewer than 1,000
        observations there. What cannot be read is left out: that is said when its turn comes.
    """
    count = len(source.bands)
    pixels, total, squares = np.zeros((3, count))
    with source.open(plan_cells(header)) as file:
        for window in _windows(source, header):
            with suppress(OSError):
                values, valid = source.read(file, window)
                known = np.broadcast_to(True if valid is None else valid, values.shape)
                # each band by itself: float64 of all takes eight times the bytes
                for band in range(count):
                    some = values[band][known[band]].astype(np.float64)
                    pixels[band] += some.size
                    total[band] += some.sum()
                    squares[band] += np.square(some).sum()
    with np.errstate(invalid='ignore', divide='ignore'):
        enough = np.where(pixels < _FEWEST, np.nan, pixels)
        means = total / enough
        return means, np.sqrt(np.maximum(squares / enough - np.square(means), 0))


def _windows(source: CellSource, header: RasterHeader) -> Iterator[Window]:
    """Choose places spread over a scene, in blocks that the file holds."""
    (height, rows), (width, cols) = (
        _starts(length, block, across)
        for length, block, across in zip(
            (header.height, header.width),
            header.block_shape,
            reversed(header.block_shape),
            strict=True,
        )
    )
    places = [(row, col) for row in rows for col in cols]
    if source.stored is not None:
        filled = np.argwhere(source.stored) * np.array(source.block_shape)
        chosen = filled[:: max(1, len(filled) // _PLACES**2)][: _PLACES**2].tolist()
        places = sorted({(row // height * height, col // width * width) for row, col in chosen})
    for row, col in places:
        yield Window(
            row_off=row,
            col_off=col,
            height=min(height, header.height - row),
            width=min(width, header.width - col),
        )


def _starts(length: int, block: int, across: int) -> tuple[int, list[int]]:
    """Choose the side of a window along an axis, and where windows begin.

    Args:
        length: Pixels of the axis.
        block: Side of a block along it.
        across: Its other side.
    """
    side = _SIDE if across <= _LONG_STRIP else _FEW_ROWS
    if block <= _LARGEST_BLOCK:
        side = block * max(1, side // block)
    # multiples of the side: no pixel is looked at twice
    middles = [(2 * place + 1) * length // (2 * _PLACES) for place in range(_PLACES)]
    return side, sorted({middle // side * side for middle in middles})
