"""What a file says it was made of, so that it is known again."""

from os import PathLike
from pathlib import Path

from .read.reader import read_tags

FINGERPRINT_TAG = 'PREDICTION'
"""Tag of a file: the fingerprint of what it was made of."""


def read_fingerprint(path: str | PathLike[str]) -> str | None:
    """Read the fingerprint of a GeoTIFF, GeoPackage or GeoParquet file.

    Args:
        path: The file.

    Returns:
        The fingerprint; None where the file has none, cannot be read, or is of another format.
    """
    try:
        return read_metadata(path).get(FINGERPRINT_TAG)
    except (OSError, ValueError):
        return None


def read_metadata(path: str | PathLike[str]) -> dict[str, str]:
    """Read the metadata of a GeoTIFF, GeoPackage or GeoParquet file; GeoJSON has none.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is a damaged GeoPackage.
    """
    suffix = Path(path).suffix.lower()
    # both take time to import, which other formats can do without
    if suffix == '.gpkg':
        import pyogrio
        from pyogrio.errors import DataLayerError, DataSourceError

        try:
            # that of the first layer, which is the only one of our files
            return pyogrio.read_info(path, layer=0)['layer_metadata'] or {}
        except (DataLayerError, DataSourceError) as error:
            raise ValueError(f'{path} cannot be read: {error}') from error
    if suffix == '.parquet':
        import pyarrow.parquet as pq

        found = pq.read_metadata(path).metadata or {}
        return {name.decode(): value.decode() for name, value in found.items()}
    return {} if suffix == '.geojson' else read_tags(path)
