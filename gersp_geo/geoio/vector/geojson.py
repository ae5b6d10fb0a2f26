"""Polygons in longitude and latitude, as GeoJSON wants them.

https://www.rfc-editor.org/rfc/rfc7946
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from rasterio.crs import CRS as RasterCRS

from ..crs import Turn, crs_text
from ..pixel_area import longest_edge

type Geometries = NDArray[np.object_]
"""Polygons."""

type Floats = NDArray[np.float64]

DECIMALS = 7
"""What RFC 7946 advises: a centimetre."""

# For polygons that would vanish; more than these hold no digits of a float. GDAL takes a last digit
# after many zeros for noise and drops it, but not where two further ones are asked for.
_MORE_DECIMALS = (9, 11)
_KEPT_ZEROS = 2

# how longitudes repeat themselves
_DEGREES = Turn(length=360.0, middle=0.0)

# nearer to a pole than this, a longitude means nothing
_POLE_DEGREES = 1e-9

# the shorter way between two vertices that are nearer to each other is the way meant
_LONGEST_STEP_DEGREES = 90.0


@dataclass(frozen=True)
class Degrees:
    """Brings polygons of a CRS to longitude and latitude (OGC:CRS84)."""

    crs: CRS
    """Coordinate reference system of the polygons, x first."""

    transformer: Transformer
    """To degrees."""

    @classmethod
    def of(cls, crs: RasterCRS) -> 'Degrees':
        """Find the way to longitude and latitude.

        Args:
            crs: Coordinate reference system of the polygons.

        Returns:
            What goes it.

        Raises:
            ValueError: If there is none: a local CRS, or one of another celestial body.
        """
        try:
            known = CRS.from_wkt(crs_text(crs))
            # two coordinates of any other CRS are no place
            if known.is_projected or known.is_geographic:
                return cls(known, Transformer.from_crs(known, 'OGC:CRS84', always_xy=True))
        except (CRSError, ProjError):
            pass
        raise ValueError(
            'GeoJSON is in longitude and latitude of the Earth, to which nothing leads from the '
            f'CRS {_name(crs)}; write a .gpkg or .parquet file instead'
        )

    def place(self, polygons: Geometries) -> tuple[Geometries, int]:
        """Bring polygons to degrees, cut at the 180th meridian.

        Args:
            polygons: Valid polygons; sides that are straight there become the curves that they are.

        Returns:
            Valid polygons, and multi-polygons of those that were cut, in [-180, 180] and [-90, 90],
            the rings around each counter-clockwise, None where longitude and latitude cannot
            express one; and how many decimals are to be written, 7 unless some would vanish.
        """
        dense = self._densify(polygons)
        moved: Geometries = shapely.transform(dense, self._move)
        placed = np.full(len(polygons), None, dtype=np.object_)
        is_plain, is_finite = self._judge(moved)
        placed[is_plain] = moved[is_plain]
        for place in np.flatnonzero(is_finite & ~is_plain):
            placed[place] = self._cut(dense[place], moved[place])
        return _round(placed)

    @property
    def _is_grid(self) -> bool:
        """Whether coordinates are longitude and latitude already, maybe of another datum."""
        return bool(self.crs.is_geographic and not self.crs.is_derived)

    @cached_property
    def _unit(self) -> float:
        """Degrees per unit of a geographic CRS."""
        return float(np.degrees(self.crs.axis_info[0].unit_conversion_factor))

    @cached_property
    def _poles(self) -> dict[float, shapely.Point]:
        """Where the poles lie, if they are points: latitude to place."""
        found: dict[float, shapely.Point] = {}
        if self._is_grid:
            return found
        for lat in (-90.0, 90.0):
            x, y = self.transformer.transform([0, 120], [lat, lat], direction='INVERSE')
            if np.isfinite([*x, *y]).all() and np.hypot(x[1] - x[0], y[1] - y[0]) < self._edge:
                found[lat] = shapely.Point(x[0], y[0])
        return found

    @cached_property
    def _edge(self) -> float:
        """Length of the longest side that is moved by its ends."""
        return _LONGEST_STEP_DEGREES / self._unit if self._is_grid else longest_edge(self.crs)

    def _densify(self, polygons: Geometries) -> Geometries:
        """Put vertices on long sides."""
        dense: Geometries = shapely.segmentize(polygons, self._edge)
        return dense

    def _move(self, points: Floats) -> Floats:
        """Bring points to degrees; what lies beyond the poles of a grid, to these."""
        x, y = points.T
        if self._is_grid:
            y = np.clip(y, -90 / self._unit, 90 / self._unit)
            # PROJ refuses longitudes beyond ten radians where it shifts a datum
            turn = 360 / self._unit
            x = np.where(np.abs(x) > turn, x - turn * np.round(x / turn), x)
        lon, lat = self.transformer.transform(x, y)
        return np.stack([lon, np.clip(lat, -90, 90)], axis=1)

    def _judge(self, moved: Geometries) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Say which polygons need no cut, and which have a place at all."""
        rings, polygon = shapely.get_rings(moved, return_index=True)
        points, ring = shapely.get_coordinates(rings, return_index=True)
        owner = polygon[ring]
        lon, lat = points.T
        is_finite = np.ones(len(moved), dtype=np.bool_)
        is_finite[owner[~np.isfinite(points).all(axis=1)]] = False
        is_plain = is_finite.copy()
        is_plain[owner[np.abs(np.round(lon, DECIMALS)) > 180]] = False
        if self._poles:
            is_plain[owner[np.abs(lat) > 90 - _POLE_DEGREES]] = False
        with np.errstate(invalid='ignore'):
            is_leap = (np.abs(np.diff(lon)) > 180) & (np.diff(ring) == 0)
        is_plain[owner[1:][is_leap]] = False
        return is_plain, is_finite

    def _cut(self, before: shapely.Polygon, moved: shapely.Polygon) -> shapely.Geometry | None:
        """Cut a polygon at the 180th meridian."""
        rings = zip(shapely.get_rings(before), shapely.get_rings(moved), strict=True)
        filled = [self._cut_ring(*pair) for pair in rings]
        if filled[0] is None or any(hole is None for hole in filled[1:]):
            return None
        return shapely.difference(filled[0], shapely.union_all(filled[1:]))

    def _cut_ring(
        self, before: shapely.LinearRing, moved: shapely.LinearRing
    ) -> shapely.Geometry | None:
        """Cut what lies within a ring."""
        points = self._spread_poles(shapely.get_coordinates(moved))
        points[:, 0] = _DEGREES.unroll(points[:, 0])
        turns = round((points[-1, 0] - points[0, 0]) / _DEGREES.length)
        if turns:
            pole = self._pole_within(before)
            if pole is None or abs(turns) > 1:
                return None
            # a ring around a pole goes on along it, and back to where it begins
            closing = [(points[-1, 0], pole), (points[0, 0], pole), points[0]]
            points = np.concatenate([points, closing])
        whole = shapely.make_valid(shapely.Polygon(np.round(points, DECIMALS + 2)))
        first, last = np.floor((shapely.bounds(whole)[[0, 2]] + 180) / 360).astype(int)
        pieces = []
        for turn in range(first, last + 1):
            band = shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)
            piece = shapely.intersection(whole, band)
            pieces.append(shapely.transform(piece, lambda p, turn=turn: p - [360 * turn, 0]))
        return shapely.union_all(_polygons_of(np.array(pieces)))

    def _spread_poles(self, points: Floats) -> Floats:
        """Give a vertex at a pole the longitudes of both neighbours."""
        is_pole = np.abs(points[:, 1]) > 90 - _POLE_DEGREES
        if not self._poles or not is_pole.any() or is_pole.all():
            return points
        # the ring is turned so that it begins and ends away from the pole
        start = int(np.flatnonzero(~is_pole)[0])
        points = np.roll(points[:-1], -start, axis=0)
        is_pole = np.roll(is_pole[:-1], -start)
        counts = np.where(is_pole, 2, 1)
        spread = np.repeat(points, counts, axis=0)
        ends = np.cumsum(counts)
        at = np.flatnonzero(is_pole)
        spread[ends[at] - 2, 0] = points[at - 1, 0]
        spread[ends[at] - 1, 0] = points[(at + 1) % len(points), 0]
        return np.concatenate([spread, spread[:1]])

    def _pole_within(self, ring: shapely.LinearRing) -> float | None:
        """Find the latitude of the only pole that a ring surrounds, or else is nearest to."""
        within = shapely.Polygon(ring)
        apart = {lat: shapely.distance(within, pole) for lat, pole in self._poles.items()}
        surrounded = [lat for lat, distance in apart.items() if distance == 0]
        if len(surrounded) > 1 or not apart:
            return None
        return min(apart, key=lambda lat: apart[lat])


