"""Write polygons of any number into vector files, batch by batch."""

import json
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

from .atomic import new_file
from .reading import crs_text

MAX_GEOJSON_FEATURES = 500_000
"""GeoJSON is one text, which programs read as a whole."""

MAX_GEOJSON_BYTES = 100_000_000
"""The same, by what it is estimated to take."""

# what GDAL writes per vertex with 7 decimals, and per feature
_VERTEX_BYTES, _FEATURE_BYTES = 28, 200

# An edge is straight in the CRS of its file and curved in another: over 500 m, the arc of a
# parallel leaves its chord by length**2 * tan(latitude) / (8 * earth radius), 5 mm at 45 degrees.
_LONGEST_EDGE_M = 500.0
_EARTH_RADIUS_M = 6_371_000.0

_ROWS_PER_GROUP = 65_536


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
    count = size = 0

    def write(features: Features) -> None:
        nonlocal count, size
        moved = _to_degrees(features.polygons, crs, to_degrees)
        count += len(moved)
        size += _FEATURE_BYTES * len(moved)
        size += _VERTEX_BYTES * int(shapely.get_num_coordinates(moved).sum())
        if count > MAX_GEOJSON_FEATURES or size > MAX_GEOJSON_BYTES:
            raise ValueError(
                f'GeoJSON is held in memory and ends at {MAX_GEOJSON_FEATURES:,} polygons or '
                f'{MAX_GEOJSON_BYTES / 1e6:,.0f} MB, got {count:,} of {size / 1e6:,.0f} MB so far; '
                'write a .gpkg or .parquet file instead, or leave small polygons out (--min-area)'
            )
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
    """Write row groups of GeoParquet, https://geoparquet.org/releases/v1.1.0/."""
    # 0.2 s that the other formats can do without
    import pyarrow as pa
    import pyarrow.parquet as pq

    box = pa.struct([(side, pa.float64()) for side in _SIDES])
    schema = pa.schema(
        {
            'class': pa.int32(),
            'class_name': pa.string(),
            'area_m2': pa.float64(),
            'bbox': box,
            'geometry': pa.binary(),
        }
    )
    bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])
    with pq.ParquetWriter(path, schema, compression='zstd') as writer:

        def write(features: Features) -> None:
            if not len(features):
                return
            boxes = shapely.bounds(features.polygons)
            np.minimum(bounds[:2], boxes[:, :2].min(axis=0), out=bounds[:2])
            np.maximum(bounds[2:], boxes[:, 2:].max(axis=0), out=bounds[2:])
            areas = pa.array(features.areas_m2, mask=np.isnan(features.areas_m2))
            sides = [pa.array(side) for side in boxes.T]
            columns = [
                pa.array(features.values, type=pa.int32()),
                pa.array(features.names, type=pa.string()),
                areas,
                pa.StructArray.from_arrays(sides, fields=list(box)),
                pa.array(shapely.to_wkb(features.polygons), type=pa.binary()),
            ]
            table = pa.table(columns, schema=schema)
            writer.write_table(table, row_group_size=_ROWS_PER_GROUP)

        yield write
        is_empty = not np.isfinite(bounds).all()
        metadata = _geo_metadata(crs, None if is_empty else bounds.tolist())
        writer.add_key_value_metadata({'geo': json.dumps(metadata)})


_FORMATS: dict[str, Callable[[Path, str, CRS], AbstractContextManager[Write]]] = {
    '.gpkg': _geopackage,
    '.parquet': _geoparquet,
    '.geojson': _geojson,
}

_SIDES = ('xmin', 'ymin', 'xmax', 'ymax')


def _geo_metadata(crs: CRS, bounds: list[float] | None) -> dict[str, Any]:
    """Describe the geometry column as GeoParquet 1.1 wants it."""
    column: dict[str, Any] = {
        'encoding': 'WKB',
        'geometry_types': ['Polygon'],
        'crs': crs.to_json_dict(),
        'orientation': 'counterclockwise',
        'edges': 'planar',
        'covering': {'bbox': {side: ['bbox', side] for side in _SIDES}},
    }
    if bounds is not None:
        column['bbox'] = bounds
    return {'version': '1.1.0', 'primary_column': 'geometry', 'columns': {'geometry': column}}


def _write_with_gdal(path: Path, features: Features, **options: Any) -> None:
    """Write polygons through GDAL."""
    unknown = np.isnan(features.areas_m2)
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(features.polygons),
        fields=np.array(['class', 'class_name', 'area_m2'], dtype=object),
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
        radius = _EARTH_RADIUS_M if crs.is_geographic else 1
        longest = _LONGEST_EDGE_M / radius / crs.axis_info[0].unit_conversion_factor
        polygons = shapely.segmentize(polygons, longest)

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
