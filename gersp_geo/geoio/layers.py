"""The layer of a vector file that is read, and its values as the file types them."""

import warnings
from pathlib import Path

import geopandas
import pandas
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

# pyogrio: the layer is chosen here, and nobody can pass the option that it speaks of
_OTHER_LAYERS = 'More than one layer found'


def read_layer(source: Path, layer: str | None) -> geopandas.GeoDataFrame:
    """Read one layer.

    Args:
        source: An existing file or folder that GDAL reads as vectors, or GeoParquet.
        layer: Its name. None takes the only one that holds a feature with a place.

    Returns:
        Its features; truth values are of pandas' type ``boolean`` where some are missing.

    Raises:
        ValueError: If it cannot be read, there is no such layer, several could be meant, or it is a
            table without geometries.
    """
    if source.suffix.lower() in ('.parquet', '.geoparquet'):
        return _read_geoparquet(source, layer)
    try:
        frame = _read_with_gdal(source, _choose_layer(source, layer))
    except (DataSourceError, DataLayerError) as error:
        reason = ' '.join(str(error).split())
        raise ValueError(f'{source} is not a vector file that GDAL can read: {reason}') from error
    has_geometries = isinstance(frame, geopandas.GeoDataFrame)
    if not has_geometries:
        raise ValueError(f'{source} is a table without geometries')
    return frame


def _read_geoparquet(source: Path, layer: str | None) -> geopandas.GeoDataFrame:
    """Read GeoParquet, which few builds of GDAL do."""
    if layer is not None:
        raise ValueError(f'{source} has no layers, got layer={layer!r}; leave it out')
    try:
        return geopandas.read_parquet(source)
    except (ValueError, OSError) as error:
        reason = ' '.join(str(error).split())
        raise ValueError(f'{source} is no GeoParquet: {reason}') from error


def _choose_layer(source: Path, layer: str | None) -> str | None:
    """Name the layer to read; None leaves the choice to GDAL, where there is none."""
    layers = {str(name): kind for name, kind in pyogrio.list_layers(source)}
    if layer is not None:
        if layer not in layers:
            raise ValueError(f'{source} has no layer {layer!r}, only {", ".join(layers)}')
        return layer
    if len(layers) < 2:
        return None
    placed = [name for name, kind in layers.items() if kind is not None]
    filled = [name for name in placed if _count_features(source, name) != 0]
    if len(filled) > 1:
        raise ValueError(
            f'{source} has several layers with features: {", ".join(filled)}; write one to a file of '
            f'its own, ogr2ogr ONE.gpkg {source} LAYER, or, for labels, name it (layer)'
        )
    return (filled or placed or list(layers))[0]


def _count_features(source: Path, layer: str) -> int:
    """Count the features of a layer; -1 where that is not known."""
    return int(pyogrio.read_info(source, layer=layer, force_feature_count=True)['features'])


def _read_with_gdal(source: Path, layer: str | None) -> geopandas.GeoDataFrame | pandas.DataFrame:
    """Read a layer, and give back the type that pandas takes from columns with missing values."""
    options = {} if layer is None else {'layer': layer}
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', _OTHER_LAYERS)
        frame = geopandas.read_file(source, engine='pyogrio', **options)
    info = pyogrio.read_info(source, **options)
    for name, kind in zip(info['fields'], info['dtypes'], strict=True):
        if kind == 'bool' and frame[name].dtype.kind == 'f':
            frame[name] = frame[name].astype('boolean')
    return frame
