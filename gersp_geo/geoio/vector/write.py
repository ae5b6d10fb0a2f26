"""Write polygons of any number into vector files, batch by batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FieldError
from pyproj import CRS
from rasterio.crs import CRS as RasterCRS

from ..crs import crs_text
from ..write.atomic import DiskFullError, describe_room, new_file
from .geojson import DECIMALS, Degrees
from .geoparquet import Attribute, new_geoparquet

MAX_GEOJSON_FEATURES = 500_000
"""GeoJSON is one text, which programs read as a whole."""

MAX_GEOJSON_BYTES = 100_000_000
"""The same, by what it is estimated to take."""

# what GDAL writes per vertex with 7 decimals, and per feature
_VERTEX_BYTES, _FEATURE_BYTES = 28, 200

POLYGON_ATTRIBUTES = (
    Attribute(name='class', kind='int32'),
    Attribute(name='class_name', kind='string'),
    Attribute(name='area_m2', kind='float64'),
)
"""What is known of the polygons of a map."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """Polygons with their attributes."""

    polygons: NDArray[np.object_]
    """Geometries."""

    values: NDArray[np.int64]
    """Class of each."""

    names: NDArray[np.object_]
    """Name of its class."""

    areas_m2: NDArray[np.float64]
    """Area of each in square metres; NaN where it is not known."""

    further: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Values of other attributes, by name."""

    def columns(self, attributes: Sequence[Attribute]) -> list[NDArray[Any]]:
        """List the values of attributes."""
        known = {
            'class': self.values,
            'class_name': self.names,
            'area_m2': self.areas_m2,
            **self.further,
        }
        return [known[attribute.name] for attribute in attributes]

    def select(self, chosen: NDArray[np.bool_]) -> 'Features':
        """Keep some."""
        return Features(
            polygons=self.polygons[chosen],
            values=self.values[chosen],
            names=self.names[chosen],
            areas_m2=self.areas_m2[chosen],
            further={name: values[chosen] for name, values in self.further.items()},
        )

    def __len__(self) -> int:
        """Count polygons."""
        return len(self.polygons)


type Write = Callable[[Features], int]
"""Takes further polygons; returns how many of them the format cannot express and leaves out."""


