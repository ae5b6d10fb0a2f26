"""Coordinates that come back to the same ground after a full turn around the Earth.

Longitudes do, and x in cylindrical projections such as Mercator's: 190 degrees are -170 degrees.
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

from .wkt import crs_text

# Degrees at which a projection is tried: no multiple of them is where maps are usually cut.
_LONGITUDES = np.arange(-179.5, 180)
_LATITUDES = (-40.0, 0.0, 50.0)


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
        """List by how many turns an interval has to be moved to reach into another one.

        Args:
            left: Where it begins.
            right: Where it ends.
            within: Begin and end of the other one.

        Returns:
            In ascending order; intervals that only touch do not reach into each other.
        """
        # of coordinates in degrees, 1e-9 of a turn is a centimetre
        slack = 1e-9 * self.length
        first = math.ceil((within[0] - right + slack) / self.length)
        last = math.floor((within[1] - left - slack) / self.length)
        return list(range(first, last + 1))


@lru_cache(maxsize=256)
def turn_of(crs: CRS | None) -> Turn | None:
    """Find out how x repeats itself in a coordinate reference system.

    Args:
        crs: Any.

    Returns:
        None where it does not: on cones, planes and in local systems.
    """
    return None if crs is None else find_turn(PyprojCRS.from_wkt(crs_text(crs)))


def find_turn(known: PyprojCRS) -> Turn | None:
    """As :func:`turn_of`, for a CRS of pyproj."""
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
