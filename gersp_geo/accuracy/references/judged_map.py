"""A map that is judged: its classes, its pixels, and what they measure on the ground."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeRemainingColumn

from ...geoio.pixel_area import pixel_areas_m2
from ...geoio.polygons import ClassMap
from ...geoio.read import BlockDecoder, RasterHeader, Reader
from ...geoio.vector import Area, read_area
from ...windows import Window
from ..codes import Codes, to_codes
from ..figures import AreaUnit, Design, MapClass, SampledCounts
from ..reading import lay_windows, read_ahead
from .counting import Tally, check_number
from .rasters import RasterUnderMap

type Units = Mapping[tuple[int, int, int], float]
"""Units, or areas, by stratum, class of the map and class of the reference."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedMap:
    """An open map of classes."""

    name: str
    """Its file."""

    described: ClassMap
    """What it says about itself."""

    pixels: RasterUnderMap
    """Its pixels."""

    row_areas: NDArray[np.float64]
    """Area of a pixel of each row, shape (height,)."""

    unit: AreaUnit
    """Of areas."""

    zone: Area | None
    """Where it is judged; None means everywhere."""

    @classmethod
    def of(
        cls,
        src: Reader,
        described: ClassMap,
        *,
        area: str | PathLike[str] | None,
        decoder: BlockDecoder | None = None,
    ) -> Self:
        """Prepare an open map.

        Args:
            src: The map.
            described: What it says about itself.
            area: Vector file of polygons to which all is restricted.
            decoder: What decodes blocks of the map in less time.

        Raises:
            FileNotFoundError: If there is no such area.
            ValueError: If the area holds no polygon, or the map has no CRS for it.
        """
        header = described.header
        areas, unit = measure_rows(header)
        return cls(
            name=src.name,
            described=described,
            pixels=RasterUnderMap(src, header, name=src.name, decoder=decoder),
            row_areas=areas,
            unit=unit,
            zone=read_zone(area, header),
        )

    @property
    def header(self) -> RasterHeader:
        """Its size and georeference."""
        return self.described.header

    def read(self, window: Window) -> Codes:
        """Read codes of a window; those beyond the area too."""
        (pixels,), valid = self.pixels.read(window)
        return to_codes(pixels, valid, name=self.name)

    def windows(self, *, block_rows: int = 1, is_small: bool = False) -> list[Window]:
        """Lay windows over the part that is judged."""
        return list(
            lay_windows(self.header, block_rows=block_rows, is_small=is_small, area=self.zone)
        )

    def count(self, *, progress: bool) -> dict[int, float]:
        """Add up the area of each class."""
        tally = Tally(self.row_areas)
        with shown_progress(self.windows(), shown=progress) as windows:
            for window, (codes,) in read_ahead([self.read], windows):
                self.leave_out(window, codes)
                tally.add(window.row_off, codes, np.zeros_like(codes))
        return {code - 1: area for (code, _), area in tally.areas.items() if code}

    def leave_out(self, window: Window, *codes: Codes) -> None:
        """Turn codes of a window into 0 beyond the area."""
        if self.zone is not None:
            beyond = ~self.zone.mask(self.header.transform, window)
            for some in codes:
                some[beyond] = 0

    def holds(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which pixels lie in the map and its area, shape (n,); those beyond have row -1."""
        return lie_inside(self.zone, self.header, rows, cols)

    def describe_counts(
        self,
        units: Units,
        *,
        weights: Units | None = None,
        design: Design,
        strata: Mapping[str, float],
        mapped: Mapping[int, float],
        notes: Iterable[str],
        unjudged: NDArray[np.float64] | None = None,
    ) -> SampledCounts:
        """Put counts into matrices.

        Args:
            units: How many there are, by stratum, class of the map and class of the reference.
            weights: What they stand for, where units of a stratum differ.
            design: How they were chosen.
            strata: Names and areas of the strata.
            mapped: Areas of the classes in the map.
            notes: What has to be said.
            unjudged: Units of the strata that were drawn beyond what is judged.

        Raises:
            ValueError: If there are more classes than a matrix is made of.
        """
        values = sorted({*mapped, *(value for key in units for value in key[1:])})
        check_number(len(values))
        places = {value: place for place, value in enumerate(values)}
        shape = len(strata), len(values), len(values)

        def matrix(amounts: Units, dtype: type) -> NDArray[np.float64]:
            found: NDArray[np.float64] = np.zeros(shape, dtype=dtype)
            for (stratum, ours, theirs), amount in amounts.items():
                found[stratum, places[ours], places[theirs]] += amount
            return found

        return SampledCounts(
            design=design,
            classes=tuple(self.describe_class(value) for value in values),
            strata=tuple(strata),
            counts=matrix(units, np.int64).astype(np.int64),
            weights=None if weights is None else matrix(weights, np.float64),
            stratum_areas=np.array(list(strata.values()), dtype=np.float64),
            mapped_areas=np.array([mapped.get(value, 0.0) for value in values]),
            unjudged=unjudged,
            unit=self.unit,
            notes=tuple(notes),
        )

    def describe_class(self, value: int) -> MapClass:
        """Name a class and give it a colour."""
        named = self.described
        return MapClass(value=value, name=named.name(value), color=named.color(value))


def measure_rows(header: RasterHeader) -> tuple[NDArray[np.float64], AreaUnit]:
    """Measure a pixel of each row: in square metres where the CRS tells, else each counts as 1."""
    areas = pixel_areas_m2(header, 0, header.height)
    if areas is None:
        return np.ones(header.height), 'pixels'
    return areas, 'm2'


def read_zone(area: str | PathLike[str] | None, header: RasterHeader) -> Area | None:
    """Read the area to which all is restricted, if there is one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no polygon, or does not meet the map.
    """
    if area is None:
        return None
    zone = read_area(area, crs=header.crs, x_range=header.x_range())
    whole = Window(row_off=0, col_off=0, height=header.height, width=header.width)
    if not zone.touches(header.transform, whole):
        raise ValueError(f'the area {fspath(area)} does not meet the map; check its CRS')
    return zone


def lie_inside(
    zone: Area | None, header: RasterHeader, rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Say which pixels have their centre in an area, shape (n,); those beyond the map have row -1."""
    inside = rows >= 0
    if zone is not None:
        for place in np.flatnonzero(inside).tolist():
            pixel = Window(row_off=int(rows[place]), col_off=int(cols[place]), height=1, width=1)
            inside[place] = bool(zone.mask(header.transform, pixel)[0, 0])
    return inside


def count_units(
    strata: NDArray[np.int64],
    ours: NDArray[np.int64],
    theirs: NDArray[np.int64],
    *,
    amounts: NDArray[np.float64] | None = None,
) -> Units:
    """Count units by stratum, class of the map and class of the reference, arrays of shape (n,).

    Args:
        strata: Of each unit.
        ours: Its class in the map.
        theirs: Its class in the reference.
        amounts: How much each counts; None means 1.
    """
    keys = zip(strata.tolist(), ours.tolist(), theirs.tolist(), strict=True)
    if amounts is None:
        return Counter(keys)
    found: defaultdict[tuple[int, int, int], float] = defaultdict(float)
    for key, amount in zip(keys, amounts.tolist(), strict=True):
        found[key] += amount
    return found


@contextmanager
def shown_progress(windows: list[Window], *, shown: bool) -> Iterator[Iterator[Window]]:
    """Show how many windows have been taken."""
    bar = Progress(
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
        transient=True,
    )
    with bar:
        yield iter(bar.track(windows))
