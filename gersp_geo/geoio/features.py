"""Write polygons of any number into vector files, batch by batch."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FieldError
from pyproj import CRS, Transformer
from rasterio.crs import CRS as RasterCRS

from .areas import longest_edge
from .atomic import new_file
from .geoparquet import Attribute, new_geoparquet
from .reading import crs_text

MAX_GEOJSON_FEATURES = 500_000
"""GeoJSON is one text, which programs read as a whole."""

MAX_GEOJSON_BYTES = 100_000_000
"""The same, by what it is estimated to take."""

# what GDAL writes per vertex with 7 decimals, and per feature
_VERTEX_BYTES, _FEATURE_BYTES = 28, 200

_ATTRIBUTES = (
    Attribute(name='class', kind='int32'),
    Attribute(name='class_name', kind='string'),
    Attribute(name='area_m2', kind='float64'),
)
_NAMES = tuple(attribute.name for attribute in _ATTRIBUTES)


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

    def __len__(self) -> int:
        """Count polygons."""
        return len(self.polygons)


type Write = Callable[[Features], None]
"""Takes further polygons."""


@contextmanager
def new_features(
    destination: str | PathLike[str], *, crs: RasterCRS, overwrite: bool = False
) -> Iterator[Write]:
    """Yield a function that writes polygons; the file appears when the block succeeds.

    Args:
        destination: File to make; its suffix chooses the format: GeoPackage (.gpkg) and GeoParquet
            (.parquet) of any size, or GeoJSON (.geojson) up to a size, in longitude and latitude.
        crs: Coordinate reference system of the polygons.
        overwrite: Replace an existing file.

    Yields:
        The function.

    Raises:
        FileExistsError: If *destination* exists and *overwrite* is False.
        ValueError: If the suffix is unknown; GeoJSON: if there are too many polygons, or longitude
            and latitude cannot express them.
        OSError: If it cannot be written.
    """
    final = Path(destination)
    check_suffix(final)
    located = CRS.from_wkt(crs_text(crs))
    with new_file(final, overwrite=overwrite) as temporary:
        try:
            with _FORMATS[final.suffix.lower()](temporary, final.stem, located) as write:
                yield write
        except (DataSourceError, DataLayerError, FieldError) as error:
            reason = ' '.join(str(error).split())
            raise OSError(f'{final} cannot be written: {reason}; is the disk full?') from error


def check_suffix(destination: str | PathLike[str]) -> None:
    """Refuse files of unknown formats.

    Raises:
        ValueError: If the suffix is unknown.
    """
    if Path(destination).suffix.lower() not in _FORMATS:
        raise ValueError(f'{destination} must end in one of {", ".join(_FORMATS)}')


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


@contextmanager
def _geopackage(path: Path, layer: str, crs: CRS) -> Iterator[Write]:
    """Append to a layer of a GeoPackage."""
    name = crs.to_wkt()

    def write(features: Features) -> None:
        _write_with_gdal(path, features, driver='GPKG', layer=layer, crs=name, append=path.exists())

    write(_none())
    yield write


@contextmanager
def _geojson(path: Path, layer: str, crs: CRS) -> Iterator[Write]:
    """Collect polygons in longitude and latitude, and write them at the end."""
    to_degrees = Transformer.from_crs(crs, 'OGC:CRS84', always_xy=True)
    batches = [_none()]
    count = vertices = 0

    def write(features: Features) -> None:
        nonlocal count, vertices
        moved = _to_degrees(features.polygons, crs, to_degrees)
        count += len(moved)
        vertices += int(shapely.get_num_coordinates(moved).sum())
        check_geojson(count, vertices=vertices)
        batches.append(
            Features(
                polygons=moved,
                values=features.values,
                names=features.names,
                areas_m2=features.areas_m2,
            )
        )

    yield write
    whole = Features(
        polygons=np.concatenate([batch.polygons for batch in batches]),
        values=np.concatenate([batch.values for batch in batches]),
        names=np.concatenate([batch.names for batch in batches]),
        areas_m2=np.concatenate([batch.areas_m2 for batch in batches]),
    )
    # RFC 7946 wants 7 decimals, which are a centimetre, and no other CRS
    _write_with_gdal(
        path,
        whole,
        driver='GeoJSON',
        layer=layer,
        crs='OGC:CRS84',
        layer_options={'RFC7946': 'YES'},
    )


@contextmanager
def _geoparquet(path: Path, layer: str, crs: CRS) -> Iterator[Write]:
    """Write row groups of GeoParquet."""
    with new_geoparquet(path, crs=crs, attributes=_ATTRIBUTES) as write_rows:

        def write(features: Features) -> None:
            values = (features.values, features.names, features.areas_m2)
            write_rows(features.polygons, dict(zip(_NAMES, values, strict=True)))

        yield write


_FORMATS: dict[str, Callable[[Path, str, CRS], AbstractContextManager[Write]]] = {
    '.gpkg': _geopackage,
    '.parquet': _geoparquet,
    '.geojson': _geojson,
}


def _write_with_gdal(path: Path, features: Features, **options: Any) -> None:
    """Write polygons through GDAL."""
    unknown = np.isnan(features.areas_m2)
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(features.polygons),
        fields=np.array(_NAMES, dtype=object),
        field_data=[features.values.astype(np.int32), features.names, features.areas_m2],
        field_mask=[None, None, unknown if unknown.any() else None],
        geometry_type='Polygon',
        **options,
    )


def _to_degrees(
    polygons: NDArray[np.object_], crs: CRS, to_degrees: Transformer
) -> NDArray[np.object_]:
    """Bring polygons to longitude and latitude."""
    is_grid = crs.is_geographic and not crs.is_derived
    if not is_grid:
        polygons = shapely.segmentize(polygons, longest_edge(crs))

    def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(to_degrees.transform(*points.T), axis=1)

    moved: NDArray[np.object_] = shapely.transform(polygons, move)
    points, ring = shapely.get_coordinates(shapely.get_rings(moved), return_index=True)
    step = np.abs(np.diff(points[:, 0]))[np.diff(ring) == 0]
    if not np.isfinite(points).all() or (not is_grid and (step > 180).any()):
        raise ValueError(
            'polygons beyond the 180th meridian, or beyond what longitude and latitude can express, '
            'are no GeoJSON; write a .gpkg or .parquet file instead'
        )
    return moved


def _none() -> Features:
    """Make no features."""
    empty = np.zeros(0, dtype=object)
    return Features(polygons=empty, values=np.zeros(0, np.int64), names=empty, areas_m2=np.zeros(0))