@contextmanager
def new_features(
    destination: str | PathLike[str],
    *,
    crs: RasterCRS,
    attributes: Sequence[Attribute] = POLYGON_ATTRIBUTES,
    overwrite: bool = False,
) -> Iterator[Write]:
    """Yield a function that writes polygons; the file appears when the block succeeds.

    Args:
        destination: File to make; its suffix chooses the format: GeoPackage (.gpkg) and GeoParquet
            (.parquet) of any size, or GeoJSON (.geojson) up to a size, in longitude and latitude,
            where polygons are cut at the 180th meridian.
        crs: Coordinate reference system of the polygons.
        attributes: Columns.
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
    check_format(final, crs=crs)
    with new_file(final, overwrite=overwrite) as temporary:
        try:
            make = _FORMATS[final.suffix.lower()]
            with make(temporary, final.stem, crs, attributes) as write:
                yield write
        except (DataSourceError, DataLayerError, FieldError) as error:
            reason = ' '.join(str(error).split())
            raise DiskFullError(
                f'{final} cannot be written: {reason}; {describe_room(final)}'
            ) from error


def check_suffix(destination: str | PathLike[str]) -> None:
    """Refuse files of unknown formats.

    Raises:
        ValueError: If the suffix is unknown.
    """
    if Path(destination).suffix.lower() not in _FORMATS:
        raise ValueError(f'{destination} must end in one of {", ".join(_FORMATS)}')


def check_format(destination: str | PathLike[str], *, crs: RasterCRS) -> None:
    """Refuse files of unknown formats, and those that cannot express a CRS, before any work.

    Raises:
        ValueError: If the suffix is unknown, or nothing leads from *crs* to the longitude and
            latitude of GeoJSON.
    """
    check_suffix(destination)
    if Path(destination).suffix.lower() == '.geojson':
        Degrees.of(crs)


def check_geojson(count: int, *, vertices: int) -> None:
    """Refuse more polygons than a GeoJSON file may hold.

    Args:
        count: Polygons so far.
        vertices: All of theirs.

    Raises:
        ValueError: If they are too many, or would take too many bytes.
    """
    size = _FEATURE_BYTES * count + _VERTEX_BYTES * vertices
    if count > MAX_GEOJSON_FEATURES or size > MAX_GEOJSON_BYTES:
        raise ValueError(
            f'GeoJSON is held in memory and ends at {MAX_GEOJSON_FEATURES:,} polygons or '
            f'{MAX_GEOJSON_BYTES / 1e6:,.0f} MB, got {count:,} of {size / 1e6:,.0f} MB so far; '
            'write a .gpkg or .parquet file instead, or fewer polygons'
        )


def describe_left_out(count: int) -> str:
    """Say that GeoJSON left polygons out."""
    return (
        f'{count:,} lie where the CRS has no longitude and latitude, and GeoJSON leaves them out: '
        'a .gpkg or .parquet file holds them'
    )


@contextmanager
def _geopackage(
    path: Path, layer: str, crs: RasterCRS, attributes: Sequence[Attribute]
) -> Iterator[Write]:
    """Append to a layer of a GeoPackage."""
    options = {'driver': 'GPKG', 'layer': layer, 'crs': CRS.from_wkt(crs_text(crs)).to_wkt()}

    def write(features: Features) -> int:
        polygons, columns = features.polygons, features.columns(attributes)
        _write_with_gdal(
            path,
            polygons,
            columns,
            attributes,
            geometry_type='Polygon',
            append=path.exists(),
            **options,
        )
        return 0

    write(_none(attributes))
    yield write


@contextmanager
def _geojson(
    path: Path, layer: str, crs: RasterCRS, attributes: Sequence[Attribute]
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
        moved = replace(features, polygons=placed)
        batches.append(moved if has_place.all() else moved.select(has_place))
        return int((~has_place).sum())

    yield write
    columns = zip(*(batch.columns(attributes) for batch in batches), strict=True)
    finer = {} if decimals == DECIMALS else {'COORDINATE_PRECISION': str(decimals)}
    _write_with_gdal(
        path,
        np.concatenate([batch.polygons for batch in batches]),
        [np.concatenate(column) for column in columns],
        attributes,
        driver='GeoJSON',
        layer=layer,
        crs='OGC:CRS84',
        # multi-polygons of what was cut
        geometry_type='Unknown',
        layer_options={'RFC7946': 'YES', **finer},
    )


@contextmanager
def _geoparquet(
    path: Path, layer: str, crs: RasterCRS, attributes: Sequence[Attribute]
) -> Iterator[Write]:
    """Write row groups of GeoParquet."""
    located = CRS.from_wkt(crs_text(crs))
    with new_geoparquet(path, crs=located, attributes=attributes) as write_rows:

        def write(features: Features) -> int:
            names = [attribute.name for attribute in attributes]
            columns = features.columns(attributes)
            write_rows(features.polygons, dict(zip(names, columns, strict=True)))
            return 0

        yield write


type _Format = Callable[[Path, str, RasterCRS, Sequence[Attribute]], AbstractContextManager[Write]]

_FORMATS: dict[str, _Format] = {'.gpkg': _geopackage, '.parquet': _geoparquet, '.geojson': _geojson}

FEATURE_SUFFIXES = tuple(_FORMATS)
"""Endings that :func:`new_features` knows."""


def _write_with_gdal(
    path: Path,
    polygons: NDArray[np.object_],
    columns: Sequence[NDArray[Any]],
    attributes: Sequence[Attribute],
    **options: Any,
) -> None:
    """Write polygons through GDAL."""
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(polygons),
        fields=np.array([attribute.name for attribute in attributes], dtype=object),
        field_data=[
            column.astype(_dtype(attribute))
            for column, attribute in zip(columns, attributes, strict=True)
        ],
        **options,
    )


def _dtype(attribute: Attribute) -> np.dtype[Any]:
    """Find the NumPy type of an attribute."""
    return np.dtype(object if attribute.kind == 'string' else attribute.kind)


def _none(attributes: Sequence[Attribute]) -> Features:
    """Make no features."""
    empty = {attribute.name: np.zeros(0, _dtype(attribute)) for attribute in attributes}
    return Features(
        polygons=np.zeros(0, dtype=object),
        values=empty.pop('class'),
        names=empty.pop('class_name'),
        areas_m2=empty.pop('area_m2'),
        further=empty,
    )
