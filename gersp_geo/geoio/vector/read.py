"""Read, write and rasterize vector files."""

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path

import geopandas
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS as PyprojCRS
from rasterio.crs import CRS
from rasterio.features import rasterize
from shapely import GeometryType

from ..crs import Turn, turn_of
from ..read.sidecars import is_local
from ..write.atomic import DiskFullError, describe_room, new_file
from .antimeridian import repeat, unroll
from .aoi import Area
from .attributes import attribute_texts
from .curves import reproject, valid_parts
from .layers import read_layer

__all__ = ('burn', 'make_boxes', 'rasterize_classes', 'read_area', 'read_vectors', 'write_vectors')

_DRIVERS = {'.gpkg': 'GPKG', '.geojson': 'GeoJSON', '.json': 'GeoJSON'}


def make_boxes(
    bounds: NDArray[np.float64], attributes: Mapping[str, Sequence[object]], *, crs: CRS | str | int
) -> geopandas.GeoDataFrame:
    """Make one rectangle per row.

    Args:
        bounds: Left, bottom, right and top in *crs*, shape (n, 4).
        attributes: Columns of n values.
        crs: Coordinate reference system.

    Returns:
        n features.

    Raises:
        ValueError: If *bounds* has another shape, or a column another length.
    """
    if bounds.ndim != 2 or bounds.shape[1] != 4:
        raise ValueError(f'bounds must have shape (n, 4), got {bounds.shape}')
    for name, column in attributes.items():
        if len(column) != len(bounds):
            raise ValueError(f'{name!r} must have {len(bounds)} values, got {len(column)}')
    return geopandas.GeoDataFrame(dict(attributes), geometry=shapely.box(*bounds.T), crs=crs)


def write_vectors(
    destination: str | PathLike[str], frame: geopandas.GeoDataFrame, *, overwrite: bool = False
) -> Path:
    """Write features as GeoPackage or GeoJSON; the file appears only when it is complete.

    Args:
        destination: The file to make; its suffix (.gpkg, .geojson, .json) chooses the format.
        frame: Features with a CRS. GeoJSON knows only longitude and latitude: they are
            reprojected for it.
        overwrite: Replace an existing file.

    Returns:
        *destination* as a path.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        ValueError: If the suffix is unknown, or *frame* has no CRS.
        OSError: If it cannot be written.
    """
    final = Path(destination)
    driver = _DRIVERS.get(final.suffix.lower())
    if driver is None:
        raise ValueError(f'{final} must end in one of {", ".join(_DRIVERS)}')
    if frame.crs is None:
        raise ValueError(f'the features for {final} have no CRS; set one with frame.set_crs')
    located = frame.to_crs('OGC:CRS84') if driver == 'GeoJSON' else frame
    with new_file(final, overwrite=overwrite) as temporary:
        # without a name of its own, the layer would be called like the temporary file
        try:
            located.to_file(temporary, driver=driver, layer=final.stem, engine='pyogrio')
        except (DataSourceError, DataLayerError) as error:
            reason = ' '.join(str(error).split())
            raise DiskFullError(
                f'{final} cannot be written: {reason}; {describe_room(final)}'
            ) from error
    return final


def read_vectors(
    path: str | PathLike[str], *, crs: CRS | str | int | None = None, layer: str | None = None
) -> geopandas.GeoDataFrame:
    """Read the features of a vector file.

    Args:
        path: Any file or folder that GDAL reads as vectors, also in a zip archive
            (``a.zip!b.shp``), or GeoParquet.
        crs: Reproject the features to it.
        layer: Name of the layer to read. None takes the only one that holds features with a place.

    Returns:
        At least one feature, with a CRS.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no such layer or several that could be meant, names no
            CRS, or holds no feature.
    """
    source = fspath(path)
    if is_local(source) and not Path(source.partition('!')[0]).exists():
        raise FileNotFoundError(f'{source} does not exist')
    frame = read_layer(source, layer)
    if frame.empty:
        raise ValueError(f'{source} holds no feature')
    if frame.crs is None:
        raise ValueError(f'{source} names no CRS; assign one, for example with ogr2ogr -a_srs')
    return frame if crs is None else frame.to_crs(crs)


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
        crs: That of the raster.
        layer: As in :func:`read_vectors`.
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


def rasterize_classes(
    frame: geopandas.GeoDataFrame,
    attribute: str,
    *,
    class_names: Sequence[str],
    crs: CRS | str | int,
    transform: Affine,
    height: int,
    width: int,
    ignore_value: int = 255,
) -> NDArray[np.uint8]:
    """Turn polygons into a class raster.

    A pixel belongs to a polygon that holds its centre; where polygons overlap, to the last one. A
    point marks its pixel, and a line those that it runs through.

    Args:
        frame: Features in any CRS; those without a geometry or a class mark nothing. Long edges are
            reprojected as the curves that they are.
        attribute: Column that holds the class of each feature.
        class_names: Names of the values 0, 1, ...; the column's values are compared as text.
        crs: Coordinate reference system of the raster.
        transform: From (column, row) to coordinates.
        height: Rows of the raster.
        width: Columns of the raster.
        ignore_value: Value of pixels under no polygon.

    Returns:
        Class indices, shape (height, width).

    Raises:
        ValueError: If the column does not exist, a value of it is no class, there are too many
            classes, or *frame* has no CRS.
    """
    if attribute not in frame.columns or attribute == frame.geometry.name:
        known = [name for name in frame.columns if name != frame.geometry.name]
        raise ValueError(f'no attribute {attribute!r}; the features have {known}')
    if frame.crs is None:
        raise ValueError('the features have no CRS; set one with frame.set_crs')
    names = [str(name) for name in class_names]
    if not 0 <= ignore_value <= 255 or ignore_value < len(names):
        raise ValueError(
            f'ignore_value must be in [{len(names)}, 255], above the classes, got {ignore_value}'
        )
    values = attribute_texts(frame[attribute])
    if unknown := sorted({value for value in values if value is not None} - set(names)):
        raise ValueError(f'{attribute!r} has values {unknown} that are no class of {names}')
    has_class = np.array([value is not None for value in values], dtype=np.bool_)
    return burn(
        reproject(frame.geometry[has_class], PyprojCRS.from_user_input(crs)).to_numpy(),
        [names.index(value) for value in values if value is not None],
        transform=transform,
        height=height,
        width=width,
        fill=ignore_value,
    )


def burn(
    geometries: NDArray[np.object_],
    values: Sequence[int] | NDArray[np.uint8],
    *,
    transform: Affine,
    height: int,
    width: int,
    fill: int,
) -> NDArray[np.uint8]:
    """Give the pixels of geometries their values, later ones over earlier ones.

    Args:
        geometries: In the CRS of the raster; missing and empty ones mark nothing.
        values: One per geometry, in [0, 255].
        transform: From (column, row) to coordinates.
        height: Rows of the raster.
        width: Columns of the raster.
        fill: Value of all other pixels.

    Returns:
        Shape (height, width).
    """
    drawn = [
        (geometry, int(value))
        for geometry, value in zip(geometries, values, strict=True)
        if geometry is not None and not geometry.is_empty
    ]
    if not drawn:
        return np.full((height, width), fill, dtype=np.uint8)
    burnt: NDArray[np.uint8] = rasterize(
        drawn, out_shape=(height, width), fill=fill, transform=transform, dtype=np.uint8
    )
    return burnt


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
