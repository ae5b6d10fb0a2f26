"""Write points with attributes, few enough to be held in memory."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import geopandas
import numpy as np
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FieldError

from ..write.atomic import DiskFullError, new_file
from .write import check_suffix


def write_points(
    destination: str | PathLike[str],
    points: geopandas.GeoDataFrame,
    *,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write points to a GeoPackage (.gpkg), GeoParquet (.parquet) or GeoJSON (.geojson) file.

    Args:
        destination: File to make; it appears when it is complete.
        points: With a CRS, which GeoJSON does not keep: it is in longitude and latitude.
        metadata: Of the file, name to value; GeoJSON has no room for it.
        overwrite: Replace an existing file.

    Returns:
        *destination* as a path.

    Raises:
        FileExistsError: If it exists and *overwrite* is False.
        ValueError: If its suffix is unknown.
        OSError: If it cannot be written.
    """
    final = Path(destination)
    check_suffix(final)
    with new_file(final, overwrite=overwrite) as temporary:
        try:
            match final.suffix.lower():
                case '.parquet':
                    _write_geoparquet(temporary, points, dict(metadata or {}))
                case '.geojson':
                    _in_degrees(points).to_file(temporary, driver='GeoJSON', RFC7946='YES')
                case _:
                    told = {'layer_metadata': dict(metadata)} if metadata else {}
                    points.to_file(temporary, driver='GPKG', layer=final.stem, **told)
        except (DataSourceError, DataLayerError, FieldError) as error:
            raise DiskFullError.of(final, error) from error
    return final


def _write_geoparquet(
    path: Path, points: geopandas.GeoDataFrame, metadata: Mapping[str, str]
) -> None:
    """Write GeoParquet, to whose metadata geopandas adds none."""
    # the import takes 0.2 s, which other formats can do without
    import pyarrow.parquet as pq

    points.to_parquet(path)
    table = pq.read_table(path)
    known = table.schema.metadata or {}
    pq.write_table(table.replace_schema_metadata({**known, **metadata}), path)


def _in_degrees(points: geopandas.GeoDataFrame) -> geopandas.GeoDataFrame:
    """Bring points to longitudes in [-180, 180) and latitudes."""
    moved = points.to_crs('OGC:CRS84')
    lon, lat = shapely.get_coordinates(moved.geometry.to_numpy()).T
    # maps may count from 0 to 360 degrees
    turned = np.where(np.abs(lon) <= 180, lon, (lon + 180) % 360 - 180)
    return moved.set_geometry(shapely.points(turned, lat), crs=moved.crs)