def _name(crs: RasterCRS) -> str:
    """Name a CRS in a few words."""
    try:
        name = CRS.from_wkt(crs_text(crs)).name
    except CRSError:
        name = 'unknown'
    return str(crs)[:80] if name == 'unknown' else f'"{name}"'


def _round(placed: Geometries) -> tuple[Geometries, int]:
    """Round coordinates so that polygons stay valid, with more decimals where some would vanish."""
    has_place = ~shapely.is_missing(placed)
    rounded = np.full(len(placed), None, dtype=np.object_)
    rounded[has_place] = shapely.transform(placed[has_place], lambda p: np.round(p, DECIMALS))
    needed = DECIMALS
    for place in np.flatnonzero(has_place & ~(shapely.is_valid(rounded) & _has_extent(rounded))):
        rounded[place], decimals = _snap(placed[place])
        needed = max(needed, decimals)
    return shapely.orient_polygons(rounded), needed


def _snap(drawn: shapely.Geometry) -> tuple[shapely.Geometry | None, int]:
    """Snap a polygon to the coarsest grid of decimals on which something of it remains."""
    whole = _polygons_of(np.array([shapely.make_valid(drawn)]))
    for decimals in (DECIMALS, *_MORE_DECIMALS):
        snapped = shapely.set_precision(shapely.union_all(whole), 10.0**-decimals)
        kept = shapely.union_all(_polygons_of(np.array([snapped])))
        if not kept.is_empty:
            return kept, decimals if decimals == DECIMALS else decimals + _KEPT_ZEROS
    return None, DECIMALS


def _has_extent(drawn: Geometries) -> NDArray[np.bool_]:
    """Say which geometries are more than lines."""
    has_extent: NDArray[np.bool_] = shapely.area(drawn) > 0
    return has_extent


def _polygons_of(drawn: Geometries) -> Geometries:
    """List the polygons in collections; points and lines have no extent."""
    parts: Geometries = shapely.get_parts(shapely.get_parts(drawn))
    return parts[_has_extent(parts)]
