"""Strata of a map, how many points each gets, and which pixels these are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...geoio.polygons import ClassMap
from .allocation import FEWEST, Allocation, allocate, neyman_shares
from .samples import Stratum
from .selection import find_probabilities, find_room, select_pixels

OTHERS = ''
"""Stands for classes that are not named among the accuracies that are expected."""

WHOLE_NAME = 'whole map'
"""Name of the only stratum of a simple random sample."""

type Floats = NDArray[np.float64]
type Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Pixels that were drawn, shape (n,)."""

    strata: Integers
    """Index of the stratum."""

    cells: Integers
    """Cell of the frame."""

    ranks: Integers
    """Which it is among the pixels of the stratum in its cell."""

    probabilities: Floats
    """Inclusion probability."""

    weights: Floats
    """Area that it stands for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplePlan:
    """What is drawn from a map."""

    described: ClassMap
    """The map."""

    values: tuple[int, ...]
    """Class of each stratum, or :data:`.frames.WHOLE`."""

    counts: Sequence[NDArray[np.uint32]]
    """Pixels of each stratum per cell."""

    areas: Floats
    """Of a pixel, per cell."""

    is_simple: bool
    """Whether the whole map is the only stratum."""

    @cached_property
    def stratum_areas(self) -> Floats:
        """Areas of the strata."""
        return np.array([float((counts * self.areas).sum()) for counts in self.counts])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the strata, each unlike the others."""
        if self.is_simple:
            return (WHOLE_NAME,)
        return tuple(self.described.tell_apart(self.values))

    def share_out(
        self, count: int, *, by: Allocation, minimum: int, expected: Mapping[str, float]
    ) -> Integers:
        """Choose how many points each stratum gets.

        Args:
            count: Points of all.
            by: By which rule.
            minimum: Points of a stratum at least, for 'class' and 'neyman'.
            expected: User's accuracies by names or numbers of classes, for 'neyman'.

        Raises:
            ValueError: If *count* is too small or too large, or *expected* lacks or does not know a
                class.
        """
        least = minimum if by in ('class', 'neyman') else FEWEST
        shares = self.stratum_areas
        if by == 'equal':
            shares = np.ones(len(shares))
        elif by == 'neyman':
            shares = neyman_shares(shares, self._expect(expected))
        room = [
            find_room(counts.astype(np.int64), self.areas, minimum=least) for counts in self.counts
        ]
        return allocate(shares, np.array(room), count=count, minimum=least)

    def draw(self, numbers: Integers, *, seed: int) -> Drawn:
        """Draw some pixels of each stratum.

        Args:
            numbers: Of pixels, per stratum.
            seed: Of the random numbers; those of a class do not depend on other classes.
        """
        parts = []
        for index, (value, number) in enumerate(zip(self.values, numbers.tolist(), strict=True)):
            counts = self.counts[index].astype(np.int64)
            rng = np.random.default_rng((seed, value + 1))
            cells, ranks = select_pixels(counts, self.areas, count=number, rng=rng)
            found = find_probabilities(counts, self.areas, cells, count=number)
            parts.append((np.full(number, index), cells, ranks, *found))
        strata, cells, ranks, probabilities, weights = map(np.concatenate, zip(*parts, strict=True))
        return Drawn(
            strata=strata, cells=cells, ranks=ranks, probabilities=probabilities, weights=weights
        )  # fmt: skip

    def describe(self, numbers: Integers) -> tuple[Stratum, ...]:
        """Describe the strata, with the points that each has."""
        return tuple(
            Stratum(
                name=name,
                classes=() if self.is_simple else (value,),
                area=area,
                pixels=int(counts.sum(dtype=np.int64)),
                count=number,
            )
            for name, value, area, counts, number in zip(
                self.names, self.values, self.stratum_areas.tolist(), self.counts,
                numbers.tolist(), strict=True,
            )
        )  # fmt: skip

    def notes(self, strata: Sequence[Stratum], *, wanted: int) -> list[str]:
        """Say in sentences what is odd about the strata.

        Args:
            strata: As described.
            wanted: Points that each should have at least.
        """
        told = []
        for each in strata:
            if each.count == each.pixels:
                told.append(f'All {each.pixels} pixels of {each.name!r} are in the sample.')
            elif each.count < wanted:
                told.append(
                    f'{each.name!r} gets {each.count} points: with more, its largest pixels could '
                    'not be drawn in proportion to their area.'
                )
        if self.is_simple or not self.described.named:
            return told
        found, named = set(self.values), set(self.described.named)
        if absent := [self.described.name(value) for value in sorted(named - found)]:
            told.append(f'No pixel is of {", ".join(absent)}.')
        told += [
            f'Class {value} has no name in the legend; if it means no observation, tag it '
            f'(gdal_edit -a_nodata {value}) and draw again.'
            for value in sorted(found - named)
        ]
        return told

    def _expect(self, expected: Mapping[str, float]) -> Floats:
        """Find the accuracy that is expected of each stratum."""
        known: dict[int, float] = {}
        for name, accuracy in expected.items():
            if name != OTHERS:
                known.update(dict.fromkeys(self.described.find([name]), accuracy))
        lacking = [
            name
            for name, value in zip(self.names, self.values, strict=True)
            if value not in known and OTHERS not in expected
        ]
        if lacking:
            raise ValueError(
                'neyman needs the accuracy that is expected of every class, and lacks '
                f'{", ".join(lacking)}; pass one for all others too (--expected 0.8)'
            )
        return np.array([known.get(value, expected.get(OTHERS, 0.0)) for value in self.values])
