"""How far measurements of a map lie from those of a reference."""

import math
from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from ..geoio.write import finite_or_none, write_csv, write_json
from ..messages import align

BINS = 64
"""Of a scatter, per axis."""

_FIGURES = ('bias', 'rmse', 'mae', 'r2')


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BandAccuracy:
    """How right one band of measurements is."""

    name: str
    """Its name."""

    unit: str
    """Unit of its values; '' where the map names none."""

    count: int
    """Pixels or points that were compared."""

    bias: float
    """Mean of the map minus the reference."""

    rmse: float
    """Root of the mean squared difference."""

    mae: float
    """Mean absolute difference."""

    r2: float
    """1 minus the squared differences over those of the reference from its mean: 1 is best, and 0 is
    as good as the mean of the reference everywhere. NaN where the reference has a single value."""

    edges: NDArray[np.float64]
    """Borders of the bins of :attr:`scatter` on both axes, shape (B + 1,)."""

    scatter: NDArray[np.int64]
    """Pixels or points by value of the reference and value of the map, shape (B, B); what lies beyond
    the edges is counted in the outermost bins."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ValueAccuracy:
    """How right a map of measurements is."""

    bands: tuple[BandAccuracy, ...]
    """One per band."""

    notes: tuple[str, ...]
    """What has to be said, in sentences."""

    def __str__(self) -> str:
        """Give all figures as a table for the terminal."""
        rows = [['band', 'n', 'bias', 'RMSE', 'MAE', 'R2', 'unit']]
        for band in self.bands:
            figures = [f'{value:.4g}' for value in (band.bias, band.rmse, band.mae)]
            r2 = f'{band.r2:.3f}' if math.isfinite(band.r2) else '-'
            rows.append([band.name, f'{band.count:,}', *figures, r2, band.unit])
        lines = align([cells for *cells, _ in rows])
        told = [f'{line}  {unit}'.rstrip() for line, (*_, unit) in zip(lines, rows, strict=True)]
        return '\n\n'.join(['\n'.join(told), '\n'.join(self.notes)]).rstrip()

    def as_record(self) -> dict[str, object]:
        """Give all figures as JSON has them: null for what is not known."""
        return {
            'bands': [
                {
                    'name': band.name,
                    'unit': band.unit,
                    'count': band.count,
                    **{name: finite_or_none(getattr(band, name)) for name in _FIGURES},
                }
                for band in self.bands
            ],
            'notes': list(self.notes),
        }

    def write_json(self, destination: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write all figures as JSON.

        Raises:
            FileExistsError: If the file exists and *overwrite* is False.
        """
        write_json(destination, self.as_record(), overwrite=overwrite)

    def write_csv(self, destination: str | PathLike[str], *, overwrite: bool = False) -> None:
        """Write a row per band, empty where a figure is not known.

        Raises:
            FileExistsError: If the file exists and *overwrite* is False.
        """
        rows = [
            (
                band.name,
                band.unit,
                band.count,
                *(finite_or_none(getattr(band, name)) for name in _FIGURES),
            )
            for band in self.bands
        ]
        write_csv(destination, [('name', 'unit', 'count', *_FIGURES), *rows], overwrite=overwrite)


class Differences:
    """Differences between two series of numbers, added up as they come."""

    def __init__(self, low: float, high: float) -> None:
        """Initialize a new Differences instance.

        Args:
            low: Lowest value of the scatter.
            high: Highest value; more than *low*.
        """
        self.edges = np.linspace(low, high, BINS + 1)
        self.scatter = np.zeros((BINS, BINS), dtype=np.int64)
        self.count = 0
        # weights, differences, their squares, their sizes
        self._sums = np.zeros(4)
        self._mean = self._spread = 0.0

    def add(
        self, ours: NDArray[np.float64], theirs: NDArray[np.float64], weights: NDArray[np.float64]
    ) -> None:
        """Add pairs, arrays of shape (n,)."""
        # beyond a pole there are pixels, and no area
        if not weights.any():
            return
        apart = ours - theirs
        before, more = self._sums[0], weights.sum()
        self._sums += [(weights * each).sum() for each in (1, apart, apart**2, np.abs(apart))]
        # sums of squares that are joined so lose no digits (Chan et al., 1979)
        mean = float(weights @ theirs / more)
        self._spread += float(weights @ (theirs - mean) ** 2)
        self._spread += (mean - self._mean) ** 2 * before * more / (before + more)
        self._mean += (mean - self._mean) * more / (before + more)
        self.count += len(ours)
        places = [
            np.clip(np.searchsorted(self.edges, each, side='right') - 1, 0, BINS - 1)
            for each in (theirs, ours)
        ]
        found = np.bincount(places[0] * BINS + places[1], minlength=BINS**2)
        self.scatter += found.reshape(BINS, BINS)

    def result(self, *, name: str, unit: str) -> BandAccuracy:
        """Say how far they lie apart; there is at least one pair."""
        weight, apart, squared, size = self._sums.tolist()
        return BandAccuracy(
            name=name,
            unit=unit,
            count=self.count,
            bias=apart / weight,
            rmse=math.sqrt(squared / weight),
            mae=size / weight,
            r2=1 - squared / self._spread if self._spread > 0 else math.nan,
            edges=self.edges,
            scatter=self.scatter,
        )
