"""Coordinate reference systems: as text, whether two are one, and where x comes back to itself.

After a full turn around the Earth the same ground follows: longitudes of 190 degrees are -170
degrees, and so it is with x in cylindrical projections such as Mercator's.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS as PyprojCRS
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from rasterio.enums import WktVersion
from rasterio.errors import CRSError

# Degrees at which a projection is tried: no multiple of them is where maps are usually cut.
_LONGITUDES = np.arange(-179.5, 180)
_LATITUDES = (-40.0, 0.0, 50.0)

WEB_MERCATOR = CRS.from_epsg(3857)
"""Of the tiles of web maps."""


@lru_cache(maxsize=256)
def crs_text(crs: CRS) -> str:
    """Write a coordinate reference system as WKT 2, which keeps the order of its axes.

    One that WKT 2 does not give back, such as ESRI:102113, is written as WKT 1 if that does.
    """
    text = str(crs.to_wkt(version=WktVersion.WKT2_2019))
    try:
        if CRS.from_wkt(text) == crs or CRS.from_wkt(crs.to_wkt()) != crs:
            return text
    except CRSError:
        return text
    return str(crs.to_wkt())


def read_crs(text: str) -> CRS:
    """Read what :func:`crs_text` has written."""
    return CRS.from_wkt(text)


@lru_cache(maxsize=256)
def same_crs(one: CRS | None, other: CRS | None) -> bool:
    """Say whether two coordinate reference systems give a place the same x and y.

    The order of axes does not matter, as a transform of a raster always has x first; neither do
    heights, nor the spelling.
    """
    if one is None or other is None:
        return one is other
    if one == other:
        return True
    first, second = _horizontal(one), _horizontal(other)
    if first.equals(second, ignore_axis_order=True):
        return True
    datum, other_datum = first.geodetic_crs, second.geodetic_crs
    if datum is None or other_datum is None or first.coordinate_operation is None:
        return False
    # PROJ ignores the order of axes of geographic systems only
    return bool(
        datum.equals(other_datum, ignore_axis_order=True)
        and first.coordinate_operation == second.coordinate_operation
        and _units(first) == _units(second)
    )


def name_crs(crs: CRS | None) -> str:
    """Name a coordinate reference system in a message."""
    if crs is None:
        return 'no CRS'
    known = PyprojCRS.from_wkt(crs_text(crs))
    # a lower confidence would name two different ones alike
    authority = known.to_authority(min_confidence=100)
    if authority:
        return ':'.join(authority)
    return crs.to_proj4() if known.name == 'unknown' else str(known.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """How x repeats itself."""

    length: float
    """Units of x after which the same ground follows."""

    middle: float
    """Middle of the turn that PROJ returns; it begins half a length west of here."""

    def into(self, x: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
        """Move coordinates by whole turns, to within half a turn of another middle."""
        return np.asarray(x - self.length * np.round((x - middle) / self.length))

    def shortest(self, steps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn differences of x into those on the shorter way around."""
        return self.into(steps, 0.0)

    def unroll(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move coordinates of a line by whole turns, so that none is half a turn from the next."""
        return np.asarray(np.unwrap(x, period=self.length))

    def repeats(self, left: float, right: float, *, within: tuple[float, float]) -> list[int]:
        """List by how many turns an interval has to be moved to reach into another one, *within*.

        The list ascends; intervals that only touch do not reach into each other.
        """
        # 1e-9 of a turn is a centimetre: degrees are not written more exactly
        slack = 1e-9 * self.length
        first = math.ceil((within[0] - right + slack) / self.length)
        last = math.floor((within[1] - left - slack) / self.length)
        return list(range(first, last + 1))


@lru_cache(maxsize=256)
def turn_of(crs: CRS | None) -> Turn | None:
    """Find out how x repeats itself; None where it does not: on cones, planes, in local systems."""
    return None if crs is None else find_turn(PyprojCRS.from_wkt(crs_text(crs)))


@lru_cache(maxsize=256)
def find_turn(known: PyprojCRS) -> Turn | None:
    """Find out how x repeats itself in a CRS of pyproj, see :func:`turn_of`."""
    if known.is_compound:
        known = known.sub_crs_list[0]
    if known.is_geographic:
        degrees = math.degrees(known.axis_info[0].unit_conversion_factor)
        # coordinates around another pole are longitudes all the same
        return Turn(length=360 / degrees, middle=0.0)
    if not known.is_projected or known.geodetic_crs is None:
        return None
    try:
        return _turn_of_projection(known)
    except ProjError:
        return None


def _turn_of_projection(crs: PyprojCRS) -> Turn | None:
    """Find out whether meridians are straight, parallel and evenly spaced."""
    geodetic = crs.geodetic_crs
    assert geodetic is not None  # checked by the caller
    unit = math.degrees(geodetic.axis_info[0].unit_conversion_factor)
    lon, lat = np.meshgrid(_LONGITUDES / unit, np.array(_LATITUDES) / unit)
    x, y = Transformer.from_crs(geodetic, crs, always_xy=True).transform(lon, lat)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    length = 360 * float(np.median(np.abs(np.diff(x))))
    steps = np.diff(x) / length * 360
    # one step goes back by the rest of the turn
    is_even = np.isclose(np.abs(steps), 1, atol=1e-6) | np.isclose(np.abs(steps), 359, atol=1e-6)
    is_straight = (
        np.ptp(x, axis=0).max() < 1e-8 * length and np.ptp(y, axis=1).max() < 1e-8 * length
    )
    if not (is_even.all() and is_straight):
        return None
    operation, metres = crs.coordinate_operation, crs.axis_info[0].unit_conversion_factor
    shifts = [] if operation is None else operation.params
    eastings = [
        float(s.value) * s.unit_conversion_factor for s in shifts if s.name == 'False easting'
    ]
    return Turn(length=length, middle=sum(eastings) / metres)


def _horizontal(crs: CRS) -> PyprojCRS:
    """Leave heights out."""
    whole = PyprojCRS.from_wkt(crs_text(crs))
    return (whole.sub_crs_list[0] if whole.is_compound else whole).to_2d()


def _units(crs: PyprojCRS) -> set[float]:
    """List the sizes of the units of the axes."""
    return {axis.unit_conversion_factor for axis in crs.axis_info}
