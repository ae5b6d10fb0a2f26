"""GeoParquet: features are written batch by batch, and attributes read some rows at a time."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.crs import CRS as RasterCRS

from ..crs import crs_text
from .features import Attribute, Features

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_PER_GROUP = 65_536
_BYTES_PER_GROUP = 64 * 2**20
_ROWS_READ = 8192
_SIDES = ('xmin', 'ymin', 'xmax', 'ymax')


@contextmanager
def new_geoparquet(
    path: Path,
    layer: str,
    crs: RasterCRS,
    attributes: Sequence[Attribute],
    metadata: Mapping[str, str] | None = None,
) -> Iterator[Callable[[Features], int]]:
    """Write row groups of GeoParquet, https://geoparquet.org/releases/v1.1.0/.

    Args:
        path: File to write.
        layer: Its name, for which the format has no place.
        crs: Coordinate reference system of the polygons.
        attributes: Columns, which come before bounds and geometry.
        metadata: Of the file, besides what the format wants.

    Yields:
        A function that takes further features, and leaves none of them out: it returns 0.
    """
    # the import takes 0.2 s, which other formats can do without
    import pyarrow as pa
    import pyarrow.parquet as pq

    box = pa.struct([(side, pa.float64()) for side in _SIDES])
    columns = {attribute.name: _type_of(attribute) for attribute in attributes}
    schema = pa.schema({**columns, 'bbox': box, 'geometry': pa.binary()})
    row_bytes = sum(8 * (attribute.length or 1) for attribute in attributes)
    group = max(1, min(_ROWS_PER_GROUP, _BYTES_PER_GROUP // row_bytes))
    bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])
    with pq.ParquetWriter(path, schema, compression='zstd') as writer:

        def write(features: Features) -> int:
            if not len(features):
                return 0
            boxes = shapely.bounds(features.polygons)
            np.minimum(bounds[:2], boxes[:, :2].min(axis=0), out=bounds[:2])
            np.maximum(bounds[2:], boxes[:, 2:].max(axis=0), out=bounds[2:])
            table = pa.table(
                [
                    *(_to_column(features.columns[each.name], each) for each in attributes),
                    pa.StructArray.from_arrays([pa.array(s) for s in boxes.T], fields=list(box)),
                    pa.array(shapely.to_wkb(features.polygons), type=pa.binary()),
                ],
                schema=schema,
            )
            writer.write_table(table, row_group_size=group)
            return 0

        yield write
        found = bounds.tolist() if np.isfinite(bounds).all() else None
        geometry = json.dumps(_describe_geometry(CRS.from_wkt(crs_text(crs)), found))
        writer.add_key_value_metadata({**(metadata or {}), 'geo': geometry})


def read_rows(
    path: str | PathLike[str], columns: Sequence[str]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Read attributes of a GeoParquet file, some rows at a time.

    Args:
        path: The file.
        columns: Attributes without missing values.

    Yields:
        Per attribute: values, shape (n,), or (n, length) of lists of one length.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_READ, columns=list(columns)):
            found = {}
            for name in columns:
                column = batch.column(name)
                if isinstance(column, pa.FixedSizeListArray):
                    flat = column.flatten().to_numpy(zero_copy_only=False)
                    found[name] = flat.reshape(len(column), -1)
                else:
                    found[name] = column.to_numpy(zero_copy_only=False)
            yield found


def _type_of(attribute: Attribute) -> 'pa.DataType':
    """Find the type of a column."""
    import pyarrow as pa

    single = pa.type_for_alias(attribute.kind)
    return single if attribute.length is None else pa.list_(single, attribute.length)


def _to_column(values: NDArray[Any], attribute: Attribute) -> 'pa.Array':
    """Turn values into a column."""
    import pyarrow as pa

    if attribute.length is not None:
        flat = pa.array(
            np.ascontiguousarray(values).ravel(), type=pa.type_for_alias(attribute.kind)
        )
        return pa.FixedSizeListArray.from_arrays(flat, attribute.length)
    is_float = values.dtype.kind == 'f'
    return pa.array(values, type=_type_of(attribute), mask=np.isnan(values) if is_float else None)


def _describe_geometry(crs: CRS, bounds: list[float] | None) -> dict[str, Any]:
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
