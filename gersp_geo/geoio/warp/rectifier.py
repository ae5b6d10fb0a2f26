"""Where the pixels of an image lie that has ground control points or rational polynomials.

Ground control points are taken at their word: where the polynomial of ``gdalwarp`` meets them all,
it says where pixels lie; else a thin plate spline does, which passes through each of them
(``gdalwarp -tps``) and takes longer. Both are fitted in the coordinates wanted, where neither the
180th meridian nor a pole is a border. Rational polynomials need heights: all ground is taken to lie
at the height in their middle (``HEIGHT_OFF``).
"""

from xml.etree.ElementTree import Element, SubElement

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.crs import CRS
from rasterio.errors import RasterioError, TransformError
from rasterio.io import DatasetReader
from rasterio.rpc import RPC
from rasterio.transform import GCPTransformer, RPCTransformer

from ...messages import one_line
from ..crs import Turn, crs_text, turn_of
from ..gdal import GDALError
from ..read.georeference import Georeference, Point, add_metadata, add_points, read_georeference

POLYNOMIAL_CRS = CRS.from_epsg(4326)
"""Of the longitudes and latitudes of rational polynomials, always."""

MOST_SPLINED = 1_000
"""Ground control points of a spline: its time for each pixel grows with them."""

MET = 0.1
"""Pixels by which a polynomial may miss a ground control point and still meet it."""

# ground control points that make a plane
_FEWEST = 3

# How many times as long as wide a pixel may be on the ground, for its points to be believed.
_MOST_OBLONG = 8.0

type Floats = NDArray[np.float64]


