"""Whether probabilities are right as often as they say: reliability curve and calibration error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geoio.polygons import ClassMap
from ..geoio.read import RasterHeader, Reader, Shown, describe_reader
from ..windows import Window
from .figures import Calibration, MapClass
from .references.rasters import RasterUnderMap

BINS = 10

# Probabilities that were rounded on their way may lie beyond 1 by this.
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """Which band holds the probability of which class."""

    classes: tuple[int, ...]
    """Class of each probability."""

    is_single: bool
    """Whether one band holds that of the second class, and what is left is that of the first."""

    is_named: bool
    """Whether bands name the classes, which are 0, 1, ... by place else."""

    @classmethod
    def of(cls, header: RasterHeader, described: ClassMap, *, source: str) -> 'Channels':
        """Find the classes of the bands: by name where all have one of the map, else by place.

        Raises:
            ValueError: If bands bear names of the map, but not all of them.
        """
        bands = header.count - len(header.alpha)
        names = header.descriptions[:bands]
        values = {
            name: described.names.index(name) for name in names if name and name in described.names
        }
        if values and len(values) < bands:
            raise ValueError(
                f'bands of probabilities are one per class, {source} has {bands} of which '
                f'{len(values)} bear a name of the map; name all of them, or none'
            )
        if bands == 1:
            second = described.named[1] if len(described.named) == 2 else 1
            positive = next(iter(values.values()), second)
            others = [value for value in described.named if value != positive]
            first = others[0] if len(others) == 1 else 0
            if len(others) > 1 or first == positive:
                raise ValueError(
                    f'one band of probabilities is that of the second of two classes, {source} has '
                    f'one and the map {len(described.named)} classes; pass a band for each class'
                )
            return cls(classes=(first, positive), is_single=True, is_named=bool(values))
        return cls(
            classes=tuple(values.values()) or tuple(range(bands)),
            is_single=False,
            is_named=bool(values),
        )

    def check(self, theirs: NDArray[np.int64], *, source: str) -> None:
        """Refuse a class without a band, where bands are those of 0, 1, ... by place.

        Raises:
            ValueError: If the reference says another class.
        """
        strange = theirs[~np.isin(theirs, self.classes)]
        if len(strange) and not self.is_named:
            raise ValueError(
                f'bands of probabilities without names are those of the classes '
                f'{", ".join(map(str, self.classes))}, and the reference of {source} holds '
                f'{strange[0]}; name bands as the map names its classes'
            )


class ProbabilityCheck:
    """Probabilities of classes, compared with what a reference says."""

    def __init__(
        self, src: Reader, header: RasterHeader, described: ClassMap, *, name: str
    ) -> None:
        """Initialize a new ProbabilityCheck instance.

        Args:
            src: Raster of probabilities: a band per class, or one of the second of two.
            header: Header of the map.
            described: What it says about itself.
            name: Its file, for messages.

        Raises:
            ValueError: If they do not lie on the map, or bands are not those of its classes.
        """
        own = describe_reader(src)
        self.source = src.name
        self.channels = Channels.of(own, described, source=src.name)
        bands = [band for band in range(1, own.count + 1) if band not in own.alpha]
        self._below = RasterUnderMap(src, header, name=name, bands=bands)
        self._scales = np.array([own.scales[band - 1] for band in bands])
        self._offsets = np.array([own.offsets[band - 1] for band in bands])
        rows = len(self.channels.classes) + 1
        self._sums = np.zeros((3, rows, BINS))
        self._count = 0

    def read(self, window: Window) -> tuple[NDArray[np.generic], Shown]:
        """Read probabilities under a window of the map, for :meth:`add_window`."""
        return self._below.read(window)

    def add_window(
        self,
        found: tuple[NDArray[np.generic], Shown],
        theirs: NDArray[np.int64],
        areas: NDArray[np.float64],
    ) -> None:
        """Compare probabilities of a window.

        Args:
            found: What :meth:`read` returned.
            theirs: Class of the reference of each pixel, shape (rows, cols); < 0 for none.
            areas: Area of a pixel of each row, shape (rows,).
        """
        pixels, valid = found
        known = theirs >= 0 if valid is None else (theirs >= 0) & valid
        weights = np.broadcast_to(areas[:, None], theirs.shape)
        self._add(pixels[:, known], theirs[known], weights[known])

    def add_points(
        self,
        rows: NDArray[np.int64],
        cols: NDArray[np.int64],
        theirs: NDArray[np.int64],
        weights: NDArray[np.float64],
    ) -> None:
        """Compare probabilities at points, arrays of shape (n,)."""
        pixels, valid = self._below.read_at(rows, cols)
        self._add(pixels[:, valid], theirs[valid], weights[valid])

    def _add(
        self, pixels: NDArray[np.generic], theirs: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> None:
        """Sort probabilities, shape (bands, n), into bins."""
        self.channels.check(theirs, source=self.source)
        found = pixels * self._scales[:, None] + self._offsets[:, None]
        if found.size and not (found.min() >= -_ROUNDING and found.max() <= 1 + _ROUNDING):
            wrong = found.max() if found.max() > 1 else found.min()
            raise ValueError(
                f'probabilities are in [0, 1], {self.source} holds {wrong:g}; tag the scale of '
                'bytes (predict --output probabilities does), and pass no logits'
            )
        if self.channels.is_single:
            found = np.concatenate([1 - found, found])
        is_class = np.array(self.channels.classes)[:, None] == theirs
        best = found.argmax(axis=0)[None]
        top, right = (np.take_along_axis(each, best, axis=0) for each in (found, is_class))
        rows = zip(np.concatenate([top, found]), np.concatenate([right, is_class]), strict=True)
        for row, (values, truths) in enumerate(rows):
            bins = np.clip((values * BINS).astype(np.int64), 0, BINS - 1)
            for place, amounts in enumerate((weights, weights * values, weights * truths)):
                self._sums[place, row] += np.bincount(bins, weights=amounts, minlength=BINS)
        self._count += len(theirs)

    def result(self, classes: tuple[MapClass, ...]) -> Calibration:
        """Say how right probabilities are.

        Args:
            classes: Those of :attr:`channels`, described.

        Raises:
            ValueError: If there was nothing to compare.
        """
        if not self._count:
            raise ValueError(f'{self.source} has no probability where the reference says something')
        weights, probabilities, truths = self._sums
        shares = weights / weights.sum(axis=1, keepdims=True)
        with np.errstate(invalid='ignore'):
            probabilities, frequencies = probabilities / weights, truths / weights
        apart = np.nan_to_num(np.abs(probabilities - frequencies))
        return Calibration(
            classes=classes,
            edges=np.linspace(0, 1, BINS + 1),
            shares=shares,
            probabilities=probabilities,
            frequencies=frequencies,
            errors=(shares * apart).sum(axis=1),
            count=self._count,
        )
