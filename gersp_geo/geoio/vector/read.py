"""Read vector files: features, and areas of interest."""

from os import PathLike, fspath
from pathlib import Path

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS as PyprojCRS
from rasterio.crs import CRS
from shapely import GeometryType

from ..crs import Turn, turn_of
from ..read.sidecars import is_local
from .antimeridian import repeat, unroll
from .aoi import Area
from .layers import read_layer
from .placement import reproject, valid_parts


def read_vectors(
    path: str | PathLike[str], *, layer: str | None = None, may_be_empty: bool = False
) -> geopandas.GeoDataFrame:
    """Read the features of a vector file.

    Args:
        path: Any file or folder that GDAL reads as vectors, also in a zip archive
            (``a.zip!b.shp``), or GeoParquet.
        layer: Name of the layer to read. None takes the only one that holds features with a place.
        may_be_empty: Whether a file without any feature says something: that nothing was found.

    Returns:
        At least one feature unless *may_be_empty*, with a CRS.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no such layer or several that could be meant, names no
            CRS, or holds no feature.
    """
    source = fspath(path)
    if is_local(source) and not Path(source.partition('!')[0]).exists():
        raise FileNotFoundError(f'{source} does not exist')
    frame = read_layer(source, layer)
    if frame.empty and not may_be_empty:
        raise ValueError(f'{source} holds no feature')
    if frame.crs is None:
        raise ValueError(f'{source} names no CRS; assign one, for example with ogr2ogr -a_srs')
    return frame


def read_area(
    path: str | PathLike[str],
    *,
    crs: CRS | None,
    layer: str | None = None,
    x_range: tuple[float, float] | None = None,
) -> Area:
    """Read an area of interest from all polygons of a vector file.

    Args:
        path: As in :func:`read_vectors`. Polygons that cross themselves are repaired; long edges
            are reprojected as the curves that they are. Points and lines beside polygons cover no
            pixel, and add nothing.
        crs: Coordinate reference system of the raster.
        layer: Name of the layer, as in :func:`read_vectors`.
        x_range: Lowest and highest x of the raster: polygons are moved there by whole turns around
            the Earth. None leaves them between -180 and 180 degrees, or where they are drawn.

    Returns:
        The union of the polygons.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no such layer or several that could be meant, names no
            CRS, holds no polygon, lies beyond the reach of *crs*, or there is no *crs*.
    """
    if crs is None:
        raise ValueError(f'the area {path} needs a raster with a CRS, got one without')
    frame = read_vectors(path, layer=layer)
    drawn, others = _polygons(frame.geometry.to_numpy())
    if others and not len(drawn):
        raise ValueError(
            f'an area consists of polygons, got {", ".join(others)} in {path}; surround them '
            '(in QGIS: Buffer)'
        )
    located, turn = valid_parts(drawn), turn_of(crs)
    if frame.crs != crs:
        series = geopandas.GeoSeries(located, crs=frame.crs)
        moved = reproject(series, PyprojCRS.from_user_input(crs)).to_numpy()
        located = valid_parts(moved if turn is None else unroll(moved, turn))
        inner = series.representative_point().to_crs(crs).to_numpy()
        if not _surround(located, inner, turn):
            raise ValueError(f'{path} reaches beyond what {crs} can express; cut it to the scene')
    if not len(located):
        raise ValueError(f'{path} holds no polygon; an area needs at least one')
    if turn is not None and x_range is not None:
        located = repeat(located, turn, x_range)
    return Area(shapely.union_all(located))


def _polygons(geometries: NDArray[np.object_]) -> tuple[NDArray[np.object_], list[str]]:
    """Take the polygons out of geometries and collections, and name the kinds of others."""
    parts = shapely.force_2d(geometries)
    while (shapely.get_type_id(parts) == GeometryType.GEOMETRYCOLLECTION).any():
        parts = shapely.get_parts(parts[~shapely.is_missing(parts)])
    # missing ones are not empty, and have no type
    parts = parts[~(shapely.is_missing(parts) | shapely.is_empty(parts))]
    kinds = shapely.get_type_id(parts)
    is_polygon = np.isin(kinds, (GeometryType.POLYGON, GeometryType.MULTIPOLYGON))
    return parts[is_polygon], sorted({other.geom_type for other in parts[~is_polygon]})


def _surround(polygons: NDArray[np.object_], inner: NDArray[np.object_], turn: Turn | None) -> bool:
    """Say whether points still lie in the polygons that they were inside of, whole turns aside.

    A polygon that reaches around the world is turned inside out, or flat.
    """
    tree = shapely.STRtree(polygons)
    found: set[int] = set()
    points = shapely.get_coordinates(inner)
    for move in (0.0,) if turn is None else (0.0, -turn.length, turn.length):
        moved = shapely.points(points + np.array([move, 0.0]))
        found.update(tree.query(moved, predicate='intersects')[0].tolist())
    return len(found) == len(inner)
