"""The layer of a vector file that is read, and its values whatever type a file gives them."""

import re
import warnings
from datetime import date, time
from numbers import Integral, Real
from typing import Any
from zipfile import ZipFile, is_zipfile

import geopandas
import numpy as np
import pandas
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from shapely.errors import GEOSException

from ...messages import one_line
from .tables import place_table

# A warning of pyogrio: the layer is chosen here, and no user can pass the option that it names.
_OTHER_LAYERS = 'More than one layer found'

# names in an archive that GDAL opens as vectors
_VECTOR_FILES = re.compile(
    r'(?:.*?\.gdb(?=/)|.*\.(?:shp|gpkg|geojson|geojsonl|json|kml|kmz|fgb|gml|tab|sqlite|csv))',
    re.IGNORECASE,
)


def read_layer(source: str, layer: str | None) -> geopandas.GeoDataFrame:
    """Read one layer.

    Args:
        source: An existing file or folder that GDAL reads as vectors, or GeoParquet; a zip archive
            of one of them, or one in it: ``a.zip!b.shp``, ``zip://a.zip!b.shp`` or
            ``/vsizip/a.zip/b.shp``.
        layer: Its name. None takes the only one that holds a feature with a place.

    Returns:
        Its features; truth values are of pandas' type ``boolean`` where some are missing.

    Raises:
        ValueError: If it cannot be read, there is no such layer, several could be meant, or it is a
            table that :func:`.place_table` does not place.
    """
    if source.lower().endswith(('.parquet', '.geoparquet')):
        return _read_geoparquet(source, layer)
    name = find_in_archive(source)
    try:
        frame = _read_with_gdal(name, _choose_layer(name, layer, source=source))
    except (DataSourceError, DataLayerError) as error:
        # the way out that GDAL guesses after the semicolon is a wrong one
        reason = one_line(error).split('; It might help')[0]
        raise ValueError(f'{source} is not a vector file that GDAL can read: {reason}') from error
    except GEOSException as error:
        # one of them is a surface of triangles
        reason = one_line(error)
        raise ValueError(
            f'{source} holds geometries that are no plain points, lines or polygons ({reason}); '
            'convert them, for example with ogr2ogr -nlt MULTIPOLYGON'
        ) from error
    return frame if isinstance(frame, geopandas.GeoDataFrame) else place_table(frame, source)


def find_in_archive(source: str) -> str:
    """Find the only vector file in a zip archive; GDAL looks into its top folder alone.

    Args:
        source: What :func:`read_layer` takes.

    Returns:
        *source* itself, or the file in the archive as ``archive!file``.

    Raises:
        ValueError: If folders of the archive hold several.
    """
    file = source.removeprefix('zip://').removeprefix('/vsizip/')
    if not file.lower().endswith('.zip') or not is_zipfile(file):
        return source
    with ZipFile(file) as archive:
        # a file geodatabase is a folder
        found = {
            match[0]
            for name in archive.namelist()
            if (match := _VECTOR_FILES.match(name)) and not name.startswith('__MACOSX')
        }
    if any('/' not in name for name in found if not name.lower().endswith('.gdb')) or not found:
        return source
    if len(found) > 1:
        choices = ', '.join(f'{file}!{name}' for name in sorted(found))
        raise ValueError(f'{source} holds several vector files; name one: {choices}')
    return f'{file}!{found.pop()}'


def _read_geoparquet(source: str, layer: str | None) -> geopandas.GeoDataFrame:
    """Read GeoParquet, which few builds of GDAL do."""
    if layer is not None:
        raise ValueError(f'{source} has no layers, got layer={layer!r}; leave it out')
    try:
        return geopandas.read_parquet(source)
    except (ValueError, OSError) as error:
        reason = one_line(error)
        raise ValueError(f'{source} is no GeoParquet: {reason}') from error


def _choose_layer(name: str, layer: str | None, *, source: str) -> str | None:
    """Name the layer to read; None leaves the choice to GDAL, where there is none."""
    layers = {str(name): kind for name, kind in pyogrio.list_layers(name)}
    if layer is not None:
        if layer not in layers:
            raise ValueError(f'{source} has no layer {layer!r}, only {", ".join(layers)}')
        return layer
    if len(layers) < 2:
        return None
    placed = [found for found, kind in layers.items() if kind is not None]
    filled = [found for found in placed if _count_features(name, found) != 0]
    if len(filled) > 1:
        raise ValueError(
            f'{source} has several layers with features: {", ".join(filled)}; name one: '
            'area_layer (--area-layer) for an area, layer for labels'
        )
    return (filled or placed or list(layers))[0]


def _count_features(source: str, layer: str) -> int:
    """Count the features of a layer; -1 where that is not known."""
    return int(pyogrio.read_info(source, layer=layer, force_feature_count=True)['features'])


def _read_with_gdal(source: str, layer: str | None) -> geopandas.GeoDataFrame | pandas.DataFrame:
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


# floats from here on leave whole numbers out
_EXACT = 2**53


def attribute_texts(values: pandas.Series) -> list[str | None]:
    """Write the values of an attribute as text.

    Args:
        values: Text, numbers, truth values or dates, some of which may be missing. pandas turns
            integers beside missing ones into floats: whole numbers are written without point.

    Returns:
        One per value; None for what is missing, not a number, or blank.

    Raises:
        ValueError: If a value is of another type, or a whole number that a float cannot tell from
            its neighbours.
    """
    return [_text(value, values.name) for value in values.astype(object)]


def _text(value: Any, attribute: object) -> str | None:
    """Write one value."""
    # isna() gives several answers for a value of several elements
    if np.ndim(value) == 0 and pandas.isna(value):
        return None
    match value:
        case str():
            return value if value.strip() else None
        case bool() | np.bool_():
            return str(bool(value))
        case Integral():
            return str(int(value))
        case Real():
            number = float(value)
            if not number.is_integer():
                return str(number)
            if abs(number) >= _EXACT:
                raise ValueError(
                    f'{attribute!r} holds {number:.0f} as a float, which cannot tell it from its '
                    'neighbours; write such numbers as text'
                )
            return str(int(number))
        case date() | time():
            return str(value)
    raise ValueError(
        f'{attribute!r} must hold text or numbers, got {type(value).__name__}: {str(value)[:40]}'
    )
