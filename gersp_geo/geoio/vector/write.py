"""Write polygons of any number to vector files, whose endings choose their format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FieldError
from pyproj import CRS
from rasterio.crs import CRS as RasterCRS

from ..crs import crs_text
from ..formats import FEATURE_SUFFIXES
from ..write.atomic import DiskFullError, new_file
from .features import POLYGON_ATTRIBUTES, Attribute, Features
from .geojson import DECIMALS, Degrees
from .geoparquet import new_geoparquet

MAX_GEOJSON_FEATURES = 500_000
"""GeoJSON is one text, which programs read as a whole."""

MAX_GEOJSON_BYTES = 100_000_000
"""The same, by what it is estimated to take."""

# what GDAL writes per vertex with 7 decimals, and per feature
_VERTEX_BYTES, _FEATURE_BYTES = 28, 200

type Write = Callable[[Features], int]
"""Takes further polygons; returns how many of them the format cannot express and leaves out."""


@contextmanager
def new_features(
    destination: str | PathLike[str],
    *,
    crs: RasterCRS | str | int,
    attributes: Sequence[Attribute] = POLYGON_ATTRIBUTES,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Iterator[Write]:
    """Yield a function that writes polygons; the file appears when the block succeeds.

    Args:
        destination: File to make; its suffix chooses the format: GeoPackage (.gpkg) and GeoParquet
            (.parquet) of any size, or GeoJSON (.geojson) up to a size, in longitude and latitude,
            where polygons are cut at the 180th meridian.
        crs: Coordinate reference system of the polygons.
        attributes: Columns; those of lists of numbers have a place in GeoParquet alone.
        metadata: Of the file, name to value; GeoJSON has no room for it.
        overwrite: Replace an existing file.

    Yields:
        The function.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        ValueError: If the suffix is unknown; GeoJSON: if there are too many polygons, or nothing
            leads from *crs* to longitude and latitude.
        OSError: If it cannot be written.
    """
    final = Path(destination)
    known = RasterCRS.from_user_input(crs)
    check_format(final, crs=known)
    with new_file(final, overwrite=overwrite) as temporary:
        try:
            with _WRITERS[final.suffix.lower()](
                temporary, final.stem, known, attributes, metadata
            ) as write:
                yield write
        except (DataSourceError, DataLayerError, FieldError) as error:
            raise DiskFullError.of(final, error) from error


def check_suffix(destination: str | PathLike[str]) -> None:
    """Refuse files of unknown formats.

    Raises:
        ValueError: If the suffix is unknown.
    """
    if Path(destination).suffix.lower() not in FEATURE_SUFFIXES:
        raise ValueError(f'{destination} must end in one of {", ".join(FEATURE_SUFFIXES)}')


def check_format(destination: str | PathLike[str], *, crs: RasterCRS) -> None:
    """Refuse files of unknown formats, and those that cannot express a CRS, before any work.

    Raises:
        ValueError: If the suffix is unknown, or nothing leads from *crs* to the longitude and
            latitude of GeoJSON.
    """
    check_suffix(destination)
    if Path(destination).suffix.lower() == '.geojson':
        Degrees.of(crs)


class TooManyPolygonsError(ValueError):
    """More polygons than a GeoJSON file may hold."""


def check_geojson(count: int, *, vertices: int) -> None:
    """Refuse more polygons than a GeoJSON file may hold.

    Args:
        count: Polygons so far.
        vertices: Vertices of all of them.

    Raises:
        TooManyPolygonsError: If they are too many, or would take too many bytes.
    """
    size = _FEATURE_BYTES * count + _VERTEX_BYTES * vertices
    if count > MAX_GEOJSON_FEATURES or size > MAX_GEOJSON_BYTES:
        raise TooManyPolygonsError(
            f'GeoJSON is held in memory and ends at {MAX_GEOJSON_FEATURES:,} polygons or '
            f'{MAX_GEOJSON_BYTES / 1e6:,.0f} MB, got {count:,} of {size / 1e6:,.0f} MB so far; '
            'write a .gpkg or .parquet file instead, or fewer polygons'
        )


@contextmanager
def _geopackage(
    path: Path,
    layer: str,
    crs: RasterCRS,
    attributes: Sequence[Attribute],
    metadata: Mapping[str, str] | None,
) -> Iterator[Write]:
    """Append to a layer of a GeoPackage."""

    def write(features: Features) -> int:
        # the first call makes the layer
        told = {} if path.exists() or not metadata else {'layer_metadata': dict(metadata)}
        _write_with_gdal(
            path,
            features,
            attributes,
            driver='GPKG',
            layer=layer,
            crs=CRS.from_wkt(crs_text(crs)).to_wkt(),
            geometry_type='Polygon',
            append=path.exists(),
            **told,
        )
        return 0

    write(_none(attributes))
    yield write


@contextmanager
def _geojson(
    path: Path,
    layer: str,
    crs: RasterCRS,
    attributes: Sequence[Attribute],
    metadata: Mapping[str, str] | None,
) -> Iterator[Write]:
    """Collect polygons in longitude and latitude, and write them at the end."""
    degrees = Degrees.of(crs)
    batches = [_none(attributes)]
    count = vertices = 0
    decimals = DECIMALS

    def write(features: Features) -> int:
        nonlocal count, vertices, decimals
        placed, needed = degrees.place(features.polygons)
        has_place = ~shapely.is_missing(placed)
        decimals = max(decimals, needed)
        count += int(has_place.sum())
        vertices += int(shapely.get_num_coordinates(placed).sum())
        check_geojson(count, vertices=vertices)
        batches.append(replace(features, polygons=placed).select(has_place))
        return int((~has_place).sum())

    yield write
    whole = Features(
        polygons=np.concatenate([batch.polygons for batch in batches]),
        columns={
            attribute.name: np.concatenate([batch.columns[attribute.name] for batch in batches])
            for attribute in attributes
        },
    )
    finer = {} if decimals == DECIMALS else {'COORDINATE_PRECISION': str(decimals)}
    _write_with_gdal(
        path,
        whole,
        attributes,
        driver='GeoJSON',
        layer=layer,
        crs='OGC:CRS84',
        # polygons that were cut are multi-polygons
        geometry_type='Unknown',
        layer_options={'RFC7946': 'YES', **finer},
    )


def read_features(path: str | PathLike[str]) -> geopandas.GeoDataFrame:
    """Read what :func:`new_features` has written."""
    if Path(path).suffix.lower() == '.parquet':
        return geopandas.read_parquet(path)
    return geopandas.read_file(path)


def _write_with_gdal(
    path: Path, features: Features, attributes: Sequence[Attribute], **options: Any
) -> None:
    """Write polygons through GDAL."""
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(features.polygons),
        fields=np.array([attribute.name for attribute in attributes], dtype=object),
        field_data=[
            features.columns[attribute.name].astype(attribute.dtype) for attribute in attributes
        ],
        **options,
    )


def _none(attributes: Sequence[Attribute]) -> Features:
    """Make no features."""
    columns = {attribute.name: np.zeros(0, attribute.dtype) for attribute in attributes}
    return Features(polygons=np.zeros(0, dtype=object), columns=columns)


# a context manager of each ending, which yields the function that writes
_WRITERS = dict(zip(FEATURE_SUFFIXES, (_geopackage, new_geoparquet, _geojson), strict=True))
