"""What a sample is: points, and the design by which they were drawn."""

import json
from dataclasses import asdict, dataclass
from typing import Literal, Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from ...geoio.crs import read_crs
from ...geoio.grids import Grid, place_points
from ...geoio.pixel_area import pixel_areas_m2
from ...messages import one_line
from ..figures import AreaUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """A part of a map from which points were drawn at random."""

    name: str
    """Name, unlike those of the others."""

    classes: tuple[int, ...]
    """Values of the map that it consists of; none where it is the whole map."""

    area: float
    """Area, in the unit of the design."""

    pixels: int
    """Pixels."""

    count: int
    """Points that were drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleDesign:
    """How the points of a sample were drawn, and from what."""

    kind: Literal['stratified', 'simple']
    """At random within strata, or from the whole map."""

    allocation: str
    """How points were shared out among strata."""

    seed: int
    """Of the random numbers."""

    unit: AreaUnit
    """Of areas."""

    strata: tuple[Stratum, ...]
    """At least one."""

    source: str
    """File name of the map."""

    height: int
    """Rows of the map."""

    width: int
    """Columns of the map."""

    crs: str
    """Coordinate reference system of the map, as WKT."""

    transform: tuple[float, float, float, float, float, float]
    """From (column, row) to coordinates: a, b, c, d, e, f as rasterio has them."""

    area: str | None = None
    """File name of the area that the sample was restricted to."""

    notes: tuple[str, ...] = ()
    """What has to be said, in sentences."""

    @property
    def count(self) -> int:
        """Points that were drawn."""
        return sum(stratum.count for stratum in self.strata)

    def place(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the coordinates of the centres of pixels, shape (n, 2)."""
        return place_points(Affine(*self.transform), np.stack([cols, rows], axis=1) + 0.5)

    def measure(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Compute the areas of pixels of some rows, in the unit of the design, shape (n,)."""
        grid = Grid(
            height=self.height,
            width=self.width,
            crs=read_crs(self.crs),
            transform=Affine(*self.transform),
        )
        areas = None if self.unit == 'pixels' else pixel_areas_m2(grid, 0, self.height)
        return np.ones(len(rows)) if areas is None else areas[rows]

    def to_json(self) -> str:
        """Write it as JSON."""
        return json.dumps({'sample_design': 1, **asdict(self)}, ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` has written.

        Raises:
            ValueError: If it is none.
        """
        try:
            found = json.loads(text)
            if found.pop('sample_design') != 1:
                raise ValueError('it is of a later version')
            strata = tuple(
                Stratum(**{**stratum, 'classes': tuple(stratum['classes'])})
                for stratum in found.pop('strata')
            )
            for name in ('transform', 'notes'):
                found[name] = tuple(found[name])
            design = cls(**found, strata=strata)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f'no design of a sample: {one_line(error)}') from error
        if not strata or len({stratum.name for stratum in strata}) < len(strata):
            raise ValueError('no design of a sample: it has no strata, or two of one name')
        for each in strata:
            if not (1 <= each.count <= each.pixels and each.area > 0):
                raise ValueError(
                    f'no design of a sample: the stratum {each.name!r} is empty, with '
                    f'{each.count} points of {each.pixels} pixels, {each.area} {design.unit}'
                )
        return design


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SamplePoints:
    """Points of a sample, arrays of shape (n,)."""

    ids: NDArray[np.int64]
    """Numbers from 1 on."""

    rows: NDArray[np.int64]
    """Row of each pixel in the map."""

    cols: NDArray[np.int64]
    """Column."""

    map_classes: NDArray[np.int64]
    """Value of the map when the sample was drawn."""

    strata: NDArray[np.int64]
    """Index into the strata of the design."""

    probabilities: NDArray[np.float64]
    """Inclusion probability."""

    weights: NDArray[np.float64]
    """Area that each stands for, in the unit of the design."""

    references: tuple[str | None, ...]
    """What an interpreter wrote: name or number of a class; None where nothing is written."""

    def __len__(self) -> int:
        """Count points."""
        return len(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample(SamplePoints):
    """A sample as it was read from a file."""

    design: SampleDesign
    """How it was drawn."""