class Rectifier:
    """Tells where pixels of an image lie in a CRS, and the other way round."""

    def __init__(self, georeference: Georeference, crs: CRS, *, name: str) -> None:
        """Initialize a new Rectifier instance.

        Args:
            georeference: Points or polynomials; points are used where there are both.
            crs: Wanted.
            name: What messages call the image.

        Raises:
            ValueError: If there are too few or too many points, they name no CRS or lie beyond the
                reach of *crs*; or if there are arrays only.
        """
        self.name, self.crs = name, crs
        self.points: tuple[Point, ...] = ()
        self.is_spline = False
        self.polynomials = dict(georeference.polynomials)
        if georeference.points:
            self.points = self._move(georeference)
            self.is_spline = not self._are_met()
        elif not self.polynomials:
            raise ValueError(
                f'{name} lies by arrays of longitudes and latitudes, by which nothing is warped '
                'here; make a grid of it first: gdalwarp -geoloc -t_srs EPSG:4326 IN OUT.tif'
            )

    @classmethod
    def of(cls, src: DatasetReader, crs: CRS | None) -> 'Rectifier | None':
        """Find out how a raster lies in a CRS.

        Args:
            src: An open raster.
            crs: Wanted.

        Returns:
            None where its transform says so, or no CRS is wanted.

        Raises:
            ValueError: If it cannot be made.
        """
        georeference = read_georeference(src)
        return cls(georeference, crs, name=src.name) if crs and georeference.is_place else None

    @property
    def source_crs(self) -> CRS:
        """The CRS from which a warper starts."""
        return self.crs if self.points else POLYNOMIAL_CRS

    @property
    def height(self) -> float:
        """Height above the ellipsoid at which the ground is taken to lie, for polynomials."""
        return float(self.polynomials['HEIGHT_OFF'])

    def to_ground(self, cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Say where places in the image lie.

        Args:
            cols: Columns from the left side, shape (N,); 0.5 is the middle of the first pixel.
            rows: Rows from the upper side, shape (N,).

        Returns:
            x and y, shape (N,) each; not finite where there is no such place. Where x lies on
            both sides of the 180th meridian, it goes on beyond it.

        Raises:
            ValueError: If points contradict each other.
        """
        try:
            with self._transformer() as transformer:
                found = transformer.xy(rows.tolist(), cols.tolist(), offset='ul')
        except (GDALError, RasterioError, TransformError) as error:
            raise self._why_not(error) from error
        xs, ys = (np.asarray(values, dtype=np.float64) for values in found)
        if not self.points:
            xs, ys = self._to_crs(POLYNOMIAL_CRS, self.crs, xs, ys)
        return _unwrap(xs, turn_of(self.crs)), ys

    def to_image(self, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
        """Say where places on the ground lie in the image: the reverse of :meth:`to_ground`.

        Raises:
            ValueError: If points contradict each other.
        """
        if not self.points:
            xs, ys = self._to_crs(self.crs, POLYNOMIAL_CRS, xs, ys)
        try:
            with self._transformer() as transformer:
                rows, cols = transformer.rowcol(xs.tolist(), ys.tolist(), op=float)
        except (GDALError, RasterioError, TransformError) as error:
            raise self._why_not(error) from error
        return np.asarray(cols, dtype=np.float64), np.asarray(rows, dtype=np.float64)

    def to_xml(self) -> Element:
        """Write it down as GDAL's virtual rasters have it."""
        kind = ('TPS' if self.is_spline else 'GCP') if self.points else 'RPC'
        outer = Element(f'Src{kind}Transformer')
        inner = SubElement(outer, f'{kind}Transformer')
        SubElement(inner, 'Reversed').text = '0'
        if self.points:
            # GDAL chooses it by their number, as it does for :meth:`_transformer`; without it, the
            # order would be 3
            SubElement(inner, 'Order').text = '0'
            add_points(SubElement(inner, 'GCPList'), self.points)
            return outer
        SubElement(inner, 'HeightOffset').text = repr(self.height)
        add_metadata(SubElement(inner, 'Metadata'), self.polynomials.items())
        return outer

    def _move(self, georeference: Georeference) -> tuple[Point, ...]:
        """Express ground control points in the CRS wanted."""
        points = georeference.points
        if georeference.points_crs is None:
            raise ValueError(
                f'{self.name} has {len(points):,} ground control points in a CRS that it does not '
                'name; assign one to them, for example with gdal_edit.py -a_srs'
            )
        if len(points) < _FEWEST:
            raise ValueError(
                f'{self.name} has {len(points):,} ground control point(s), and at least {_FEWEST} '
                'are needed to know where its pixels lie; add some, for example with '
                'gdal_translate -gcp'
            )
        xs, ys = (np.array([getattr(p, name) for p in points]) for name in ('x', 'y'))
        xs, ys = self._to_crs(georeference.points_crs, self.crs, xs, ys)
        if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
            raise ValueError(
                f'{self.name} has ground control points beyond the reach of {self.crs}; choose a '
                'CRS that reaches there'
            )
        unwrapped = _unwrap(xs, turn_of(self.crs))
        places = np.array([(p.col, p.row) for p in points])
        if _are_torn(places, unwrapped, ys) and not _are_torn(places, xs, ys):
            raise ValueError(
                f'{self.name} has ground control points more than half a turn around the Earth '
                'apart, so that it may as well lie across 180 degrees; make a grid of it first, '
                'for example with gdalwarp'
            )
        xs = unwrapped
        return tuple(
            Point(col=p.col, row=p.row, x=x, y=y, z=p.z)
            for p, x, y in zip(points, xs.tolist(), ys.tolist(), strict=True)
        )

    def _are_met(self) -> bool:
        """Say whether a polynomial meets all points, both ways, so that no spline is needed."""
        cols, rows, xs, ys = (
            np.array([getattr(p, name) for p in self.points]) for name in ('col', 'row', 'x', 'y')
        )
        try:
            back = self.to_image(xs, ys)
            there = self.to_image(*self.to_ground(cols, rows))
        except ValueError:
            is_met = False
        else:
            missed = [back[0] - cols, back[1] - rows, there[0] - cols, there[1] - rows]
            is_met = bool(np.max(np.abs(missed)) <= MET)
        if not is_met and len(self.points) > MOST_SPLINED:
            raise ValueError(
                f'{self.name} has {len(self.points):,} ground control points that no polynomial '
                f'meets, and a spline takes {MOST_SPLINED:,} at most; make a grid of it first, '
                'with gdalwarp'
            )
        return is_met

    def _transformer(self) -> GCPTransformer | RPCTransformer:
        """Let GDAL do the mathematics."""
        if self.points:
            points = Georeference(points=self.points).control_points()
            return GCPTransformer(points, tps=self.is_spline)
        return RPCTransformer(RPC.from_gdal(self.polynomials), rpc_height=self.height)

    def _to_crs(self, one: CRS, other: CRS, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
        """Express places in another CRS; infinite where it does not reach them."""
        if one == other:
            return xs, ys
        try:
            to_other = Transformer.from_crs(crs_text(one), crs_text(other), always_xy=True)
            x, y = to_other.transform(xs, ys)
        except ProjError as error:
            reason = one_line(error)
            raise ValueError(
                f'{self.name} cannot be expressed in {other}: {reason}; choose another CRS'
            ) from error
        return np.asarray(x), np.asarray(y)

    def _why_not(self, error: Exception) -> ValueError:
        """Say that GDAL could not do it."""
        reason = one_line(error)
        what = 'ground control points' if self.points else 'rational polynomials'
        return ValueError(f'{self.name} has {what} by which no place can be found: {reason}')


def _unwrap(xs: Floats, turn: Turn | None) -> Floats:
    """Let x on both sides of the 180th meridian go on beyond it."""
    if turn is None or not np.ptp(xs) > turn.length / 2:
        return xs
    return np.where(xs < turn.middle, xs + turn.length, xs)


def _are_torn(places: Floats, xs: Floats, ys: Floats) -> bool:
    """Say whether an image is much longer one way than the other on the ground, by its points."""
    design = np.column_stack([places, np.ones(len(places))])
    steps, *_ = np.linalg.lstsq(design, np.column_stack([xs, ys]), rcond=None)
    long, short = np.linalg.svd(steps[:2], compute_uv=False)
    return bool(long > _MOST_OBLONG * short)
