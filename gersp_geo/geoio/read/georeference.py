"""What a raster says about its place beside a transform: ground control points, polynomials.

Radar images come with ground control points (GCPs), images of satellites before they are rectified
with rational polynomial coefficients (RPCs), swaths with arrays of longitudes and latitudes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self
from xml.etree.ElementTree import Element, SubElement

from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.io import DatasetReader

from ..crs import crs_text

MOST_POINTS = 10_922
"""Of more points, GDAL makes a file beside the GeoTIFF: their tag counts numbers in 16 bits."""

RPC_DOMAIN = 'RPC'
"""Where GDAL keeps rational polynomials."""

# where GDAL keeps what it knows of arrays of coordinates
_ARRAYS = 'GEOLOCATION'


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A ground control point: a place in a raster and on the ground."""

    col: float
    """Pixels from the left side of the raster; 0.5 is the middle of the first one."""

    row: float
    """Pixels from its upper side."""

    x: float
    """Coordinate, east or longitude as a rule."""

    y: float
    """Coordinate, north or latitude as a rule."""

    z: float
    """Height; 0 where it is not said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Georeference:
    """What a raster says about its place beside a CRS and a transform."""

    points: tuple[Point, ...] = ()
    """Ground control points."""

    points_crs: CRS | None = None
    """Their coordinate reference system; None where the raster names none."""

    polynomials: tuple[tuple[str, str], ...] = ()
    """Rational polynomial coefficients, name to value, as GDAL spells them, by name."""

    has_arrays: bool = False
    """Whether arrays hold the coordinates of each pixel."""

    is_place: bool = False
    """Whether this is what says where pixels lie, as no transform does, or none in a known CRS."""

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.points or self.polynomials or self.has_arrays)

    def carried(self) -> Self:
        """Leave out what a GeoTIFF cannot hold: arrays, many points, points beside a transform."""
        fits = self.is_place and len(self.points) <= MOST_POINTS
        return replace(
            self,
            points=self.points if fits else (),
            points_crs=self.points_crs if fits else None,
            has_arrays=False,
        )

    def scaled(self, *, offset: float, stride: int) -> Self:
        """Say the same of a raster with larger pixels.

        Args:
            offset: Pixels by which its first row and column begin later.
            stride: Side of its pixels in pixels of this one.
        """
        points = tuple(
            replace(p, col=(p.col - offset) / stride, row=(p.row - offset) / stride)
            for p in self.points
        )
        polynomials = dict(self.polynomials)
        for side in ('LINE', 'SAMP') if polynomials else ():
            # polynomials count from the middle of the first pixel
            first = float(polynomials[f'{side}_OFF']) + 0.5
            polynomials[f'{side}_OFF'] = repr((first - offset) / stride - 0.5)
            polynomials[f'{side}_SCALE'] = repr(float(polynomials[f'{side}_SCALE']) / stride)
        return replace(self, points=points, polynomials=tuple(sorted(polynomials.items())))

    def control_points(self) -> list[GroundControlPoint]:
        """Give the points as rasterio has them."""
        return [GroundControlPoint(p.row, p.col, p.x, p.y, p.z) for p in self.points]

    def to_record(self) -> list[Any] | None:
        """Turn it into what JSON holds exactly; None for nothing."""
        if not self:
            return None
        points = [(p.col, p.row, p.x, p.y, p.z) for p in self.points]
        crs = None if self.points_crs is None else crs_text(self.points_crs)
        return [points, crs, list(self.polynomials), self.has_arrays, self.is_place]

    @classmethod
    def from_record(cls, record: Sequence[Any] | None) -> 'Georeference':
        """Turn a record back."""
        if record is None:
            return NOTHING
        points, crs, polynomials, has_arrays, is_place = record
        return cls(
            points=tuple(Point(col=c, row=r, x=x, y=y, z=z) for c, r, x, y, z in points),
            points_crs=None if crs is None else CRS.from_wkt(crs),
            polynomials=tuple((name, value) for name, value in polynomials),
            has_arrays=has_arrays,
            is_place=is_place,
        )


NOTHING = Georeference()
"""Of a raster that has a CRS and a transform alone, or nothing at all."""


def read_georeference(src: DatasetReader) -> Georeference:
    """Write down what an open raster says about its place beside a CRS and a transform."""
    points, points_crs = src.gcps
    polynomials = src.tags(ns=RPC_DOMAIN)
    has_arrays = bool(src.tags(ns=_ARRAYS))
    is_place = src.crs is None or src.transform == Affine.identity()
    found = Georeference(
        points=tuple(Point(col=p.col, row=p.row, x=p.x, y=p.y, z=p.z or 0.0) for p in points),
        points_crs=points_crs if points else None,
        polynomials=tuple(sorted(polynomials.items())) if _are_complete(polynomials) else (),
        # beside a transform they say nothing new
        has_arrays=has_arrays and is_place,
        is_place=is_place,
    )
    return found or NOTHING


def _are_complete(polynomials: Mapping[str, str]) -> bool:
    """Say whether rational polynomials can be used; some files have a tag or two of them."""
    names = {f'{side}_{what}' for side in ('LINE', 'SAMP', 'LAT', 'LONG', 'HEIGHT')
             for what in ('OFF', 'SCALE')}  # fmt: skip
    names |= {f'{s}_{part}_COEFF' for s in ('LINE', 'SAMP') for part in ('NUM', 'DEN')}
    return names <= polynomials.keys()


def add_to_vrt(
    root: Element, georeference: Georeference, *, crs: CRS | None, transform: Affine
) -> None:
    """Say in a virtual raster (VRT) where it lies.

    Format: https://gdal.org/en/stable/drivers/raster/vrt.html.

    Args:
        root: The document, before its bands.
        georeference: What is said beside the transform. Points take the place of that.
        crs: Coordinate reference system.
        transform: From (column, row) to coordinates.
    """
    # an axis mapping is not needed: x comes before y, as in every transform of GDAL and rasterio
    if georeference.is_place and georeference.points:
        known = georeference.points_crs
        add_points(SubElement(root, 'GCPList', Projection=_wkt(known)), georeference.points)
    else:
        if crs is not None:
            SubElement(root, 'SRS').text = _wkt(crs)
        SubElement(root, 'GeoTransform').text = ', '.join(map(repr, transform.to_gdal()))
    if georeference.polynomials:
        metadata = SubElement(root, 'Metadata', domain=RPC_DOMAIN)
        add_metadata(metadata, georeference.polynomials)


def add_points(listed: Element, points: Iterable[Point]) -> None:
    """List ground control points in a virtual raster."""
    # repr tells every float from its neighbours
    for number, p in enumerate(points, start=1):
        SubElement(
            listed, 'GCP', Id=str(number), Pixel=repr(p.col), Line=repr(p.row), X=repr(p.x),
            Y=repr(p.y), Z=repr(p.z),
        )  # fmt: skip


def add_metadata(metadata: Element, items: Iterable[tuple[str, str]]) -> None:
    """List tags, or rational polynomial coefficients, in a virtual raster."""
    for key, value in items:
        SubElement(metadata, 'MDI', key=key).text = value


def _wkt(crs: CRS | None) -> str:
    """Write a coordinate reference system, if there is one."""
    return '' if crs is None else crs_text(crs)
